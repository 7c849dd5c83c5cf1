"""Inputs as the kernels take them: an array, or the rows of a CSR matrix and room to compress a batch of them."""

import numpy as np

from ..csr import CSR
from ..kernels.arrays import plain
from ..kernels.compress import entries_for


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
