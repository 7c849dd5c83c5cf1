"""The losses: compiled against the plain-list reference, PyTorch's numbers, slopes, extremes, and the checks of targets."""

import ctypes
import dataclasses
import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numba import types

from fastnn import kernels, losses
from fastnn.kernels.functions import function_address
from fastnn.kernels.losses import LOSSES, PROBABILITIES, loss_arguments, probabilities_arguments
from fastnn.kernels.tile import lanes
from fastnn.reference import losses as reference

dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])
class_counts = pytest.mark.parametrize("classes", [1, 2, 10, 16, 17, 33])

CASES = {
    "labels": ("cross_entropy_labels", {}),
    "labels smoothed": ("smoothed_cross_entropy_labels", {"label_smoothing": 0.1}),
    "targets": ("cross_entropy_targets", {}),
    "targets smoothed": ("cross_entropy_targets", {"label_smoothing": 0.1}),
    "binary": ("binary_cross_entropy", {}),
    "squared": ("mean_squared_error", {}),
    "absolute": ("mean_absolute_error", {}),
    "huber": ("huber", {}),
    "huber 0.25": ("huber", {"delta": 0.25}),
}
cases = pytest.mark.parametrize("case", CASES)


def expected(case, z, targets, weights=None):
    """Row losses l, the gradient of the weighted mean, and which rows are right, from the reference."""
    name, options = CASES[case]
    name = name.removeprefix("smoothed_").removesuffix("_labels").removesuffix("_targets")
    z, targets = z.astype(np.float64).tolist(), targets.tolist()
    weights = None if weights is None else weights.astype(np.float64)
    row_losses, gradient = reference.LOSSES[name](z, targets, weights, **options)
    return np.array(row_losses), np.array(gradient), np.array(reference.right_rows(name, z, targets))


def run(case, z, targets, weights=None, batch=None, gradient=True, rows=None):
    """Call the kernel on z (m, classes) -> row losses, gradient (or None), correct; the surroundings must stay as they were.

    z and the gradient lie in rows of whole vectors and one more; targets in rows of one number more than needed, NaN.
    """
    name, options = CASES[case]
    m, classes = z.shape
    width = -(-classes // lanes(z.itemsize)) * lanes(z.itemsize)
    padded = np.full((m, width + 1), np.nan, z.dtype)
    padded[:, :classes] = z
    dz = np.full_like(padded, np.nan)
    before = padded.copy()
    batch_places = np.arange(m) if batch is None else batch
    if targets.ndim == 2:
        stored = np.full((len(targets), classes + 1), np.nan, z.dtype)
        stored[:, :classes] = targets
    else:
        stored = targets.astype(np.int64)
    kind = z.dtype.type
    total = m if weights is None else weights[batch_places].sum()
    first, last = (0, m) if rows is None else rows
    row_losses, correct = np.full(m, np.nan), np.full(m, -1)
    LOSSES[name](
        padded.ctypes.data, dz.ctypes.data if gradient else 0, width + 1, width, classes, first, last,
        0 if batch is None else batch.ctypes.data, stored.ctypes.data, classes + 1,
        0 if weights is None else weights.ctypes.data,
        kind(1 / total), kind(next(iter(options.values()), 1.0 if name == "huber" else 0.0)), kind(0),
        row_losses.ctypes.data, correct.ctypes.data,
    )  # fmt: skip
    outside = np.r_[0:first, last:m]
    assert np.isnan(row_losses[outside]).all() and (correct[outside] == -1).all()
    assert np.isnan(dz[outside]).all() and np.isnan(dz[:, width:]).all()
    if gradient:
        assert np.array_equal(padded, before, equal_nan=True)
        assert (dz[first:last, classes:width] == 0).all()
    else:
        assert np.isnan(dz).all()
        assert np.array_equal(padded[outside], before[outside], equal_nan=True)
    return row_losses, dz[:, :classes] if gradient else None, correct


def problem(case, rng, rows, classes, dtype, spread=3.0):
    """Outputs and targets as the case wants them."""
    z = (spread * rng.standard_normal((rows, classes))).astype(dtype)
    kind = CASES[case][0]
    if kind.endswith("_labels"):
        return z, rng.integers(classes, size=rows)
    if kind == "cross_entropy_targets":
        t = rng.random((rows, classes)) * (rng.random((rows, classes)) < 0.7)
        t[np.arange(rows), rng.integers(classes, size=rows)] += 1
        return z, (t / t.sum(axis=1, keepdims=True)).astype(dtype)
    if kind == "binary_cross_entropy":
        t = rng.random((rows, classes))
        return z, np.where(rng.random(t.shape) < 0.5, t < 0.5, t).astype(dtype)
    return z, (z + rng.standard_normal(z.shape)).astype(dtype)


def bounds(case, z, targets):
    """How far a row's loss and m times its gradient may be off, in units of eps."""
    z = z.astype(np.float64)
    classes = z.shape[1]
    if case.startswith(("labels", "targets")):
        # The exponential makes a relative error of its argument's absolute one; the sum has one more a class.
        shifted = z.max(axis=1, keepdims=True) - z
        relative = shifted.max(axis=1) + classes + 6
        p = np.exp(-shifted)
        p /= p.sum(axis=1, keepdims=True)
        return 2 * relative, p * (2 * relative[:, None] + 4) + 4
    wanted, gradient, _ = expected(case, z, targets)
    if case == "binary":
        # The slope is the difference of two numbers up to 1; all else is sums of what is not negative.
        return (classes + 10) * wanted, np.full(z.shape, 4.0) / classes
    return (classes + 6) * wanted, 6 * len(z) * np.abs(gradient)


@cases
@class_counts
@dtypes
def test_as_the_reference(case, classes, dtype):
    rng = np.random.default_rng(classes)
    z, targets = problem(case, rng, 23, classes, dtype)
    eps = np.finfo(dtype).eps
    row_losses, gradient, correct = run(case, z, targets)
    wanted, wanted_gradient, right = expected(case, z, targets)
    bound, gradient_bound = bounds(case, z, targets)
    assert (np.abs(row_losses - wanted) <= eps * bound).all()
    assert (np.abs(gradient - wanted_gradient) <= eps * gradient_bound / len(z)).all()
    assert np.array_equal(correct, right)
    if classes > 1 and not case.startswith(("squared", "absolute", "huber")) and classes <= 10:
        assert 0 < right.sum() < len(z) or case == "binary"  # the comparison could fail


@cases
@dtypes
def test_weights_row_numbers_and_a_part_of_the_rows(case, dtype):
    rng = np.random.default_rng(5)
    z, targets = problem(case, rng, 40, 10, dtype)
    weights = (rng.random(40) * 3).astype(dtype)
    batch = rng.permutation(40)[:13]
    weights[batch[5]] = 0
    eps = np.finfo(dtype).eps
    row_losses, gradient, correct = run(case, z[:13], targets, weights, batch, rows=(2, 11))
    w = weights[batch]
    wanted, wanted_gradient, right = expected(case, z[:13], targets[batch], w)
    bound, gradient_bound = bounds(case, z[:13], targets[batch])
    share = w.astype(np.float64)[:, None] / w.sum(dtype=np.float64)
    part = slice(2, 11)
    assert (np.abs(row_losses - w * wanted) <= eps * w * (bound + wanted))[part].all()
    # The sum of the weights and what is multiplied by them are rounded, too.
    allowed = eps * (share * gradient_bound + (len(w) + 4) * np.abs(wanted_gradient))
    assert (np.abs(gradient - wanted_gradient) <= allowed)[part].all()
    assert np.array_equal(correct[part], right[part])


@cases
@class_counts
@dtypes
def test_losses_alone_are_the_same_bits(case, classes, dtype):
    z, targets = problem(case, np.random.default_rng(7), 9, classes, dtype)
    full, short = run(case, z, targets), run(case, z, targets, gradient=False)
    assert np.array_equal(full[0], short[0]) and np.array_equal(full[2], short[2])


@class_counts
@dtypes
def test_labels_give_the_bits_of_softmax_cross_entropy(classes, dtype):
    z, labels = problem("labels", np.random.default_rng(4), 8, classes, dtype)  # 1 / 8 is exact
    row_losses, gradient, _ = run("labels", z, labels)
    wanted, wanted_gradient = kernels.softmax_cross_entropy(z, labels)
    assert np.array_equal(row_losses, wanted) and np.array_equal(gradient, wanted_gradient)


@cases
@pytest.mark.parametrize("classes", [1, 5, 9])
def test_the_gradient_is_the_slope_of_the_loss(case, classes):
    """Central differences of the weighted mean, of the kernel and of the reference, each of its own."""
    rng = np.random.default_rng(classes)
    z, targets = problem(case, rng, 4, classes, np.float64)
    weights = rng.random(4) + 0.5
    gradients = [run(case, z, targets, weights)[1], expected(case, z, targets, weights)[1]]
    means = [
        lambda z: run(case, z, targets, weights)[0].sum() / weights.sum(),
        lambda z: (expected(case, z, targets)[0] * weights).sum() / weights.sum(),
    ]
    h = 2.0**-16
    for mean, gradient in zip(means, gradients, strict=True):
        for place in np.ndindex(*z.shape):
            up, down = z.copy(), z.copy()
            up[place] += h
            down[place] -= h
            assert abs((mean(up) - mean(down)) / (2 * h) - gradient[place]) <= 1e-8


Z = np.array([[0.5, -1.0, 2.0], [3.0, 0.0, -2.5]])
LABELS = np.array([2, 1])
SOFT = np.array([[0.1, 0.2, 0.7], [0.25, 0.5, 0.25]])
HARD = np.array([[1.0, 0.0, 1.0], [0.0, 0.25, 1.0]])
VALUES = np.array([[0.0, -1.0, 4.0], [2.75, 1.5, -2.0]])

# Of PyTorch 2.13, torch.float64: CrossEntropyLoss, BCEWithLogitsLoss, MSELoss, L1Loss, HuberLoss, reduction="mean".
TORCH = {
    "labels": (LABELS, None, 1.646892021516842, [
        [0.08764519607001835, 0.019556286635343725, -0.10720148270536206],
        [0.47444009056329345, -0.47637901877466976, 0.0019389282113763734]]),
    "labels, class weights 1, 2, 1/2": (LABELS, [0.5, 2.0], 2.490240456432653, [
        [0.03505807842800734, 0.00782251465413749, -0.04288059308214483],
        [0.7591041449012695, -0.7622064300394716, 0.0031022851382021977]]),
    "labels smoothed": (LABELS, None, 1.7135586881835088, [
        [0.07097852940335168, 0.0028896199686770582, -0.07386814937202874],
        [0.4577734238966268, -0.44304568544133643, -0.014727738455290292]]),
    "targets": (SOFT, None, 1.9593920215168417, [
        [0.037645196070018344, -0.08044371336465628, 0.04279851729463796],
        [0.34944009056329345, -0.22637901877466976, -0.12306107178862363]]),
    "targets smoothed 0.3": (SOFT, None, 2.0656420215168416, [
        [0.0026451960700183547, -0.10044371336465627, 0.09779851729463795],
        [0.3369400905632934, -0.20137901877466974, -0.13556107178862362]]),
    "binary": (HARD, None, 1.2058151581945897, [
        [-0.0629234447996909, 0.04482357022833252, -0.01986715367035295],
        [0.15876235447040557, 0.041666666666666664, -0.15402363666312607]]),
    "squared": (VALUES, None, 1.1354166666666667, [[1 / 6, 0, -2 / 3], [1 / 12, -0.5, -1 / 6]]),
    "absolute": (VALUES, None, 0.7916666666666666, [[1 / 6, 0, -1 / 6], [1 / 6, -1 / 6, -1 / 6]]),
    "huber": (VALUES, None, 0.4635416666666667, [[1 / 12, 0, -1 / 6], [1 / 24, -1 / 6, -1 / 12]]),
    "huber 0.3": (VALUES, None, 0.20020833333333332, [[0.05, 0, -0.05], [1 / 24, -0.05, -0.05]]),
}  # fmt: skip
CASES_OF_TORCH = {
    "labels, class weights 1, 2, 1/2": ("cross_entropy_labels", {}),
    "targets smoothed 0.3": ("cross_entropy_targets", {"label_smoothing": 0.3}),
    "huber 0.3": ("huber", {"delta": 0.3}),
}


@pytest.mark.parametrize("case", TORCH)
def test_pytorch_gives_the_same(case, monkeypatch):
    monkeypatch.setitem(CASES, case, CASES.get(case, CASES_OF_TORCH.get(case)))
    targets, weights, mean, gradient = TORCH[case]
    weights = None if weights is None else np.array(weights)
    total = 2 if weights is None else weights.sum()
    row_losses, kernel_gradient, _ = run(case, Z, targets, weights)
    plain_losses, plain_gradient, _ = expected(case, Z, targets, weights)
    plain_mean = (plain_losses * (1 if weights is None else weights)).sum() / total
    assert row_losses.sum() / total == pytest.approx(mean, rel=1e-14)
    assert plain_mean == pytest.approx(mean, rel=1e-14)
    assert np.allclose(kernel_gradient, gradient, rtol=0, atol=1e-15)
    assert np.allclose(plain_gradient, gradient, rtol=0, atol=1e-15)


@dtypes
@pytest.mark.parametrize("case", ["targets", "targets smoothed"])
def test_targets_whose_sum_is_not_quite_1(case, dtype):
    """Their gradient is p times the sum, less the targets: what rounded probabilities leave is no error."""
    z, targets = problem(case, np.random.default_rng(6), 5, 10, dtype)
    targets *= dtype(1.0009)
    wanted, wanted_gradient, _ = expected(case, z, targets)
    row_losses, gradient, _ = run(case, z, targets)
    assert row_losses == pytest.approx(wanted, rel=40 * float(np.finfo(dtype).eps))
    assert np.abs(gradient - wanted_gradient).max() <= 40 * np.finfo(dtype).eps / 5
    assert abs(gradient.sum()) <= 100 * np.finfo(dtype).eps


@dtypes
def test_one_hot_targets_are_labels(dtype):
    z, labels = problem("labels", np.random.default_rng(3), 50, 17, dtype)
    z[:, 16] = -np.inf  # a class that cannot be
    labels %= 16
    hard = np.eye(17, dtype=dtype)[labels]
    one, other = run("labels", z, labels), run("targets", z, hard)
    assert np.isfinite(one[0]).all()
    assert np.allclose(one[0], other[0], rtol=8 * np.finfo(dtype).eps, atol=0)
    assert np.allclose(one[1], other[1], rtol=0, atol=2 * np.finfo(dtype).eps / 50)
    assert np.array_equal(one[2], other[2])


@dtypes
@pytest.mark.parametrize("size", [1e4, 1e30])
def test_huge_logits_have_their_exact_loss(dtype, size):
    size, eps = float(dtype(size)), float(np.finfo(dtype).eps)
    z = np.array([[size, -size, 0], [-size, size, size], [-size, -size, -size]], dtype)
    t = np.array([[0, 1, 0], [0, 0.25, 0.75], [0.5, 0.25, 0.25]], dtype)
    row_losses, gradient, _ = run("targets", z, t)
    exact = [2 * size, math.log(2), math.log(3)]
    assert row_losses == pytest.approx(exact, rel=4 * eps)
    wanted = np.array([[1, -1, 0], [0, 0.25, -0.25], [1 / 3 - 0.5, 1 / 3 - 0.25, 1 / 3 - 0.25]]) / 3
    assert np.abs(gradient - wanted).max() <= np.finfo(dtype).eps

    # Smoothed by 0.1: a thirtieth for every class and nine tenths more for the label.
    row_losses, gradient, _ = run("labels smoothed", z, np.array([0, 1, 2]))
    exact = [0.1 / 3 * 3 * size, math.log(2) + 0.2 / 3 * size, math.log(3)]
    assert row_losses == pytest.approx(exact, rel=8 * eps)
    assert np.isfinite(gradient).all()

    row_losses, gradient, correct = run("binary", z, np.array([[1, 0, 1], [1, 0, 1], [0, 0, 1]], dtype))
    exact = [math.log(2) / 3, 2 / 3 * size, 1 / 3 * size]
    assert row_losses == pytest.approx(exact, rel=8 * eps)
    assert (
        np.abs(gradient - np.array([[0, 0, -0.5], [-1, 1, 0], [0, 0, -1]]) / 9).max() <= np.finfo(dtype).eps
    )
    assert correct.tolist() == [0, 0, 0]  # the first row's third output is on neither side of 0


@dtypes
def test_a_confident_right_output_has_an_accurate_small_loss(dtype):
    """log(1 + e^z) and 1 / (1 + e^-z) to a few units in the last place, from 1/2 down to the smallest normal number."""
    low = math.log(np.finfo(dtype).tiny)
    z = np.concatenate([np.linspace(0.999 * low, 0, 20_001), -np.logspace(-12, 0, 500)]).astype(dtype)[
        :, None
    ]
    exact = np.array([math.log1p(math.exp(value)) for value in z[:, 0].tolist()])
    slope = np.array([math.exp(value) / (1 + math.exp(value)) for value in z[:, 0].tolist()])
    eps = np.finfo(dtype).eps
    for sign, t in ((1, 0), (-1, 1)):
        row_losses, gradient, _ = run("binary", sign * z, np.full_like(z, t))
        assert (np.abs(row_losses - exact) <= 3 * eps * exact).all()
        # The gradient has the factor 1 / m in it, below which the smallest of it are denormal.
        assert (
            np.abs(gradient[:, 0] * len(z) - sign * slope) <= 4 * eps * slope + len(z) * np.finfo(dtype).tiny
        ).all()


@cases
@class_counts
@dtypes
def test_nan_stays_visible(case, classes, dtype):
    rng = np.random.default_rng(2)
    z, targets = problem(case, rng, classes + 1, classes, dtype)
    np.fill_diagonal(z, np.nan)  # in every row but the last, each in another column
    row_losses, gradient, correct = run(case, z, targets)
    assert np.isnan(row_losses[:-1]).all() and np.isfinite(row_losses[-1])
    assert (
        np.isnan(gradient[np.arange(classes), np.arange(classes)]).all() and np.isfinite(gradient[-1]).all()
    )
    if case == "binary":
        assert not correct[:-1].any()


@class_counts
@dtypes
@cases
def test_a_row_has_the_same_bits_alone_and_among_others(case, classes, dtype):
    """Several rows are computed together, and threads share them out."""
    z, targets = problem(case, np.random.default_rng(3), 11, classes, dtype)
    together = run(case, z, targets)
    for row in range(len(z)):
        alone = run(case, z, targets, rows=(row, row + 1))
        assert all(np.array_equal(one[row], all_[row]) for one, all_ in zip(alone, together, strict=True))


@dtypes
def test_infinite_differences_are_seen(dtype):
    z = np.array([[np.inf], [-np.inf], [np.finfo(dtype).max]], dtype)
    t = np.zeros_like(z)
    assert run("squared", z, t)[0].tolist() == [np.inf] * 3
    assert run("absolute", z, t)[0][:2].tolist() == [np.inf] * 2
    row_losses, gradient, _ = run("huber", z, t)
    assert row_losses[:2].tolist() == [np.inf] * 2 and np.isfinite(row_losses[2])
    assert gradient[:, 0].tolist() == [dtype(1 / 3), -dtype(1 / 3), dtype(1 / 3)]


def test_right_is_the_first_largest():
    z = np.array([[2.0, 2.0, 1.0], [2.0, 2.0, 1.0], [0.0, 1.0, 1.0], [1.0, 2.0, 3.0]])
    assert run("labels", z, np.array([0, 1, 1, 2]))[2].tolist() == [1, 0, 1, 1]
    assert run("labels smoothed", z, np.array([0, 1, 1, 2]))[2].tolist() == [1, 0, 1, 1]
    t = np.array([[0.4, 0.4, 0.2], [0.2, 0.4, 0.4], [0.2, 0.4, 0.4], [0.4, 0.3, 0.3]])
    assert run("targets", z, t)[2].tolist() == [1, 0, 1, 0]
    t = np.array([[1, 1, 1], [1, 1, 0], [0, 1, 0.51], [0.5, 1, 1]])
    assert run("binary", z, t)[2].tolist() == [1, 0, 1, 0]


def test_the_address_is_called_as_c_would():
    z, labels = problem("labels", np.random.default_rng(0), 3, 4, np.float32)
    wanted = run("labels", z, labels)
    width = lanes(4)
    padded = np.zeros((3, width), np.float32)
    padded[:, :4] = z
    dz, row_losses, correct = np.empty_like(padded), np.empty(3), np.empty(3, np.int64)
    kinds = [ctypes.c_int64] * 11 + [ctypes.c_float] * 3 + [ctypes.c_int64] * 2
    place = function_address(LOSSES["cross_entropy_labels"], *loss_arguments(types.float32))
    ctypes.CFUNCTYPE(None, *kinds)(place)(
        padded.ctypes.data, dz.ctypes.data, width, width, 4, 0, 3, 0, labels.ctypes.data, 0, 0, 1 / 3, 0, 0,
        row_losses.ctypes.data, correct.ctypes.data,
    )  # fmt: skip
    assert np.array_equal(row_losses, wanted[0]) and np.array_equal(dz[:, :4], wanted[1])
    place = function_address(PROBABILITIES["softmax"], *probabilities_arguments(types.float32))
    ctypes.CFUNCTYPE(None, *kinds[:5], ctypes.c_float)(place)(padded.ctypes.data, 3, 4, width, width, 0)
    assert np.allclose(padded[:, :4].sum(axis=1), 1) and (padded[:, 4:] == 0).all()


@pytest.mark.parametrize("name", PROBABILITIES)
@class_counts
@dtypes
def test_probabilities_as_the_reference(name, classes, dtype):
    z = (8 * np.random.default_rng(classes).standard_normal((7, classes))).astype(dtype)
    z[0, 0], z[1, 0], z[2, 0] = 1e4, -1e4, 0
    width = -(-classes // lanes(z.itemsize)) * lanes(z.itemsize)
    padded = np.full((7, width + 1), np.nan, dtype)
    padded[:, :classes] = z
    PROBABILITIES[name](padded.ctypes.data, 6, classes, width, width + 1, dtype(0))
    wanted = np.array(reference.PROBABILITIES[name](z.astype(np.float64).tolist()))
    relative = {"softmax": classes + 40, "sigmoid": 4, "identity": 0}[name]
    allowed = np.finfo(dtype).eps * relative * np.abs(wanted) + (np.finfo(dtype).tiny if relative else 0)
    assert (np.abs(padded[:6, :classes] - wanted[:6]) <= allowed[:6]).all()
    assert np.array_equal(padded[6, :classes], z[6]) and np.isnan(padded[:, width]).all()


@dtypes
def test_probabilities_of_nan_and_infinity(dtype):
    row = np.zeros(4 * lanes(np.dtype(dtype).itemsize), dtype)
    row[:3] = np.nan, np.inf, -np.inf
    PROBABILITIES["sigmoid"](row.ctypes.data, 1, row.size, row.size, row.size, dtype(0))
    assert np.isnan(row[0]) and row[1:].tolist() == [1, 0] + [0.5] * (row.size - 3)


ALL = [losses.CrossEntropy(), losses.CrossEntropy(0.1), losses.BinaryCrossEntropy(), losses.MeanSquaredError(),
       losses.MeanAbsoluteError(), losses.Huber(), losses.Huber(delta=2)]  # fmt: skip


@pytest.mark.parametrize("loss", ALL, ids=repr)
class TestSettings:
    def test_back_and_forth(self, loss):
        assert losses.resolve(loss) is loss
        assert losses.resolve(loss.settings()) == loss
        assert pickle.loads(pickle.dumps(loss)) == loss
        assert losses.resolve(loss.name) == type(loss)()

    def test_every_name_has_its_functions(self, loss):
        shape = (3,) if loss.kind == "classes" else (3, 1)
        assert loss.kernel(np.zeros(shape)) in LOSSES and loss.kernel(np.zeros((3, 2))) in LOSSES
        assert loss.probabilities in PROBABILITIES and loss.probabilities in reference.PROBABILITIES
        assert loss.name in reference.LOSSES
        assert loss.parameters == ((*map(float, list(loss.settings().values())[1:]), 0.0, 0.0)[:2])

    def test_fixed(self, loss):
        with pytest.raises(dataclasses.FrozenInstanceError):
            loss.name = "other"


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (
            lambda: losses.resolve("mse"),
            ValueError,
            r"loss is 'mse'; it must be one of 'cross_entropy', .*'huber'",
        ),
        (lambda: losses.resolve(3), TypeError, r"loss is 3; it must be one of .*Huber\(delta=1.0\)"),
        (lambda: losses.resolve(losses.Huber), TypeError, "the class Huber"),
        (lambda: losses.resolve({"delta": 1}), ValueError, "loss has no 'name'"),
        (
            lambda: losses.resolve({"name": "huber", "beta": 1}),
            ValueError,
            "'beta', which huber does not .*'delta'",
        ),
        (lambda: losses.resolve({"name": "mean_squared_error", "delta": 1}), ValueError, "it has none"),
        (lambda: losses.resolve({"name": "l2"}), ValueError, r"loss\['name'\] is 'l2'"),
        (lambda: losses.resolve({"name": "huber", "delta": "a"}), TypeError, "delta is 'a'"),
        (lambda: losses.CrossEntropy(1.0), ValueError, "label_smoothing is 1.0; .*from 0 to below 1"),
        (lambda: losses.CrossEntropy(-0.1), ValueError, "label_smoothing is -0.1"),
        (lambda: losses.CrossEntropy(True), TypeError, "label_smoothing is True"),
        (lambda: losses.Huber(0), ValueError, "delta is 0"),
        (lambda: losses.Huber(1e-40), ValueError, "delta is 1e-40"),
        (lambda: losses.Huber(math.nan), ValueError, "delta is nan"),
        (lambda: losses.Huber(math.inf), ValueError, "delta is inf"),
    ],
)
def test_bad_settings(make, error, words):
    with pytest.raises(error, match=words):
        make()


CE, BCE, MSE = losses.CrossEntropy(), losses.BinaryCrossEntropy(), losses.MeanSquaredError()


class TestTargets:
    def test_labels(self):
        for y in ([2, 0, 1], np.array([2.0, 0.0, 1.0], np.float16), np.array([2, 0, 1], np.uint8)):
            checked = losses.check_targets(CE, y, 3, 3, np.dtype(np.float32))
            assert checked.dtype == np.int64 and checked.tolist() == [2, 0, 1]

    def test_soft_and_one_hot(self):
        for y in (np.eye(3), np.eye(3, dtype=bool), np.full((3, 3), np.float16(1 / 3)), np.eye(3, order="F")):
            checked = losses.check_targets(CE, y, 3, 3, np.dtype(np.float32))
            assert checked.dtype == np.float32 and checked.flags.c_contiguous and np.allclose(checked, y)

    @pytest.mark.parametrize("loss", [BCE, MSE])
    def test_one_dimension_for_one_output(self, loss):
        for y in ([1, 0, True], [[1], [0], [1]]):
            checked = losses.check_targets(loss, y, 3, 1, np.dtype(np.float64))
            assert checked.dtype == np.float64 and checked.tolist() == [[1], [0], [1]]

    def test_no_copy_where_none_is_needed(self):
        y = np.zeros((4, 2), np.float32)
        assert np.shares_memory(losses.check_targets(MSE, y, 4, 2, y.dtype), y)

    @pytest.mark.parametrize(
        ("loss", "y", "rows", "outputs", "error", "words"),
        [
            (CE, [0, 1, 3], 3, 3, ValueError, r"y\[2\] is 3; labels must be whole numbers from 0 to 2"),
            (CE, [0.5, 1], 2, 3, ValueError, r"y\[0\] is 0.5"),
            (CE, ["a", "b"], 2, 3, TypeError, "y holds strings"),
            (CE, [[0], [1]], 2, 3, ValueError, r"pass y.ravel\(\)"),
            (CE, 1, 2, 3, ValueError, "y has shape ()"),
            (
                CE,
                np.eye(4),
                4,
                3,
                ValueError,
                r"\(4, 4\); \(4,\) is needed for labels, \(4, 3\) for probabilities",
            ),
            (CE, np.zeros((2, 3, 1)), 2, 3, ValueError, r"\(2, 3, 1\)"),
            (CE, [[0.5, 0.6, 0], [1, 0, 0]], 2, 3, ValueError, r"y\[0\] has the sum 1.1; .* add up to 1"),
            (CE, [[1, 0, 0], [0.5, 0.6, -0.1]], 2, 3, ValueError, r"y\[1, 2\] is -0.1; .* at least 0"),
            (CE, [[1, 0], [math.nan, 1]], 2, 2, ValueError, r"y\[1, 0\] is nan"),
            (BCE, [0, 1, 1.5], 3, 1, ValueError, r"y\[2\] is 1.5; .* from 0 to 1"),
            (BCE, [[0, 1], [-1, 0]], 2, 2, ValueError, r"y\[1, 0\] is -1"),
            (BCE, [0, 1], 2, 2, ValueError, r"\(2,\); \(2, 2\) is needed, one number"),
            (MSE, [1.0, math.inf], 2, 1, ValueError, r"y\[1\] is inf"),
            (MSE, [1e300, 1], 2, 1, ValueError, r"y\[0\] is 1e\+300, too large for float32"),
            (MSE, [1.0], 2, 1, ValueError, r"\(1,\); \(2, 1\) is needed, or \(2,\), one number"),
            (MSE, [[1.0, 2.0]], 1, 1, ValueError, r"\(1, 2\); \(1, 1\) is needed"),
            (MSE, [[1.0], [2.0, 3.0]], 2, 1, TypeError, "y is an object of type list"),
            (MSE, [1j, 0], 2, 1, TypeError, "complex"),
        ],
    )
    def test_bad_ones(self, loss, y, rows, outputs, error, words):
        with pytest.raises(error, match=words):
            losses.check_targets(loss, y, rows, outputs, np.dtype(np.float32))

    def test_the_argument_is_named(self):
        with pytest.raises(ValueError, match=r"^val_y has shape"):
            losses.check_targets(MSE, [1.0], 2, 1, np.dtype(np.float32), "val_y")

    @settings(max_examples=100)
    @given(
        y=hnp.arrays(
            st.sampled_from([np.float64, np.float32, np.float16, np.int64, np.uint8, np.bool_]),
            hnp.array_shapes(min_dims=1, max_dims=2, min_side=1, max_side=4),
        ),
        loss=st.sampled_from([CE, BCE, MSE]),
        rows=st.integers(1, 4),
        outputs=st.integers(1, 4),
        dtype=st.sampled_from([np.dtype(np.float32), np.dtype(np.float64)]),
    )
    def test_what_comes_back_is_fit_for_a_kernel(self, y, loss, rows, outputs, dtype):
        try:
            checked = losses.check_targets(loss, y, rows, outputs, dtype)
        except ValueError as error:
            assert str(error).startswith("y")
            return
        assert checked.flags.c_contiguous and checked.flags.aligned and np.isfinite(checked).all()
        if checked.dtype == np.int64:
            assert loss is CE and checked.shape == (rows,)
            assert checked.min() >= 0 and checked.max() < outputs
        else:
            assert checked.dtype == dtype and checked.shape == (rows, outputs)
        assert np.array_equal(checked.ravel(), y.astype(checked.dtype).ravel())
        if loss is not MSE:
            assert checked.min() >= 0
        if loss is CE and checked.ndim == 2:
            assert np.abs(checked.astype(np.float64).sum(axis=1) - 1).max() <= 1e-3
        if loss is BCE:
            assert checked.max() <= 1

    @settings(max_examples=50)
    @given(
        rows=st.integers(1, 6),
        outputs=st.integers(1, 6),
        loss=st.sampled_from([CE, BCE, MSE]),
        seed=st.integers(0, 99),
        data=st.data(),
    )
    def test_good_ones_pass_and_one_bad_number_is_found(self, rows, outputs, loss, seed, data):
        y = np.random.default_rng(seed).random((rows, outputs)) + 0.01
        if loss is CE:
            y /= y.sum(axis=1, keepdims=True)
        y = np.minimum(y, 1)
        dtype = np.dtype(np.float64)
        assert np.array_equal(losses.check_targets(loss, y, rows, outputs, dtype), y)
        i, j = data.draw(st.integers(0, rows - 1)), data.draw(st.integers(0, outputs - 1))
        y[i, j] = math.nan if loss is MSE else data.draw(st.sampled_from([math.nan, -0.25, -math.inf]))
        with pytest.raises(ValueError, match=rf"^y\[{i}, {j}\] is "):
            losses.check_targets(loss, y, rows, outputs, dtype)


class TestClassWeights:
    labels = np.array([0, 0, 0, 1, 3])

    def test_balanced(self):
        weights = losses.class_weights("balanced", self.labels, 5)
        assert weights.tolist() == [5 / 9, 5 / 3, 0, 5 / 3, 0]
        assert weights[self.labels].mean() == 1

    def test_balanced_as_scikit_learn(self):
        sklearn = pytest.importorskip("sklearn.utils.class_weight")
        present = np.unique(self.labels)
        wanted = sklearn.compute_class_weight("balanced", classes=present, y=self.labels)
        assert losses.class_weights("balanced", self.labels, 4)[present].tolist() == wanted.tolist()

    def test_dict_and_list(self):
        assert losses.class_weights({1: 2, np.int64(3): 0.5}, self.labels, 4).tolist() == [1, 2, 1, 0.5]
        for spec in ([1, 2, 0, 0.5], (1, 2, 0, 0.5), np.array([1, 2, 0, 0.5], np.float32)):
            weights = losses.class_weights(spec, self.labels, 4)
            assert weights.dtype == np.float64 and weights.tolist() == [1, 2, 0, 0.5]

    @pytest.mark.parametrize(
        ("spec", "error", "words"),
        [
            ("equal", ValueError, "class_weight is 'equal'; it must be one of 'balanced'"),
            ([1, 2], ValueError, "class_weight has 2 weights; 4 are needed"),
            ([1, 2, -1, 1], ValueError, r"class_weight\[2\] is -1"),
            ([1, 2, math.nan, 1], ValueError, r"class_weight\[2\] is nan"),
            ([0, 0, 1, 0], ValueError, "class_weight is 0 for every class that occurs"),
            ({4: 1.0}, ValueError, "a class of class_weight is 4; a whole number from 0 to 3"),
            ({"a": 1.0}, TypeError, "a class of class_weight is 'a'"),
            ({0: "a"}, TypeError, r"class_weight\[0\] is 'a'"),
            (2.0, TypeError, "class_weight is 2.0; it must be 'balanced', a list of 4"),
            (np.array(2.0), TypeError, "class_weight is an array"),
        ],
    )
    def test_bad_ones(self, spec, error, words):
        with pytest.raises(error, match=words):
            losses.class_weights(spec, self.labels, 4)


class TestSampleWeight:
    def test_good_ones(self):
        for w in ([1, 0, 2], np.array([1.0, 0, 2]), np.array([True, False, True])):
            checked = losses.check_sample_weight(w, 3, np.dtype(np.float32))
            assert checked.dtype == np.float32 and checked.tolist() == np.asarray(w).tolist()

    @pytest.mark.parametrize(
        ("w", "error", "words"),
        [
            ([1, 2], ValueError, r"sample_weight has shape \(2,\); \(3,\) is needed"),
            ([[1], [2], [3]], ValueError, r"\(3, 1\)"),
            ([1, -2, 3], ValueError, r"sample_weight\[1\] is -2; weights must be at least 0"),
            ([1, 2, math.inf], ValueError, r"sample_weight\[2\] is inf"),
            ([0, 0, 0], ValueError, "sample_weight is 0 for every row"),
            ([1e-60, 0, 0], ValueError, "sample_weight is 0 for every row"),  # in float32
            (["a", "b", "c"], TypeError, "sample_weight holds strings"),
        ],
    )
    def test_bad_ones(self, w, error, words):
        with pytest.raises(error, match=words):
            losses.check_sample_weight(w, 3, np.dtype(np.float32))


class TestReference:
    def test_errors_name_the_argument(self):
        for arguments, words in (
            (([[1.0, 2.0]], [[1.0]]), "targets is 1 x 1; 1 x 2 is needed"),
            (([[1.0, 2.0]], [[1.0, 0.0]], [1.0, 2.0]), "weights has 2 numbers; 1 are needed"),
            (([[1.0, 2.0]], [[1.0, 0.0]], [0.0]), "weights has the sum 0"),
            (([[1.0, 2.0]], [[1.0, 0.0]], [-1.0]), "weights has a negative number"),
        ):
            for loss in reference.LOSSES.values():
                with pytest.raises(ValueError, match=words):
                    loss(*arguments)
        with pytest.raises(ValueError, match=r"labels\[0\] is 2"):
            reference.cross_entropy([[1.0, 2.0]], [2])

    def test_without_options_it_is_softmax_cross_entropy(self):
        from fastnn.reference import softmax_cross_entropy

        z, labels = problem("labels", np.random.default_rng(1), 6, 5, np.float64)
        one, other = reference.cross_entropy(z, labels), softmax_cross_entropy(z, labels)
        assert np.allclose(one[0], other[0], rtol=1e-15) and np.allclose(one[1], other[1], atol=1e-16)
