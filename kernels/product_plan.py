"""How a matrix product is cut up: which parts of its operands are packed, how many rows of B are taken at once, by whom.

Blocking as in Goto and van de Geijn (Anatomy of high-performance matrix multiplication, 2008), with K cut into fewer blocks.
"""

from typing import NamedTuple

import numpy as np

from .arrays import rows_collide
from .processor import VECTOR_BYTES
from .rest_code import TOGETHER
from .tile import ROWS, VECTORS

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
# or fewer: copying a number costs about as much as using it in three tiles. (More than 6 panels, on Zen 4, which stores half a
# vector at a time: 300 x 300 x 300 4 % faster, 512 x 512 x 384 5 %. With 4 to 6, on an Intel Xeon of 2023, up to 15 %.)
_DIRECT_STRIPS = 4
_DIRECT_PANELS = 12
# Where rows of A collide. (Zen 4: 512 x 1024 x 192 at 60 % of peak, packed at 82.)
_DIRECT_COLLIDING = 1

# So many panels or strips a thread are enough to share out.
_PANELS_EACH = 4

# A C of so many bytes comes and goes between caches, and where there are few rows of B, one panel after another, lines 2 KB and
# more apart, that takes as long as computing: then strip after strip is computed, as C lies in memory, over so many bytes of B,
# which stay in the second-level cache. (An Intel Xeon of 2023: 784 x 128 x 512 nn, tn, nt at 142, 138, 133 GFLOP/s instead of
# 109, 113, 136; beside another program on the same core, 86, 89, 83 instead of 74, 75, 86; 3000 x 100 x 2000 142 instead of 65
# to 90.)
_FAR_C = 1024 * 1024
_SHALLOW = 256
_NEAR_B = 768 * 1024

# To transpose a number takes so much of the time of a tile's row for one row of B; so does a tile of one vector of one of two.
_TRANSPOSED, _NARROW = 0.25, 0.65
# To add up the lanes of a sum takes as long as so many turns of it.
_LANES = 2.5
# A tile of fewer rows waits for its sums.
_BUSY_ROWS = 4
# C^T is computed and transposed where that takes so much less than C, if it is no larger than this many bytes.
_MUCH_LESS, _MOST_TURNED = 0.9, 512 * 1024
# And the last columns are kept as rows of B^T where that takes so much less.
_LESS = 0.95

# A product and how it is cut up, as numbers: its size, the steps of A, B and C in elements; what a Plan says; how many those are.
ROW_COUNT, COLUMN_COUNT, SUM_LENGTH, A_ROW, A_DEPTH, B_ROW, B_COLUMN, C_ROW = range(8)
REST, DIRECT_REST, ROOM_REST, TURNED = range(8, 12)
TAKES, DIRECT_A, DIRECT_B, DEEP, SPAN, BLOCK, WIDE, ROOM_A, ROOM_B, NUMBERS = range(12, 22)
TILES, PANELS, STRIPS = range(3)


class Plan(NamedTuple):
    """How a product is cut up and what is copied."""

    numbers: np.ndarray
    """int64 (NUMBERS,), see above.

    REST: so many columns beyond COLUMN_COUNT are computed as rest_product.py says. Where that keeps B^T as rows, they are read
    where they lie if DIRECT_REST, else ROOM_REST elements at the begin of the workspace are for them.
    TURNED: C^T = B^T A^T is computed, behind ROOM_A in the workspace, and then transposed; what follows, and A, B and C in
    product.py, are then those of that product.
    TAKES: of the other columns, what a thread computes at a time: a tile of C; or a whole panel, and packs B's just before; or a
    whole strip, and packs A's just before. The rest is packed by all together. DIRECT_A, DIRECT_B: what is read where it lies.
    DEEP: rows of B in a block. SPAN: how many are packed at once, whole blocks. BLOCK: strips of A packed at once, or all, where
    each is packed just before. WIDE: columns of a strip that a thread computes at a time, whole panels. ROOM_A, ROOM_B: elements
    of the workspace for what is packed, for each thread where it packs just before.
    """
    shared: int
    """Elements of the workspace that all threads use."""
    own: int
    """And of each thread's part of it."""

    def room(self, threads):
        """Elements of the workspace of so many threads."""
        return self.shared + threads * self.own


def _evenly(total, most):
    """The size of `total` things' parts, of at most `most` each, all about the same."""
    parts = -(-total // max(1, most))
    return -(-total // parts)


def _whole(elements, vector):
    """So many elements or a few more, in whole vectors: what lies behind them is aligned, too."""
    return -(-elements // vector) * vector


def _row_turns(columns, vector):
    """What a row of tiles over so many columns of C costs for each row of B; 1 is one of a tile of two vectors."""
    vectors = -(-columns // vector)
    return vectors // VECTORS + _NARROW * (vectors % VECTORS)


def _turns(rows, columns, vector):
    """The same of so many rows."""
    return max(rows, _BUSY_ROWS) * _row_turns(columns, vector)


def _is_turned(rows, columns, depth, transpose_a, transpose_b, itemsize):
    """Whether C^T = B^T A^T is computed instead: 100 or 10 columns fill no whole vectors, and of A^T rows are read as they lie.

    (An Intel Xeon of 2023: tn 128 x 512 x 10 takes 13 us instead of 26, nn 20 instead of 24; tn 511 x 257 x 129 240 instead of
    300, nn, whose A would have to be transposed first, as long.)
    """
    vector = VECTOR_BYTES // itemsize
    as_it_is = _turns(rows, columns, vector) + transpose_b * _TRANSPOSED * columns
    turned = _turns(columns, rows, vector) + (not transpose_a) * _TRANSPOSED * rows
    turned += _TRANSPOSED * rows * columns / depth
    return turned < _MUCH_LESS * as_it_is and rows * columns * itemsize <= _MOST_TURNED


def _rest(columns, depth, itemsize):
    """How many of C's columns are computed with B^T kept as rows: few, of which a vector would be mostly padding; or none.

    Sums are then added up in another order, so that may not depend on how many rows there are: a row's bits would. (Zen 4: nn
    128 x 512 x 10 takes 0.8 of the time, of 13 or 16 columns 1.04 to 1.09; 256 x 784 x 100 0.88, 511 x 257 x 129 0.9.)
    """
    vector = VECTOR_BYTES // itemsize
    rest = columns % vector
    # What a row of A costs, as in _turns.
    together = -(-rest // TOGETHER) * TOGETHER
    as_rows = together * (1 / (VECTORS * vector) + _LANES / depth)
    if columns > vector:
        whole = _row_turns(columns - rest, vector)
        return rest if whole + as_rows < _LESS * _row_turns(columns, vector) else 0
    turned = columns / (VECTORS * vector) + _TRANSPOSED
    few = columns >= TOGETHER and 4 * columns <= 3 * vector
    return columns if few and as_rows < _MUCH_LESS * min(_NARROW, turned) else 0


def _rest_of_a(rows, columns, depth, itemsize):
    """How many of C's last columns are computed as rows of C^T, where A^T is stored and its rows can be read by vectors.

    All of C^T would waste as little (see _is_turned), but is written, read and written again. (Zen 4, one thread; two: tn
    511 x 257 x 129 takes 0.95 of that; 0.91, 784 x 128 x 130 0.91; 0.91, 784 x 256 x 100 0.95; 0.93, 256 x 784 x 100 0.99; 0.97.)
    """
    vector = VECTOR_BYTES // itemsize
    rest = columns % vector
    if columns < vector or not 0 < rest <= ROWS or rows < VECTORS * vector:
        return 0
    with_rest = _row_turns(columns - rest, vector) + max(rest, _BUSY_ROWS) / (VECTORS * vector)
    turned = columns * _row_turns(rows, vector) / rows + _TRANSPOSED * columns / depth
    return rest if with_rest < min(_LESS * _row_turns(columns, vector), turned) else 0


def plan_product(rows, columns, depth, transpose_a, transpose_b, itemsize, threads):
    """Plan a product of A (rows, depth) and B (depth, columns), of which the transposes may be stored.

    The bits of the product do not depend on `threads`.
    """
    vector = VECTOR_BYTES // itemsize
    rest = _rest_of_a(rows, columns, depth, itemsize) if transpose_a else _rest(columns, depth, itemsize)
    turned = rest == 0 and _is_turned(rows, columns, depth, transpose_a, transpose_b, itemsize)
    if turned:
        rows, columns = columns, rows
        transpose_a, transpose_b = not transpose_b, not transpose_a
    a_row, a_depth = (1, rows) if transpose_a else (depth, 1)
    b_row, b_column = (1, depth) if transpose_b else (columns, 1)
    direct_rest = transpose_b and depth % vector == 0 and rest >= TOGETHER
    room_rest = (
        0 if direct_rest or rest == 0 or transpose_a else max(vector, TOGETHER) * _whole(depth, vector)
    )
    sizes = (rows, columns - rest, depth, a_row, a_depth, b_row, b_column, columns)
    aside = (rest, direct_rest, room_rest, turned)
    how, shared, own = (TILES, *6 * (1,), 0, 0), 0, 0  # no tiles; a loop in steps of 0 would be an error
    if columns > rest:
        tiled = rows, columns - rest, depth, transpose_a, b_row, b_column, itemsize, threads
        how, shared, own = _plan_tiles(*tiled)
    numbers = np.array([*sizes, *aside, *how], np.int64)
    return Plan(numbers, shared + room_rest + turned * _whole(rows * columns, vector), own)


def _plan_tiles(rows, columns, depth, transpose_a, b_row, b_column, itemsize, threads):
    """What a Plan says from TAKES on, and the room that this needs: of all threads, and of each."""
    vector = VECTOR_BYTES // itemsize
    panel = VECTORS * vector
    strip_count, panel_count = -(-rows // ROWS), -(-columns // panel)
    if strip_count < panel_count or (rows < columns and panel_count >= _PANELS_EACH * threads):
        # Who packs a panel just before use finds it in the second-level cache: tn 256 x 784 x 100 at 141 GFLOP/s instead of 127.
        takes = PANELS
    elif (
        depth <= _SHALLOW
        and itemsize * rows * columns >= _FAR_C
        and strip_count >= _PANELS_EACH * threads
        and panel_count > 1
    ):
        takes = STRIPS
    else:
        takes = TILES
    collide = not transpose_a and rows_collide(depth, itemsize)
    direct_a = panel_count <= (_DIRECT_COLLIDING if collide else _DIRECT_PANELS)
    direct_b = b_column == 1 and (strip_count <= _DIRECT_STRIPS or b_row == panel)
    # A panel whose last vector is not full is always packed: a whole vector would be read beyond the end of B.
    width = panel if takes == PANELS or direct_b else _whole(columns, vector)
    packs_b = not direct_b or columns % vector != 0
    most_deep = DEPTH
    if direct_a and transpose_a:
        most_deep = DEPTH_OF_COLUMNS if columns > vector else 2 * DEPTH_OF_COLUMNS
    deep = depth
    if depth > most_deep + most_deep // 4:
        deep = min(depth, _whole(_evenly(depth, most_deep), vector))
    most = depth  # rows of B at once
    if not direct_a and takes == PANELS:
        most = _PACKED_A // (itemsize * rows)
    elif packs_b and takes != PANELS:
        most = _PACKED_B // (itemsize * width)
    span = _evenly(-(-depth // deep), most // deep) * deep
    block, wide = strip_count, panel_count * panel
    if takes == STRIPS:
        wide = _evenly(panel_count, _NEAR_B // (itemsize * panel * span)) * panel
    if direct_a:
        room_a = 0
    elif takes == STRIPS:
        room_a = _whole(deep * ROWS + vector, vector)
    else:
        block = _evenly(strip_count, _PACKED_A // (itemsize * ROWS * min(span, depth)))
        room_a = _whole(min(span, depth) * min(rows, ROWS * block) + vector * block, vector)
    room_b = packs_b * width * (deep if takes == PANELS else min(span, depth))
    how = (takes, direct_a, direct_b, deep, span, block, wide, room_a, room_b)
    own = {TILES: 0, PANELS: room_b, STRIPS: room_a}[takes]
    return how, room_a + room_b - own, own
