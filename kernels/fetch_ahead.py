"""Plans for memory that a tile asks for while it computes: lines that are needed later, one a round of its loop, see tile.py."""

from ._jit import helper
from .tile import TURNS, address

# What a plan for fetching memory ahead holds: five numbers that a tile reads, three for all tiles of a phase, and a row's number.
_NUMBERS, _BASE, _STRIDE, _LINE_STEP, _ROUNDS, _FIRST_NUMBER, _ROWS, _ROW_BYTES, _NUMBER = range(9)
PLAN_WORDS = 9


@helper
def plan_rows(plan, first, last, numbers, base, stride, row_bytes):
    """Plan to fetch row_bytes at base + stride * r for each r in numbers[first:last], spread over the tiles of a phase."""
    plan[_BASE] = base
    plan[_STRIDE] = stride
    plan[_FIRST_NUMBER] = address(numbers, first)
    plan[_ROWS] = last - first
    plan[_ROW_BYTES] = row_bytes


@helper
def plan_tile(plan, tile, tiles, depth):
    """Set the plan for one of so many tiles, with `depth` turns; return its address, or 0 where there is nothing to fetch."""
    first = tile * plan[_ROWS] // tiles
    rows = (tile + 1) * plan[_ROWS] // tiles - first
    if rows == 0:
        return 0
    # A row may have fewer rounds than lines, then the rest of it is left to be waited for, but a tile asks for no rows beyond
    # its own.
    rounds = max(1, (depth // TURNS + rows - 1) // rows)
    plan[_NUMBERS] = plan[_FIRST_NUMBER] + 8 * first
    plan[_ROUNDS] = rounds
    # A line is 64 bytes; where there are more rounds than lines, some are asked for twice, which costs nothing.
    plan[_LINE_STEP] = min(64, (plan[_ROW_BYTES] + rounds - 1) // rounds)
    return address(plan, 0)


@helper
def plan_piece(plan, place, size, depth):
    """Set the plan to fetch so many bytes at an address during one tile with `depth` turns; return its address."""
    plan[_BASE], plan[_STRIDE] = place, 0
    plan[_FIRST_NUMBER], plan[_NUMBER] = address(plan, _NUMBER), 0
    plan[_ROWS], plan[_ROW_BYTES] = 1, size
    return plan_tile(plan, 0, 1, depth)
