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
from .layers import PLAN_WORDS, panels, plan_rows, plan_tile, strips
from .processor import VECTOR_BYTES
from .sync import barrier, share
from .tile import ROWS, STORE, STORE_PART, UPDATE, UPDATE_PART, VECTORS, address, multiply_tile
from .transpose import transpose_block, transpose_rows

# Rows of B in a block: a panel is 32 KB (512-bit vectors) or 16 KB, a strip of A 12 KB or 6 KB, so that both fit the first-level
# cache. Where B is one vector wide, twice as many. (384 rows, on an Intel Xeon of 2023: 2048 x 2048 x 2048 at 140 GFLOP/s
# instead of 147.)
DEPTH = 256

# A block of A is so many strips at most: 96 KB or 48 KB of the second-level cache beside a panel of B; where each thread packs
# its own panels of B, once for a block, four times as many.
_STRIPS, _STRIPS_BY_PANELS = 8, 32

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
BY_PANELS, DIRECT_A, DIRECT_B, DEEP, BLOCK, SHARED, OWN = range(7, 14)


class Plan(NamedTuple):
    """How a product is cut up and what is copied."""

    numbers: np.ndarray
    """int64 (14,), see above: one argument instead of 14, which Numba would look at for 1.5 us.

    BY_PANELS: each thread computes whole panels of C, and packs its panels of B one by one; otherwise strips, and all pack all of
    B. DIRECT_A, DIRECT_B: what is read where it lies. DEEP: rows of B in a block. BLOCK: strips of A in a block.
    """
    shared: int
    """Elements of the workspace that all threads use."""
    own: int
    """And of each thread's part of it."""


@lru_cache
def plan(rows, columns, depth, a_row, a_depth, b_row, b_column, itemsize):
    """Plan a product of A (rows, depth) and B (depth, columns), whose rows and columns are so many elements apart."""
    vector = VECTOR_BYTES // itemsize
    panel = VECTORS * vector
    strip_count, panel_count = -(-rows // ROWS), -(-columns // panel)
    by_panels = strip_count < panel_count
    direct_a = panel_count <= _DIRECT_PANELS
    direct_b = b_column == 1 and (strip_count <= _DIRECT_STRIPS or b_row == panel)
    block = _STRIPS_BY_PANELS if by_panels else _STRIPS
    deep = min(depth, DEPTH if columns > vector else 2 * DEPTH)
    # A panel whose last vector is not full is always packed: a whole vector would be read beyond the end of B.
    width = panel if by_panels or direct_b else -(-columns // vector) * vector
    own = 0 if direct_a else deep * min(rows, ROWS * block) + vector * min(strip_count, block)
    packed = 0 if direct_b and columns % vector == 0 else deep * width
    shared, own = 0 if by_panels else packed, own + by_panels * deep * panel
    numbers = [
        rows,
        columns,
        depth,
        a_row,
        a_depth,
        b_row,
        b_column,
        by_panels,
        direct_a,
        direct_b,
        deep,
        block,
        shared,
        own,
    ]
    return Plan(np.array(numbers, np.int64), shared, own)


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


@team_kernel
def multiply(thread, threads, sync, numbers, a, b, out, workspace):
    """out[i, j] = sum_k A[i, k] B[k, j]: A[i, k] is a[i * A_ROW + k * A_DEPTH], B[k, j] is b[k * B_ROW + j * B_COLUMN].

    a, b, out (rows * columns) are 1-D; one of the steps of a and of b is 1. numbers: of a Plan. The workspace has room for
    aligning it, for SHARED elements, and for OWN of each thread.
    """
    rows, columns, depth = numbers[ROW_COUNT], numbers[COLUMN_COUNT], numbers[SUM_LENGTH]
    a_row, a_depth, b_row, b_column = numbers[A_ROW], numbers[A_DEPTH], numbers[B_ROW], numbers[B_COLUMN]
    by_panels, direct_a, direct_b = numbers[BY_PANELS] != 0, numbers[DIRECT_A] != 0, numbers[DIRECT_B] != 0
    deep, block, shared, own = numbers[DEEP], numbers[BLOCK], numbers[SHARED], numbers[OWN]
    itemsize = out.itemsize
    vector = VECTOR_BYTES // itemsize
    panel = VECTORS * vector
    everything = out.dtype.type(-float("inf"))
    one = out.dtype.type(1)
    panel_count = panels((columns + vector - 1) // vector * vector, itemsize)
    count = strips(rows)
    edge = columns % vector != 0
    first, last = share(panel_count, thread, threads)  # panels to pack
    # Where there are too few, all pack a part of each.
    packers = threads if panel_count < threads else 1
    if packers > 1:
        first, last = 0, panel_count
    first_panel, last_panel = 0, panel_count  # and to compute
    first_strip, last_strip = 0, count
    if by_panels:
        first_panel, last_panel = first, last
    else:
        first_strip, last_strip = share(count, thread, threads)
    lines, counting = np.zeros(PLAN_WORDS, dtype=np.int64), np.arange(ROWS)
    aligned = -address(workspace, 0) % ALIGNMENT // itemsize
    packed_b = workspace[aligned : aligned + shared]
    scratch = workspace[aligned + shared + thread * own : aligned + shared + (thread + 1) * own]
    if by_panels:  # a thread's own panel lies before its block of A
        packed_b = scratch
        scratch = scratch[deep * panel :]
    for k_start in range(0, depth, deep):
        k_count = min(deep, depth - k_start)
        if not by_panels:
            if k_start > 0 and not barrier(
                address(sync, 0), threads
            ):  # others may still read the block before
                return
            for p in range(first, last):
                column = p * panel
                used = min(panel, columns - column)
                width = (used + vector - 1) // vector * vector
                if not direct_b or used != width:
                    begin, end = share(k_count, thread if packers > 1 else 0, packers)
                    target = packed_b[(0 if direct_b else column * k_count) + begin * width :]
                    _pack_panel(
                        end - begin,
                        column,
                        used,
                        width,
                        b[(k_start + begin) * b_row :],
                        b_row,
                        b_column,
                        target,
                    )
            if not barrier(address(sync, 0), threads):
                return
        for strip_block in range(first_strip, last_strip, block):
            block_end = min(strip_block + block, last_strip)
            block_row = strip_block * rows // count
            if not direct_a:
                # Where rows of A are columns of what it is stored as, few at a time: the lines that two strips share are there.
                some = _ROWS_AT_ONCE if a_row == 1 else k_count
                for k in range(0, k_count, some):
                    for strip in range(strip_block, block_end):
                        start = strip * rows // count
                        height = (strip + 1) * rows // count - start
                        place = (start - block_row) * k_count + (strip - strip_block) * vector + k * height
                        _pack_strip(
                            height, start, k_start + k, min(some, k_count - k), a, a_row, a_depth, scratch[place:]
                        )  # fmt: skip
            for p in range(first_panel, last_panel):
                column = p * panel
                used = min(panel, columns - column)
                width = (used + vector - 1) // vector * vector
                part = edge and p == panel_count - 1
                if direct_b and not part:
                    b_place, b_step = address(b, k_start * b_row + column), b_row
                elif by_panels:
                    _pack_panel(k_count, column, used, width, b[k_start * b_row :], b_row, b_column, packed_b)
                    b_place, b_step = address(packed_b, 0), width
                else:
                    b_place, b_step = address(packed_b, 0 if direct_b else column * k_count), width
                mode = (STORE_PART if part else STORE) if k_start == 0 else (UPDATE_PART if part else UPDATE)
                for strip in range(strip_block, block_end):
                    start = strip * rows // count
                    height = (strip + 1) * rows // count - start
                    ahead = 0
                    if not by_panels and k_count >= _LONG:
                        # C comes from afar, and all lines of a tile at once are waited for: 10 % of 2048 x 2048 x 2048 on an
                        # Intel Xeon of 2023. (B's next panel, too, asked for line by line: 128 x 784 x 512 4 % slower.)
                        place = address(out, start * columns + column)
                        plan_rows(lines, 0, height, counting, place, columns * itemsize, used * itemsize)
                        ahead = plan_tile(lines, 0, 1, k_count)
                    if direct_a:
                        a_place = address(a, start * a_row + k_start * a_depth)
                        row_step, k_step = a_row, a_depth
                    else:
                        place = (start - block_row) * k_count + (strip - strip_block) * vector
                        a_place, row_step, k_step = address(scratch, place), 1, height
                    multiply_tile(
                        height, width // vector, k_count, a_place, row_step, k_step, b_place, b_step,
                        address(out, start * columns + column), columns, used if part else 0,
                        everything if k_start == 0 else one, mode, ahead,
                    )  # fmt: skip
