"""The team of threads that runs a kernel side by side."""

import _thread
import contextlib
import ctypes
import os
from dataclasses import dataclass
from functools import partial

import numba
import numpy as np
from numba import types

from ._kernel import compiled_address
from ._machine_code import NATIVE
from .arrays import aligned_empty
from .bell import WAIT, Bell
from .jobs import (
    ASLEEP,
    COUNT,
    ENDED,
    EXPECTED,
    FAILED,
    NEEDED,
    NO_ROOM,
    OTHER_TYPES,
    ROOM,
    WORKSPACE,
    lead,
    serve,
    sync_words,
    type_key,
)

# A workspace of more bytes is given back to the system: most large products pack less at once. (Memory from the system, page by
# page, takes 1 us for 4 KB on a virtual machine, and 784 x 128 x 512 needs up to 23 of them.)
_MOST_KEPT = 8_000_000


@dataclass(frozen=True)
class Compiled:
    """A kernel's machine code for arguments of certain types."""

    kernel: object
    address: int
    key: int


_COMPILED = {}


def compiled(kernel, *arguments):
    """Return a `team_kernel` compiled for such arguments, `sync` first, or read from the cache; each once."""
    # What kernels are given mostly differs in dtypes alone, and `lead` notices what else does. To ask Numba again would take its
    # locks, and a child that another thread forks meanwhile would wait for them for ever.
    likeness = (kernel, *(getattr(argument, "dtype", None) for argument in arguments))
    if likeness not in _COMPILED:
        _COMPILED[likeness] = _compile(kernel, arguments)
    return _COMPILED[likeness]


def _compile(kernel, arguments):
    kinds = (types.intp, types.intp, *map(numba.typeof, arguments))
    return Compiled(kernel, compiled_address(kernel, kinds, NATIVE), type_key(kinds[2:]))


class Team:
    """Threads that run one kernel after another together: run(kernel, ...) calls kernel(thread, threads, sync, ...) in each.

    The caller is thread 0; the others live from the first run to close(). A team belongs to one caller at a time; any
    number of teams may work at once, and in a forked child a team makes its threads anew.
    """

    def __init__(self, threads, apart=False):
        """`apart`: whether to wake the others on other processors than the caller's, see `_kept_apart`."""
        self.threads, self._apart = threads, apart
        self._begin()

    def _begin(self):
        self.sync = np.zeros(sync_words(self.threads), dtype=np.int64)
        self.sync[COUNT] = self.threads
        self.address = self.sync.ctypes.data
        self._workspace = None
        self._bells = [Bell() for _ in range(self.threads - 1)]
        self._members, self._allowed = {}, ()
        self._process = os.getpid()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def run(self, kernel, *arguments):
        """Call kernel(thread, threads, sync, *arguments) in every thread and wait for all. `kernel` may be `compiled` already.

        Ctrl-C may come between any two lines: no thread is at work then. Raises MemoryError where a thread ran out of it.
        """
        self._renew()
        if not isinstance(kernel, Compiled):
            kernel = compiled(kernel, self.sync, *arguments)

        def call(kernel, woken):
            return lead(kernel.address, kernel.key, self.threads, woken, self.sync, *arguments)

        outcome = call(kernel, False)
        if outcome == OTHER_TYPES:
            kernel = _compile(kernel.kernel, (self.sync, *arguments))
            outcome = call(kernel, False)
        if outcome == ASLEEP:
            outcome = self._awake(partial(call, kernel, True))
        if self._allowed:
            self._use_all_processors()
        if outcome == FAILED:
            raise MemoryError("a kernel ran out of memory; give it less at once")

    def post(self, run, *arguments, wake):
        """run(self.address, *arguments), compiled code that posts a job by itself; returns what it returned.

        With `wake` ASLEEP is no answer. NO_ROOM is none, either: it is given a workspace, kept for the next unless it is large.
        """
        self._renew()
        outcome = run(self.address, *arguments)
        room = 0
        if outcome == NO_ROOM:
            room = int(self.sync[NEEDED])
            self.reserve(room)
            outcome = run(self.address, *arguments)
        if outcome == ASLEEP and wake:
            outcome = self._awake(partial(run, self.address, *arguments))
        if self._allowed and outcome != ASLEEP:
            self._use_all_processors()
        if room > _MOST_KEPT:
            self.reserve(0)
        return outcome

    def reserve(self, room):
        """Have a workspace of so many bytes, for jobs that compiled code posts."""
        self.sync[ROOM] = 0  # Ctrl-C may come between any two lines
        self._workspace = aligned_empty(room, np.uint8)
        self.sync[WORKSPACE : ROOM + 1] = self._workspace.ctypes.data, room

    def _awake(self, call):
        """call() when every other thread was told to look out for work, and none falls asleep again before the last is awake."""
        self.sync[EXPECTED] = 1
        try:
            self.wake()
            return call()
        finally:
            self.sync[EXPECTED] = 0

    def _renew(self):
        if self.threads > 1 and self._process != os.getpid():  # a forked child, in which the threads are not
            self._begin()

    def _use_all_processors(self):
        """Let the other threads, which are awake now, run on every processor that the caller may."""
        for member in list(self._members.values()):  # a new one may come meanwhile
            with contextlib.suppress(OSError):
                os.sched_setaffinity(member, self._allowed)
        self._allowed = ()

    def wake(self):
        """Have every other thread look out for work, in `serve`, now or once more after it fell asleep; waits for none."""
        if self._apart:
            self._allowed = _kept_apart(list(self._members.values()))
        for number, bell in enumerate(self._bells, 1):
            bell.ring()
            if number not in self._members:
                _thread.start_new_thread(_work, (number, self.threads, self.sync, bell, self._members))

    def close(self):
        """End the other threads; a team may be closed more than once, and used again."""
        if self._process == os.getpid():
            self.sync[ENDED] = 1
            for bell in self._bells:
                bell.ring()
        self._begin()


ALONE = Team(1)
"""The caller's thread and no other; any number of callers may run kernels with it at once."""


def _work(number, threads, sync, bell, members):
    """The life of a thread that is not the caller's. members: the numbers that the system has for them.

    Only the first of a number stays: wake() may have been called, or interrupted, before that was known to be there.
    """
    thread = _thread.get_native_id()
    if members.setdefault(number, thread) == thread:
        serve(WAIT, bell.address, number, threads, sync)


def _find_processor():
    """A function that returns the number of the processor that the caller runs on, or None where there is none."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    return getattr(ctypes.CDLL(None), "sched_getcpu", None)


_processor = _find_processor()


def _kept_apart(members):
    """Keep threads that are to be woken off the caller's processor; return those processors that they may use afterwards.

    Linux may wake a thread on the processor of who wakes it, though another is idle, and leave it there for 10 ms and more: both
    then wait for each other at half speed, as long as work comes in pieces of less. (Linux 6.18, two virtual processors: products
    of 300 x 300 x 300 after a pause took 750 to 900 us on two threads, one 560, now 290.) Training wakes its threads for 50 ms
    and more, and beside two busy programs it would take 1.1 times as long so.
    """
    if _processor is None or not members:
        return ()
    allowed = os.sched_getaffinity(0)
    others = allowed - {_processor()}
    if not others:
        return ()
    for member in members:
        with contextlib.suppress(OSError):
            os.sched_setaffinity(member, others)
    return allowed


_kept = None  # a team that waits for the next product or prediction
kept_lock = _thread.allocate_lock()


def keep(threads):
    """The kept team, of so many threads now; for those who hold the lock."""
    global _kept
    if _kept is None or _kept.threads != threads:
        if _kept is not None:
            _kept.close()
        _kept = Team(threads, apart=True)
    return _kept


@contextlib.contextmanager
def team_of(threads):
    """A team of so many threads, kept for the next who asks: starting threads takes 100 us and more.

    Where another caller has them, or one thread is enough, a team is made for this one.
    """
    if threads == 1 or not kept_lock.acquire(blocking=False):
        with Team(threads) as team:
            yield team
        return
    try:
        yield keep(threads)
    finally:
        kept_lock.release()
