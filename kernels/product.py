"""The general matrix product C = A B on the register tile, with operands packed where that pays.

Blocking as in Goto and van de Geijn (Anatomy of high-performance matrix multiplication, 2008): K is cut into blocks of DEPTH, so
that a panel of B and a strip of A stay in the first two cache levels. Each thread owns whole strips or whole panels.
"""

from ._jit import inlined, jit, team_kernel
from .arrays import ALIGNMENT
from .layers import panels, strips
from .processor import VECTOR_BYTES
from .sync import barrier, share
from .tile import STORE, STORE_PART, UPDATE, UPDATE_PART, VECTORS, address, multiply_tile
from .transpose import transpose_block

DEPTH = 384  # a panel of B is 48 KB (512-bit vectors) or 24 KB, a strip of A 18 KB or 9 KB
STRIPS = 8  # a block of A is at most 8 strips: 144 KB or 72 KB of the second-level cache

# B is read where it lies, if its rows are contiguous and it serves this many strips or fewer; A, if it serves this many panels
# or fewer: copying a number costs about as much as using it in three tiles.
_DIRECT_STRIPS = 4
_DIRECT_PANELS = 6


@jit  # Python asks it too, and a helper would be compiled in every process
def is_direct_b(rows, b_column):
    """Whether whole panels of B are read without packing."""
    return b_column == 1 and strips(rows) <= _DIRECT_STRIPS


@inlined
def _pack_panel(depth, column, used, width, b, b_row, b_column, packed):
    """packed[k, j] = B[k, column + j] for j < used, 0 up to width; B[k, j] is b[k * b_row + j * b_column]."""
    vector = VECTOR_BYTES // b.itemsize
    kind = b.dtype.type(0)
    if b_column == 1:
        for k in range(depth):
            source = b[k * b_row + column : k * b_row + column + used]
            target = packed[k * width : (k + 1) * width]
            for j in range(used):
                target[j] = source[j]
            for j in range(used, width):
                target[j] = kind
        return
    whole_columns = used // vector * vector
    whole_depth = depth // vector * vector
    for j in range(0, whole_columns, vector):
        for k in range(0, whole_depth, vector):
            source = address(b, (column + j) * b_column + k)
            transpose_block(source, b_column, address(packed, k * width + j), width, kind)
        for i in range(j, j + vector):
            for k in range(whole_depth, depth):
                packed[k * width + i] = b[(column + i) * b_column + k]
    for j in range(whole_columns, width):
        for k in range(depth):
            packed[k * width + j] = b[(column + j) * b_column + k] if j < used else kind


@inlined
def _pack_strip(height, start, k_start, depth, a, a_row, a_depth, packed):
    """packed[k, i] = A[start + i, k_start + k]; A[i, k] is a[i * a_row + k * a_depth]."""
    if a_row == 1:
        for k in range(depth):
            source = a[(k_start + k) * a_depth + start : (k_start + k) * a_depth + start + height]
            target = packed[k * height : (k + 1) * height]
            for i in range(height):
                target[i] = source[i]
        return
    for i in range(height):
        source = a[(start + i) * a_row + k_start : (start + i) * a_row + k_start + depth]
        for k in range(depth):
            packed[k * height + i] = source[k]


@team_kernel
def multiply(
    thread,
    threads,
    sync,
    rows,
    columns,
    depth,
    a,
    a_row,
    a_depth,
    b,
    b_row,
    b_column,
    out,
    workspace,
    packed,
    block_size,
):
    """out[i, j] = sum_k A[i, k] B[k, j]: A[i, k] is a[i * a_row + k * a_depth], B[k, j] is b[k * b_row + j * b_column].

    a, b, out (rows * columns) are 1-D; one of the steps of a and of b is 1. The workspace has room for aligning it, for `packed`
    elements of B, min(depth, DEPTH) * columns rounded up to whole vectors, or those of one panel where B is read directly, and
    for each thread's block of A, of block_size.
    """
    itemsize = out.itemsize
    vector = VECTOR_BYTES // itemsize
    panel = VECTORS * vector
    everything = out.dtype.type(-float("inf"))
    one = out.dtype.type(1)
    panel_count = panels((columns + vector - 1) // vector * vector, itemsize)
    count = strips(rows)
    direct_b = is_direct_b(rows, b_column)
    direct_a = panel_count <= _DIRECT_PANELS
    edge = columns % vector != 0
    first, last = share(panel_count, thread, threads)
    first_panel, last_panel = 0, panel_count
    first_strip, last_strip = 0, count
    if count >= panel_count:
        first_strip, last_strip = share(count, thread, threads)
    else:
        first_panel, last_panel = first, last
    aligned = -address(workspace, 0) % ALIGNMENT // itemsize
    packed_b = workspace[aligned : aligned + packed]
    scratch = workspace[aligned + packed + thread * block_size :]
    for k_start in range(0, depth, DEPTH):
        k_count = min(DEPTH, depth - k_start)
        if k_start > 0 and not barrier(address(sync, 0), threads):  # others may still read the block before
            return
        for p in range(first, last):
            column = p * panel
            used = min(panel, columns - column)
            width = (used + vector - 1) // vector * vector
            # A panel whose last vector is not full is always packed: a whole vector would be read beyond the end of B.
            if not direct_b or used != width:
                target = packed_b[0 if direct_b else column * k_count :]
                _pack_panel(k_count, column, used, width, b[k_start * b_row :], b_row, b_column, target)
        if not barrier(address(sync, 0), threads):
            return
        for block in range(first_strip, last_strip, STRIPS):
            block_end = min(block + STRIPS, last_strip)
            block_row = block * rows // count
            if not direct_a:
                for strip in range(block, block_end):
                    start = strip * rows // count
                    height = (strip + 1) * rows // count - start
                    _pack_strip(
                        height,
                        start,
                        k_start,
                        k_count,
                        a,
                        a_row,
                        a_depth,
                        scratch[(start - block_row) * k_count :],
                    )
            for p in range(first_panel, last_panel):
                column = p * panel
                used = min(panel, columns - column)
                width = (used + vector - 1) // vector * vector
                part = edge and p == panel_count - 1
                if not direct_b:
                    b_place, b_step = address(packed_b, column * k_count), width
                elif part:
                    b_place, b_step = address(packed_b, 0), width
                else:
                    b_place, b_step = address(b, k_start * b_row + column), b_row
                mode = (STORE_PART if part else STORE) if k_start == 0 else (UPDATE_PART if part else UPDATE)
                for strip in range(block, block_end):
                    start = strip * rows // count
                    height = (strip + 1) * rows // count - start
                    if direct_a:
                        a_place, row_step, k_step = (
                            address(a, start * a_row + k_start * a_depth),
                            a_row,
                            a_depth,
                        )
                    else:
                        a_place, row_step, k_step = address(scratch, (start - block_row) * k_count), 1, height
                    multiply_tile(
                        height, width // vector, k_count, a_place, row_step, k_step, b_place, b_step,
                        address(out, start * columns + column), columns, used if part else 0,
                        everything if k_start == 0 else one, mode, 0,
                    )  # fmt: skip
