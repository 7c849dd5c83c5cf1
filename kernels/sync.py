"""Meeting points for threads inside kernels: atomic operations and a barrier that gives way.

The barrier costs about 0.1 us between two running threads, where a fork-join of Numba's costs 1.6 us (omp) or 45 us
(workqueue). It spins a bounded number of times and then yields the processor, so that with more threads than cores, or
a busy neighbour, the thread that is waited for gets to run.
"""

import sys

from llvmlite import ir
from numba import types
from numba.core.extending import intrinsic

from ._jit import helper
from .processor import ARCHITECTURE
from .vectors import INT64, declare

# Words of the int64 array `sync`, each on a cache line of its own.
_ARRIVED, _GENERATION, ABORTED = 0, 8, 16
SYNC_WORDS = 24

# A pause lasts 40 (Zen) to 140 (Skylake) cycles: this many are 10 to 40 us, longer than any phase between barriers of a
# small network, far shorter than a scheduler's time slice.
_SPINS = 1000


def _word(builder, pointer_as_integer):
    return builder.inttoptr(pointer_as_integer, INT64.as_pointer())


@intrinsic
def _atomic_add(typingctx, place, value):
    """Add to the int64 at `place`; return what it held before."""

    def codegen(context, builder, signature, arguments):
        return builder.atomic_rmw("add", _word(builder, arguments[0]), arguments[1], "acq_rel")

    return types.intp(types.intp, types.intp), codegen


@intrinsic
def _atomic_load(typingctx, place):
    """Read the int64 at `place`, and everything written before it was."""

    def codegen(context, builder, signature, arguments):
        return builder.load_atomic(_word(builder, arguments[0]), "acquire", 8)

    return types.intp(types.intp), codegen


@intrinsic
def _atomic_store(typingctx, place, value):
    """Write the int64 at `place` after everything written so far."""

    def codegen(context, builder, signature, arguments):
        builder.store_atomic(arguments[1], _word(builder, arguments[0]), "release", 8)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp), codegen


@intrinsic
def _pause(typingctx):
    """Tell the processor that this is a waiting loop."""

    def codegen(context, builder, signature, arguments):
        # Inline assembly would abort the process under llvmlite; these are intrinsics.
        if ARCHITECTURE == "x86_64":
            builder.call(declare(builder.module, "llvm.x86.sse2.pause", ir.VoidType(), []), [])
        elif ARCHITECTURE in ("aarch64", "arm64"):
            hint = declare(builder.module, "llvm.aarch64.hint", ir.VoidType(), [ir.IntType(32)])
            builder.call(hint, [ir.Constant(ir.IntType(32), 1)])
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def _yield_processor(typingctx):
    """Let another thread run on this core."""
    name = "SwitchToThread" if sys.platform == "win32" else "sched_yield"

    def codegen(context, builder, signature, arguments):
        builder.call(declare(builder.module, name, ir.IntType(32), []), [])
        return context.get_dummy_value()

    return types.void(), codegen


@helper
def barrier(sync, threads):
    """Wait until all `threads` threads are here; False if the team was told to give up. `sync` is the sync array's address."""
    if threads == 1:
        return True
    generation = _atomic_load(sync + 8 * _GENERATION)
    if _atomic_add(sync + 8 * _ARRIVED, 1) == threads - 1:
        _atomic_store(sync + 8 * _ARRIVED, 0)
        _atomic_store(sync + 8 * _GENERATION, generation + 1)
        return True
    spins = 0
    while _atomic_load(sync + 8 * _GENERATION) == generation:
        if _atomic_load(sync + 8 * ABORTED) != 0:
            return False
        if spins < _SPINS:
            spins += 1
            _pause()
        else:
            _yield_processor()
    return True


@helper
def share(total, thread, threads):
    """The part [first, last) of `total` equal pieces of work that belongs to `thread`."""
    return total * thread // threads, total * (thread + 1) // threads
