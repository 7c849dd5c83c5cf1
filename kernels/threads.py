"""How many threads to use, and the team of threads that runs a kernel side by side."""

import contextlib
import math
import operator
import os
import queue
import threading

import numpy as np

from .sync import ABORTED, SYNC_WORDS

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
    if not named.isdecimal() or int(named) < 1:
        raise ValueError(f"{COUNT_VARIABLE} is {named!r}; it must be a whole number of at least 1")
    return min(int(named), available)


class Team:
    """Threads that run one kernel after another together: run(kernel, ...) calls kernel(thread, threads, ...) in each.

    The caller is thread 0; the others live from the first run to close(). A team belongs to one caller at a time; any
    number of teams may work at once, and a forked child simply makes its own.
    """

    def __init__(self, threads):
        self.threads = threads
        self.sync = np.zeros(SYNC_WORDS, dtype=np.int64)
        self._inboxes = []
        self._finished = queue.SimpleQueue()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _start(self):
        for thread in range(1, self.threads):
            inbox = queue.SimpleQueue()
            worker = threading.Thread(
                target=_work, args=(thread, self.threads, self.sync, inbox, self._finished), name=f"fastnn-{thread}", daemon=True
            )  # fmt: skip
            worker.start()
            self._inboxes.append(inbox)

    def run(self, kernel, *arguments):
        """Call kernel(thread, threads, *arguments) in every thread and wait for all; the first exception is raised here."""
        if self.threads > 1 and not self._inboxes:
            self._start()
        self.sync[:] = 0
        posted = 0
        failure = None
        try:
            for inbox in self._inboxes:
                inbox.put((kernel, arguments))
                posted += 1
            kernel(0, self.threads, *arguments)
        except BaseException as error:  # also Ctrl-C: nobody may be left waiting at a barrier
            self.sync[ABORTED] = 1
            failure = error
        # Wait for every worker, whatever signals arrive meanwhile: they write into arrays that the caller owns.
        while posted:
            try:
                error = self._finished.get()
            except KeyboardInterrupt as interruption:
                failure = failure or interruption
                continue
            posted -= 1
            failure = failure or error
        if failure is not None:
            raise failure

    def close(self):
        """End the other threads; a team may be closed more than once, and used again."""
        for inbox in self._inboxes:
            inbox.put(None)
        self._inboxes = []


def _work(thread, threads, sync, inbox, finished):
    """A worker's life: run what the inbox brings until it brings None."""
    while (job := inbox.get()) is not None:
        kernel, arguments = job
        try:
            kernel(thread, threads, *arguments)
        except BaseException as error:
            sync[ABORTED] = 1
            finished.put(error)
        else:
            finished.put(None)
