"""NumPy's arrays as C sees them: compiled code reads what it needs of a Python object where that lies.

Numba makes a structure of its own of each array that it is handed, which takes 100 ns with what it counts: these reads take two.
Where the fields lie is a part of NumPy's interface for C, which every compiled package relies on (PyArrayObject_fields in
numpy/ndarraytypes.h). Who reads them has Python's lock, as another thread could change them.
"""

import ctypes

import numpy as np
from numba import types
from numba.core.extending import NativeValue, intrinsic, models, register_model, unbox

from ._jit import helper
from .vectors import INT32, INT64

# Bytes from where an object begins; what all objects begin with ends with the address of its type.
_HEADER = object.__basicsize__
_TYPE, _DATA, _DIMENSIONS, _SHAPE, _DTYPE, _FLAGS = (
    _HEADER - 8,
    *(_HEADER + 8 * word for word in (0, 1, 2, 5, 6)),
)

# Bits of the flags.
C_CONTIGUOUS, F_CONTIGUOUS, _ALIGNED, _WRITEABLE = 0x1, 0x2, 0x100, 0x400


class _Object(types.Opaque):
    """Numba's type of a Python object of any kind, as an argument: its address, and nothing is counted."""


OBJECT = _Object("object")


@register_model(_Object)
class _ObjectModel(models.PrimitiveModel):
    def __init__(self, manager, kind):
        super().__init__(manager, kind, INT64)


@unbox(_Object)
def _unbox_object(kind, value, context):
    return NativeValue(context.builder.ptrtoint(value, INT64))


@intrinsic
def object_address(typingctx, value):
    """The address of a Python object, an argument of type OBJECT."""

    def codegen(context, builder, signature, arguments):
        return arguments[0]

    return types.intp(value), codegen


def _reading(kind):
    """A function of compiled code that reads the number of an LLVM type at an address."""

    @intrinsic
    def read(typingctx, place):
        def codegen(context, builder, signature, arguments):
            number = builder.load(builder.inttoptr(arguments[0], kind.as_pointer()))
            return builder.zext(number, INT64) if kind is INT32 else number

        return types.intp(types.intp), codegen

    return read


_word, _half = _reading(INT64), _reading(INT32)


@helper
def is_matrix(place, array_type):
    """Whether the object at an address is an aligned matrix, and of no subclass; array_type: the address of np.ndarray."""
    return (
        _word(place + _TYPE) == array_type
        and _half(place + _DIMENSIONS) == 2
        and _half(place + _FLAGS) & _ALIGNED != 0
    )


@helper
def is_writeable(place):
    """Whether an array may be written to."""
    return _half(place + _FLAGS) & _WRITEABLE != 0


@helper
def contiguity(place):
    """C_CONTIGUOUS, F_CONTIGUOUS, both or none, of an array."""
    return _half(place + _FLAGS) & (C_CONTIGUOUS | F_CONTIGUOUS)


@helper
def data(place):
    """The address of an array's first element."""
    return _word(place + _DATA)


@helper
def dtype_address(place):
    """The address of an array's dtype."""
    return _word(place + _DTYPE)


@helper
def length(place, dimension):
    """How long an array is in a dimension that it has."""
    return _word(_word(place + _SHAPE) + 8 * dimension)


def require_known_layout():
    """Raise RuntimeError where an array does not lie in memory as this file says."""
    array = np.empty((3, 5), np.float32, "F")
    lengths = ctypes.c_int64 * 2
    fields = (
        (_TYPE, ctypes.c_int64, id(np.ndarray)),
        (_DATA, ctypes.c_int64, array.ctypes.data),
        (_DIMENSIONS, ctypes.c_int32, 2),
        (_DTYPE, ctypes.c_int64, id(array.dtype)),
        (_FLAGS, ctypes.c_int32, array.flags.num),
    )
    places = [kind.from_address(id(array) + offset).value == value for offset, kind, value in fields]
    shape = ctypes.c_int64.from_address(id(array) + _SHAPE).value
    if not all(places) or tuple(lengths.from_address(shape)) != array.shape:
        raise RuntimeError(
            f"NumPy {np.__version__} lays out arrays in another way than kernels know; take another version"
        )
