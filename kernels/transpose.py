"""Transposing a square block of numbers, one vector wide and high, in registers."""

from llvmlite import ir
from numba import types
from numba.core.extending import intrinsic

from .vectors import INT32, INT64, load_vector, shared_function, store_vector, vector_type


def _block_function(module, element, some):
    """The function that transposes one block, or with `some` its first `used` rows as if the others were 0; once per module."""
    vector, bits = vector_type(element)
    name = f"fastnn_transpose_{'some_' if some else ''}f{bits}"
    if name in module.globals:
        return module.globals[name]
    pointer = element.as_pointer()
    kinds = [pointer, INT64, pointer, INT64, INT64]
    function = shared_function(module, ir.FunctionType(ir.VoidType(), kinds), name)
    source, source_stride, target, target_stride, used = function.args
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    count = vector.count

    def row(base, stride, number):
        return builder.gep(base, [builder.mul(stride, ir.Constant(INT64, number))])

    rows = []
    for number in range(count):
        place = row(source, source_stride, number)
        if not some:
            rows.append(load_vector(builder, place, vector))
            continue
        there = builder.icmp_signed("<", ir.Constant(INT64, number), used)
        loaded = load_vector(builder, builder.select(there, place, source), vector)
        rows.append(builder.select(there, loaded, ir.Constant(vector, None)))
    # Exchange the off-diagonal quarters of ever smaller blocks: log2(count) rounds of count shuffles.
    half = count // 2
    mask_type = ir.VectorType(INT32, count)
    while half:
        low = [lane if not lane & half else count + lane - half for lane in range(count)]
        high = [lane + half if not lane & half else count + lane for lane in range(count)]
        for upper in (number for number in range(count) if not number & half):
            a, b = rows[upper], rows[upper + half]
            rows[upper] = builder.shuffle_vector(a, b, ir.Constant(mask_type, low))
            rows[upper + half] = builder.shuffle_vector(a, b, ir.Constant(mask_type, high))
        half //= 2
    for number in range(count):
        store_vector(builder, rows[number], row(target, target_stride, number))
    builder.ret_void()
    return function


def _call(some):
    def codegen(context, builder, signature, arguments):
        source, source_stride, target, target_stride, *used, kind = arguments
        pointer = kind.type.as_pointer()
        function = _block_function(builder.module, kind.type, some)
        source, target = builder.inttoptr(source, pointer), builder.inttoptr(target, pointer)
        used = used[0] if some else ir.Constant(INT64, ir.Undefined)
        builder.call(function, [source, source_stride, target, target_stride, used])
        return context.get_dummy_value()

    return codegen


@intrinsic
def transpose_block(typingctx, source, source_stride, target, target_stride, kind):
    """target[j * target_stride + i] = source[i * source_stride + j] for a block of lanes by lanes numbers.

    source and target are addresses, the strides count numbers, `kind` is any value of their type.
    """
    return types.void(types.intp, types.intp, types.intp, types.intp, kind), _call(False)


@intrinsic
def transpose_rows(typingctx, source, source_stride, target, target_stride, used, kind):
    """The same where only rows i < `used` are read, at least one; the others are taken for 0."""
    return types.void(*[types.intp] * 5, kind), _call(True)
