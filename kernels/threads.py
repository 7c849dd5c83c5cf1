"""How many threads to use, and the team of threads that runs a kernel side by side."""

import _thread
import contextlib
import ctypes
import math
import operator
import os
import time
from dataclasses import dataclass

import numba
import numpy as np
from numba import types

from ._kernel import compiled_address
from ._machine_code import NATIVE
from .bell import WAIT, Bell
from .jobs import (
    ASLEEP,
    ENDED,
    EXPECTED,
    FAILED,
    OTHER_TYPES,
    lead,
    serve,
    sync_words,
    type_key,
)

COUNT_VARIABLE = "FASTNN_NUM_THREADS"

# To wake a thread takes 20 to 40 us, which multiply-adds below so many do not save.
_WORTH_WAKING = 10_000_000

# Multiply-adds a second of one thread that nothing disturbs, at the least: a twentieth of what AVX-512 does.
_SLOWEST = 4e9

# The caller works alone for so many times as long as it waited, and so many seconds at the most.
_ALONE, _LONGEST_ALONE = 4, 0.1

_chosen = None  # what set_num_threads was told
_quota = (-math.inf, math.inf)  # when the container's was looked up, and what it was


def _cgroup_quota():
    """Processors' worth of time that the container may use, or infinity; looked up once a second, which takes 30 us."""
    global _quota
    now = time.monotonic()
    if now > _quota[0] + 1:
        _quota = now, _read_quota()
    return _quota[1]


def _read_quota():
    with contextlib.suppress(OSError, ValueError):  # version 2: "quota period", or "max period"
        with open("/sys/fs/cgroup/cpu.max", encoding="ascii") as file:
            quota, period = file.read().split()
        return math.inf if quota == "max" else int(quota) / int(period)
    with contextlib.suppress(OSError, ValueError):  # version 1: -1 for none
        with open("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", encoding="ascii") as file:
            quota = int(file.read())
        with open("/sys/fs/cgroup/cpu/cpu.cfs_period_us", encoding="ascii") as file:
            period = int(file.read())
        return math.inf if quota <= 0 else quota / period
    return math.inf


def available_threads():
    """Threads that can really run at once: the processors of the affinity mask, within the container's quota."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, int(min(affinity, _cgroup_quota())))


def _whole_positive(number, name):
    if isinstance(number, (bool, np.bool_)) or not hasattr(number, "__index__"):
        raise TypeError(f"{name} is {number!r}; it must be a whole number of at least 1")
    number = operator.index(number)
    if number < 1:
        raise ValueError(f"{name} is {number}; it must be a whole number of at least 1")
    return number


def set_num_threads(n):
    """Use `n` threads from now on, but never more than the affinity mask and the container's quota allow."""
    global _chosen
    _chosen = _whole_positive(n, "n")
    _Products.asked = -math.inf


def get_num_threads(threads=None):
    """Threads in use: `threads` if given, else set_num_threads, else FASTNN_NUM_THREADS, else all; at most those available.

    Raises ValueError or TypeError where the number is not whole and positive.
    """
    available = available_threads()
    if threads is not None:
        return min(_whole_positive(threads, "threads"), available)
    if _chosen is not None:
        return min(_chosen, available)
    named = os.environ.get(COUNT_VARIABLE, "").strip()
    if not named:
        return available
    if not (named.isascii() and named.isdecimal()) or not named.strip("0"):
        raise ValueError(f"{COUNT_VARIABLE} is {named!r}; it must be a whole number of at least 1")
    return available if len(named) > 9 else min(int(named), available)


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
        self._bells = [Bell() for _ in range(self.threads - 1)]
        self._members, self._allowed = {}, ()
        self._process = os.getpid()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def run(self, kernel, *arguments, wake=True):
        """Call kernel(thread, threads, sync, *arguments) in every thread and wait for all. `kernel` may be `compiled` already.

        With wake=False only where every other thread still looks out for work. Returns whether it was run.
        Ctrl-C may come between any two lines: no thread is at work then. Raises MemoryError where a thread ran out of it.
        """
        self._renew()
        if not isinstance(kernel, Compiled):
            kernel = compiled(kernel, self.sync, *arguments)
        outcome = lead(kernel.address, kernel.key, self.threads, False, self.sync, *arguments)
        if outcome == OTHER_TYPES:
            kernel = _compile(kernel.kernel, (self.sync, *arguments))
            outcome = ASLEEP
        if outcome == ASLEEP:
            if not wake:
                return False
            self.sync[EXPECTED] = 1  # nobody falls asleep again before the last one is awake
            try:
                self.wake()
                outcome = lead(kernel.address, kernel.key, self.threads, True, self.sync, *arguments)
            finally:
                self.sync[EXPECTED] = 0
        if self._allowed:
            self._use_all_processors()
        if outcome == FAILED:
            raise MemoryError("a kernel ran out of memory; give it less at once")
        return True

    def post(self, run, *arguments):
        """run(sync, threads, *arguments), which runs a job if every other thread looks out for work, and else returns 0."""
        self._renew()
        outcome = run(self.sync, self.threads, *arguments)
        if outcome and self._allowed:
            self._use_all_processors()
        return outcome

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
_kept_lock = _thread.allocate_lock()


def _keep(threads):
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
    if threads == 1 or not _kept_lock.acquire(blocking=False):
        with Team(threads) as team:
            yield team
        return
    try:
        yield _keep(threads)
    finally:
        _kept_lock.release()


class _Products:
    """What is remembered from one product to the next: times, and how many threads there were."""

    ended = -math.inf  # when the caller alone did the last one
    roused = -math.inf  # when threads were last woken for the next
    pause = 0.002  # how long to wait until they are again
    alone_until = -math.inf  # after threads were waited for
    asked, threads = -math.inf, 1  # when get_num_threads was asked, and what it said


def threads_for_product():
    """`get_num_threads()` as it was within the last millisecond: to ask takes 1.5 us, an eighth of 128 x 512 x 10."""
    now = time.perf_counter()
    if now > _Products.asked + 0.001:
        _Products.threads, _Products.asked = get_num_threads(), now
    return _Products.threads


def run_product(threads, work, kernel, *arguments):
    """Run a `compiled` kernel of so many multiply-adds with all threads, or in the caller's alone where that is better.

    That is so where `_with_team` says so, and where little work would have to wake the others.
    """
    if not _with_team(threads, work, lambda team: team.run(kernel, *arguments, wake=work >= _WORTH_WAKING)):
        ALONE.run(kernel, *arguments)
        _Products.ended = time.perf_counter()


def post_product(work, run, *arguments):
    """Have run(sync, threads, *arguments) compute so many multiply-adds if the team is there; return what it does, or None."""
    threads = threads_for_product()
    if threads == 1:
        return run(ALONE.sync, 1, *arguments)
    return _with_team(threads, work, lambda team: team.post(run, *arguments))


def _with_team(threads, work, run):
    """Have run(team) compute so many multiply-adds; return what it does, which says whether it did. Otherwise return None.

    That is so where another caller has the team; and for a while after work took 1 ms longer than it can, as another program had
    a thread's processor: beside two busy programs on two processors 256 x 784 x 100 took 20 ms on two threads, and 0.3 on one.
    Work that comes 0.1 ms after work of the caller alone wakes the team for the next: after 2 ms, 4, 8 ... while that is in vain,
    as on a busy machine they only take the caller's processor.
    """
    start = time.perf_counter()
    if start <= _Products.alone_until or not _kept_lock.acquire(blocking=False):
        return None
    try:
        team = _keep(threads)
        outcome = run(team)
        if outcome:
            end = time.perf_counter()
            _Products.pause = 0.002
            if end > start + work / (threads * _SLOWEST) + 0.001:
                _Products.alone_until = end + min(_ALONE * (end - start), _LONGEST_ALONE)
        elif start < _Products.ended + 0.0001 and start > _Products.roused + _Products.pause:
            _Products.roused = start
            _Products.pause = min(2 * _Products.pause, 1)
            team.wake()
        return outcome
    finally:
        _kept_lock.release()
