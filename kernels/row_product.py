"""One row times a matrix as users see it, row after row: what predicts a few rows, straight from the parameters."""

from functools import partial

from llvmlite import ir
from numba import types
from numba.core.extending import intrinsic

from ._jit import helper
from .compress import compress_row
from .processor import VECTOR_BYTES
from .sparse_code import UNROLL
from .tile import address
from .vectors import (
    INT32,
    INT64,
    call_by_count,
    counted_loop,
    fused_multiply_add,
    lanes_below,
    load_lanes,
    load_vector,
    shared_function,
    splat,
    store_lanes,
    store_vector,
    vector_type,
)

# Vectors of sums kept in registers: as many as the FMAs in flight (latency 4, two pipes).
_VECTORS = 8


def _function(module, element, vectors):
    """f(count, values, indices, w, ldw, z, last): z = sum over t of values[t] w[indices[t] * ldw + ...], so many vectors.

    The last of them has `last` lanes.
    """
    vector, bits = vector_type(element)
    name = f"fastnn_row_product_f{bits}_{vectors}"
    if name in module.globals:
        return module.globals[name]
    pointer = element.as_pointer()
    kinds = [INT64, pointer, INT32.as_pointer(), pointer, INT64, pointer, INT64]
    function = shared_function(module, ir.FunctionType(ir.VoidType(), kinds), name)
    count, values, indices, w, ldw, z, last = function.args
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    mask = lanes_below(builder, last, vector)

    def add_row(t, *sums):
        value = splat(builder, builder.load(builder.gep(values, [t])), vector)
        index = builder.sext(builder.load(builder.gep(indices, [t])), INT64)
        row = builder.gep(w, [builder.mul(index, ldw)])
        places = [builder.gep(row, [ir.Constant(INT64, v * vector.count)]) for v in range(vectors)]
        weights = [load_vector(builder, place, vector) for place in places[:-1]]
        weights.append(load_lanes(builder, places[-1], vector, mask))
        return [
            fused_multiply_add(builder, value, weight, total)
            for weight, total in zip(weights, sums, strict=True)
        ]

    zeros = [ir.Constant(vector, None)] * vectors
    sums = counted_loop(builder, ir.Constant(INT64, 0), count, ir.Constant(INT64, 1), zeros, add_row)
    for v, total in enumerate(sums):
        place = builder.gep(z, [ir.Constant(INT64, v * vector.count)])
        if v < vectors - 1:
            store_vector(builder, total, place)
        else:
            store_lanes(builder, total, place, mask)
    builder.ret_void()
    return function


@intrinsic
def _row_panel(typingctx, vectors, count, values, indices, w, ldw, z, last, kind):
    """Call that function for so many vectors, from 1 to _VECTORS: addresses and numbers; `kind` is any value of z's type."""

    def codegen(context, builder, signature, arguments):
        vectors, count, values, indices, w, ldw, z, last, kind = arguments
        pointer = kind.type.as_pointer()
        values, w, z = (builder.inttoptr(place, pointer) for place in (values, w, z))
        indices = builder.inttoptr(indices, INT32.as_pointer())
        operands = [count, values, indices, w, ldw, z, last]
        call_by_count(builder, vectors, _VECTORS, partial(_function, builder.module, kind.type), operands)
        return context.get_dummy_value()

    return types.void(*[types.intp] * 8, kind), codegen


@helper
def pack_row(inputs, values, indices):
    """Write the non-zeros of a row, and where they are, to values and indices, of `room_for_row`; return how many."""
    place, kind = address(inputs, 0), inputs.dtype.type(0)
    return compress_row(place, inputs.size, 0, address(values, 0), address(indices, 0), kind)


@helper
def packed_row_product(count, values, indices, weights, z, column):
    """z[column : column + columns_at_once] of `row_product`, of a row that is packed."""
    vector = VECTOR_BYTES // z.itemsize
    used = min(_VECTORS * vector, z.size - column)
    vectors = (used + vector - 1) // vector
    _row_panel(
        vectors, count, address(values, 0), address(indices, 0), address(weights, column), z.size, address(z, column),
        used - (vectors - 1) * vector, z.dtype.type(0),
    )  # fmt: skip


@helper
def columns_at_once(itemsize):
    """How many columns `packed_row_product` computes."""
    return _VECTORS * (VECTOR_BYTES // itemsize)


@helper
def row_product(inputs, weights, z, values, indices):
    """z = inputs W, W (inputs.size, z.size) row after row in the 1-D array `weights`, added in that order.

    Of an image's pixels and of a ReLU's outputs most are 0: those are left out. values and indices, of `room_for_row`, are
    overwritten.
    """
    count = pack_row(inputs, values, indices)
    for column in range(0, z.size, columns_at_once(z.itemsize)):
        packed_row_product(count, values, indices, weights, z, column)


@helper
def room_for_row(inputs, itemsize):
    """How long `values` and `indices` must be for a row of so many inputs."""
    return inputs + VECTOR_BYTES // itemsize + UNROLL
