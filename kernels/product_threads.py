"""Who computes a product: all threads, where they are at hand or it is worth to wake them, or the caller's alone."""

import math
import time

from .jobs import ASLEEP, DONE, FAILED, NO_ROOM
from .threads import Team, keep, kept_lock

# To wake a thread takes 20 to 40 us, which multiply-adds below so many do not save.
_WORTH_WAKING = 10_000_000

# Multiply-adds a second of one thread that nothing disturbs, at the least: a twentieth of what AVX-512 does.
_SLOWEST = 4e9

# The caller works alone for so many times as long as it waited, and so many seconds at the most.
_ALONE, _LONGEST_ALONE = 4, 0.1


class _Products:
    """Times that are remembered from one product to the next."""

    ended = -math.inf  # when the caller alone did the last one
    roused = -math.inf  # when threads were last woken for the next
    pause = 0.002  # how long to wait until they are again
    alone_until = -math.inf  # after threads were waited for


_singles = []  # teams of one thread that nobody uses now


def run_product(threads, work, run, *arguments):
    """Have run(team's address, *arguments) compute so many multiply-adds, as Team.post does; return what it returned.

    With all threads, or in the caller's alone where `_with_team` says so, and where little work would have to wake the others.
    """
    if threads > 1:
        outcome = _with_team(threads, work, run, arguments)
        if outcome is not None and outcome != ASLEEP:
            return outcome
    try:
        team = _singles.pop()
    except IndexError:
        team = Team(1)
    try:
        outcome = run(team.address, *arguments)
        return team.post(run, *arguments, wake=False) if outcome == NO_ROOM else outcome
    finally:
        _singles.append(team)
        if threads > 1:
            _Products.ended = time.perf_counter()


def _with_team(threads, work, run, arguments):
    """`run_product` with all threads, or None, with nothing done, where they are not for that.

    That is so where another caller has the team; and for a while after work took 1 ms longer than it can, as another program had
    a thread's processor: beside two busy programs on two processors 256 x 784 x 100 took 20 ms on two threads, and 0.3 on one.
    Work that comes 0.1 ms after work of the caller alone wakes the team for the next: after 2 ms, 4, 8 ... while that is in vain,
    as on a busy machine they only take the caller's processor.
    """
    start = time.perf_counter()
    if start <= _Products.alone_until or not kept_lock.acquire(blocking=False):
        return None
    try:
        team = keep(threads)
        outcome = team.post(run, *arguments, wake=work >= _WORTH_WAKING)
        if outcome in (DONE, FAILED):
            end = time.perf_counter()
            _Products.pause = 0.002
            if end > start + work / (threads * _SLOWEST) + 0.001:
                _Products.alone_until = end + min(_ALONE * (end - start), _LONGEST_ALONE)
        elif (
            outcome == ASLEEP
            and start < _Products.ended + 0.0001
            and start > _Products.roused + _Products.pause
        ):
            _Products.roused = start
            _Products.pause = min(2 * _Products.pause, 1)
            team.wake()
        return outcome
    finally:
        kept_lock.release()
