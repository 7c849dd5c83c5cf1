"""What the benchmarks share: the rate and the fraction of this machine's peak, beside every time measured."""

import sys
from functools import cache
from pathlib import Path

import pytest

from fastnn import kernels

sys.path.append(str(Path(__file__).parent))  # numpy_trainer and workloads


@cache
def _peak(threads, dtype):
    return kernels.fma_peak(threads, dtype=dtype)


@pytest.fixture
def record(benchmark):
    """A function that notes, from the median time, what so much work makes a second."""

    def note(flops=0, size_in_bytes=0, samples=0, threads=1, dtype="float32"):
        if benchmark.disabled:
            return
        seconds = benchmark.stats.stats.median
        if samples:
            benchmark.extra_info["samples/s"] = round(samples / seconds)
        if size_in_bytes:
            benchmark.extra_info["GB/s"] = round(size_in_bytes / seconds / 1e9, 2)
        if flops:
            benchmark.extra_info["GFLOP/s"] = round(flops / seconds / 1e9, 2)
            peak = _peak(threads, dtype)
            benchmark.extra_info["fraction of peak"] = round(flops / seconds / 1e9 / peak, 3)
            benchmark.extra_info["threads of peak"] = threads

    return note
