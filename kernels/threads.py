"""How many threads to use, and the team of threads that runs a kernel side by side."""

import _thread
import contextlib
import math
import operator
import os
import queue
import time

import numpy as np

from .sync import ABORTED, BARRIER_WORDS, POSTED, SYNC_WORDS, idle

COUNT_VARIABLE = "FASTNN_NUM_THREADS"

_chosen = None  # what set_num_threads was told


def _cgroup_quota():
    """Processors' worth of time that the container may use, or infinity."""
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


class _Job:
    """One call of a kernel by every thread of a team."""

    def __init__(self, kernel, arguments, threads):
        self.kernel, self.arguments = kernel, arguments
        self.given_up = False
        self.error = None
        # For each other thread, whether it is done, and a lock that it then releases: the quickest thing to wait for.
        self.done = [False] * (threads - 1)
        self.pending = [_thread.allocate_lock() for _ in range(threads - 1)]
        for lock in self.pending:
            lock.acquire()


class Team:
    """Threads that run one kernel after another together: run(kernel, ...) calls kernel(thread, threads, ...) in each.

    The caller is thread 0; the others live from the first run to close(). A team belongs to one caller at a time; any
    number of teams may work at once, and in a forked child a team makes its threads anew.
    """

    def __init__(self, threads):
        self.threads = threads
        self.sync = np.zeros(SYNC_WORDS, dtype=np.int64)
        self._inboxes = []
        self._process = os.getpid()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def run(self, kernel, *arguments):
        """Call kernel(thread, threads, *arguments) in every thread and wait for all; the first exception is raised here.

        Ctrl-C may come between any two lines: whatever was begun is then told to give up, and waited for, before
        KeyboardInterrupt goes on. The arrays are the caller's again when this returns or raises.
        """
        if self.threads == 1:
            kernel(0, 1, *arguments)
            return
        if self._process != os.getpid():  # a forked child, in which the threads are not
            self._inboxes, self._process = [], os.getpid()
        self.sync[:BARRIER_WORDS] = 0
        job = _Job(kernel, arguments, self.threads)
        try:
            while len(self._inboxes) < self.threads - 1:
                inbox = queue.SimpleQueue()
                _thread.start_new_thread(_work, (len(self._inboxes) + 1, self.threads, self.sync, inbox))
                self._inboxes.append(inbox)
            for inbox in self._inboxes:
                inbox.put(job)
            kernel(0, self.threads, *arguments)
            for lock in job.pending:
                lock.acquire()
        except BaseException:
            self._settle(job)
            raise
        finally:
            job.arguments = ()  # the threads still hold the job, and its arrays are to be freed
        if job.error is not None:
            raise job.error

    def _settle(self, job):
        """Make every thread give up, and wait until none is at work on `job`; further Ctrl-C do not interrupt this."""
        while True:
            try:
                job.given_up = True
                self.sync[ABORTED] = 1
                # A thread that was not yet told of the job must see it, too; one that did it already passes it over.
                for inbox in self._inboxes:
                    inbox.put(job)
                while not all(job.done[: len(self._inboxes)]):
                    time.sleep(0.0005)
                return
            except KeyboardInterrupt:
                continue

    def close(self):
        """End the other threads; a team may be closed more than once, and used again."""
        for inbox in self._inboxes:
            inbox.put(None)
        self.sync[POSTED] += 1
        self._inboxes = []


def _work(thread, threads, sync, inbox):
    """A worker's life: run what the inbox brings until it brings None.

    Before it sleeps at an empty inbox it looks out for the next announcement for a while. (That is read before the inbox: a job
    is put there first, and announced then.)
    """
    latest = None
    while True:
        posted = int(sync[POSTED])
        if latest is not None and inbox.empty():
            idle(sync, posted)
        job = inbox.get()
        if job is None:
            return
        if job is latest:
            continue
        latest = job
        try:
            if not job.given_up:
                job.kernel(thread, threads, *job.arguments)
        except BaseException as error:
            job.error = error
            sync[ABORTED] = 1
        finally:
            job.done[thread - 1] = True
            job.pending[thread - 1].release()


_kept = None  # a team that waits for the next product or prediction
_kept_lock = _thread.allocate_lock()


@contextlib.contextmanager
def team_of(threads):
    """A team of so many threads, kept for the next who asks: starting threads takes 100 us and more.

    Where another caller has them, or one thread is enough, a team is made for this one.
    """
    global _kept
    if threads == 1 or not _kept_lock.acquire(blocking=False):
        with Team(threads) as team:
            yield team
        return
    try:
        if _kept is None or _kept.threads != threads:
            if _kept is not None:
                _kept.close()
            _kept = Team(threads)
        yield _kept
    finally:
        _kept_lock.release()
