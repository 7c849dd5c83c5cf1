"""The processor's peak rate of fused multiply-adds, measured: the limit that every dense figure is quoted against."""

import time

import numpy as np

from ._jit import team_kernel
from .arrays import aligned_zeros
from .threads import Team
from .tile import ROWS, STORE, VECTORS, address, lanes, multiply_tile

_DEPTH = 128  # a strip of A and a panel of B this deep stay in the first-level cache


@team_kernel
def _repeat_tile(thread, threads, sync, repeats, a, b, c):
    own = address(c, thread * c.size // threads)
    vectors = VECTORS
    width = c.size // threads // ROWS
    for _ in range(repeats):
        multiply_tile(
            ROWS,
            vectors,
            _DEPTH,
            address(a, 0),
            1,
            ROWS,
            address(b, 0),
            width,
            own,
            width,
            0,
            c.dtype.type(0),
            STORE,
            0,
        )


def fma_peak(threads=1, seconds=0.2, dtype="float32"):
    """GFLOP/s of the register tile with all operands in the first-level cache, `threads` side by side: the best of many runs.

    One fused multiply-add counts as two operations.
    """
    dtype = np.dtype(dtype)
    width = VECTORS * lanes(dtype.itemsize)
    a = aligned_zeros(ROWS * _DEPTH, dtype)
    b = aligned_zeros(width * _DEPTH, dtype)
    c = aligned_zeros(threads * ROWS * width, dtype)
    repeats = 2000
    best = np.inf
    with Team(threads) as team:
        team.run(_repeat_tile, 1, a, b, c)  # compiles
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            start = time.perf_counter()
            team.run(_repeat_tile, repeats, a, b, c)
            best = min(best, time.perf_counter() - start)
    return 2 * threads * repeats * ROWS * width * _DEPTH / best / 1e9
