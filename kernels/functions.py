"""Functions by address: what a network's table names instead of what its program contains.

Activations, losses, optimisers and their like are small compiled functions of their own; the training kernel is given their
addresses and calls them. So it is compiled once for all networks, a new function compiles in a fraction of a second, and
one that a user wrote is called like the others. The call costs 2 ns and is made for a whole tile or run of numbers.
"""

from weakref import WeakKeyDictionary

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.extending import intrinsic

from ._jit import jit
from ._kernel import compiled_address
from ._machine_code import C
from .vectors import INT64

# To ask Numba again would take its locks, and a child that another thread forks meanwhile would wait for them for ever.
_ADDRESSES = WeakKeyDictionary()


def function_address(kernel, *arguments):
    """The address of the compiled function `kernel` for arguments of these Numba types.

    It is valid as long as the kernel lives. The function takes its arguments as C would and returns nothing.
    """
    known = _ADDRESSES.setdefault(kernel, {})
    if arguments not in known:
        known[arguments] = compiled_address(kernel, arguments, C)
    return known[arguments]


def named(name, function):
    """`function`, made by a factory, compiled by `jit` under a name of its own: the cache tells kernels apart by name."""
    function.__name__ = function.__qualname__ = name
    return jit(function)


@intrinsic
def call(typingctx, place, arguments):
    """Call the function at address `place` with the numbers of the tuple `arguments`."""

    def codegen(context, builder, signature, values):
        kinds = [context.get_value_type(kind) for kind in arguments.types]
        # Numba's functions without a result return a null pointer.
        kind = ir.FunctionType(ir.IntType(8).as_pointer(), kinds)
        numbers = [builder.extract_value(values[1], index) for index in range(len(kinds))]
        builder.call(builder.inttoptr(values[0], kind.as_pointer()), numbers)
        return context.get_dummy_value()

    return types.void(types.intp, arguments), codegen


def _array_at(context, builder, array, data, shape, itemsize):
    """LLVM's code of a C-contiguous array of type `array` on memory that somebody else keeps."""
    from numba.np.arrayobj import populate_array  # 200 ms, where there is nothing to compile

    strides = [itemsize]
    for length in shape[:0:-1]:
        strides.insert(0, builder.mul(strides[0], length))
    made = context.make_array(array)(context, builder)
    populate_array(made, data=data, shape=shape, strides=strides, itemsize=itemsize, meminfo=None)
    return made._getvalue()


def _view_at(kind, lengths):
    """Signature and code of a view of numbers of the type of `kind`, given its place, its lengths and such a number."""
    array = types.Array(types.unliteral(kind), lengths, "C")

    def codegen(context, builder, signature, arguments):
        place, *shape, number = arguments
        itemsize = context.get_constant(types.intp, context.get_abi_sizeof(number.type))
        data = builder.inttoptr(place, number.type.as_pointer())
        return _array_at(context, builder, array, data, shape, itemsize)

    return array(types.intp, *[types.intp] * lengths, kind), codegen


@intrinsic
def view(typingctx, place, length, kind):
    """The 1-D array of `length` numbers of the type of `kind` at address `place`, in memory that somebody else keeps."""
    return _view_at(kind, 1)


@intrinsic
def matrix(typingctx, place, rows, columns, kind):
    """The same of two dimensions."""
    return _view_at(kind, 2)


@intrinsic(prefer_literal=True)
def stack_words(typingctx, count):
    """An int64 array of so many words, a constant, in the memory of the kernel that calls this, which nobody has to free."""
    array = types.Array(types.int64, 1, "C")

    def codegen(context, builder, signature, arguments):
        words = cgutils.alloca_once(builder, ir.ArrayType(INT64, count.literal_value))
        data = builder.bitcast(words, INT64.as_pointer())
        length, itemsize = (context.get_constant(types.intp, number) for number in (count.literal_value, 8))
        return _array_at(context, builder, array, data, [length], itemsize)

    return array(count), codegen
