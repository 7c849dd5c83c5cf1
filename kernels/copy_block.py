"""Copying rows of up to a panel's width, the last vector of each filled up with zeros."""

from functools import partial

from llvmlite import ir
from numba import types
from numba.core.extending import intrinsic

from .tile import VECTORS
from .vectors import (
    INT64,
    call_by_count,
    counted_loop,
    lanes_below,
    load_lanes,
    load_vector,
    shared_function,
    store_vector,
    vector_type,
)


def _copy_function(module, element, vectors):
    """f(source, stride, target, step, rows, last): rows of so many vectors, the last of `last` lanes; two strides."""
    vector, bits = vector_type(element)
    name = f"fastnn_copy_f{bits}_{vectors}"
    if name in module.globals:
        return module.globals[name]
    pointer = element.as_pointer()
    kinds = [pointer, INT64, pointer, INT64, INT64, INT64]
    function = shared_function(module, ir.FunctionType(ir.VoidType(), kinds), name)
    source, stride, target, step, rows, last = function.args
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    mask = lanes_below(builder, last, vector)

    def copy(row):
        read = builder.gep(source, [builder.mul(row, stride)])
        write = builder.gep(target, [builder.mul(row, step)])
        for v in range(vectors):
            offset = [ir.Constant(INT64, v * vector.count)]
            place = builder.gep(read, offset)
            whole = v < vectors - 1
            loaded = (
                load_vector(builder, place, vector) if whole else load_lanes(builder, place, vector, mask)
            )
            store_vector(builder, loaded, builder.gep(write, offset))
        return []

    counted_loop(builder, ir.Constant(INT64, 0), rows, ir.Constant(INT64, 1), [], copy)
    builder.ret_void()
    return function


@intrinsic
def copy_block(typingctx, source, stride, target, step, rows, columns, kind):
    """target[i * step + j] = source[i * stride + j] for i < rows, j < columns, then 0 up to whole vectors, row after row.

    source and target are addresses, strides count numbers, `kind` is any value of their type; columns fit in a panel.
    """

    def codegen(context, builder, signature, arguments):
        source, stride, target, step, rows, columns, kind = arguments
        vector, _ = vector_type(kind.type)
        pointer = kind.type.as_pointer()
        source, target = builder.inttoptr(source, pointer), builder.inttoptr(target, pointer)
        lane = ir.Constant(INT64, vector.count)
        # Whole vectors before the last.
        before = builder.sdiv(builder.sub(columns, ir.Constant(INT64, 1)), lane)
        last = builder.sub(columns, builder.mul(before, lane))
        vectors = builder.add(before, ir.Constant(INT64, 1))
        operands = [source, stride, target, step, rows, last]
        call_by_count(builder, vectors, VECTORS, partial(_copy_function, builder.module, kind.type), operands)
        return context.get_dummy_value()

    return types.void(*[types.intp] * 6, kind), codegen
