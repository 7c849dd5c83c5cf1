"""A row of the table of kernels, and what it means for a kernel and its reference to agree."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastnn.kernels.tile import ROWS, lanes

# Around the register tile's edges, and primes.
_TILE = (ROWS, lanes(4), lanes(8), 2 * lanes(4), 2 * lanes(8))
EDGES = tuple(sorted({1, 2, 3, 5, 7, 13, *(n + d for n in _TILE for d in (-1, 0, 1) if n + d > 0)}))


@dataclass(frozen=True)
class Case:
    """A kernel, what it is compared with, and how much work it is."""

    name: str
    kernel: Callable[..., Any]  # of the inputs: an array, or a tuple of arrays
    reference: Callable[..., Any]  # the same in plain lists and float64
    make_inputs: Callable[..., tuple]  # of (rng, size, dtype)
    bound: Callable[..., tuple]  # of (dtype, *inputs): how far each result may be off, in units of eps
    axes: tuple[tuple[int, ...], ...]  # for each number in a size, the values worth testing
    bench_sizes: tuple[tuple[int, ...], ...]
    flops: Callable[..., int]  # additions, multiplications, divisions, roots and exponentials of a size
    elements: Callable[..., int]  # read or written at least once; times the item size: bytes
    numpy: Callable[..., Any] | None = None  # what a NumPy user would write
    overwrites: bool = False  # whether the kernel changes its inputs

    def bytes(self, size, dtype):
        return self.elements(*size) * np.dtype(dtype).itemsize


def results(value):
    """The results of a kernel or reference as a list of arrays."""
    return [np.asarray(part) for part in value] if isinstance(value, tuple) else [np.asarray(value)]


def assert_within(actual, expected, bound, dtype):
    """|actual - expected| <= eps * bound, element by element; NaN equals NaN."""
    for one, other, limit in zip(results(actual), results(expected), bound, strict=True):
        if one.size == other.size == 0:  # a list of no rows does not show its columns
            continue
        assert one.shape == other.shape
        allowed = np.broadcast_to(np.finfo(dtype).eps * limit, one.shape)
        with np.errstate(invalid="ignore"):
            right = (np.abs(one - other) <= allowed) | (one == other) | (np.isnan(one) & np.isnan(other))
        for place in map(tuple, np.argwhere(~right)):
            raise AssertionError(f"at {place}: {one[place]}, not {other[place]} +- {allowed[place]:.1e}")


def double(*arrays):
    """The arrays in float64."""
    return [array.astype(np.float64) for array in arrays]


def numpy_softmax(x):
    """Softmax of each row as a NumPy user would write it."""
    e = np.exp(x - x.max(axis=1, keepdims=True))
    e /= e.sum(axis=1, keepdims=True)
    return e
