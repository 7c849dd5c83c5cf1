"""Calls of kernels by a team of threads, handed over in compiled code: `lead` is the caller's part, `serve` that of the others.

A thread stays in `serve` after a job for a while, spinning, and finds the next one there 0.2 us after it was posted. Then it
sleeps, in there, too, and takes 20 to 200 us to wake up on a virtual processor. It never waits for Python's lock: who calls one
product after another holds that whenever a thread that was woken asks for it. (Of 100 products of 97 x 513 x 31 after a pause,
30 to 40 us each, such a thread met none in half of the tries.)

A kernel that a team runs is a function kernel(thread, threads, sync, ...), compiled by `team_kernel` of _jit.py. Its
arguments lie on the stack of `lead`; the others get their address, and that of a function that unpacks them.
"""

import hashlib

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.extending import intrinsic

from ._jit import helper, jit
from .bell import wait_for_ring
from .sync import (
    ABORTED,
    ARRIVED,
    BARRIER_WORDS,
    atomic_add,
    atomic_load,
    atomic_store,
    exchange_if,
    pause,
    wait_a_little,
)
from .tile import address
from .vectors import INT64

# Words of the array `sync` behind those of the barrier: how many threads are through with the job, and whether one failed;
# the job, three addresses; whether one will be posted for certain, and whether there will be none any more; whether all but the
# caller are to leave the job; how many threads there are, and the memory that they have for a job; and for each thread its state
# and, while it is at work, what is left of its shares (shares.py); all on cache lines of their own.
_FINISHED, _FAILED, _JOB, EXPECTED, LEAVE, COUNT, STATES = range(BARRIER_WORDS, BARRIER_WORDS + 56, 8)
ENDED = EXPECTED + 1
# The workspace's address, how many bytes it has, and how many a job lacked that returned NO_ROOM.
WORKSPACE, ROOM, NEEDED = range(COUNT + 1, COUNT + 4)
THREAD_WORDS = 8
QUEUES = STATES + 1

# States of a thread: to be woken, or not there yet; in `serve`, until it falls asleep; claimed by `lead`; told to run the job.
_ASLEEP, _WAITING, _CLAIMED, _POSTED = range(4)

# A thread stays in `serve` for so many pauses after a job, 50 to 200 us. It never yields: beside a busy program it would not be
# back for milliseconds, while one that sleeps is woken at once. (Yielding for 5 ms made products of 784 x 128 x 512 beside
# NumPy's waiting threads ten times slower.)
_IDLE_SPINS = 5000

# What `lead` returns; and what else compiled code may that posts jobs, see Team.post.
DONE, FAILED, ASLEEP, OTHER_TYPES, NO_ROOM, UNKNOWN = range(6)


def sync_words(threads):
    """How long a team's array `sync` is."""
    return STATES + THREAD_WORDS * threads


@intrinsic
def _stored(typingctx, arguments):
    """The address of a tuple in the memory of the function that calls this, valid until that returns."""

    def codegen(context, builder, signature, values):
        place = cgutils.alloca_once(builder, values[0].type)
        builder.store(values[0], place)
        return builder.ptrtoint(place, INT64)

    return types.intp(arguments), codegen


def type_key(kinds):
    """A number for the types of a kernel's arguments: one compiled for others would read their memory wrongly."""
    return int.from_bytes(hashlib.sha256(" ".join(map(str, kinds)).encode()).digest()[:7], "little")


_JOB_TYPE = ir.FunctionType(INT64, [INT64] * 4)


def _call(context, builder, kernel, thread, threads, packed, arguments):
    """LLVM's code of kernel(thread, threads, *packed), `packed` being a tuple of type `arguments`: whether it failed."""
    unpacked = [builder.extract_value(packed, index) for index in range(len(arguments.types))]
    kinds = [types.intp, types.intp, *arguments.types]
    callee = context.call_conv.get_function_type(types.none, kinds)
    status, _ = context.call_conv.call_function(
        builder,
        builder.inttoptr(kernel, callee.as_pointer()),
        types.none,
        kinds,
        [thread, threads, *unpacked],
    )
    return status.is_error


@intrinsic
def call_kernel(typingctx, kernel, arguments):
    """Call the kernel at an address as the only thread of a team, with a tuple's arguments, `sync` first; whether it failed."""

    def codegen(context, builder, signature, values):
        alone = [ir.Constant(INT64, number) for number in (0, 1)]
        return _call(context, builder, values[0], *alone, values[1], arguments)

    return types.boolean(types.intp, arguments), codegen


@intrinsic
def _unpacking(typingctx, arguments):
    """The address of job(thread, threads, kernel, block), which calls kernel(thread, threads, *arguments).

    It returns whether that failed. `kernel` is an address, and `block` that of a tuple of this type.
    """

    def codegen(context, builder, signature, values):
        job = ir.Function(builder.module, _JOB_TYPE, "fastnn_job")
        job.linkage = "internal"
        inside = ir.IRBuilder(job.append_basic_block())
        thread, threads, kernel, block = job.args
        packed = inside.load(inside.inttoptr(block, values[0].type.as_pointer()))
        status = _call(context, inside, kernel, thread, threads, packed, arguments)
        inside.ret(inside.zext(status, INT64))
        return builder.ptrtoint(job, INT64)

    return types.intp(arguments), codegen


@intrinsic
def _type_key(typingctx, arguments):
    """`type_key` of a tuple's types."""

    def codegen(context, builder, signature, values):
        return ir.Constant(INT64, type_key(arguments.types))

    return types.intp(arguments), codegen


@intrinsic
def _call_job(typingctx, job, thread, threads, kernel, block):
    """Call the function at address `job`."""

    def codegen(context, builder, signature, arguments):
        function, *numbers = arguments
        return builder.call(builder.inttoptr(function, _JOB_TYPE.as_pointer()), numbers)

    return types.intp(*[types.intp] * 5), codegen


@helper
def _lead(job, kernel, block, threads, woken, sync):
    """Post a job and do the caller's part of it: all of `lead` that does not depend on the arguments' types."""
    if threads == 1:
        return DONE if _call_job(job, 0, 1, kernel, block) == 0 else FAILED
    # Those that were woken will come, sooner or later, and find the job; the others have to be there.
    if not woken:
        for thread in range(1, threads):
            if not exchange_if(sync + 8 * (STATES + THREAD_WORDS * thread), _WAITING, _CLAIMED):
                for claimed in range(1, thread):
                    atomic_store(sync + 8 * (STATES + THREAD_WORDS * claimed), _WAITING)
                return ASLEEP
    atomic_store(sync + 8 * ARRIVED, 0)
    atomic_store(sync + 8 * ABORTED, 0)
    atomic_store(sync + 8 * _FINISHED, 0)
    atomic_store(sync + 8 * _FAILED, 0)
    atomic_store(sync + 8 * LEAVE, 0)
    atomic_store(sync + 8 * _JOB, job)
    atomic_store(sync + 8 * (_JOB + 1), kernel)
    atomic_store(sync + 8 * (_JOB + 2), block)
    for thread in range(1, threads):
        atomic_store(sync + 8 * (STATES + THREAD_WORDS * thread), _POSTED)
    atomic_store(sync + 8 * EXPECTED, 0)
    failed = _call_job(job, 0, threads, kernel, block)
    if failed != 0:
        atomic_store(sync + 8 * ABORTED, 1)
    spins = 0
    while atomic_load(sync + 8 * _FINISHED) < threads - 1:
        wait_a_little(spins)
        spins += 1
    return FAILED if failed != 0 or atomic_load(sync + 8 * _FAILED) != 0 else DONE


@jit
def lead(kernel, key, threads, woken, *arguments):
    """Run kernel(thread, threads, *arguments) in every thread of a team, as its thread 0; return when all are through.

    kernel: an address. key: the `type_key` of the arguments that it was compiled for. arguments: the team's `sync` comes first.
    woken: whether every other thread was told to `serve` since sync[EXPECTED] was set.
    Returns DONE; FAILED, where a thread ran out of memory; or, with nothing done, OTHER_TYPES, where the arguments have others,
    or ASLEEP, where a thread is not in `serve`.
    """
    if key != _type_key(arguments):
        return OTHER_TYPES
    return _lead(_unpacking(arguments), kernel, _stored(arguments), threads, woken, address(arguments[0], 0))


@helper
def post(kernel, threads, arguments):
    """`lead` for compiled code: arguments, a tuple, are of the right types. Returns DONE, FAILED or ASLEEP."""
    sync = address(arguments[0], 0)
    woken = atomic_load(sync + 8 * EXPECTED) != 0
    return _lead(_unpacking(arguments), kernel, _stored(arguments), threads, woken, sync)


@jit
def serve(wait, bell, thread, threads, sync):
    """Run what `lead` posted for `thread`, and what it posts next, until the team has ended.

    When nothing came for a while, sleep until the Bell at this address rings, see wait_for_ring.
    """
    place = address(sync, 0)
    state = place + 8 * (STATES + THREAD_WORDS * thread)
    exchange_if(state, _ASLEEP, _WAITING)  # a job may be there
    spins = 0
    while True:
        if atomic_load(state) == _POSTED:
            job, kernel, block = (
                atomic_load(place + 8 * _JOB),
                atomic_load(place + 8 * (_JOB + 1)),
                atomic_load(place + 8 * (_JOB + 2)),
            )
            if _call_job(job, thread, threads, kernel, block) != 0:
                atomic_store(place + 8 * _FAILED, 1)
                atomic_store(place + 8 * ABORTED, 1)
            atomic_store(
                state, _WAITING
            )  # before the last of them lets `lead` return, which may post again at once
            atomic_add(place + 8 * _FINISHED, 1)
            spins = 0
        elif atomic_load(place + 8 * EXPECTED) != 0:
            wait_a_little(spins)  # here a thread may yield: others are still to come
            spins += 1
        elif atomic_load(place + 8 * ENDED) != 0:
            return
        elif spins > _IDLE_SPINS and exchange_if(state, _WAITING, _ASLEEP):
            wait_for_ring(wait, bell)
            exchange_if(state, _ASLEEP, _WAITING)
            spins = 0
        else:
            pause()
            spins += 1
