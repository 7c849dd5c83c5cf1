"""Transposing a square block of numbers, one vector wide and high, in registers."""

from llvmlite import ir
from numba import types
from numba.core.extending import intrinsic

from .vectors import INT32, INT64, load_vector, store_vector, vector_type


def _block_function(module, element):
    """The function that transposes one block, built once per module."""
    vector, bits = vector_type(element)
    name = f"fastnn_transpose_f{bits}"
    if name in module.globals:
        return module.globals[name]
    pointer = element.as_pointer()
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [pointer, INT64, pointer, INT64]), name)
    function.linkage = "linkonce_odr"
    function.attributes.add("noinline")
    function.attributes.add("nounwind")
    source, source_stride, target, target_stride = function.args
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    count = vector.count

    def row(base, stride, number):
        return builder.gep(base, [builder.mul(stride, ir.Constant(INT64, number))])

    rows = [load_vector(builder, row(source, source_stride, number), vector) for number in range(count)]
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


@intrinsic
def transpose_block(typingctx, source, source_stride, target, target_stride, kind):
    """target[j * target_stride + i] = source[i * source_stride + j] for a block of lanes by lanes numbers.

    source and target are addresses, the strides count numbers, `kind` is any value of their type.
    """

    def codegen(context, builder, signature, arguments):
        source, source_stride, target, target_stride, kind = arguments
        pointer = kind.type.as_pointer()
        function = _block_function(builder.module, kind.type)
        places = builder.inttoptr(source, pointer), builder.inttoptr(target, pointer)
        builder.call(function, [places[0], source_stride, places[1], target_stride])
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp, types.intp, kind), codegen
