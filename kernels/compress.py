"""The batch's rows of a matrix that is mostly zeros, compressed for the first layer's products in sparse.py.

Nothing of the size of the data set is made: each step finds the non-zeros of its own rows, 0.1 us for one of MNIST. (To compress
all rows once, before training, took 73 MB for MNIST, and time: 20 epochs of 784-100-10, batch 256, lasted 1.14 times as long, of
784-512-10 1.08 times, as what a step finds is in its cache.)
"""

from dataclasses import dataclass

import numpy as np
from llvmlite import ir
from numba import types
from numba.core.extending import intrinsic

from ._jit import helper
from .processor import VECTOR_BYTES
from .sparse_code import LINE_BYTES, PANELS, UNROLL
from .sync import share
from .tile import VECTORS, address, fetch_line, lanes
from .vectors import (
    INT32,
    INT64,
    counted_loop,
    declare,
    lanes_below,
    load_lanes,
    load_vector,
    shared_function,
    splat,
    store_vector,
    vector_type,
)

# Parts of dW that threads can share; a layer's passes may be fewer, then columns are cut into blocks. Each costs a loop's
# start and end a row: three blocks instead of one, 3 % of a step of 784-32-32-10.
_PARTS = 4
# Two blocks at least: a pass's rows of W are 200 KB where there are 784 inputs, and on Zen 4, whose first table of pages holds
# 72, 784-512-10 is 1.12 times as fast in two blocks, 1.13 in four; narrower layers have so many parts anyway.
_BLOCKS = 2


@dataclass(frozen=True)
class Entries:
    """Room for the compressed rows of a batch, as sparse.py reads them."""

    values: np.ndarray
    indices: np.ndarray
    pointers: np.ndarray
    bounds: np.ndarray

    @property
    def largest_block(self):
        """Columns of the largest block."""
        return int(np.diff(self.bounds).max(initial=0))


def no_entries(dtype):
    """What a kernel is given in place of room for compressed rows when its input is dense."""
    return Entries(
        np.empty(0, dtype), np.empty(0, np.int32), np.empty((0, 1), np.int64), np.empty(0, np.int64)
    )  # fmt: skip


def entries_for(batch, non_zeros, columns, fan_out, dtype):
    """Room for `batch` rows of `columns` that have at most so many `non_zeros` together, before a layer of `fan_out` units."""
    lane = lanes(dtype.itemsize)
    vectors = -(-columns // lane)
    passes = -(-fan_out // (PANELS * VECTORS * lane))
    blocks = min(max(_BLOCKS, -(-_PARTS // passes)), vectors)
    bounds = np.minimum(np.arange(blocks + 1, dtype=np.int64) * vectors // blocks * lane, columns)
    room = non_zeros + batch * row_slack.py_func(blocks, dtype.itemsize)
    pointers = np.empty((batch, blocks + 1), np.int64)
    return Entries(np.empty(room, dtype), np.empty(room, np.int32), pointers, bounds)


def _compress_function(module, element):
    """count(x, n, column, values, indices): the non-zeros of x[:n] and their columns, x[0]'s is `column`, padded as in sparse.py.

    Up to a whole vector is written behind them.
    """
    vector, bits = vector_type(element)
    name = f"fastnn_compress_f{bits}"
    if name in module.globals:
        return module.globals[name]
    pointer = element.as_pointer()
    kind = ir.FunctionType(INT64, [pointer, INT64, INT64, pointer, INT32.as_pointer()])
    function = shared_function(module, kind, name)
    x, n, column, values, indices = function.args
    numbers = ir.VectorType(INT32, vector.count)
    mask_type = ir.VectorType(ir.IntType(1), vector.count)
    counting = ir.Constant(numbers, list(range(vector.count)))
    packers = [
        declare(
            module,
            f"llvm.experimental.vector.compress.v{vector.count}{letter}",
            packed,
            [packed, mask_type, packed],
        )
        for letter, packed in ((f"f{bits}", vector), ("i32", numbers))
    ]
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    first_column = builder.trunc(column, INT32)

    def pack(loaded, at, place):
        """Write the non-zeros of one vector; return how many they are."""
        mask = builder.fcmp_unordered("!=", loaded, ir.Constant(vector, None))
        where = builder.add(
            splat(builder, builder.add(first_column, builder.trunc(at, INT32)), numbers), counting
        )
        for packer, packed, out in zip(packers, (loaded, where), (values, indices), strict=True):
            undefined = ir.Constant(packed.type, ir.Undefined)
            store_vector(builder, builder.call(packer, [packed, mask, undefined]), builder.gep(out, [place]))
        ones = builder.bitcast(mask, ir.IntType(vector.count))
        return builder.call(declare(module, "llvm.ctpop.i64", INT64, [INT64]), [builder.zext(ones, INT64)])

    def pack_vector(at, count):
        return [builder.add(count, pack(load_vector(builder, builder.gep(x, [at]), vector), at, count))]

    step, zero = ir.Constant(INT64, vector.count), ir.Constant(INT64, 0)
    whole = builder.sub(n, builder.urem(n, step))
    (before,) = counted_loop(builder, zero, whole, step, [zero], pack_vector)
    last = load_lanes(
        builder, builder.gep(x, [whole]), vector, lanes_below(builder, builder.sub(n, whole), vector)
    )
    total = builder.add(before, pack(last, whole, before))
    # Padding: zeros at the first columns, different ones, as each entry's update waits for the one before.
    padding = ir.VectorType(INT32, UNROLL)
    store_vector(builder, ir.Constant(ir.VectorType(element, UNROLL), None), builder.gep(values, [total]))
    steps = ir.Constant(padding, list(range(UNROLL)))
    most = splat(builder, builder.sub(builder.trunc(n, INT32), ir.Constant(INT32, 1)), padding)
    steps = builder.select(builder.icmp_signed("<", steps, most), steps, most)
    store_vector(
        builder, builder.add(splat(builder, first_column, padding), steps), builder.gep(indices, [total])
    )
    builder.ret(total)
    return function


@intrinsic
def compress_row(typingctx, x, n, column, values, indices, kind):
    """Write the non-zeros of the n numbers at address x, and their columns, the first being `column`; return how many.

    values, indices: addresses of n numbers and n int32, and UNROLL and a vector more. `kind` is any value of the numbers' type.
    """

    def codegen(context, builder, signature, arguments):
        x, n, column, values, indices, kind = arguments
        pointer = kind.type.as_pointer()
        x, values = builder.inttoptr(x, pointer), builder.inttoptr(values, pointer)
        indices = builder.inttoptr(indices, INT32.as_pointer())
        return builder.call(_compress_function(builder.module, kind.type), [x, n, column, values, indices])

    return types.int64(*[types.intp] * 5, kind), codegen


@helper
def _padded(count):
    return (count + UNROLL - 1) // UNROLL * UNROLL


@helper
def row_slack(blocks, itemsize):
    """How many entries a row may have beyond its non-zeros: each block's padding, and the vector that is written behind them."""
    return blocks * UNROLL + VECTOR_BYTES // itemsize


@helper
def compress_batch(thread, threads, batch, X, row_starts, columns, data, bounds, values, indices, pointers):
    """Compress the rows `batch` of X (n, d), or of a CSR matrix where row_starts is not empty; this thread's share.

    row_starts, columns, data    the CSR matrix with sorted columns (int64, int32, floats), or empty
    bounds, values, indices, pointers    as in sparse.py; the last three are written
    """
    first, last = share(batch.size, thread, threads)
    blocks = bounds.size - 1
    slack = row_slack(blocks, values.itemsize)
    if row_starts.size == 0:
        place = first * (X.shape[1] + slack)
        for i in range(first, last):
            for block in range(blocks):
                start = bounds[block]
                pointers[i, block] = place
                place += _padded(
                    compress_row(
                        address(X, batch[i] * X.shape[1] + start), bounds[block + 1] - start, start, address(values, place),
                        address(indices, place), values.dtype.type(0),
                    )
                )  # fmt: skip
            pointers[i, blocks] = place
        return
    place = 0
    for i in range(first):
        place += row_starts[batch[i] + 1] - row_starts[batch[i]] + slack
    for i in range(first, last):
        source, stop = row_starts[batch[i]], row_starts[batch[i] + 1]
        for block in range(blocks):
            pointers[i, block] = place
            while source < stop and columns[source] < bounds[block + 1]:
                values[place] = data[source]
                indices[place] = columns[source]
                source += 1
                place += 1
            column = bounds[block]
            while (place - pointers[i, block]) % UNROLL != 0:
                values[place] = 0
                indices[place] = column
                column = min(column + 1, bounds[block + 1] - 1)
                place += 1
        pointers[i, blocks] = place


@helper
def fetch_entries(first, last, batch, row_starts, columns, data):
    """Ask for the rows batch[first:last] of a CSR matrix, ahead of their use."""
    line = LINE_BYTES // data.itemsize
    for i in range(first, last):
        fetch_line(address(row_starts, batch[i]))
    for i in range(first, last):
        for t in range(row_starts[batch[i]], row_starts[batch[i] + 1], line):
            fetch_line(address(data, t))
            fetch_line(address(columns, t))
