"""Meeting points for threads: atomic operations, a barrier inside kernels that gives way, and waiting for the next kernel.

The barrier costs about 0.1 us between two running threads, where a fork-join of Numba's costs 1.6 us (omp) or 45 us
(workqueue). It spins a bounded number of times and then yields the processor, so that with more threads than cores, or
a busy neighbour, the thread that is waited for gets to run.
"""

import sys

from llvmlite import ir
from numba import types
from numba.core.extending import intrinsic

from ._jit import helper, jit
from .processor import ARCHITECTURE
from .tile import address
from .vectors import INT64, declare

# Words of the int64 array `sync`, each on a cache line of its own.
_ARRIVED, _GENERATION, ABORTED = 0, 8, 16
BARRIER_WORDS = 24  # those before, which are 0 when a kernel starts
POSTED, _IDLE = 24, 32
SYNC_WORDS = 40

# A pause lasts 40 (Zen) to 140 (Skylake) cycles: this many are 10 to 40 us, longer than any phase between barriers of a
# small network, far shorter than a scheduler's time slice.
_SPINS = 1000

# An idle thread looks out for so long, 50 to 200 us, before it sleeps: waking it takes 20 to 40 us on a processor of one's own,
# 200 to 500 on a virtual one. It never yields: beside a busy program it would not be back for milliseconds, while one that sleeps
# is woken at once. (Yielding for 5 ms made products of 784 x 128 x 512 beside NumPy's waiting threads ten times slower.)
_IDLE_SPINS = 5000


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
def announce(thread, threads, sync):
    """Wake the others from `idle`, as thread 0 of a kernel: Python's lock is free now, and they need it to follow."""
    if threads > 1 and thread == 0:
        _atomic_add(sync + 8 * POSTED, 1)


@helper
def farewell(thread, threads, sync):
    """Wait a little, as thread 0, until the others are idle: meeting them at Python's lock would put one to sleep."""
    if threads == 1 or thread > 0:
        return
    spins = 0
    while _atomic_load(sync + 8 * _IDLE) < threads - 1 and spins < _SPINS:
        spins += 1
        _pause()


@jit
def idle(sync, posted):
    """Wait, bounded, until a kernel is announced: until sync[POSTED] is not `posted` any more."""
    place = address(sync, 0)
    _atomic_add(place + 8 * _IDLE, 1)
    spins = 0
    while _atomic_load(place + 8 * POSTED) == posted and spins < _IDLE_SPINS:
        spins += 1
        _pause()
    _atomic_add(place + 8 * _IDLE, -1)


@helper
def share(total, thread, threads):
    """The part [first, last) of `total` equal pieces of work that belongs to `thread`."""
    return total * thread // threads, total * (thread + 1) // threads
