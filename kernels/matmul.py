"""The general matrix product C = A B on the register tile: panels of B packed once, blocks of A packed as they are used.

Blocking as in Goto and van de Geijn (2008): K is cut into blocks of DEPTH, so that a panel of B and a strip of A stay in
the first two cache levels; each thread owns whole strips or whole panels, and packs the strips it works on.
"""

from ._jit import helper, jit
from .host import host
from .layers import panels, strips
from .sync import barrier, share
from .tile import ROWS, STORE, UPDATE, VECTORS, address, multiply_tile

_VECTOR_BYTES = host().vector_bits // 8

DEPTH = 384  # a panel of B is 48 KB (512-bit vectors) or 24 KB, a strip of A 18 KB or 9 KB
STRIPS = 8  # a block of A is at most 8 strips: 144 KB or 72 KB of the second-level cache


@helper
def _pack_panels(first, last, depth, columns, b, row_step, column_step, packed):
    """Copy panels [first, last) of B, element (k, j) at b[k * row_step + j * column_step], to whole zero-padded vectors."""
    vector = _VECTOR_BYTES // b.itemsize
    panel = VECTORS * vector
    for p in range(first, last):
        column = p * panel
        used = min(panel, columns - column)
        width = (used + vector - 1) // vector * vector
        start = column * depth
        if column_step == 1:
            for k in range(depth):
                source = b[k * row_step + column : k * row_step + column + used]
                target = packed[start + k * width : start + (k + 1) * width]
                for j in range(used):
                    target[j] = source[j]
                for j in range(used, width):
                    target[j] = 0
        else:
            for j in range(used):
                source = b[(column + j) * column_step : (column + j) * column_step + depth]
                for k in range(depth):
                    packed[start + k * width + j] = source[k]
            for j in range(used, width):
                for k in range(depth):
                    packed[start + k * width + j] = 0


@helper
def _pack_strips(first, last, count, rows, k_start, depth, a, row_step, depth_step, packed):
    """Copy strips [first, last) of A, k in [k_start, k_start + depth), one after the other, each as (depth, strip rows)."""
    place = 0
    for strip in range(first, last):
        start = strip * rows // count
        height = (strip + 1) * rows // count - start
        target = packed[place : place + depth * height]
        for i in range(height):
            source = (start + i) * row_step + k_start * depth_step
            for k in range(depth):
                target[k * height + i] = a[source + k * depth_step]
        place += depth * height


@jit
def multiply(thread, threads, sync, rows, columns, depth, a, a_row, a_depth, b, b_row, b_column, out, panels_of_b, scratches):
    """out[i, j] = sum_k A[i, k] B[k, j]: A[i, k] is a[i * a_row + k * a_depth], B[k, j] is b[k * b_row + j * b_column].

    a, b, out (rows * columns) are 1-D; panels_of_b holds depth * columns rounded up to whole vectors; scratches (threads, ...).
    """
    itemsize = out.itemsize
    vector = _VECTOR_BYTES // itemsize
    panel = VECTORS * vector
    everything = out.dtype.type(-float("inf"))
    one = out.dtype.type(1)
    panel_count = panels((columns + vector - 1) // vector * vector, itemsize)
    count = strips(rows)
    first, last = share(panel_count, thread, threads)
    _pack_panels(first, last, depth, columns, b, b_row, b_column, panels_of_b)
    if not barrier(address(sync, 0), threads):
        return
    first_panel, last_panel = 0, panel_count
    first_strip, last_strip = 0, count
    if count >= panel_count:
        first_strip, last_strip = share(count, thread, threads)
    else:
        first_panel, last_panel = share(panel_count, thread, threads)
    edge = scratches[thread, : ROWS * panel]
    strips_of_a = scratches[thread, ROWS * panel :]
    for k_start in range(0, depth, DEPTH):
        k_count = min(DEPTH, depth - k_start)
        for block in range(first_strip, last_strip, STRIPS):
            block_end = min(block + STRIPS, last_strip)
            _pack_strips(block, block_end, count, rows, k_start, k_count, a, a_row, a_depth, strips_of_a)
            block_row = block * rows // count
            for p in range(first_panel, last_panel):
                column = p * panel
                used = min(panel, columns - column)
                width = (used + vector - 1) // vector * vector
                for strip in range(block, block_end):
                    start = strip * rows // count
                    height = (strip + 1) * rows // count - start
                    a_place = address(strips_of_a, (start - block_row) * k_count)
                    b_place = address(panels_of_b, column * depth + k_start * width)
                    place = start * columns + column
                    if used == width:
                        if k_start == 0:
                            multiply_tile(
                                height, width // vector, k_count, a_place, 1, height, b_place, width,
                                address(out, place), columns, 0, everything, STORE,
                            )  # fmt: skip
                        else:
                            multiply_tile(
                                height, width // vector, k_count, a_place, 1, height, b_place, width,
                                address(out, place), columns, 0, one, UPDATE,
                            )  # fmt: skip
                        continue
                    # The last columns do not fill a vector: the tile goes by way of a buffer.
                    multiply_tile(
                        height, width // vector, k_count, a_place, 1, height, b_place, width,
                        address(edge, 0), width, 0, everything, STORE,
                    )  # fmt: skip
                    for i in range(height):
                        for j in range(used):
                            if k_start == 0:
                                out[place + i * columns + j] = edge[i * width + j]
                            else:
                                out[place + i * columns + j] += edge[i * width + j]
