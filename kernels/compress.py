"""Compressing rows that are mostly zeros, for the first layer's products in sparse.py; the layout is described there."""

from dataclasses import dataclass

import numpy as np

from ._jit import inlined, jit
from .host import host
from .sparse import UNROLL
from .sync import share
from .tile import VECTORS

# A block's rows of one panel of W: they share the first-level cache (32 to 48 KB) with the entries that stream past.
_BLOCK_BYTES = 24 * 1024

# With fewer entries than this a block's loop costs more to start and end than the cache saves.
_ENTRIES_PER_BLOCK = 8


@dataclass(frozen=True)
class Compressed:
    """The non-zeros of a matrix (n, d), as sparse.py reads them."""

    values: np.ndarray
    indices: np.ndarray
    pointers: np.ndarray
    bounds: np.ndarray

    @property
    def largest_block(self):
        """Columns of the largest block."""
        return int(np.diff(self.bounds).max(initial=0))


def no_rows(dtype):
    """What a kernel is given in place of compressed rows when its input is dense."""
    return Compressed(
        np.empty(0, dtype), np.empty(0, np.int32), np.empty((0, 1), np.int64), np.empty(0, np.int64)
    )  # fmt: skip


def _bounds(columns, entries_per_row):
    width = _BLOCK_BYTES // (VECTORS * host().vector_bits // 8)
    blocks = -(-columns // width)
    if entries_per_row < blocks * _ENTRIES_PER_BLOCK:
        blocks = 1
    return np.arange(blocks + 1, dtype=np.int64) * columns // blocks


def _allocate(counts, bounds, dtype):
    """Pointers from counts (n, blocks), and room for the entries."""
    pointers = np.zeros((counts.shape[0], counts.shape[1] + 1), dtype=np.int64)
    ends = np.cumsum(counts, dtype=np.int64).reshape(counts.shape)
    pointers[:, 1:] = ends
    pointers[1:, 0] = ends[:-1, -1]
    total = int(ends[-1, -1])
    return Compressed(np.empty(total, dtype), np.empty(total, np.int32), pointers, bounds)


def compress_dense(X, entries_per_row, team):
    """Compress a C-contiguous array (n, d)."""
    bounds = _bounds(X.shape[1], entries_per_row)
    counts = np.empty((X.shape[0], bounds.size - 1), dtype=np.int32)
    team.run(_count_dense, X, bounds, counts)
    rows = _allocate(counts, bounds, X.dtype)
    team.run(_copy_dense, X, bounds, rows.pointers, rows.values, rows.indices)
    return rows


def compress_csr(row_starts, columns, data, width, team):
    """Compress a CSR matrix of `width` columns with sorted columns and no duplicates: int64, int32 and float arrays."""
    rows = row_starts.size - 1
    bounds = _bounds(width, data.size / max(rows, 1))
    counts = np.empty((rows, bounds.size - 1), dtype=np.int32)
    team.run(_count_csr, row_starts, columns, bounds, counts)
    compressed = _allocate(counts, bounds, data.dtype)
    team.run(
        _copy_csr,
        row_starts,
        columns,
        data,
        bounds,
        compressed.pointers,
        compressed.values,
        compressed.indices,
    )
    return compressed


@jit
def _count_dense(thread, threads, X, bounds, counts):
    """counts[r, k] = the non-zeros of row r of X (n, d) in block k, rounded up to a multiple of UNROLL."""
    begin, end = share(X.shape[0], thread, threads)
    for r in range(begin, end):
        row = X[r]
        for block in range(bounds.size - 1):
            part = row[bounds[block] : bounds[block + 1]]
            count = 0
            for j in range(part.size):
                count += part[j] != 0
            counts[r, block] = (count + UNROLL - 1) // UNROLL * UNROLL


@jit
def _copy_dense(thread, threads, X, bounds, pointers, values, indices):
    """Write the non-zeros of X (n, d) and their columns to where `pointers` says, padded with zeros."""
    begin, end = share(X.shape[0], thread, threads)
    for r in range(begin, end):
        row = X[r]
        for block in range(bounds.size - 1):
            place, stop = pointers[r, block], pointers[r, block + 1]
            for j in range(bounds[block], bounds[block + 1]):
                value = row[j]
                if value != 0:
                    values[place] = value
                    indices[place] = j
                    place += 1
            _pad(place, stop, bounds[block], bounds[block + 1], values, indices)


@jit
def _count_csr(thread, threads, row_starts, columns, bounds, counts):
    """The same as _count_dense for a CSR matrix with sorted columns."""
    begin, end = share(row_starts.size - 1, thread, threads)
    for r in range(begin, end):
        place, stop = row_starts[r], row_starts[r + 1]
        for block in range(bounds.size - 1):
            count = 0
            while place < stop and columns[place] < bounds[block + 1]:
                count += 1
                place += 1
            counts[r, block] = (count + UNROLL - 1) // UNROLL * UNROLL


@jit
def _copy_csr(thread, threads, row_starts, columns, data, bounds, pointers, values, indices):
    """The same as _copy_dense for a CSR matrix with sorted columns."""
    begin, end = share(row_starts.size - 1, thread, threads)
    for r in range(begin, end):
        source, source_stop = row_starts[r], row_starts[r + 1]
        for block in range(bounds.size - 1):
            place, stop = pointers[r, block], pointers[r, block + 1]
            while source < source_stop and columns[source] < bounds[block + 1]:
                values[place] = data[source]
                indices[place] = columns[source]
                source += 1
                place += 1
            _pad(place, stop, bounds[block], bounds[block + 1], values, indices)


@inlined
def _pad(place, stop, first_column, end_column, values, indices):
    """Fill up with zeros at the block's first columns: different ones, as each entry's update waits for the one before."""
    column = first_column
    while place < stop:
        values[place] = 0
        indices[place] = column
        column = min(column + 1, end_column - 1)
        place += 1
