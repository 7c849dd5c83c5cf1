"""The reference's operations against hand-computed values, exact arithmetic and their own mathematics."""

import ast
import math
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastnn.reference import (
    backward,
    forward,
    long_form_gradient,
    matmul,
    operations,
    relu,
    softmax,
    softmax_cross_entropy,
    softmax_jacobian,
)
from fastnn.reference.operations import add_bias, column_sums

EPS = sys.float_info.epsilon
NAN = math.nan

sizes = st.integers(0, 6)
logit_rows = st.integers(1, 6).flatmap(
    lambda n: st.lists(st.lists(st.floats(-50, 50), min_size=n, max_size=n), min_size=1, max_size=4)
)


def test_it_imports_nothing_but_the_standard_library():
    for path in Path(operations.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                assert all(name.name.partition(".")[0] in sys.stdlib_module_names for name in node.names), (
                    path
                )
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 1 or node.module.partition(".")[0] in sys.stdlib_module_names, path


# matmul


def test_matmul_by_hand():
    a = [[1, 2, 3], [4, 5, 6]]
    b = [[1, 0], [0, 1], [10, 100]]
    assert matmul(a, b) == [[31.0, 302.0], [64.0, 605.0]]


@given(sizes, sizes, sizes, st.booleans(), st.booleans(), st.randoms(use_true_random=False))
def test_matmul_is_exact_on_whole_numbers_of_any_shape(m, k, n, transpose_a, transpose_b, random):
    a = np.array([[random.randint(-9, 9) for _ in range(k)] for _ in range(m)]).reshape(m, k)
    b = np.array([[random.randint(-9, 9) for _ in range(n)] for _ in range(k)]).reshape(k, n)
    product = matmul(a.T if transpose_a else a, b.T if transpose_b else b, transpose_a, transpose_b)
    assert product == (a @ b).tolist()
    assert all(type(value) is float for row in product for value in row)


def test_matmul_of_lists_without_rows():
    assert matmul([], [[1.0, 2.0]]) == []
    assert matmul([[], []], []) == [[], []]
    assert matmul([[], []], [[], [], []], transpose_b=True) == [[0.0] * 3] * 2


def test_matmul_fills_out_which_may_be_an_argument():
    a, b = [[1.0, 2.0], [3.0, 4.0]], [[0.0, 1.0], [1.0, 0.0]]
    first_row = a[0]
    assert matmul(a, b, out=a) is a
    assert a == [[2.0, 1.0], [4.0, 3.0]]
    assert a[0] is first_row


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (dict(a=[[1, 2]], b=[[1, 2]]), ValueError, "a has 2 columns but b has 1 rows"),
        (dict(a=[[1, 2]], b=[[1]], transpose_a=True, transpose_b=True), None, ""),
        (dict(a=[[1, 2]], b=[[1], [2]], transpose_a=True), ValueError, "a has 1 rows but b has 2 rows"),
        (dict(a=[[1, 2], [3]], b=[[1]]), ValueError, r"a\[1\]"),
        (dict(a=[1, 2], b=[[1]]), ValueError, r"a\[0\]"),
        (dict(a=[[[1]]], b=[[1]]), ValueError, r"a\[0\]\[0\]"),
        (dict(a=[[1]], b=[[10**400]]), ValueError, r"b\[0\]\[0\]"),
        (dict(a=3, b=[[1]]), ValueError, "a is"),
        (dict(a="12", b=[[1]]), TypeError, "a is"),
        (dict(a=["12"], b=[[1]]), TypeError, r"a\[0\]"),
        (dict(a=[["1"]], b=[[1]]), TypeError, r"a\[0\]\[0\]"),
        (dict(a=[[1]], b=[[1j]]), TypeError, r"b\[0\]\[0\]"),
        (dict(a=[[1]], b=None), TypeError, "b is"),
        (dict(a=[[1]], b=[[1]], transpose_a="no"), TypeError, "transpose_a"),
        (dict(a=[[1]], b=[[1]], out=[[0, 0]]), ValueError, "out"),
        (dict(a=[[1]], b=[[1]], out=[]), ValueError, "out"),
        (dict(a=[[1]], b=[[1]], out=[(0,)]), TypeError, "out"),
    ],
)
def test_matmul_names_the_argument_that_is_wrong(arguments, error, words):
    if error is None:
        assert matmul(**arguments) == [[1.0], [2.0]]
    else:
        with pytest.raises(error, match=words):
            matmul(**arguments)


# bias and ReLU


def test_bias_and_its_gradient_by_hand():
    assert add_bias([[1, 2], [3, 4]], [10, 20]) == [[11.0, 22.0], [13.0, 24.0]]
    assert column_sums([[1, 2], [3, 4]]) == [4.0, 6.0]
    with pytest.raises(ValueError, match="b has 1"):
        add_bias([[1, 2]], [1])


def test_relu_by_hand():
    assert relu([[-1.5, 0.0, 2.5], [math.inf, -math.inf, -0.0]]) == [[0.0, 0.0, 2.5], [math.inf, 0.0, 0.0]]
    assert relu([-1, 3]) == [0.0, 3.0]
    assert relu(np.array([[-1.0], [2.0]])) == [[0.0], [2.0]]
    assert relu([]) == []


def test_relu_of_nan_is_nan():
    ((first, second),) = relu([[NAN, -1.0]])
    assert math.isnan(first)
    assert second == 0.0


@pytest.mark.parametrize("x", [["a"], "abc", None, [[None]], [1j]])
def test_relu_refuses_what_is_no_number(x):
    with pytest.raises(TypeError, match="x is"):
        relu(x)


def test_relu_stops_the_gradient_of_negative_numbers_and_of_zero():
    identity = [[float(i == j) for j in range(4)] for i in range(4)]
    weights, biases = [[[-2.0, 0.0, 3.0, 3.0]], identity], [[0.0] * 4] * 2
    Z, A = forward(weights, biases, [[1.0]], "relu")
    _, db = backward(weights, Z, A, [[7.0, 7.0, 7.0, -7.0]], "relu")
    assert db[0] == [0.0, 0.0, 7.0, -7.0]


# softmax


def test_softmax_by_hand():
    (row,) = softmax([[0.0, math.log(2), math.log(3)]])
    assert row == pytest.approx([1 / 6, 2 / 6, 3 / 6], rel=4 * EPS)
    assert softmax([]) == []
    assert softmax(np.zeros((0, 3))) == []
    with pytest.raises(ValueError, match="x has no columns"):
        softmax([[]])


HARD_BATCHES = {
    "rows far apart": [[1e4, 1e4 - 1], [-1e4, -1e4 + 1]],
    "a low first column": [[-1e4, 1e4], [-1e4, 1e4 - 1]],
    "both signs": [[1e4, -1e4], [-1e4, 1e4]],
    "equal entries": [[1e4, 1e4], [-1e4, -1e4], [0.0, 0.0]],
    "one column": [[1e4], [-1e4], [0.0]],
}


def assert_is_softmax(function, batch):
    """Two classes have p_0 = 1 / (1 + e^(z_1 - z_0)), from the difference alone; one class has p = 1."""
    for row, p in zip(batch, function(batch), strict=True):
        gap = row[-1] - row[0]
        first = 0.0 if gap > 700 else 1 / (1 + math.exp(gap))
        expected = [1.0] if len(row) == 1 else [first, 1 - first]
        assert p == pytest.approx(expected, rel=4 * EPS, abs=EPS)


def softmax_shifted_by(shift):
    def function(batch):
        c = shift(batch)
        exponentials = [[math.exp(z - c) for z in row] for row in batch]
        return [[e / sum(row) if sum(row) else NAN for e in row] for row in exponentials]

    return function


@pytest.mark.parametrize("batch", HARD_BATCHES.values(), ids=HARD_BATCHES)
def test_softmax_is_stable(batch):
    assert_is_softmax(softmax, batch)


@pytest.mark.parametrize(
    "shift",
    [
        pytest.param(lambda batch: max(map(max, batch)), id="maximum of the whole batch"),
        pytest.param(lambda batch: max(row[0] for row in batch), id="maximum of class 0"),
        pytest.param(lambda batch: 0.0, id="no maximum"),
    ],
)
def test_unstable_softmax_fails_the_same_test(shift):
    assert_is_softmax(softmax_shifted_by(shift), [[1.0, 2.0], [2.0, 0.5]])  # right where nothing is extreme
    failures = 0
    for batch in HARD_BATCHES.values():
        try:
            assert_is_softmax(softmax_shifted_by(shift), batch)
        except (AssertionError, OverflowError):
            failures += 1
    assert failures >= 2


@given(logit_rows, st.floats(-1e4, 1e4))
def test_softmax_sums_to_one_and_ignores_a_shift(rows, c):
    p = softmax(rows)
    shifted = softmax([[z + c for z in row] for row in rows])
    # z + c is rounded by up to eps |z + c| / 2, which changes e^z by that much, relatively.
    tolerance = 2 * EPS * (abs(c) + 60)
    for p_row, shifted_row in zip(p, shifted, strict=True):
        assert sum(p_row) == pytest.approx(1.0, abs=len(p_row) * EPS)
        assert shifted_row == pytest.approx(p_row, rel=tolerance, abs=EPS)


def test_softmax_of_infinite_or_missing_numbers_does_not_raise():
    assert softmax([[0.0, -math.inf]]) == [[1.0, 0.0]]
    for row in ([NAN, 1.0], [1.0, NAN], [math.inf, 0.0], [-math.inf, -math.inf]):
        assert all(map(math.isnan, softmax([row])[0]))


# softmax with cross-entropy


def test_cross_entropy_by_hand():
    losses, gradient = softmax_cross_entropy([[0.0, math.log(3)], [0.0, 0.0]], [0, 1])
    assert losses == pytest.approx([math.log(4), math.log(2)], rel=2 * EPS)
    assert gradient[0] == pytest.approx([(1 / 4 - 1) / 2, 3 / 4 / 2], rel=4 * EPS)
    assert gradient[1] == [0.25, -0.25]
    assert softmax_cross_entropy([], []) == ([], [])
    assert softmax_cross_entropy([[5.0], [-1e4]], [0, 0]) == ([0.0, 0.0], [[0.0], [0.0]])


def assert_is_exact_when_extremely_wrong(loss):
    """l = log(1 + e^-d) + d for a label that is d behind: d itself from d = 40 on."""
    for d in (50.0, 740.0, 745.0, 2e4):  # e^-740 is denormal, e^-745 the smallest number, e^-20000 is 0
        assert loss([0.0, -d], 1) == d
        assert loss([1e4, 1e4 - d], 1) == d
        assert loss([-1e4 - d, -1e4], 0) == d


def test_the_loss_of_extremely_wrong_logits_is_exact():
    assert_is_exact_when_extremely_wrong(lambda row, label: softmax_cross_entropy([row], [label])[0][0])
    assert softmax_cross_entropy([[1e4, -1e4]], [1])[0] == [2e4]


@pytest.mark.parametrize("epsilon", [0.0, 1e-8, sys.float_info.min])
def test_the_logarithm_of_a_probability_fails_the_same_test(epsilon):
    with pytest.raises((AssertionError, ValueError)):
        assert_is_exact_when_extremely_wrong(
            lambda row, label: -math.log(operations.softmax_row(row)[label] + epsilon)
        )


def test_the_gradient_of_denormal_probabilities_is_finite():
    losses, gradient = softmax_cross_entropy([[0.0, -740.0], [0.0, -740.0]], [0, 1])
    assert losses == [0.0, 740.0]
    assert gradient == [[0.0, math.exp(-740) / 2], [0.5, -0.5]]


@given(logit_rows, st.data())
def test_the_gradient_is_the_slope_of_the_mean_loss(rows, data):
    labels = [data.draw(st.integers(0, len(rows[0]) - 1)) for _ in rows]
    _, gradient = softmax_cross_entropy(rows, labels)
    i = data.draw(st.integers(0, len(rows) - 1))
    j = data.draw(st.integers(0, len(rows[0]) - 1))
    h = 2.0**-10

    def mean_loss(step):
        moved = [list(row) for row in rows]
        moved[i][j] += step
        losses, _ = softmax_cross_entropy(moved, labels)
        return sum(losses) / len(losses)

    slope = (8 * (mean_loss(h) - mean_loss(-h)) - mean_loss(2 * h) + mean_loss(-2 * h)) / (12 * h)
    # h⁴ / 30 times a fifth derivative below 1, and the rounding of losses of up to 100 over h
    assert gradient[i][j] == pytest.approx(slope, abs=h**4 / 30 + 3 * 100 * EPS / h)
    assert sum(gradient[i]) == pytest.approx(0.0, abs=2 * len(rows[0]) * EPS)


@pytest.mark.parametrize(
    ("labels", "error", "words"),
    [
        ([0, 3], ValueError, r"labels\[1\] is 3; labels must be whole numbers from 0 to 2"),
        ([-1, 0], ValueError, r"labels\[0\] is -1"),
        ([0, 0.5], ValueError, r"labels\[1\] is 0.5"),
        ([NAN, 0], ValueError, r"labels\[0\] is nan"),
        ([math.inf, 0], ValueError, r"labels\[0\] is inf"),
        ([0], ValueError, "labels has 1 entries; 2 are needed"),
        ([[0], [1]], ValueError, r"labels\[0\]"),
        (["0", "1"], TypeError, r"labels\[0\]"),
        (None, TypeError, "labels"),
    ],
)
def test_labels_are_checked(labels, error, words):
    with pytest.raises(error, match=words):
        softmax_cross_entropy([[0.0, 1.0, 2.0]] * 2, labels)


def test_labels_may_be_an_array_and_logits_need_columns():
    assert softmax_cross_entropy(np.zeros((2, 2)), np.array([0, 1])) == softmax_cross_entropy(
        [[0, 0]] * 2, [0, 1]
    )
    with pytest.raises(ValueError, match="logits has no columns"):
        softmax_cross_entropy([[]], [0])


# the long form


def test_jacobian_by_hand():
    assert softmax_jacobian([3.0, 3.0]) == [[0.25, -0.25], [-0.25, 0.25]]
    J = softmax_jacobian([0.0, math.log(3)])
    assert J[0] == pytest.approx([3 / 16, -3 / 16], rel=4 * EPS)
    assert J[1] == pytest.approx([-3 / 16, 3 / 16], rel=4 * EPS)


@given(st.lists(st.floats(-300, 300), min_size=1, max_size=8), st.data())
def test_the_long_form_equals_the_short_form(row, data):
    label = data.draw(st.integers(0, len(row) - 1))
    _, (short,) = softmax_cross_entropy([row], [label])
    # Each of the two rounds a number of at most 1 a few times.
    assert long_form_gradient(row, label) == pytest.approx(short, rel=8 * EPS, abs=8 * EPS)


def test_the_long_form_ends_where_the_short_form_does_not():
    with pytest.raises(ValueError, match=r"p\[1\] is 0"):
        long_form_gradient([1e4, 0.0], 1)
    assert softmax_cross_entropy([[1e4, 0.0]], [1])[1] == [[1.0, -1.0]]
    with pytest.raises(ValueError, match="labels"):
        long_form_gradient([1.0, 2.0], 2)
