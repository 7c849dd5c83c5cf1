"""Whether numbers are finite: a look at their exponents, several vectors at a time, as fast as memory gives them."""

from llvmlite import ir
from numba import types
from numba.core.extending import intrinsic

from ._jit import team_kernel
from .sync import share
from .tile import address
from .vectors import (
    INT64,
    counted_loop,
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
    zero, none = ir.Constant(INT64, 0), ir.Constant(words, None)
    group, step = ir.Constant(INT64, _WAYS * vector.count), ir.Constant(INT64, vector.count)
    grouped = builder.sub(n, builder.urem(n, group))
    whole = builder.sub(n, builder.urem(n, step))

    def size(loaded):
        return builder.and_(builder.bitcast(loaded, words), no_sign)

    def largest_at(t, *sizes):
        """The largest so far, with one more vector for each way."""
        places = [builder.add(t, ir.Constant(INT64, way * vector.count)) for way in range(len(sizes))]
        return [
            _largest(builder, largest, size(load_vector(builder, builder.gep(x, [place]), vector)))
            for largest, place in zip(sizes, places, strict=True)
        ]

    largest, *others = counted_loop(builder, zero, grouped, group, [none] * _WAYS, largest_at)
    for other in others:
        largest = _largest(builder, largest, other)
    (last,) = counted_loop(builder, grouped, whole, step, [largest], largest_at)
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


@team_kernel
def find_finite(thread, threads, sync, x, start, stop, finite):
    """finite[thread] = 1 if all of the thread's share of x[start:stop] are finite, else 0; x (n,), finite (threads,) int64."""
    first, last = share(stop - start, thread, threads)
    finite[thread] = all_finite(address(x, start + first), last - first, x.dtype.type(0))
