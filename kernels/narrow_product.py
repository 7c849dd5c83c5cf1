"""C = A B with so few columns that vectors of them would be mostly padding: B^T is kept as rows, and vectors run along those."""

from ._jit import helper
from .functions import stack_words
from .layers import count_up, strips
from .processor import VECTOR_BYTES
from .product_plan import B_COLUMN, B_ROW, COLUMN_COUNT, DIRECT_B, ROW_COUNT, SUM_LENGTH
from .rest_code import AT_ONCE, TOGETHER, multiply_rest
from .shares import THREAD, next_tiles, queue_of
from .sync import barrier, share
from .tile import address
from .transpose import transpose_block


@helper
def _pack_rows(thread, threads, numbers, b, step, packed):
    """A thread's part of packed[c * step + k] = B[k, c], 0 behind the last row of B. There is room for a vector of columns."""
    columns, depth = numbers[COLUMN_COUNT], numbers[SUM_LENGTH]
    b_row, b_column = numbers[B_ROW], numbers[B_COLUMN]
    vector = VECTOR_BYTES // b.itemsize
    kind = b.dtype.type(0)
    first, last = share(step // vector, thread, threads)
    for start in range(first * vector, last * vector, vector):
        stop = min(start + vector, depth)
        if b_column == 1 and (start + vector) * columns + vector <= depth * columns:
            # Whole vectors are read, beyond the row's end, too.
            transpose_block(address(b, start * columns), columns, address(packed, start), step, kind)
            continue
        for c in range(columns):
            for k in range(start, stop):
                packed[c * step + k] = b[k * b_row + c * b_column]
            for k in range(stop, start + vector):
                packed[c * step + k] = kind


@helper
def multiply_narrow(thread, threads, sync, queues, numbers, a, b, out, packed):
    """A thread's part of C = A B, as product_plan.py says; flat views of what is stored, and of room for B^T.

    A lane of a sum adds up every 16th product (of float32, by vectors of 512 bits), and the lanes come together at the end.
    """
    rows, columns, depth = numbers[ROW_COUNT], numbers[COLUMN_COUNT], numbers[SUM_LENGTH]
    itemsize = out.itemsize
    vector = VECTOR_BYTES // itemsize
    step = (depth + vector - 1) // vector * vector
    direct = numbers[DIRECT_B] != 0
    if not direct:
        _pack_rows(thread, threads, numbers, b, step, packed)
    if not barrier(sync, threads):
        return
    b_rows = address(b, 0) if direct else address(packed, 0)
    places, zeros = stack_words(AT_ONCE), stack_words(TOGETHER)
    for word in range(TOGETHER):
        zeros[word] = 0
    low = out.dtype.type(-float("inf"))
    count = strips(rows)
    queue = queue_of(queues, 0, 1, count, thread, threads)
    begin, end, whose = next_tiles(queue, queue[THREAD], step)
    while begin < end:
        for strip in range(begin, end):
            start, stop = strip * rows // count, (strip + 1) * rows // count
            groups = (stop - start + AT_ONCE - 1) // AT_ONCE
            first = start
            for group in range(groups):
                last = start + (group + 1) * (stop - start) // groups
                count_up(address(a, first * depth), depth * itemsize, places[: last - first])
                for c in range(0, columns, TOGETHER):
                    column = min(c, columns - TOGETHER)  # the last ones together with some of those before
                    multiply_rest(
                        last - first, address(places, 0), depth, b_rows + column * step * itemsize, step,
                        address(out, first * columns + column), columns, address(zeros, 0), low,
                    )  # fmt: skip
                first = last
        begin, end, whose = next_tiles(queue, whose, step)
