"""How the tiles of a product are shared out among threads, and how threads help each other."""

import threading
from itertools import pairwise

import numpy as np
import pytest

from fastnn.kernels._jit import jit, unkept
from fastnn.kernels.jobs import QUEUES, sync_words
from fastnn.kernels.layout import COLUMNS, FAN_OUT, PADDED_OUT, PRODUCT_COST
from fastnn.kernels.shares import QUEUES_WORDS, THREAD, next_tiles, queue_of, share_tiles, strip_cost
from fastnn.kernels.sync import barrier, pause
from fastnn.kernels.tile import ROWS, lanes
from fastnn.kernels.train import _output_rows

LANES = lanes(4)
COST = {1: 2, 2: 3}
FEW = 1  # what the last panel costs where it holds a few columns as rows


# Parts of kernels, as functions of their own.
one_share, output_rows = unkept(share_tiles.py_func), unkept(_output_rows.py_func)


def shares(vectors, few, strips, threads):
    return [one_share(strip_cost(vectors, few), strips, thread, threads) for thread in range(threads)]


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
@pytest.mark.parametrize("strips", [1, 2, 9, 22])
@pytest.mark.parametrize(
    ("vectors", "few"),
    [(1, False), (2, False), (3, False), (7, False), (8, False), (63, False), (3, True), (7, True)],
)
def test_every_tile_has_one_thread_and_the_costs_are_alike(vectors, few, strips, threads):
    tiles = [COST[2]] * (vectors // 2 * strips) + [FEW if few else COST[1]] * (vectors % 2 * strips)
    cuts = shares(vectors, few, strips, threads)
    assert cuts[0][0] == 0
    assert cuts[-1][1] == len(tiles)
    assert all(one[1] == other[0] for one, other in pairwise(cuts))
    costs = [sum(tiles[first:last]) for first, last in cuts]
    assert max(costs) - min(costs) <= 2 * max(COST.values())


@pytest.mark.parametrize("threads", [1, 2, 3, 5])
@pytest.mark.parametrize("classes", [1, LANES, LANES + 1, 2 * LANES])
@pytest.mark.parametrize("strips", [1, 3, 5, 8])
def test_a_thread_has_the_loss_of_the_rows_whose_logits_it_computes(strips, classes, threads):
    """Where one panel holds all classes no barrier comes between the two."""
    layer = np.zeros(COLUMNS, np.int64)
    layer[FAN_OUT], layer[PADDED_OUT] = classes, -(-classes // LANES) * LANES
    layer[PRODUCT_COST] = strip_cost(layer[PADDED_OUT] // LANES)
    rows = strips * ROWS - 1
    for thread in range(threads):
        first, last = one_share(layer[PRODUCT_COST], strips, thread, threads)
        expected = first * rows // strips, last * rows // strips
        assert output_rows(thread, threads, rows, layer, 4) == expected


@jit
def _take_all(place, thread, threads, strip, count, depth, phases, taken, pauses):
    """What a thread gets of each phase: taken[phase, tile] counts who took the tile; between phases no barrier."""
    queues = np.zeros(QUEUES_WORDS, dtype=np.int64)
    queues[0] = place
    for phase in range(phases):
        queue = queue_of(queues, phase % 2, strip, count, thread, threads)
        whose = queue[THREAD]
        while True:
            begin, end, whose = next_tiles(queue, whose, depth)
            if begin == end:
                break
            for tile in range(begin, end):
                taken[phase, tile] += 1
                for _ in range(pauses):
                    pause()
        if phase % 2 == 1 and not barrier(place - 8 * QUEUES, threads):
            return


@pytest.mark.parametrize(("vectors", "count"), [(1, 1), (2, 3), (7, 9), (64, 11), (1, 50)])
@pytest.mark.parametrize("threads", [1, 2, 3, 6])
def test_every_tile_of_every_phase_is_taken_once(threads, vectors, count):
    """Threads of different speeds; 300 phases, in which the tags come round twice, two of them at a time without a barrier."""
    sync = np.zeros(sync_words(threads), np.int64)
    tiles = -(-vectors // 2) * count
    taken = np.zeros((threads, 300, tiles), np.int64)
    place = sync.ctypes.data + 8 * QUEUES
    workers = [
        threading.Thread(
            target=_take_all,
            args=(
                place,
                thread,
                threads,
                strip_cost(vectors, False),
                count,
                300,
                300,
                taken[thread],
                3 * thread,
            ),
        )
        for thread in range(threads)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert (taken.sum(axis=0) == 1).all()


def test_who_is_done_takes_from_a_thread_that_never_comes():
    sync = np.zeros(sync_words(2), np.int64)
    taken = np.zeros((1, 8 * 9), np.int64)
    _take_all(sync.ctypes.data + 8 * QUEUES, 0, 2, strip_cost(16, False), 9, 300, 1, taken, 0)
    assert (taken == 1).all()
