"""How the tiles of a product are shared out among threads."""

from itertools import pairwise

import numpy as np
import pytest

from fastnn.kernels import train
from fastnn.kernels.layout import COLUMNS, FAN_OUT, PADDED_OUT
from fastnn.kernels.shares import share_tiles
from fastnn.kernels.tile import ROWS, lanes

LANES = lanes(4)
COST = {1: 2, 2: 3}


def shares(vectors, strips, threads):
    return [share_tiles(vectors, strips, thread, threads) for thread in range(threads)]


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
@pytest.mark.parametrize("strips", [1, 2, 9, 22])
@pytest.mark.parametrize("vectors", [1, 2, 3, 7, 8, 63])
def test_every_tile_has_one_thread_and_the_costs_are_alike(vectors, strips, threads):
    tiles = [2] * (vectors // 2 * strips) + [1] * (vectors % 2 * strips)
    cuts = shares(vectors, strips, threads)
    assert cuts[0][0] == 0
    assert cuts[-1][1] == len(tiles)
    assert all(one[1] == other[0] for one, other in pairwise(cuts))
    costs = [sum(COST[width] for width in tiles[first:last]) for first, last in cuts]
    assert max(costs) - min(costs) <= 2 * max(COST.values())


@pytest.mark.parametrize("threads", [1, 2, 3, 5])
@pytest.mark.parametrize("classes", [1, LANES, LANES + 1, 2 * LANES])
@pytest.mark.parametrize("strips", [1, 3, 5, 8])
def test_a_thread_has_the_loss_of_the_rows_whose_logits_it_computes(strips, classes, threads):
    """Where one panel holds all classes no barrier comes between the two."""
    layer = np.zeros(COLUMNS, np.int64)
    layer[FAN_OUT], layer[PADDED_OUT] = classes, -(-classes // LANES) * LANES
    rows = strips * ROWS - 1
    for thread in range(threads):
        first, last = share_tiles(layer[PADDED_OUT] // LANES, strips, thread, threads)
        expected = first * rows // strips, last * rows // strips
        assert train._output_rows(thread, threads, rows, layer, 4) == expected
