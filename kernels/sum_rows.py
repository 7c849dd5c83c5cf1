"""Adding up rows of up to a panel's width, in registers."""

from functools import partial

from llvmlite import ir
from numba import types
from numba.core.extending import intrinsic

from .tile import VECTORS
from .vectors import (
    INT64,
    call_by_count,
    counted_loop,
    load_vector,
    shared_function,
    store_vector,
    vector_type,
)


def _sum_function(module, element, vectors):
    """f(source, stride, rows, target): rows of so many vectors."""
    vector, bits = vector_type(element)
    name = f"fastnn_sum_f{bits}_{vectors}"
    if name in module.globals:
        return module.globals[name]
    pointer = element.as_pointer()
    function = shared_function(module, ir.FunctionType(ir.VoidType(), [pointer, INT64, INT64, pointer]), name)
    source, stride, rows, target = function.args
    builder = ir.IRBuilder(function.append_basic_block("entry"))

    def place(base, v):
        return builder.gep(base, [ir.Constant(INT64, v * vector.count)])

    def add(row, *sums):
        start = builder.gep(source, [builder.mul(row, stride)])
        return [
            builder.fadd(total, load_vector(builder, place(start, v), vector)) for v, total in enumerate(sums)
        ]

    zeros = [ir.Constant(vector, None)] * vectors
    sums = counted_loop(builder, ir.Constant(INT64, 0), rows, ir.Constant(INT64, 1), zeros, add)
    for v, total in enumerate(sums):
        store_vector(builder, total, place(target, v))
    builder.ret_void()
    return function


@intrinsic
def sum_rows(typingctx, source, stride, rows, vectors, target, kind):
    """target[j] = sum over i < rows of source[i * stride + j], row after row, j < vectors * lanes.

    source and target are addresses, stride counts numbers, `kind` is any value of their type; the vectors fit in a panel.
    """

    def codegen(context, builder, signature, arguments):
        source, stride, rows, vectors, target, kind = arguments
        pointer = kind.type.as_pointer()
        operands = [builder.inttoptr(source, pointer), stride, rows, builder.inttoptr(target, pointer)]
        call_by_count(builder, vectors, VECTORS, partial(_sum_function, builder.module, kind.type), operands)
        return context.get_dummy_value()

    return types.void(*[types.intp] * 5, kind), codegen
