"""Whether numbers are finite: a look at their exponents, several vectors at a time, as fast as memory gives them."""

from llvmlite import ir
from numba import types
from numba.core.extending import intrinsic

from .vectors import (
    INT64,
    lanes_below,
    load_lanes,
    load_vector,
    reduce_vector,
    shared_function,
    vector_type,
)

_WAYS = 4  # vectors in flight


def _largest(builder, a, b):
    return builder.select(builder.icmp_unsigned(">", a, b), a, b)


def _finite_function(module, element):
    """finite(x, n): 1 where the largest of x[0] ... x[n - 1], as integers of their bits without the sign, is below infinity's."""
    vector, bits = vector_type(element)
    name = f"fastnn_finite_f{bits}"
    if name in module.globals:
        return module.globals[name]
    function = shared_function(module, ir.FunctionType(INT64, [element.as_pointer(), INT64]), name)
    x, n = function.args
    word = ir.IntType(bits)
    words = ir.VectorType(word, vector.count)
    no_sign = ir.Constant(words, [(1 << (bits - 1)) - 1] * vector.count)
    infinity = (1 << 8) - 1 << 23 if bits == 32 else (1 << 11) - 1 << 52
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    entry = builder.block
    loop, middle = function.append_basic_block("loop"), function.append_basic_block("middle")
    single, rest = function.append_basic_block("single"), function.append_basic_block("rest")
    zero, none = ir.Constant(INT64, 0), ir.Constant(words, None)
    group, step = ir.Constant(INT64, _WAYS * vector.count), ir.Constant(INT64, vector.count)
    grouped = builder.sub(n, builder.urem(n, group))
    whole = builder.sub(n, builder.urem(n, step))

    def size(loaded):
        return builder.and_(builder.bitcast(loaded, words), no_sign)

    def at(place):
        return size(load_vector(builder, builder.gep(x, [place]), vector))

    builder.cbranch(builder.icmp_signed("<", zero, grouped), loop, middle)
    builder.position_at_end(loop)
    t = builder.phi(INT64, "t")
    sizes = [builder.phi(words) for _ in range(_WAYS)]
    found = [
        _largest(builder, largest, at(builder.add(t, ir.Constant(INT64, way * vector.count))))
        for way, largest in enumerate(sizes)
    ]
    following = builder.add(t, group)
    for phi, first, later in zip((t, *sizes), (zero, *[none] * _WAYS), (following, *found), strict=True):
        phi.add_incoming(first, entry)
        phi.add_incoming(later, loop)
    builder.cbranch(builder.icmp_signed("<", following, grouped), loop, middle)

    builder.position_at_end(middle)
    ends = [builder.phi(words) for _ in range(_WAYS)]
    for phi, later in zip(ends, found, strict=True):
        phi.add_incoming(none, entry)
        phi.add_incoming(later, loop)
    largest = ends[0]
    for end in ends[1:]:
        largest = _largest(builder, largest, end)
    builder.cbranch(builder.icmp_signed("<", grouped, whole), single, rest)
    builder.position_at_end(single)
    t, before = builder.phi(INT64, "t"), builder.phi(words)
    after, following = _largest(builder, before, at(t)), builder.add(t, step)
    for phi, first, later in zip((t, before), (grouped, largest), (following, after), strict=True):
        phi.add_incoming(first, middle)
        phi.add_incoming(later, single)
    builder.cbranch(builder.icmp_signed("<", following, whole), single, rest)

    builder.position_at_end(rest)
    last = builder.phi(words)
    last.add_incoming(largest, middle)
    last.add_incoming(after, single)
    tail = load_lanes(
        builder, builder.gep(x, [whole]), vector, lanes_below(builder, builder.sub(n, whole), vector)
    )
    top = reduce_vector(builder, _largest(builder, last, size(tail)), lambda a, b: _largest(builder, a, b))
    builder.ret(builder.zext(builder.icmp_unsigned("<", top, ir.Constant(word, infinity)), INT64))
    return function


@intrinsic
def all_finite(typingctx, place, count, kind):
    """Whether `count` numbers from address `place` on, of the type of `kind`, are all finite: 1 or 0."""

    def codegen(context, builder, signature, arguments):
        place, count, kind = arguments
        pointer = builder.inttoptr(place, kind.type.as_pointer())
        return builder.call(_finite_function(builder.module, kind.type), [pointer, count])

    return types.int64(types.intp, types.intp, kind), codegen
