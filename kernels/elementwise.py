"""Kernels that work row by row or element by element: ReLU, softmax, and softmax with its cross-entropy loss and gradient."""

import numpy as np

from ._jit import jit
from .softmax import cross_entropy_rows, softmax_row
from .tile import address


@jit
def relu_elements(x, out):
    """Out = max(x, 0), element by element of 1-D arrays; NaN stays NaN."""
    zero = x.dtype.type(0)
    for i in range(x.size):
        out[i] = zero if x[i] < zero else x[i]


@jit
def softmax_rows(x, padded, out):
    """out[i] = softmax(x[i]) for each row; `padded` is a buffer of one row, rounded up to whole vectors."""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            padded[j] = x[i, j]
        softmax_row(padded, x.shape[1])
        for j in range(x.shape[1]):
            out[i, j] = padded[j]


@jit
def softmax_cross_entropy_rows(logits, labels, padded, losses, gradient):
    """losses[i] = -log softmax(logits[i])[labels[i]], gradient = d mean(losses) / d logits; `padded` as in softmax_rows."""
    scale = logits.dtype.type(1) / logits.dtype.type(logits.shape[0])
    one, row_loss, row_right = logits.dtype.type(1), np.empty(1, np.float64), np.empty(1, np.int64)
    place, loss, right = address(padded, 0), address(row_loss, 0), address(row_right, 0)
    for i in range(logits.shape[0]):
        for j in range(logits.shape[1]):
            padded[j] = logits[i, j]
        cross_entropy_rows(
            place, place, padded.size, padded.size, logits.shape[1], (labels[i],), (one,), scale, loss, right
        )
        losses[i] = row_loss[0]
        for j in range(logits.shape[1]):
            gradient[i, j] = padded[j]
