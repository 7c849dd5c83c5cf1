"""Products like one before: their arrays are looked at, and the plan is found, in compiled code.

In Python that takes 3 us, and 5 where the product's numbers have driven Python's out of the caches: a third of the time of
500 x 32 x 32, a fifth of 128 x 512 x 10 on two threads. Here it takes 1, and 1.5 where a team is asked for.
"""

from functools import partial
from typing import NamedTuple

import numpy as np
from numba import from_dtype, types

from ._jit import helper, jit
from ._kernel import python_function
from .jobs import ASLEEP, DONE, call_kernel, post
from .product_plan import Plan
from .threads import ALONE
from .tile import address

# What an entry holds: the shapes of a and b as they are stored; which are transposed, see below; the threads that the plan is
# for, 0 where the caller's alone is always enough; the plan, and the room it needs.
_ROWS_A, _COLUMNS_A, _ROWS_B, _COLUMNS_B, _TRANSPOSED, _THREADS, _PLAN, _ROOM, _WORDS = range(9)

_MOST = 32
"""Entries: to look through them all takes 40 ns."""

UNKNOWN, COMPUTED, FAILED, LARGER = range(4)


@helper
def _whole(matrix):
    """Whether a matrix is C-contiguous, and its numbers lie where the processor reads them at once."""
    rows, columns = matrix.shape
    size = matrix.itemsize
    in_row = columns == 1 or matrix.strides[1] == size
    return in_row and (rows == 1 or matrix.strides[0] == columns * size) and address(matrix, 0) % size == 0


@jit
def multiply_again(kernel, entries, sync, threads, transposed, a, b, out, workspace, room):
    """out = op(a) op(b), if one of the entries is of such arrays and so many threads, and those look out for work.

    kernel: the address of product.py's. sync: the array of a team of so many threads; with 0 threads, of one, products that
    always are the caller's alone are computed. transposed: 2 for a, 1 for b, 3 for both. a, b, out: matrices of its dtype in any
    layout. workspace, room: the address of so many elements.
    Returns COMPUTED; FAILED, where a thread ran out of memory; or, with nothing done, LARGER, where the threads were not told, or
    UNKNOWN.
    """
    rows, columns = (
        (a.shape[1] if transposed & 2 else a.shape[0]),
        (b.shape[0] if transposed & 1 else b.shape[1]),
    )
    if out.shape[0] != rows or out.shape[1] != columns or not (_whole(a) and _whole(b) and _whole(out)):
        return UNKNOWN
    start, end = address(out, 0), address(out, 0) + out.size * out.itemsize
    for other in (a, b):
        if start < address(other, 0) + other.size * other.itemsize and address(other, 0) < end:
            return UNKNOWN
    otherwise = UNKNOWN
    for number in range(entries.shape[0]):
        entry = entries[number]
        if (
            entry[_ROWS_A] == a.shape[0]
            and entry[_COLUMNS_A] == a.shape[1]
            and entry[_ROWS_B] == b.shape[0]
            and entry[_COLUMNS_B] == b.shape[1]
            and entry[_TRANSPOSED] == transposed
            and entry[_ROOM] <= room
        ):
            if entry[_THREADS] == threads:
                arguments = (sync, entry[_PLAN], a, b, out, workspace)
                if threads <= 1:
                    return FAILED if call_kernel(kernel, arguments) else COMPUTED
                outcome = post(kernel, threads, arguments)
                return UNKNOWN if outcome == ASLEEP else COMPUTED if outcome == DONE else FAILED
            if threads == 0:
                otherwise = LARGER
    return otherwise


class Repeated(NamedTuple):
    """The products of a dtype that came last."""

    run: partial
    """`multiply_again` from `sync` on, for Python, which takes all matrices to be of this dtype."""
    alone: partial
    """The same from `transposed` on, for products that are always the caller's alone."""
    entries: np.ndarray
    """int64 (at most _MOST, _WORDS); never changed, as another thread may look through it."""
    plans: tuple[Plan, ...]
    """Those in the entries, kept alive."""


def with_product(repeated, kernel, threads, transpose_a, transpose_b, a, b, plan):
    """`repeated`, or where that is None the first of its dtype, with a product that the compiled `kernel` has computed.

    threads: those that the plan is for, 0 where the caller's alone is always enough. The oldest is left out where there are too
    many.
    """
    if repeated is None:
        function = python_function(multiply_again, _kinds(a.dtype))
        entries, plans = np.empty((0, _WORDS), np.int64), ()
    elif any(known is plan for known in repeated.plans):
        return repeated  # it went the long way, as its arrays or the workspace were others, or a thread slept
    else:
        function, entries, plans = repeated.run.func, repeated.entries, repeated.plans
    room = plan.shared + max(1, threads) * plan.own
    entry = (*a.shape, *b.shape, 2 * transpose_a + transpose_b, threads, plan.address, room)
    entries = np.vstack([np.array([entry], np.int64), entries[: _MOST - 1]])
    run = partial(function, kernel.address, entries)
    return Repeated(run, partial(run, ALONE.sync, 0), entries, (plan, *plans[: _MOST - 1]))


def _kinds(dtype):
    """The types of what `multiply_again` takes."""
    matrix = types.Array(from_dtype(dtype), 2, "A")
    sync, entries = (types.Array(types.int64, dimensions, "C") for dimensions in (1, 2))
    number = types.intp
    return (number, entries, sync, number, number, matrix, matrix, matrix, number, number)
