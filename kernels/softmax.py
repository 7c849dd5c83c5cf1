"""Row-stable softmax, alone and fused with its cross-entropy loss and gradient.

The maximum is taken over each row, starting from the row's first element, and subtracted before exp: no row can overflow,
and at least one term is 1. A maximum over the whole batch lets rows far below it vanish and divides 0 by 0.
Rows lie `stride` elements apart; the padding behind `classes` columns, up to `width`, is overwritten.
"""

import math

from ._jit import helper
from .exp import exp_nonpositive


@helper
def exp_row(row, classes):
    """row[j] = exp(row[j] - m), m = max of row[:classes]; return m, sum_j exp(row[j] - m) and the first index of m."""
    top = row[0]
    best = 0
    for j in range(1, classes):
        if row[j] > top:
            top = row[j]
            best = j
    for j in range(classes, row.size):
        row[j] = top  # so that exp of the padding cannot overflow
    for j in range(row.size):
        row[j] = exp_nonpositive(row[j] - top)
    total = row[0]
    for j in range(1, classes):
        total += row[j]
    return top, total, best


@helper
def softmax_row(row, classes):
    """row[j] = exp(row[j] - m) / sum_l exp(row[l] - m)."""
    _, total, _ = exp_row(row, classes)
    for j in range(row.size):
        row[j] /= total


@helper
def softmax_cross_entropy_row(row, classes, label, scale):
    """Loss -log softmax(row)[label], by log-sum-exp; row becomes scale * (softmax(row) - onehot(label)), padding 0.

    Returns the loss and whether `label` is the class of the (first) largest logit.
    """
    logit = row[label]
    top, total, best = exp_row(row, classes)
    # top - logit is exact or large; log(total) is between 0 and log(classes): nothing cancels, nothing needs an epsilon.
    loss = math.log(total) + (top - logit)
    for j in range(row.size):
        row[j] /= total
    row[label] -= row.dtype.type(1)
    for j in range(row.size):
        row[j] *= scale
    for j in range(classes, row.size):
        row[j] = 0
    return loss, best == label
