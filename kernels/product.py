"""The general matrix product C = A B on the register tile, cut up and packed as product_plan.py says."""

from ._jit import helper, team_kernel
from .copy_block import copy_block
from .fetch_ahead import PLAN_WORDS, plan_rows, plan_tile
from .functions import stack_words, view
from .layers import count_up, strips
from .processor import VECTOR_BYTES
from .product_plan import (
    A_DEPTH,
    A_ROW,
    B_COLUMN,
    B_ROW,
    BLOCK,
    C_ROW,
    COLUMN_COUNT,
    DEEP,
    DIRECT_A,
    DIRECT_B,
    NUMBERS,
    PANELS,
    REST,
    ROOM_A,
    ROOM_B,
    ROOM_REST,
    ROW_COUNT,
    SPAN,
    STRIPS,
    SUM_LENGTH,
    TAKES,
    TURNED,
    WIDE,
)
from .rest_product import multiply_rest_columns, multiply_rest_rows, pack_rest
from .shares import QUEUES_WORDS, THREAD, next_tiles, open_queues, queue_of, strip_cost
from .sync import barrier, share
from .tile import ROWS, STORE, STORE_PART, UPDATE, UPDATE_PART, VECTORS, address, multiply_tile
from .transpose import transpose_block, transpose_rows

_strip_cost = helper(strip_cost)

# Rows of B in a block whose tiles take long enough to ask for C meanwhile.
_LONG = 128

# Of A^T, when strips are packed: more of them than ways of the second-level cache's sets, where its rows are 8 KB long.
_ROWS_AT_ONCE = 64


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
    rows, columns = numbers[ROW_COUNT], numbers[COLUMN_COUNT]
    b_row, c_row = numbers[B_ROW], numbers[C_ROW]
    by_panels, direct_a, direct_b = numbers[TAKES] == PANELS, numbers[DIRECT_A] != 0, numbers[DIRECT_B] != 0
    one = out.dtype.type(1)
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
        stop = first_strip * rows // count
        for strip in range(first_strip, last_strip):
            start, stop = stop, (strip + 1) * rows // count
            height = stop - start
            place = address(out, start * c_row + column)
            ahead = 0
            if k == 0 and k_count >= _LONG:
                # C comes from afar, and all lines of a tile at once are waited for: 10 % of 2048 x 2048 x 2048 on an Intel Xeon
                # of 2023. (B's next panel, too, asked for line by line: 128 x 784 x 512 4 % slower.)
                plan_rows(lines, 0, height, counting, place, c_row * itemsize, used * itemsize)
                ahead = plan_tile(lines, 0, 1, k_count)
            if direct_a:
                a_place = address(a, start * numbers[A_ROW] + k_start * numbers[A_DEPTH])
                row_step, k_step = numbers[A_ROW], numbers[A_DEPTH]
            else:
                strip_place = _strip_place(strip, block_start, rows, count, span_count, vector)
                a_place, row_step, k_step = address(packed_a, strip_place + k * height), 1, height
            multiply_tile(
                height, width // vector, k_count, a_place, row_step, k_step, b_place, b_step, place, c_row,
                used if part else 0, one, mode, ahead,
            )  # fmt: skip


@helper
def _multiply_panels(
    numbers, span_start, span_count, start, stop, first, last, a, b, own_a, packed_b, out, lines, counting
):
    """The tiles of C in rows [start, stop), one strip, and columns [first, last), so far as rows [span_start, ...) of B go.

    own_a: room for the strip, which this thread packs.
    """
    columns, b_row, c_row = numbers[COLUMN_COUNT], numbers[B_ROW], numbers[C_ROW]
    direct_a, direct_b = numbers[DIRECT_A] != 0, numbers[DIRECT_B] != 0
    one = out.dtype.type(1)
    itemsize = out.itemsize
    vector = VECTOR_BYTES // itemsize
    height = stop - start
    for k in range(0, span_count, numbers[DEEP]):
        k_start = span_start + k
        k_count = min(numbers[DEEP], span_count - k)
        if direct_a:
            a_place = address(a, start * numbers[A_ROW] + k_start * numbers[A_DEPTH])
            row_step, k_step = numbers[A_ROW], numbers[A_DEPTH]
        else:
            _pack_strip(height, start, k_start, k_count, a, numbers[A_ROW], numbers[A_DEPTH], own_a)
            a_place, row_step, k_step = address(own_a, 0), 1, height
        for column in range(first, last, VECTORS * vector):
            used = min(VECTORS * vector, columns - column)
            width = (used + vector - 1) // vector * vector
            part = used != width
            if direct_b and not part:
                b_place, b_step = address(b, k_start * b_row + column), b_row
            else:
                b_place, b_step = (
                    address(packed_b, _panel_place(numbers, column, span_count) + k * width),
                    width,
                )
            mode = (STORE_PART if part else STORE) if k_start == 0 else (UPDATE_PART if part else UPDATE)
            place = address(out, start * c_row + column)
            ahead = 0
            if k == 0:
                # C's lines in the next strip: few rows of B are not enough for a tile's own lines to come meanwhile.
                following = min(height, numbers[ROW_COUNT] - stop)
                plan_rows(
                    lines, 0, following, counting, place + height * c_row * itemsize, c_row * itemsize, used * itemsize
                )  # fmt: skip
                ahead = plan_tile(lines, 0, 1, k_count)
            multiply_tile(
                height, width // vector, k_count, a_place, row_step, k_step, b_place, b_step, place, c_row,
                used if part else 0, one, mode, ahead,
            )  # fmt: skip


@helper
def _transpose_share(thread, threads, rows, columns, source, out):
    """A thread's part of out[j, i] = source[i, j], i < rows, j < columns: runs of `out`'s rows."""
    vector = VECTOR_BYTES // out.itemsize
    kind = out.dtype.type(0)
    first, last = share((columns + vector - 1) // vector, thread, threads)
    whole = rows // vector * vector
    for start in range(first * vector, last * vector, vector):
        stop = min(start + vector, columns)
        done = 0
        if stop == start + vector:
            for i in range(0, whole, vector):
                transpose_block(
                    address(source, i * columns + start), columns, address(out, start * rows + i), rows, kind
                )
            done = whole
            if whole == 0 and stop < last * vector and (stop - 1) * rows + vector <= out.size:
                # Whole vectors are written: what is too much is overwritten next, by this thread.
                transpose_rows(address(source, start), columns, address(out, start * rows), rows, rows, kind)
                done = rows
        for j in range(start, stop):
            for i in range(done, rows):
                out[j * rows + i] = source[i * columns + j]


@team_kernel
def multiply(thread, threads, sync, plan, stored_a, stored_b, product, workspace):
    """C = A B in `product`; A and B or their transposes are stored in the arrays. All are C-contiguous matrices of one dtype.

    plan: the address of a Plan's numbers. workspace: that of room for what all threads share, and for what each has alone.
    """
    numbers = view(plan, NUMBERS, 0)
    rows, columns, depth = numbers[ROW_COUNT], numbers[COLUMN_COUNT], numbers[SUM_LENGTH]
    by_panels, by_strips = numbers[TAKES] == PANELS, numbers[TAKES] == STRIPS
    span, block, wide = numbers[SPAN], numbers[BLOCK], numbers[WIDE]
    # A[i, k] is a[i * A_ROW + k * A_DEPTH], and so with B: views made here, as NumPy takes 0.15 us for each.
    one = product.dtype.type(1)
    turned, itemsize = numbers[TURNED] != 0, product.itemsize
    vector = VECTOR_BYTES // itemsize
    behind_rest = workspace + numbers[ROOM_REST] * itemsize
    behind_a = behind_rest + (0 if by_strips else numbers[ROOM_A] * itemsize)
    behind_out = behind_a + ((product.size + vector - 1) // vector * VECTOR_BYTES if turned else 0)
    behind_b = behind_out + (0 if by_panels else numbers[ROOM_B] * itemsize)
    own_a, own_b = (
        behind_b + thread * numbers[ROOM_A] * itemsize,
        behind_b + thread * numbers[ROOM_B] * itemsize,
    )
    packed_a = view(own_a if by_strips else behind_rest, numbers[ROOM_A], one)
    packed_rest = view(workspace, numbers[ROOM_REST], one)
    packed_b = view(own_b if by_panels else behind_out, numbers[ROOM_B], one)
    a = view(address(stored_b, 0) if turned else address(stored_a, 0), rows * depth, one)
    b = view(address(stored_a, 0) if turned else address(stored_b, 0), depth * numbers[C_ROW], one)
    out = view(behind_a if turned else address(product, 0), product.size, one)
    panel = VECTORS * vector
    queues = stack_words(QUEUES_WORDS)
    open_queues(sync, thread, queues)
    if numbers[ROOM_REST] != 0:
        pack_rest(thread, threads, numbers, b, packed_rest)
    if columns == 0 and not barrier(address(sync, 0), threads):
        return
    count, vectors = strips(rows), (columns + vector - 1) // vector
    lines, counting = stack_words(PLAN_WORDS), stack_words(ROWS)
    count_up(0, 1, counting)
    for span_start in range(0, depth if columns != 0 else 0, span):
        span_count = min(span, depth - span_start)
        for block_start in range(0, count, block):
            block_end = min(block_start + block, count)
            if (span_start > 0 or block_start > 0) and not barrier(address(sync, 0), threads):
                return  # others may still read what was packed before
            if numbers[DIRECT_A] == 0 and not by_strips:
                _pack_strips(
                    thread, threads, numbers, block_start, block_end, span_start, span_count, a, packed_a
                )
            if not by_panels and block_start == 0:
                _pack_panels(thread, threads, numbers, span_start, span_count, b, packed_b)
            if not barrier(address(sync, 0), threads):
                return
            # A tile of this queue is one of C, a panel, or a strip so far as it is WIDE.
            here = block_end - block_start
            strips_a_tile = here if by_panels else 1
            tiles, turns = here // strips_a_tile, span_count * strips_a_tile
            if by_strips:
                vectors, turns = (columns + wide - 1) // wide * VECTORS, span_count * (wide // panel)
            queue = queue_of(queues, 0, _strip_cost(vectors), tiles, thread, threads)
            begin, end, whose = next_tiles(queue, queue[THREAD], turns)
            while begin < end:
                if by_strips:
                    column = begin // tiles * wide
                    for tile in range(begin, end):
                        _multiply_panels(
                            numbers, span_start, span_count, tile % tiles * rows // count, (tile % tiles + 1) * rows // count,
                            column, min(column + wide, columns), a, b, packed_a, packed_b, out, lines, counting,
                        )  # fmt: skip
                else:
                    first_strip = block_start + begin % tiles * strips_a_tile
                    _multiply_strips(
                        numbers, span_start, span_count, block_start, begin // tiles * panel, first_strip,
                        first_strip + (end - begin) * strips_a_tile, a, b, packed_a, packed_b, out, lines, counting,
                    )  # fmt: skip
                begin, end, whose = next_tiles(queue, whose, turns)
    if numbers[REST] != 0:
        if numbers[A_DEPTH] == 1:
            multiply_rest_columns(thread, threads, 1, queues, numbers, a, b, out, packed_rest)
        else:
            multiply_rest_rows(thread, threads, 1, queues, numbers, a, b, out)
    if turned and barrier(address(sync, 0), threads):
        _transpose_share(thread, threads, rows, columns, out, view(address(product, 0), product.size, one))
