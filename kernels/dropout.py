"""Dropout: numbers set to 0 at random, the others scaled up so that their expectation stays.

Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov, Dropout: a simple way to prevent neural networks from overfitting,
2014, section 4, scaled in training as PyTorch does. Whether a number is dropped follows from the step, the layer, the row of
the batch and the unit alone (see random.py): any thread may do it.
"""

import numpy as np

from ._jit import jit
from .functions import view
from .random import squares


@jit
def drop(z, slopes, rows, columns, stride, first, following, threshold, scale, key):
    """Z[i, j] *= m, and slopes likewise (unless that is address 0), m = 0 where random < threshold / 2^32, else `scale`.

    z, slopes    addresses of (rows, columns) numbers of the type of `scale`, `stride` apart from row to row
    first, following    the counter of Z[0, 0], and how many counters are between one row and the next
    key          odd uint64: the stream of random numbers
    """
    limit = np.uint32(threshold)
    zero = type(scale)(0)
    length = (rows - 1) * stride + columns
    values = view(z, length, scale)
    others = view(slopes, length if slopes != 0 else 0, scale)
    for i in range(rows):
        counter = first + i * following
        row = values[i * stride : i * stride + columns]
        for j in range(columns):
            row[j] *= zero if squares(counter + j, key) < limit else scale
        if slopes != 0:
            row = others[i * stride : i * stride + columns]
            for j in range(columns):
                row[j] *= zero if squares(counter + j, key) < limit else scale


@jit
def drop_entries(values, columns, length, first, threshold, scale, key):
    """values[t] *= m for `length` compressed entries of a row whose first column has counter `first`.

    values, columns    addresses of numbers of the type of `scale` and of int32 column numbers; m as in `drop`
    """
    limit = np.uint32(threshold)
    zero = type(scale)(0)
    entries, numbers = view(values, length, scale), view(columns, length, np.int32(0))
    for t in range(length):
        entries[t] *= zero if squares(first + numbers[t], key) < limit else scale
