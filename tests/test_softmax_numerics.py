"""Softmax and cross-entropy where plain formulas break: huge logits, unequal rows, NaN, exp's last digit."""

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest

from fastnn import kernels, reference

dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def exact_softmax(row):
    """Softmax in 60 decimal digits, rounded once."""
    with localcontext(prec=60):
        logits = [Decimal(float(z)) for z in row]
        terms = [(z - max(logits)).exp() for z in logits]
        return [float(term / sum(terms)) for term in terms]


def textbook_softmax(x):
    """The softmax of many books: numerators kept from overflow by one maximum, that of the whole batch."""
    with np.errstate(all="ignore"):
        e = np.exp(x - np.max(x))
        return e / e.sum(axis=1, keepdims=True)


def assert_is_softmax(function, x):
    p = np.asarray(function(x), np.float64)
    assert np.isfinite(p).all()
    expected = np.array([exact_softmax(row) for row in x])
    eps, tiny = np.finfo(x.dtype).eps, np.finfo(x.dtype).tiny
    shifted = np.abs(x.astype(np.float64) - x.max(axis=1, keepdims=True))
    relative = shifted + shifted.max(axis=1, keepdims=True) * (expected.min(axis=1, keepdims=True) > 0)
    assert (np.abs(p - expected) <= eps * (relative + x.shape[1] + 4) * expected + tiny).all()


UNEQUAL_ROWS = {
    "far apart": [[0.0, 1.0, 2.0], [-1000.0, -1001.0, -1002.0]],
    "one huge, one usual": [[1e4, 0.0, -1e4], [1.0, 2.0, 3.0], [-1.0, 0.5, 0.0]],
    "plus and minus 1e4": [[1e4, 1e4 - 1, 1e4 - 2], [-1e4, 1 - 1e4, 2 - 1e4]],
    "growing": [[10.0**k, 10.0**k, 0.0] for k in range(5)],
}

SAME_SCALE_ROWS = {
    "usual": [[0.1, -2.0, 3.0, 1.0]],
    "all +1e4": [[1e4] * 5],
    "all -1e4": [[-1e4] * 5],
    "from -1e4 to 1e4": [[1e4, -1e4, 0.0]],
    "all 0": [[0.0] * 17],
    "one class": [[1e4]],
    "almost the largest numbers": [[3e38, 3e38, -3e38]],
}


@pytest.mark.parametrize("rows", UNEQUAL_ROWS.values(), ids=UNEQUAL_ROWS)
@dtypes
def test_textbook_softmax_fails_what_ours_passes(rows, dtype):
    x = np.array(rows, dtype)
    assert_is_softmax(kernels.softmax, x)
    assert_is_softmax(reference.softmax, x)
    with pytest.raises(AssertionError):
        assert_is_softmax(textbook_softmax, x)


@pytest.mark.parametrize("rows", SAME_SCALE_ROWS.values(), ids=SAME_SCALE_ROWS)
@dtypes
def test_extreme_rows(rows, dtype):
    x = np.array(rows, dtype)
    assert_is_softmax(kernels.softmax, x)
    assert_is_softmax(reference.softmax, x)
    assert_is_softmax(textbook_softmax, x)  # alone in its batch, a row is safe: the check itself is fair


@dtypes
@pytest.mark.parametrize("function", [kernels.softmax_cross_entropy, reference.softmax_cross_entropy])
def test_a_hopeless_row_has_its_exact_loss(function, dtype):
    """An epsilon inside the logarithm would cap these losses, at 16 or 36."""
    logits = np.array([[1e4, -1e4, 0.0], [1e4, -1e4, 0.0], [-1e4, -1e4, -1e4], [1e4, -1e4, -1e4]], dtype)
    losses, gradient = function(logits, [1, 2, 0, 0])
    expected = [2e4, 1e4, math.log(3), 0.0]
    assert np.abs(np.array(losses) - expected).max() <= 2 * np.finfo(dtype).eps
    wanted = np.array([[1, -1, 0], [1, 0, -1], [-2 / 3, 1 / 3, 1 / 3], [0, 0, 0]]) / 4
    assert np.abs(np.array(gradient) - wanted).max() <= np.finfo(dtype).eps


@dtypes
def test_confident_and_right_has_a_small_loss(dtype):
    """-log p is log(1 + e^-z), about e^-z; what 1 + e^-z rounds away is below eps."""
    z = np.arange(0, 80, 0.5, dtype=dtype)
    losses, _ = kernels.softmax_cross_entropy(np.stack([z, np.zeros_like(z)], axis=1), np.zeros(len(z), int))
    assert (losses >= 0).all()
    assert np.abs(losses - np.log1p(np.exp(-z.astype(np.float64)))).max() <= 2 * np.finfo(dtype).eps


@dtypes
def test_equal_logits_show_the_logarithm(dtype):
    """The loss of a row of n equal logits is log n; the sum of n ones is exact."""
    for n in [1, 2, 3, 5, 10, 17, 100, 257, 1000]:
        for value in (0.0, 1e4, -1e4):
            logits = np.full((1, n), value, dtype)
            ((loss,), _), ((expected,), _) = (
                module.softmax_cross_entropy(logits, [n - 1]) for module in (kernels, reference)
            )
            assert abs(loss - math.log(n)) <= 2 * np.spacing(dtype(math.log(n)))
            assert abs(expected - math.log(n)) <= 2 * np.spacing(math.log(n))


@dtypes
def test_one_class_leaves_nothing_to_learn(dtype):
    losses, gradient = kernels.softmax_cross_entropy(np.array([[5.0], [-1e4], [0.0]], dtype), [0, 0, 0])
    assert (losses == 0).all() and (gradient == 0).all()


class TestExp:
    """softmax([0, x]) is [1, exp(x)] / (1 + exp(x)), so the exponential's own digits can be seen."""

    @staticmethod
    def pair(x):
        return kernels.softmax(np.stack([np.zeros_like(x), x], axis=1)).T

    @dtypes
    def test_within_two_units_in_the_last_place(self, dtype):
        # Here 1 + exp(x) is 1: what comes out is exp(x) and nothing else.
        low, high = math.log(np.finfo(dtype).tiny), math.log(np.finfo(dtype).eps / 4)
        x = np.linspace(0.9999 * low, high, 50_001).astype(dtype)
        ones, e = self.pair(x)
        assert (ones == 1).all()
        expected = np.array([math.exp(value) for value in x.tolist()])
        assert (np.abs(e - expected) <= 2 * np.spacing(expected.astype(dtype))).all()

    @dtypes
    def test_near_zero(self, dtype):
        x = -np.concatenate([np.linspace(0, 40, 20_001), np.logspace(-30, 0, 1001), [0.0]]).astype(dtype)
        ones, e = self.pair(x)
        ratio = e.astype(np.float64) / ones.astype(np.float64)  # rounded once more than exp itself, in each
        expected = np.array([math.exp(value) for value in x.tolist()])
        assert (np.abs(ratio - expected) <= 4 * np.finfo(dtype).eps * expected).all()

    @dtypes
    def test_where_it_vanishes(self, dtype):
        """Where it would be denormal it may be 0, but never anything else than those two."""
        tiny, smallest = np.finfo(dtype).tiny, np.finfo(dtype).smallest_subnormal
        edge = math.log(tiny)
        x = np.linspace(edge - 0.01, edge + 0.01, 10_001).astype(dtype)
        e = self.pair(x)[1].astype(np.float64)
        expected = np.array([math.exp(value) for value in x.tolist()])
        right = np.abs(e - expected) <= 2 * np.finfo(dtype).eps * expected + 2 * smallest
        assert (right | ((e == 0) & (expected < tiny * (1 + 1e-4)))).all()

    @dtypes
    def test_far_below(self, dtype):
        x = np.array([-800, -1e4, -1e30, -np.finfo(dtype).max], dtype)
        assert (self.pair(x) == [[1] * 4, [0] * 4]).all()


@dtypes
@pytest.mark.parametrize("columns", [1, 3, 8, 16, 17, 40])
class TestNaN:
    def test_softmax(self, columns, dtype):
        rng = np.random.default_rng(columns)
        good = rng.standard_normal((columns + 1, columns)).astype(dtype)
        bad = good.copy()
        np.fill_diagonal(bad, np.nan)  # in every row but the last, each in another column
        for function in (kernels.softmax, reference.softmax):
            p = np.array(function(bad))
            assert np.isnan(p[:-1]).all()
            assert np.array_equal(p[-1], np.array(function(good))[-1])

    def test_cross_entropy(self, columns, dtype):
        bad = np.zeros((columns + 1, columns), dtype)
        np.fill_diagonal(bad, np.nan)
        for function in (kernels.softmax_cross_entropy, reference.softmax_cross_entropy):
            losses, gradient = map(np.array, function(bad, [0] * (columns + 1)))
            assert np.isnan(losses[:-1]).all() and np.isnan(gradient[:-1]).all()
            assert np.isfinite(losses[-1]) and np.isfinite(gradient[-1]).all()

    def test_relu(self, columns, dtype):
        x = -np.ones((columns, columns), dtype)
        np.fill_diagonal(x, np.nan)
        expected = np.where(np.eye(columns, dtype=bool), np.nan, 0)
        for function in (kernels.relu, reference.relu):
            assert np.array_equal(np.array(function(x)), expected, equal_nan=True)

    def test_matmul(self, columns, dtype):
        a, b = np.ones((5, columns), dtype), np.ones((columns, 19), dtype)
        a[2, columns // 2] = np.nan
        b[columns - 1, 18] = np.nan
        for function in (kernels.matmul, reference.matmul):
            nan = np.isnan(np.array(function(a, b)))
            assert nan[2].all() and nan[:, 18].all()
            assert not np.delete(nan, 2, axis=0)[:, :18].any()


@dtypes
def test_infinite_logits_as_in_the_reference(dtype):
    inf = math.inf
    rows = [[-inf, 0.0, 1.0], [inf, 0.0, 1.0], [-inf, -inf, -inf], [0.0, -inf, -inf], [inf, inf, -inf]]
    logits = np.array(rows, dtype)
    # Minus infinity is a class that cannot be; of plus infinity, and of nothing else, there is no softmax.
    expected = reference.softmax(logits)
    assert np.isnan(expected).all(axis=1).tolist() == [False, True, True, False, True]
    eps = np.finfo(dtype).eps
    assert np.allclose(kernels.softmax(logits), expected, rtol=4 * eps, atol=0, equal_nan=True)
    losses, _ = kernels.softmax_cross_entropy(logits, [0, 0, 0, 0, 0])
    assert losses[0] == inf and losses[3] == 0 and np.isnan(losses[[1, 2, 4]]).all()
