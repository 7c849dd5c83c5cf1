"""Kernels that work row by row or element by element: ReLU, softmax, and softmax with its cross-entropy loss and gradient."""

from ._jit import jit
from .softmax import softmax_cross_entropy_row, softmax_row


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
    for i in range(logits.shape[0]):
        for j in range(logits.shape[1]):
            padded[j] = logits[i, j]
        loss, _ = softmax_cross_entropy_row(padded, padded, logits.shape[1], labels[i], scale)
        losses[i] = loss
        for j in range(logits.shape[1]):
            gradient[i, j] = padded[j]
