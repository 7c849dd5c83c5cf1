"""How many threads to use: what was asked for, within what there is."""

import contextlib
import math
import operator
import os
import time

import numpy as np

COUNT_VARIABLE = "FASTNN_NUM_THREADS"

_chosen = None  # what set_num_threads was told
_quota = (-math.inf, math.inf)  # when the container's was looked up, and what it was
_asked, _answer = -math.inf, 1  # when get_num_threads was last asked for a product, and what it said


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
    global _chosen, _asked
    _chosen, _asked = _whole_positive(n, "n"), -math.inf


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


def threads_for_product():
    """`get_num_threads()` as it was within the last millisecond: to ask takes 1.5 us, an eighth of 128 x 512 x 10."""
    global _asked, _answer
    now = time.perf_counter()
    if now > _asked + 0.001:
        _answer, _asked = get_num_threads(), now
    return _answer
