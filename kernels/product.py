"""The general matrix product C = A B on the register tile, with operands packed where that pays.

Blocking as in Goto and van de Geijn (Anatomy of high-performance matrix multiplication, 2008): K is cut into blocks, so
that a panel of B and a strip of A stay in the first two cache levels. Each thread owns whole strips of C or whole panels.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ._jit import helper, team_kernel
from .arrays import ALIGNMENT
from .copy_block import copy_block
from .functions import view
from .layers import PLAN_WORDS, count_up, plan_rows, plan_tile, strips
from .processor import VECTOR_BYTES
from .shares import QUEUES_WORDS, THREAD, next_tiles, open_queues, queue_of
from .sync import barrier, share
from .tile import ROWS, STORE, STORE_PART, UPDATE, UPDATE_PART, VECTORS, address, multiply_tile
from .transpose import transpose_block, transpose_rows

# Rows of B in a block, at most; a quarter more, where that is all of B. A panel of 128 KB and a strip of A of 48 KB come from the
# second-level cache, fast enough for the tile; in smaller blocks, which fit the first, C would be read and written more often.
# (256 rows, on an Intel Xeon of 2023: 2048 x 2048 x 2048 at 144 GFLOP/s instead of 154, 1024 x 1024 x 1024 148 instead of 152.)
DEPTH = 1024
# Where A^T is read where it lies, few enough that the lines which two strips share are still in the first-level cache when the
# second reads them: 500 x 784 x 32 at 133 GFLOP/s instead of 122. Where B is one vector wide, twice as many.
DEPTH_OF_COLUMNS = 256

# What is packed at once, in bytes: of A, in the second-level cache of every thread; and of B, of which each reads its own panels.
_PACKED_A, _PACKED_B = 512 * 1024, 4096 * 1024

# B is read where it lies, if its rows are contiguous and it serves this many strips or fewer; A, if it serves this many panels
# or fewer: copying a number costs about as much as using it in three tiles.
_DIRECT_STRIPS = 4
_DIRECT_PANELS = 6

# Rows of B in a block whose tiles take long enough to ask for C meanwhile.
_LONG = 128

# Of A^T, when strips are packed: more of them than ways of the second-level cache's sets, where its rows are 8 KB long.
_ROWS_AT_ONCE = 64


# A product and how it is cut up, as numbers: its size, the steps of A and B in elements; what a Plan says.
ROW_COUNT, COLUMN_COUNT, SUM_LENGTH, A_ROW, A_DEPTH, B_ROW, B_COLUMN = range(7)
BY_PANELS, DIRECT_A, DIRECT_B, DEEP, SPAN, BLOCK, ROOM_A, ROOM_B = range(7, 15)


class Plan(NamedTuple):
    """How a product is cut up and what is copied."""

    numbers: np.ndarray
    """int64 (15,), see above: one argument instead of 15, which Numba would look at for 1.5 us.

    BY_PANELS: a thread computes a whole panel of C at a time, and packs B's panel just before; otherwise tiles, and all pack B
    together. DIRECT_A, DIRECT_B: what is read where it lies. DEEP: rows of B in a block. SPAN: how many are packed at once, whole
    blocks. BLOCK: strips of A packed at once. ROOM_A, ROOM_B: elements of the workspace for what is packed, B's for each thread
    if BY_PANELS.
    """
    shared: int
    """Elements of the workspace that all threads use."""
    own: int
    """And of each thread's part of it."""


def _evenly(total, most):
    """The size of `total` things' parts, of at most `most` each, all about the same."""
    parts = -(-total // max(1, most))
    return -(-total // parts)


@lru_cache
def plan(rows, columns, depth, transpose_a, transpose_b, itemsize):
    """Plan a product of A (rows, depth) and B (depth, columns), of which the transposes may be stored."""
    a_row, a_depth = (1, rows) if transpose_a else (depth, 1)
    b_row, b_column = (1, depth) if transpose_b else (columns, 1)
    vector = VECTOR_BYTES // itemsize
    panel = VECTORS * vector
    strip_count, panel_count = -(-rows // ROWS), -(-columns // panel)
    by_panels = strip_count < panel_count
    direct_a = panel_count <= _DIRECT_PANELS
    direct_b = b_column == 1 and (strip_count <= _DIRECT_STRIPS or b_row == panel)
    # A panel whose last vector is not full is always packed: a whole vector would be read beyond the end of B.
    width = panel if by_panels or direct_b else -(-columns // vector) * vector
    packs_b = not direct_b or columns % vector != 0
    most_deep = DEPTH
    if direct_a and transpose_a:
        most_deep = DEPTH_OF_COLUMNS if columns > vector else 2 * DEPTH_OF_COLUMNS
    deep = depth
    if depth > most_deep + most_deep // 4:
        deep = min(depth, -(-_evenly(depth, most_deep) // vector) * vector)
    most = depth  # rows of B at once
    if not direct_a and by_panels:
        most = _PACKED_A // (itemsize * rows)
    elif packs_b and not by_panels:
        most = _PACKED_B // (itemsize * width)
    span = _evenly(-(-depth // deep), most // deep) * deep
    block = strip_count
    if not direct_a:
        block = _evenly(strip_count, _PACKED_A // (itemsize * ROWS * min(span, depth)))
    room_a = 0 if direct_a else min(span, depth) * min(rows, ROWS * block) + vector * block
    room_b = packs_b * width * (deep if by_panels else min(span, depth))
    sizes = (rows, columns, depth, a_row, a_depth, b_row, b_column)
    numbers = np.array([*sizes, by_panels, direct_a, direct_b, deep, span, block, room_a, room_b], np.int64)
    return Plan(numbers, room_a + (0 if by_panels else room_b), room_b if by_panels else 0)


@helper
def _pack_panel(depth, column, used, width, b, b_row, b_column, packed):
    """packed[k, j] = B[k, column + j] for j < used, 0 up to width; B[k, j] is b[k * b_row + j * b_column]."""
    vector = VECTOR_BYTES // b.itemsize
    kind = b.dtype.type(0)
    if b_column == 1:
        copy_block(address(b, column), b_row, address(packed, 0), width, depth, used, kind)
        return
    whole_depth = depth // vector * vector
    for j in range(0, width, vector):
        columns = min(vector, used - j)
        for k in range(0, whole_depth, vector):
            source, target = address(b, (column + j) * b_column + k), address(packed, k * width + j)
            if columns == vector:
                transpose_block(source, b_column, target, width, kind)
            else:
                transpose_rows(source, b_column, target, width, columns, kind)
        for i in range(vector):
            for k in range(whole_depth, depth):
                packed[k * width + j + i] = b[(column + j + i) * b_column + k] if i < columns else kind


@helper
def _pack_strip(height, start, k_start, depth, a, a_row, a_depth, packed):
    """packed[k, i] = A[start + i, k_start + k]; A[i, k] is a[i * a_row + k * a_depth].

    Whole vectors are written: what is too much is overwritten next, or lies in the room of a vector behind the strip.
    """
    vector = VECTOR_BYTES // a.itemsize
    kind = a.dtype.type(0)
    source = start * a_row + k_start * a_depth
    last = (height - 1) // vector
    if a_row == 1:
        for group in range(last, -1, -1):
            used = min(vector, height - group * vector)
            copy_block(
                address(a, source + group * vector), a_depth, address(packed, group * vector), height, depth, used, kind
            )  # fmt: skip
        return
    whole_depth = depth // vector * vector
    for k in range(0, whole_depth, vector):
        for group in range(last, -1, -1):
            place = address(a, source + group * vector * a_row + k)
            target = address(packed, k * height + group * vector)
            if height - group * vector >= vector:
                transpose_block(place, a_row, target, height, kind)
            else:
                transpose_rows(place, a_row, target, height, height - group * vector, kind)
    for k in range(whole_depth, depth):
        for i in range(height):
            packed[k * height + i] = a[source + i * a_row + k]


@helper
def _pack_strips(thread, threads, numbers, first, last, k_start, depth, a, packed):
    """A thread's part of packing strips [first, last) of A, columns [k_start, k_start + depth), one strip behind the other."""
    rows, a_row = numbers[ROW_COUNT], numbers[A_ROW]
    vector = VECTOR_BYTES // a.itemsize
    count = strips(rows)
    begin, end = share(last - first, thread, threads)
    # Where rows of A are columns of what it is stored as, few at a time: the lines that two strips share are there.
    some = _ROWS_AT_ONCE if a_row == 1 else depth
    for k in range(0, depth, some):
        for strip in range(first + begin, first + end):
            start = strip * rows // count
            height = (strip + 1) * rows // count - start
            place = _strip_place(strip, first, rows, count, depth, vector) + k * height
            _pack_strip(
                height, start, k_start + k, min(some, depth - k), a, a_row, numbers[A_DEPTH], packed[place:]
            )  # fmt: skip


@helper
def _strip_place(strip, first, rows, count, depth, vector):
    """Where a packed strip begins, if strip `first` is the first that is packed: each has the room of a vector behind it."""
    return (strip * rows // count - first * rows // count) * depth + (strip - first) * vector


@helper
def _pack_panels(thread, threads, numbers, k_start, depth, b, packed):
    """A thread's part of packing rows [k_start, k_start + depth) of B, one panel behind the other.

    It packs about those panels that it will use: what another processor wrote last comes from afar. Where there are too few, all
    threads pack some rows of each.
    """
    columns, b_row = numbers[COLUMN_COUNT], numbers[B_ROW]
    vector = VECTOR_BYTES // b.itemsize
    panel = VECTORS * vector
    count = (columns + panel - 1) // panel
    parts = 1 if count >= threads else threads
    first, last = share(count * parts, thread, threads)
    for piece in range(first, last):
        column = piece // parts * panel
        used = min(panel, columns - column)
        width = (used + vector - 1) // vector * vector
        if numbers[DIRECT_B] != 0 and used == width:
            continue
        begin, end = share(depth, piece % parts, parts)
        _pack_panel(
            end - begin,
            column,
            used,
            width,
            b[(k_start + begin) * b_row :],
            b_row,
            numbers[B_COLUMN],
            packed[_panel_place(numbers, column, depth) + begin * width :],
        )


@helper
def _panel_place(numbers, column, depth):
    """Where the packed panel of B that begins at `column` lies: the only one where the others are read where they lie."""
    return 0 if numbers[DIRECT_B] != 0 else column * depth


@helper
def _multiply_strips(
    numbers,
    span_start,
    span_count,
    block_start,
    column,
    first_strip,
    last_strip,
    a,
    b,
    packed_a,
    packed_b,
    out,
    lines,
    counting,
):
    """The tiles of C in one panel and strips [first_strip, last_strip), so far as rows [span_start, ...) of B go.

    packed_a holds strips from block_start on; packed_b the panel, or all, or is room for one where this thread packs it.
    """
    rows, columns, b_row = numbers[ROW_COUNT], numbers[COLUMN_COUNT], numbers[B_ROW]
    by_panels, direct_a, direct_b = numbers[BY_PANELS] != 0, numbers[DIRECT_A] != 0, numbers[DIRECT_B] != 0
    everything, one = out.dtype.type(-float("inf")), out.dtype.type(1)
    itemsize = out.itemsize
    vector = VECTOR_BYTES // itemsize
    count = strips(rows)
    used = min(VECTORS * vector, columns - column)
    width = (used + vector - 1) // vector * vector
    part = used != width
    for k in range(0, span_count, numbers[DEEP]):
        k_start = span_start + k
        k_count = min(numbers[DEEP], span_count - k)
        if direct_b and not part:
            b_place, b_step = address(b, k_start * b_row + column), b_row
        elif by_panels:
            _pack_panel(
                k_count, column, used, width, b[k_start * b_row :], b_row, numbers[B_COLUMN], packed_b
            )
            b_place, b_step = address(packed_b, 0), width
        else:
            b_place, b_step = address(packed_b, _panel_place(numbers, column, span_count) + k * width), width
        mode = (STORE_PART if part else STORE) if k_start == 0 else (UPDATE_PART if part else UPDATE)
        for strip in range(first_strip, last_strip):
            start = strip * rows // count
            height = (strip + 1) * rows // count - start
            place = address(out, start * columns + column)
            ahead = 0
            if k == 0 and k_count >= _LONG:
                # C comes from afar, and all lines of a tile at once are waited for: 10 % of 2048 x 2048 x 2048 on an Intel Xeon
                # of 2023. (B's next panel, too, asked for line by line: 128 x 784 x 512 4 % slower.)
                plan_rows(lines, 0, height, counting, place, columns * itemsize, used * itemsize)
                ahead = plan_tile(lines, 0, 1, k_count)
            if direct_a:
                a_place = address(a, start * numbers[A_ROW] + k_start * numbers[A_DEPTH])
                row_step, k_step = numbers[A_ROW], numbers[A_DEPTH]
            else:
                strip_place = _strip_place(strip, block_start, rows, count, span_count, vector)
                a_place, row_step, k_step = address(packed_a, strip_place + k * height), 1, height
            multiply_tile(
                height, width // vector, k_count, a_place, row_step, k_step, b_place, b_step, place, columns,
                used if part else 0, everything if k_start == 0 else one, mode, ahead,
            )  # fmt: skip


@team_kernel
def multiply(thread, threads, sync, numbers, stored_a, stored_b, product, workspace):
    """C = A B in `product`; A and B or their transposes are stored in the arrays. All are C-contiguous matrices of one dtype.

    numbers: of a Plan. The workspace has room for aligning it, for what all threads share, and for what each has alone.
    """
    rows, columns, depth = numbers[ROW_COUNT], numbers[COLUMN_COUNT], numbers[SUM_LENGTH]
    by_panels, span, block = numbers[BY_PANELS] != 0, numbers[SPAN], numbers[BLOCK]
    # A[i, k] is a[i * A_ROW + k * A_DEPTH], and so with B: views made here, as NumPy takes 0.15 us for each.
    one = product.dtype.type(1)
    a = view(address(stored_a, 0), stored_a.size, one)
    b = view(address(stored_b, 0), stored_b.size, one)
    out = view(address(product, 0), product.size, one)
    vector = VECTOR_BYTES // out.itemsize
    panel = VECTORS * vector
    count, vectors = strips(rows), (columns + vector - 1) // vector
    lines, counting = np.empty(PLAN_WORDS, dtype=np.int64), np.empty(ROWS, dtype=np.int64)
    count_up(0, 1, counting)
    queues = np.empty(QUEUES_WORDS, dtype=np.int64)
    open_queues(sync, thread, queues)
    aligned = -address(workspace, 0) % ALIGNMENT // out.itemsize
    packed_a = workspace[aligned : aligned + numbers[ROOM_A]]
    packed_b = workspace[aligned + numbers[ROOM_A] + (thread * numbers[ROOM_B] if by_panels else 0) :]
    for span_start in range(0, depth, span):
        span_count = min(span, depth - span_start)
        for block_start in range(0, count, block):
            block_end = min(block_start + block, count)
            if (span_start > 0 or block_start > 0) and not barrier(address(sync, 0), threads):
                return  # others may still read what was packed before
            if numbers[DIRECT_A] == 0:
                _pack_strips(
                    thread, threads, numbers, block_start, block_end, span_start, span_count, a, packed_a
                )
            if not by_panels and block_start == 0:
                _pack_panels(thread, threads, numbers, span_start, span_count, b, packed_b)
            if not barrier(address(sync, 0), threads):
                return
            # A tile of this queue is one of C, or a panel of them.
            strips_a_tile = block_end - block_start if by_panels else 1
            tiles = (block_end - block_start) // strips_a_tile
            queue = queue_of(queues, 0, vectors, tiles, thread, threads)
            begin, end, whose = next_tiles(queue, queue[THREAD], span_count * strips_a_tile)
            while begin < end:
                first_strip = block_start + begin % tiles * strips_a_tile
                _multiply_strips(
                    numbers, span_start, span_count, block_start, begin // tiles * panel, first_strip,
                    first_strip + (end - begin) * strips_a_tile, a, b, packed_a, packed_b, out, lines, counting,
                )  # fmt: skip
                begin, end, whose = next_tiles(queue, whose, span_count * strips_a_tile)
