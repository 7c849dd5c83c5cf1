"""Products like one before: their arrays are looked at, and the plan is found, in compiled code.

In Python that takes 3 us, and 5 where the product's numbers have driven Python's out of the caches: a third of the time of
500 x 32 x 32, a fifth of 128 x 512 x 10 on two threads.
Here it takes 0.3, as arrays are read where they lie; for Numba to look at them would take 0.4 more.
"""

from functools import cache, partial
from typing import NamedTuple

import numpy as np
from numba import types

from . import array_object
from ._jit import door, helper
from ._kernel import python_function
from .array_object import (
    C_CONTIGUOUS,
    F_CONTIGUOUS,
    OBJECT,
    contiguity,
    data,
    dtype_address,
    is_matrix,
    is_writeable,
    length,
    object_address,
)
from .functions import matrix, stack_words, view
from .interpreter import LET_GO, TAKE_BACK, let_go, take_back
from .jobs import (
    COUNT,
    DONE,
    FAILED,
    NEEDED,
    NO_ROOM,
    ROOM,
    STATES,
    THREAD_WORDS,
    UNKNOWN,
    WORKSPACE,
    call_kernel,
    post,
)
from .product_plan import NUMBERS
from .tile import address

# What the table begins with: addresses of what does not change in a process, and how many entries follow.
_ARRAY_TYPE, _TRUE, _FALSE, _LET_GO, _TAKE_BACK, _ENTRIES, _HEADER = range(7)

# What an entry holds: the shapes of a and b as they are stored; which are transposed, 2 for a, 1 for b, 3 for both; their dtype;
# the threads that the plan is for, ALWAYS_ALONE where the caller's is enough whatever there are; the kernel's address; the bytes
# that it needs; the plan's numbers.
_ROWS_A, _COLUMNS_A, _ROWS_B, _COLUMNS_B, _TRANSPOSED, _DTYPE, _ITEMSIZE, _THREADS, _KERNEL, _ROOM, _PLAN = (
    range(11)
)
_WORDS = _PLAN + NUMBERS

_MOST = 64
"""Entries: to look through them all takes 80 ns."""

ALWAYS_ALONE = 0

LARGER = UNKNOWN + 1
"""What `multiply_again` returns of a product that is known, but not as one that is always the caller's alone."""


@helper
def _flag(place, true, false):
    """1 or 0 for True or False, given their addresses; -1 for any other object."""
    return 1 if place == true else 0 if place == false else -1


@helper
def _stored(place, array_type):
    """C_CONTIGUOUS or F_CONTIGUOUS, how the matrix at an address is stored; 0 where it is none or stored otherwise."""
    if not is_matrix(place, array_type):
        return 0
    how = contiguity(place)
    return C_CONTIGUOUS if how & C_CONTIGUOUS else how


@helper
def _find(table, threads, a, stored_a, b, stored_b, transposed):
    """Where the entry of a product of these objects begins in the table; 0 where there is none, -1 where for other threads."""
    rows_a, columns_a = length(a, 0), length(a, 1)
    rows_b, columns_b = length(b, 0), length(b, 1)
    if stored_a == F_CONTIGUOUS:
        rows_a, columns_a, transposed = columns_a, rows_a, transposed ^ 2
    if stored_b == F_CONTIGUOUS:
        rows_b, columns_b, transposed = columns_b, rows_b, transposed ^ 1
    dtype = dtype_address(a)
    otherwise = 0
    for number in range(table[_ENTRIES]):
        place = _HEADER + number * _WORDS
        if (
            table[place + _ROWS_A] == rows_a
            and table[place + _COLUMNS_A] == columns_a
            and table[place + _ROWS_B] == rows_b
            and table[place + _COLUMNS_B] == columns_b
            and table[place + _TRANSPOSED] == transposed
            and table[place + _DTYPE] == dtype
        ):
            if table[place + _THREADS] == threads:
                return place
            otherwise = -1
    return otherwise


@helper
def _overlap(place, size, other, other_size):
    """Whether so many bytes at two addresses share some."""
    return place < other + other_size and other < place + size


@helper
def _compute(kernel, team, threads, plan, a, shape_a, b, shape_b, out, shape, workspace, one):
    """Have the team run the kernel, which is of the type of `one`. Returns DONE, FAILED or ASLEEP."""
    arguments = (
        view(team, STATES + THREAD_WORDS * max(1, threads), 0), plan, matrix(a, *shape_a, one), matrix(b, *shape_b, one),
        matrix(out, *shape, one), workspace,
    )  # fmt: skip
    if threads <= 1:
        return FAILED if call_kernel(kernel, arguments) else DONE
    return post(kernel, threads, arguments)


@door
def multiply_again(table, team, a, b, transpose_a, transpose_b, out):
    """out = op(a) op(b), if one of the entries is of such arrays and as many threads as the team has, and those are there.

    table: the address of a Known's. team: that of a team's `sync`; Python's lock is kept if its COUNT is ALWAYS_ALONE. The
    others are objects of any kind.
    Returns DONE or FAILED; or, with nothing done, ASLEEP, NO_ROOM, LARGER or UNKNOWN, which tells nothing of the arguments.
    """
    header, about = view(table, _HEADER, 0), view(team, STATES, 0)
    entries = view(table, _HEADER + header[_ENTRIES] * _WORDS, 0)
    threads = about[COUNT]
    a, b, out = object_address(a), object_address(b), object_address(out)
    array_type, true, false = header[_ARRAY_TYPE], header[_TRUE], header[_FALSE]
    transpose_a, transpose_b = (
        _flag(object_address(transpose_a), true, false),
        _flag(object_address(transpose_b), true, false),
    )
    if transpose_a < 0 or transpose_b < 0:
        return UNKNOWN
    stored_a, stored_b = _stored(a, array_type), _stored(b, array_type)
    if stored_a == 0 or stored_b == 0 or _stored(out, array_type) != C_CONTIGUOUS or not is_writeable(out):
        return UNKNOWN
    if dtype_address(a) != dtype_address(b) or dtype_address(a) != dtype_address(out):
        return UNKNOWN
    place = _find(entries, threads, a, stored_a, b, stored_b, 2 * transpose_a + transpose_b)
    if place == 0:
        return UNKNOWN
    if place < 0:
        return LARGER if threads == ALWAYS_ALONE else UNKNOWN
    entry = entries[place : place + _WORDS]
    rows = entry[_COLUMNS_A] if entry[_TRANSPOSED] & 2 else entry[_ROWS_A]
    columns = entry[_ROWS_B] if entry[_TRANSPOSED] & 1 else entry[_COLUMNS_B]
    if length(out, 0) != rows or length(out, 1) != columns:
        return UNKNOWN
    itemsize = entry[_ITEMSIZE]
    size = rows * columns * itemsize
    place_a, place_b, place_out = data(a), data(b), data(out)
    shape_a, shape_b = (entry[_ROWS_A], entry[_COLUMNS_A]), (entry[_ROWS_B], entry[_COLUMNS_B])
    if _overlap(place_out, size, place_a, shape_a[0] * shape_a[1] * itemsize):
        return UNKNOWN
    if _overlap(place_out, size, place_b, shape_b[0] * shape_b[1] * itemsize):
        return UNKNOWN
    if entry[_ROOM] > about[ROOM]:
        about[NEEDED] = entry[_ROOM]
        return NO_ROOM
    # The table may be gone when Python's lock is.
    kernel, workspace, take_back_at = entry[_KERNEL], about[WORKSPACE], header[_TAKE_BACK]
    plan = stack_words(NUMBERS)
    for number in range(NUMBERS):
        plan[number] = entry[_PLAN + number]
    state = 0 if threads == ALWAYS_ALONE else let_go(header[_LET_GO])
    if itemsize == 4:
        outcome = _compute(
            kernel, team, threads, address(plan, 0), place_a, shape_a, place_b, shape_b, place_out, (rows, columns), workspace,
            np.float32(1),
        )  # fmt: skip
    else:
        outcome = _compute(
            kernel, team, threads, address(plan, 0), place_a, shape_a, place_b, shape_b, place_out, (rows, columns), workspace,
            np.float64(1),
        )  # fmt: skip
    if threads != ALWAYS_ALONE:
        take_back(take_back_at, state)
    return outcome


class Known(NamedTuple):
    """The products that came last; never changed, as another thread may look through it."""

    run: partial
    """`multiply_again` from `team` on, for Python."""
    table: np.ndarray
    """int64: a header, and at most _MOST entries, the last product's first."""
    keys: tuple[tuple, ...]
    """Of each entry, what it is found by."""


@cache
def _function():
    """`multiply_again` for Python, as all that it says of objects was found to hold here."""
    array_object.require_known_layout()
    return python_function(multiply_again, (types.intp, types.intp, *[OBJECT] * 5))


def _with_entries(keys, entries):
    table = np.empty(_HEADER + len(entries) * _WORDS, np.int64)
    table[:_HEADER] = id(np.ndarray), id(True), id(False), LET_GO, TAKE_BACK, len(entries)
    table[_HEADER:] = entries.ravel()
    return Known(partial(_function(), table.ctypes.data), table, keys)


def nothing_known():
    """A table without entries."""
    return _with_entries((), np.empty((0, _WORDS), np.int64))


def with_product(known, kernel, threads, a, b, transpose_a, transpose_b, plan):
    """`known` with a product that the compiled `kernel` computes; the oldest is left out where there are too many.

    threads: those that the plan is for, or ALWAYS_ALONE.
    """
    key = (*a.shape, *b.shape, 2 * transpose_a + transpose_b, id(a.dtype), a.itemsize, threads)
    if key in known.keys:
        return known
    room = plan.room(max(1, threads)) * a.itemsize
    entry = (*key, kernel.address, room, *plan.numbers)
    entries = known.table[_HEADER:].reshape(-1, _WORDS)[: _MOST - 1]
    return _with_entries((key, *known.keys[: _MOST - 1]), np.vstack([np.array([entry], np.int64), entries]))
