"""The last columns of C = A B, or all if they are few, so that vectors of them would be mostly padding.

Where A is stored, B^T is kept as rows of them, and vectors run along those: a lane of a sum adds up every 16th product (of
float32, by vectors of 512 bits), and the lanes come together at the end. As rest_code.py does it for layers. Where A^T is stored,
vectors run along its rows, and sums are those of all other columns.
"""

from ._jit import helper
from .functions import stack_words, view
from .layers import count_up, strips
from .processor import VECTOR_BYTES
from .product_plan import (
    A_DEPTH,
    B_COLUMN,
    B_ROW,
    C_ROW,
    COLUMN_COUNT,
    DEEP,
    DIRECT_REST,
    REST,
    ROW_COUNT,
    SUM_LENGTH,
)
from .rest_code import AT_ONCE, TOGETHER, multiply_rest
from .shares import THREAD, next_tiles, queue_of
from .sync import share
from .tile import ROWS, STORE, UPDATE, VECTORS, address, multiply_tile
from .transpose import transpose_block

_ASIDE = AT_ONCE * TOGETHER
_TILE = ROWS * VECTORS * VECTOR_BYTES // 8


@helper
def pack_rest(thread, threads, numbers, b, packed):
    """A thread's part of packed[c * step + k] = B[k, COLUMN_COUNT + c], 0 behind the last row of B and the last column.

    There is room for a vector of columns, and for TOGETHER; step: whole vectors.
    """
    rest, depth, column = numbers[REST], numbers[SUM_LENGTH], numbers[COLUMN_COUNT]
    b_row, b_column = numbers[B_ROW], numbers[B_COLUMN]
    vector = VECTOR_BYTES // b.itemsize
    kind = b.dtype.type(0)
    step = (depth + vector - 1) // vector * vector
    first, last = share(step // vector, thread, threads)
    for start in range(first * vector, last * vector, vector):
        stop = min(start + vector, depth)
        if b_column == 1 and (start + vector - 1) * b_row + column + vector <= depth * b_row:
            # Whole vectors are read, beyond the row's end, too.
            transpose_block(address(b, start * b_row + column), b_row, address(packed, start), step, kind)
            continue
        for c in range(max(rest, TOGETHER)):
            for k in range(start, stop if c < rest else start):
                packed[c * step + k] = b[k * b_row + (column + c) * b_column]
            for k in range(stop if c < rest else start, start + vector):
                packed[c * step + k] = kind


@helper
def multiply_rest_columns(thread, threads, slot, queues, numbers, a, b, out, packed):
    """A thread's part of those columns of C, where A is stored as it is; flat views of what is stored, and of what is packed.

    slot: of the queue, see queue_of.
    """
    rows, rest, depth = numbers[ROW_COUNT], numbers[REST], numbers[SUM_LENGTH]
    column, c_row = numbers[COLUMN_COUNT], numbers[C_ROW]
    itemsize = out.itemsize
    vector = VECTOR_BYTES // itemsize
    step = (depth + vector - 1) // vector * vector
    b_rows = address(b, column * step) if numbers[DIRECT_REST] != 0 else address(packed, 0)
    places, zeros, aside = stack_words(AT_ONCE), stack_words(TOGETHER), stack_words(_ASIDE)
    for word in range(TOGETHER):
        zeros[word] = 0
    one = out.dtype.type(1)
    low = out.dtype.type(-float("inf"))
    few = view(address(aside, 0), _ASIDE, one)
    count = strips(rows)
    queue = queue_of(queues, slot, 1, count, thread, threads)
    begin, end, whose = next_tiles(queue, queue[THREAD], step)
    while begin < end:
        for strip in range(begin, end):
            start, stop = strip * rows // count, (strip + 1) * rows // count
            groups = (stop - start + AT_ONCE - 1) // AT_ONCE
            first = start
            for group in range(groups):
                last = start + (group + 1) * (stop - start) // groups
                count_up(address(a, first * depth), depth * itemsize, places[: last - first])
                for c in range(0, rest, TOGETHER):
                    # The last ones together with some of those before; fewer at all are stored beside C first.
                    shift = max(0, min(c, rest - TOGETHER))
                    place = first * c_row + column + shift
                    target = address(out, place) if rest >= TOGETHER else address(few, 0)
                    multiply_rest(
                        last - first, address(places, 0), depth, b_rows + shift * step * itemsize, step,
                        target, c_row if rest >= TOGETHER else TOGETHER, address(zeros, 0), low,
                    )  # fmt: skip
                    if rest < TOGETHER:
                        for row in range(last - first):
                            for j in range(rest):
                                out[place + row * c_row + j] = few[row * TOGETHER + j]
                first = last
        begin, end, whose = next_tiles(queue, whose, step)


@helper
def multiply_rest_rows(thread, threads, slot, queues, numbers, a, b, out):
    """A thread's part of those columns of C, where A^T is stored: rows of C^T, beside C first; flat views of what is stored.

    There are at least as many rows of C as a tile has columns. Sums are added up in the order of the other columns.
    """
    rows, rest, depth, deep = numbers[ROW_COUNT], numbers[REST], numbers[SUM_LENGTH], numbers[DEEP]
    column, a_depth, b_row, c_row = numbers[COLUMN_COUNT], numbers[A_DEPTH], numbers[B_ROW], numbers[C_ROW]
    panel = VECTORS * VECTOR_BYTES // out.itemsize
    one = out.dtype.type(1)
    few = view(address(stack_words(_TILE), 0), ROWS * panel, one)
    count = (rows + panel - 1) // panel
    queue = queue_of(queues, slot, 1, count, thread, threads)
    begin, end, whose = next_tiles(queue, queue[THREAD], depth)
    while begin < end:
        for tile in range(begin, end):
            start = min(tile * panel, rows - panel)
            for k in range(0, depth, deep):
                multiply_tile(
                    rest, VECTORS, min(deep, depth - k), address(b, k * b_row + column * numbers[B_COLUMN]), numbers[B_COLUMN],
                    b_row, address(a, k * a_depth + start), a_depth, address(few, 0), panel, 0, one,
                    STORE if k == 0 else UPDATE, 0,
                )  # fmt: skip
            for i in range(tile * panel - start, panel):
                for j in range(rest):
                    out[(start + i) * c_row + column + j] = few[j * panel + i]
        begin, end, whose = next_tiles(queue, whose, depth)
