"""Compressing rows that are mostly zeros, for the first layer's products in sparse.py; the layout is described there."""

from dataclasses import dataclass

import numpy as np
from llvmlite import ir
from numba import types
from numba.core.extending import intrinsic

from ._jit import inlined, team_kernel
from .processor import VECTOR_BYTES
from .sparse import PANELS, UNROLL
from .sync import share
from .tile import VECTORS, address, lanes
from .vectors import INT64, declare, load_vector, vector_type

# Parts of dW that threads can share; a layer's passes may be fewer, then columns are cut into blocks. Each costs a loop's
# start and end a row: three blocks instead of one, 3 % of a step of 784-32-32-10.
_PARTS = 4


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


def _bounds(columns, fan_out, itemsize):
    passes = -(-fan_out // (PANELS * VECTORS * lanes(itemsize)))
    blocks = min(-(-_PARTS // passes), columns)
    return np.arange(blocks + 1, dtype=np.int64) * columns // blocks


def _allocate(counts, bounds, dtype):
    """Pointers from counts (n, blocks), and room for the entries."""
    pointers = np.zeros((counts.shape[0], counts.shape[1] + 1), dtype=np.int64)
    ends = np.cumsum(counts, dtype=np.int64).reshape(counts.shape)
    pointers[:, 1:] = ends
    pointers[1:, 0] = ends[:-1, -1]
    total = int(ends[-1, -1])
    return Compressed(np.empty(total, dtype), np.empty(total, np.int32), pointers, bounds)


def compress_dense(X, fan_out, team):
    """Compress a C-contiguous array (n, d) for a first layer of `fan_out` units."""
    bounds = _bounds(X.shape[1], fan_out, X.itemsize)
    counts = np.empty((X.shape[0], bounds.size - 1), dtype=np.int32)
    team.run(_count_dense, X, bounds, counts)
    rows = _allocate(counts, bounds, X.dtype)
    team.run(_copy_dense, X, bounds, rows.pointers, rows.values, rows.indices)
    return rows


def compress_csr(row_starts, columns, data, width, fan_out, team):
    """The same for a CSR matrix of `width` columns, sorted and without duplicates: int64, int32 and float arrays."""
    rows = row_starts.size - 1
    bounds = _bounds(width, fan_out, data.itemsize)
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


@intrinsic
def _non_zeros(typingctx, place, kind):
    """int64 with bit j set where element j of the vector at `place` is not zero; `kind` is any value of its type."""

    def codegen(context, builder, signature, arguments):
        vector, _ = vector_type(arguments[1].type)
        loaded = load_vector(builder, builder.inttoptr(arguments[0], arguments[1].type.as_pointer()), vector)
        mask = builder.fcmp_unordered("!=", loaded, ir.Constant(vector, None))
        return builder.zext(builder.bitcast(mask, ir.IntType(vector.count)), INT64)

    return types.int64(types.intp, kind), codegen


def _bit_intrinsic(name):
    """An operation on the bits of an int64, by LLVM's name."""

    def typing(typingctx, mask):
        def codegen(context, builder, signature, arguments):
            flags = [ir.Constant(ir.IntType(1), 1)] if name == "cttz" else []
            kinds = [INT64, *(flag.type for flag in flags)]
            function = declare(builder.module, f"llvm.{name}.i64", INT64, kinds)
            return builder.call(function, [arguments[0], *flags])

        return types.int64(types.int64), codegen

    return intrinsic(typing)


_count_ones = _bit_intrinsic("ctpop")
_lowest_one = _bit_intrinsic("cttz")


@team_kernel
def _count_dense(thread, threads, sync, X, bounds, counts):
    """counts[r, k] = the non-zeros of row r of X (n, d) in block k, rounded up to a multiple of UNROLL."""
    vector = VECTOR_BYTES // X.itemsize
    begin, end = share(X.shape[0], thread, threads)
    for r in range(begin, end):
        row = X[r]
        for block in range(bounds.size - 1):
            count = 0
            start, stop = bounds[block], bounds[block + 1]
            whole = start + (stop - start) // vector * vector
            for j in range(start, whole, vector):
                count += _count_ones(_non_zeros(address(row, j), row[0]))
            for j in range(whole, stop):
                count += row[j] != 0
            counts[r, block] = (count + UNROLL - 1) // UNROLL * UNROLL


@team_kernel
def _copy_dense(thread, threads, sync, X, bounds, pointers, values, indices):
    """Write the non-zeros of X (n, d) and their columns to where `pointers` says, padded with zeros."""
    vector = VECTOR_BYTES // X.itemsize
    begin, end = share(X.shape[0], thread, threads)
    for r in range(begin, end):
        row = X[r]
        for block in range(bounds.size - 1):
            place, end_place = pointers[r, block], pointers[r, block + 1]
            start, stop = bounds[block], bounds[block + 1]
            whole = start + (stop - start) // vector * vector
            for j in range(start, whole, vector):
                mask = _non_zeros(address(row, j), row[0])
                while mask != 0:
                    column = j + _lowest_one(mask)
                    values[place] = row[column]
                    indices[place] = column
                    place += 1
                    mask &= mask - 1
            for j in range(whole, stop):
                if row[j] != 0:
                    values[place] = row[j]
                    indices[place] = j
                    place += 1
            _pad(place, end_place, bounds[block], bounds[block + 1], values, indices)


@team_kernel
def _count_csr(thread, threads, sync, row_starts, columns, bounds, counts):
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


@team_kernel
def _copy_csr(thread, threads, sync, row_starts, columns, data, bounds, pointers, values, indices):
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
