"""Sleeping and being woken inside kernels, where Python's own waits would need the interpreter's lock to return."""

import ctypes

from llvmlite import ir
from numba import types
from numba.core.extending import intrinsic

from ._jit import helper

_allocate, _acquire = ctypes.pythonapi.PyThread_allocate_lock, ctypes.pythonapi.PyThread_acquire_lock
_release, _free = ctypes.pythonapi.PyThread_release_lock, ctypes.pythonapi.PyThread_free_lock
_allocate.restype = ctypes.c_void_p
_acquire.argtypes = (ctypes.c_void_p, ctypes.c_int)
_release.argtypes = _free.argtypes = (ctypes.c_void_p,)

WAIT = ctypes.cast(_acquire, ctypes.c_void_p).value
"""The address of Python's function, which differs from process to process: compiled code, which is kept, is handed it."""


class Bell:
    """What one thread waits at until another rings: one of Python's locks for C, taken as long as nobody rings."""

    def __init__(self):
        self.address = _allocate()
        if not self.address:
            raise MemoryError("there is no memory for a lock")
        _acquire(self.address, 1)

    def __del__(self, free=_free):  # at the interpreter's end the module's names may be gone
        if self.address:
            free(self.address)

    def ring(self):
        """Wake who waits, or will."""
        _release(self.address)


@intrinsic
def _take(typingctx, wait, bell, patient):
    """Take the lock at address `bell`, whenever it can be had, or if not `patient`, now; return whether it was taken."""

    def codegen(context, builder, signature, arguments):
        wait, bell, patient = arguments
        number = ir.IntType(32)
        kind = ir.FunctionType(number, [bell.type, number])
        taken = builder.call(
            builder.inttoptr(wait, kind.as_pointer()), [bell, builder.trunc(patient, number)]
        )
        return builder.sext(taken, bell.type)

    return types.intp(types.intp, types.intp, types.intp), codegen


@helper
def wait_for_ring(wait, bell):
    """Sleep until somebody rings the Bell at address `bell`; not at all where that happened since it woke. `wait` is WAIT."""
    _take(wait, bell, 1)
    while _take(wait, bell, 0) != 0:  # it was rung more than once
        pass
