"""The losses of the output layer, and what makes probabilities of its values: functions that are called by address.

A loss works on rows [first, last) of a batch; T is float32 or float64, all else is int64:

    z, dz             addresses of row 0 of the output layer's values and of its gradients; dz is 0 where losses alone are wanted
    stride            elements from one row to the next, of both
    width, classes    columns in whole vectors, and those that count
    first, last       the rows
    batch             address of int64 row numbers: the targets and weights of row i are those of row batch[i]; 0: of row i
    targets           address of int64 labels (n,), or of T (n, target_stride)
    target_stride     elements from one row of the targets to the next
    weights           address of T (n,), or 0 where every row counts 1
    scale             T: 1 / the sum of the batch's weights
    a, b              T: label smoothing or Huber's delta; nothing yet
    row_losses, row_correct    addresses of float64 and int64, row i of the batch at place i

With w the row's weight and l its loss it writes w l, whether the output is right (1 or 0), and dz = w scale dl/dz, 0 behind
the classes. z stays as it is where dz is given, and is overwritten otherwise. NaN stays visible.
"""

import numpy as np
from numba import types

from ._jit import helper, jit
from .exp_log import log_positive
from .functions import named, view
from .loss_rows import (
    absolute_row,
    huber_row,
    label_gradient,
    label_sums,
    logistic_row,
    sigmoid_row,
    squared_row,
    target_gradient,
    target_sums,
)
from .softmax import cross_entropy_rows, softmax_row
from .tile import address

# Rows whose cross-entropy is computed together: while one waits for its sum, others' exponentials are computed. (An Intel Xeon of
# 2023, 10 classes: 15 ns a row instead of 29, 100 classes 70 instead of 104; eight or sixteen together gain no more.)
_TOGETHER = 4


def loss_arguments(kind):
    """Numba's types of a loss's arguments, for `function_address`; kind is numba.float32 or float64."""
    return (*[types.intp] * 11, kind, kind, kind, types.intp, types.intp)


def probabilities_arguments(kind):
    """Numba's types of the arguments of a function in PROBABILITIES."""
    return (*[types.intp] * 5, kind)


@helper
def _row_number(batch, i):
    return view(batch, i + 1, np.int64(0))[i] if batch != 0 else i


@helper
def _label(targets, row):
    return view(targets, row + 1, np.int64(0))[row]


@helper
def _weight(weights, row, one):
    return view(weights, row + 1, one)[row] if weights != 0 else one


@helper
def _step(place, elements, kind):
    """The address `elements` numbers of the type of `kind` behind `place`."""
    return place + elements * view(place, 1, kind).itemsize


def _sum_of_elements(name, element_row):
    """A loss that is the mean over the outputs of a function of each output and its target."""

    def loss(
        z, dz, stride, width, classes, first, last, batch, targets, target_stride, weights, scale, a, b,
        row_losses, row_correct,
    ):  # fmt: skip
        dtype = view(z, 1, scale).dtype.type
        losses, correct = view(row_losses, last, 0.0), view(row_correct, last, np.int64(0))
        out = dz if dz != 0 else z
        for i in range(first, last):
            row = _row_number(batch, i)
            weight = _weight(weights, row, dtype(1))
            total, right = element_row(
                _step(z, i * stride, scale), _step(out, i * stride, scale), width, classes,
                _step(targets, row * target_stride, scale), weight * scale / dtype(classes), a,
            )  # fmt: skip
            losses[i] = np.float64(weight) * (np.float64(total) / classes)
            correct[i] = right

    return named(name, loss)


@jit
def cross_entropy_labels(
    z, dz, stride, width, classes, first, last, batch, targets, target_stride, weights, scale, a, b,
    row_losses, row_correct,
):  # fmt: skip
    """l = -log softmax(z)_y."""
    dtype = view(z, 1, scale).dtype.type
    losses, correct = view(row_losses, last, 0.0), view(row_correct, last, np.int64(0))
    out = dz if dz != 0 else z
    one = dtype(1)
    i = first
    while i < last:
        here, there = _step(z, i * stride, scale), _step(out, i * stride, scale)
        found = address(losses, i), address(correct, i)
        n = _row_number(batch, i)
        if i + _TOGETHER > last:
            rest = (_label(targets, n),), (_weight(weights, n, one),)
            cross_entropy_rows(here, there, stride, width, classes, *rest, scale, *found)
            i += 1
            continue
        m, k, j = _row_number(batch, i + 1), _row_number(batch, i + 2), _row_number(batch, i + 3)
        labels = _label(targets, n), _label(targets, m), _label(targets, k), _label(targets, j)
        four = (
            _weight(weights, n, one),
            _weight(weights, m, one),
            _weight(weights, k, one),
            _weight(weights, j, one),
        )
        cross_entropy_rows(here, there, stride, width, classes, labels, four, scale, *found)
        i += _TOGETHER


@jit
def smoothed_cross_entropy_labels(
    z, dz, stride, width, classes, first, last, batch, targets, target_stride, weights, scale, a, b,
    row_losses, row_correct,
):  # fmt: skip
    """l = sum_j -t_j log softmax(z)_j, t = (1 - a) onehot(y) + a / classes.

    Source: Szegedy, Vanhoucke, Ioffe, Shlens and Wojna, Rethinking the Inception architecture, 2016, section 7.
    """
    dtype = view(z, 1, scale).dtype.type
    losses, correct = view(row_losses, last, 0.0), view(row_correct, last, np.int64(0))
    keep, spread = dtype(1) - a, a / dtype(classes)
    out = dz if dz != 0 else z
    for i in range(first, last):
        number = _row_number(batch, i)
        weight = _weight(weights, number, dtype(1))
        label = view(targets, number + 1, np.int64(0))[number]
        here, there = _step(z, i * stride, scale), _step(out, i * stride, scale)
        target_sum, distance, total, right = label_sums(here, there, width, classes, label, keep, spread)
        losses[i] = np.float64(weight) * np.float64(target_sum * log_positive(total) + distance)
        correct[i] = right
        if dz != 0:
            label_gradient(there, width, classes, label, keep, spread, target_sum, total, weight * scale)


@jit
def cross_entropy_targets(
    z, dz, stride, width, classes, first, last, batch, targets, target_stride, weights, scale, a, b,
    row_losses, row_correct,
):  # fmt: skip
    """l = sum_j -t_j log softmax(z)_j, t the row of the targets, or (1 - a) t + a / classes with label smoothing a."""
    dtype = view(z, 1, scale).dtype.type
    losses, correct = view(row_losses, last, 0.0), view(row_correct, last, np.int64(0))
    keep, spread = dtype(1) - a, a / dtype(classes)
    out = dz if dz != 0 else z
    for i in range(first, last):
        row = _row_number(batch, i)
        weight = _weight(weights, row, dtype(1))
        here, there = _step(z, i * stride, scale), _step(out, i * stride, scale)
        target = _step(targets, row * target_stride, scale)
        target_sum, distance, total, right = target_sums(here, there, width, classes, target, keep, spread)
        losses[i] = np.float64(weight) * np.float64(target_sum * log_positive(total) + distance)
        correct[i] = right
        if dz != 0:
            target_gradient(there, width, classes, target, keep, spread, target_sum, total, weight * scale)


LOSSES = {
    "cross_entropy_labels": cross_entropy_labels,
    "smoothed_cross_entropy_labels": smoothed_cross_entropy_labels,
    "cross_entropy_targets": cross_entropy_targets,
    "binary_cross_entropy": _sum_of_elements("binary_cross_entropy", logistic_row),
    "mean_squared_error": _sum_of_elements("mean_squared_error", squared_row),
    "mean_absolute_error": _sum_of_elements("mean_absolute_error", absolute_row),
    "huber": _sum_of_elements("huber", huber_row),
}


@jit
def softmax_outputs(z, rows, classes, width, stride, kind):
    """Softmax of each row, in place; 0 behind the classes."""
    for i in range(rows):
        softmax_row(view(_step(z, i * stride, kind), width, kind), classes)


@jit
def sigmoid_outputs(z, rows, classes, width, stride, kind):
    """1 / (1 + e^-z), in place, of all `width` columns."""
    for i in range(rows):
        sigmoid_row(_step(z, i * stride, kind), width, kind)


@jit
def identity_outputs(z, rows, classes, width, stride, kind):
    """Nothing: the values are the outputs."""


PROBABILITIES = {"softmax": softmax_outputs, "sigmoid": sigmoid_outputs, "identity": identity_outputs}
"""f(z, rows, classes, width, stride, kind): z the address of row 0, kind any number of its type."""
