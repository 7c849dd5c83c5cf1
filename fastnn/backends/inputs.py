"""Inputs as the kernels take them: an array or a CSR matrix, and whether the first layer goes over the non-zeros alone."""

import numpy as np

from ..csr import CSR
from ..kernels.arrays import plain, rows_collide
from ..kernels.compress import entries_for

# A dense array is trained through its non-zeros where at most this part of it is not zero. (784-100-10 and 784-512-10 take 0.97
# to 1.04 of the dense path's time at 0.3, 1.2 to 1.35 times as long at 0.4.)
SPARSE_DENSITY = 0.3

# And only where the first layer has so many units: 784-32-10 is trained on MNIST at 0.91 of the dense path's speed, 784-64-10
# at 1.24.
SPARSE_UNITS = 64

# Rows that collide are gathered where the first layer has so many units. (Zen 4, one thread: 1024-512-10, batch 128, at 70 % of
# peak, gathered at 87, 1024-128-10 71 and 82; but 1024-100-10, batch 20, 82 and 69, 1024-32-32-10 77 and 64.)
_GATHERED_UNITS = 128

_ROWS = 256  # that are looked at to tell


def density(X):
    """The part of an array's numbers that is not zero, and how many of its rows it was told from."""
    sample = X[:: -(-len(X) // _ROWS)]
    return np.count_nonzero(sample) / sample.size, len(sample)


def goes_over_non_zeros(X, sparse, fan_out):
    """Whether a first layer of `fan_out` units does: as `sparse` says, or where that is None, if it is faster."""
    if sparse is not None or isinstance(X, CSR):
        return sparse is not False
    return fan_out >= SPARSE_UNITS and density(X)[0] <= SPARSE_DENSITY


def gathers(sizes, itemsize):
    """Whether dense rows are copied to where they do not collide, before a network of layer `sizes` takes them."""
    return sizes[1] >= _GATHERED_UNITS and rows_collide(sizes[0], itemsize)


def stored_rows(X, dtype):
    """X as an array, (0, d) where it is CSR, and the CSR matrix's row starts, columns and values, empty where it is an array."""
    if isinstance(X, CSR):
        return np.empty((0, X.shape[1]), dtype), (X.row_starts, X.columns, X.data)
    return plain(X), (np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0, dtype))


def room_for(X, batch, fan_out):
    """Room to compress any `batch` different rows of X, before a layer of `fan_out` units."""
    if isinstance(X, CSR):
        lengths = np.diff(X.row_starts)
        non_zeros = min(int(lengths.max(initial=0)) * batch, X.columns.size)
        return entries_for(batch, non_zeros, X.shape[1], fan_out, X.data.dtype)
    return entries_for(batch, batch * X.shape[1], X.shape[1], fan_out, X.dtype)
