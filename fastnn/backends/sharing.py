"""How a training step is shared out: how many threads are worth it, and whether a batch is cut into slices."""

import math
from itertools import pairwise

# Operations a second of one thread, about, and how many it makes while one more thread passes a barrier: in 50 ns, measured
# with two threads and assumed of more, which meet at one counter.
SPEED = 250e9
_OPERATIONS_PER_BARRIER = 12_500

# Of slices, see kernels/slices.py: the most rows in one, the least in a batch that is cut, and the most parts that they form. Of
# wide inputs a slice has fewer rows, as they should stay in a second-level cache.
SLICE_ROWS = 128
LEAST_CUT = 2 * SLICE_ROWS
_LEAST_ROWS, _SLICE_BYTES = 32, 800_000
_MOST_PARTS = 16
_MOST_PARTIAL_BYTES = 64_000_000

# What cutting gains and costs, counted in bytes that are read again from far away in the same time. A batch's bytes beyond CACHED
# have left the caches between forward and update. To meet at a barrier, and to wait for what others wrote, takes 1.5 us. A byte
# of a part's gradient is written, and added up, from near by.
_CACHED = 1_600_000
_BYTES_PER_BARRIER = 20_000
_PARTIAL_COST = 0.25
# The last of fewer parts keep other threads waiting about as long as reading again does (784-128-64-10, 3072-256-10, 512 rows).
_LEAST_TO_SHARE = 8


def work(sizes, batch):
    """Operations in a step, about."""
    return 6 * batch * sum(a * b for a, b in pairwise(sizes))


def parts_of_batch(sizes, batch, itemsize):
    """Into how many parts batches of at most `batch` rows are cut, or 0 where all threads share each phase of a step.

    The threads do not count: the bits must not depend on them.
    """
    parts = min(-(-batch // SLICE_ROWS), _MOST_PARTS)
    partial_bytes = parts * itemsize * sum(a * b for a, b in pairwise(sizes))
    if batch < LEAST_CUT or partial_bytes > _MOST_PARTIAL_BYTES:
        return 0
    gain = _BYTES_PER_BARRIER * (3 * (len(sizes) - 1) - 2)
    if parts >= _LEAST_TO_SHARE:
        gain += max(0, batch * sum(sizes) * itemsize - _CACHED)
    return parts if gain > _PARTIAL_COST * partial_bytes else 0


def rows_of_slice(inputs, itemsize):
    """The most rows in a slice of a batch that is cut."""
    return min(SLICE_ROWS, max(_LEAST_ROWS, _SLICE_BYTES // (inputs * itemsize)))


def useful_threads(sizes, batch, parts):
    """How many threads make a step quickest: with t of them it takes work / t + barriers t, least at the root of their ratio.

    Of a batch that is cut into parts, as many as there are.
    """
    if parts:
        return parts
    barriers = 3 * (len(sizes) - 1)
    return max(1, math.isqrt(work(sizes, batch) // (barriers * _OPERATIONS_PER_BARRIER)))
