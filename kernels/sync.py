"""Atomic operations, and the barrier inside kernels where threads meet, which gives way.

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

# Words of the int64 array `sync`, each on a cache line of its own; jobs.py has more behind them.
ARRIVED, GENERATION, ABORTED = 0, 8, 16
BARRIER_WORDS = 24

# A pause lasts 40 (Zen) to 140 (Skylake) cycles: this many are 10 to 40 us, longer than any phase between barriers of a
# small network, far shorter than a scheduler's time slice.
SPINS = 1000


def _word(builder, pointer_as_integer):
    return builder.inttoptr(pointer_as_integer, INT64.as_pointer())


@intrinsic
def atomic_add(typingctx, place, value):
    """Add to the int64 at `place`; return what it held before."""

    def codegen(context, builder, signature, arguments):
        return builder.atomic_rmw("add", _word(builder, arguments[0]), arguments[1], "acq_rel")

    return types.intp(types.intp, types.intp), codegen


@intrinsic
def atomic_load(typingctx, place):
    """Read the int64 at `place`, and everything written before it was."""

    def codegen(context, builder, signature, arguments):
        return builder.load_atomic(_word(builder, arguments[0]), "acquire", 8)

    return types.intp(types.intp), codegen


@intrinsic
def atomic_store(typingctx, place, value):
    """Write the int64 at `place` after everything written so far."""

    def codegen(context, builder, signature, arguments):
        builder.store_atomic(arguments[1], _word(builder, arguments[0]), "release", 8)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp), codegen


@intrinsic
def exchange_if(typingctx, place, expected, value):
    """Write `value` to the int64 at `place` if that is `expected`, in one step; return whether it was."""

    def codegen(context, builder, signature, arguments):
        place, expected, value = arguments
        result = builder.cmpxchg(_word(builder, place), expected, value, "acq_rel", "acquire")
        return builder.extract_value(result, 1)

    return types.boolean(types.intp, types.intp, types.intp), codegen


@intrinsic
def pause(typingctx):
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
def yield_processor(typingctx):
    """Let another thread run on this core."""
    name = "SwitchToThread" if sys.platform == "win32" else "sched_yield"

    def codegen(context, builder, signature, arguments):
        builder.call(declare(builder.module, name, ir.IntType(32), []), [])
        return context.get_dummy_value()

    return types.void(), codegen


@helper
def wait_a_little(spins):
    """One turn of a waiting loop, the `spins`-th: the first ones keep the processor, later ones yield it."""
    if spins < SPINS:
        pause()
    else:
        yield_processor()


@helper
def barrier(sync, threads):
    """Wait until all `threads` threads are here; False if the team was told to give up. `sync` is the sync array's address."""
    if threads == 1:
        return True
    generation = atomic_load(sync + 8 * GENERATION)
    if atomic_add(sync + 8 * ARRIVED, 1) == threads - 1:
        atomic_store(sync + 8 * ARRIVED, 0)
        atomic_store(sync + 8 * GENERATION, generation + 1)
        return True
    spins = 0
    while atomic_load(sync + 8 * GENERATION) == generation:
        if atomic_load(sync + 8 * ABORTED) != 0:
            return False
        wait_a_little(spins)
        spins += 1
    return True


@helper
def share(total, thread, threads):
    """The part [first, last) of `total` equal pieces of work that belongs to `thread`."""
    return total * thread // threads, total * (thread + 1) // threads
