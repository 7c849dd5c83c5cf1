"""A network's numbers as lists of rows, as the reference has them, and as one array, laid out as the network's arena."""

from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ..mlp import MLP

Rows = list[list[float]]
"""Every row of every weight matrix, then every bias."""


class Arrangement:
    """Where a network's parameters lie in its arena, which has gaps."""

    def __init__(self, net: "MLP"):
        arena = net.arena
        arrays = (*net.weights, *net.biases)
        starts = [(array.ctypes.data - arena.ctypes.data) // arena.itemsize for array in arrays]
        self._size = arena.size
        self._places = np.concatenate(
            [start + np.arange(array.size) for start, array in zip(starts, arrays, strict=True)]
        )
        self._heights = [len(W) for W in net.weights]
        widths = [W.shape[1] for W in net.weights for _ in W] + [b.size for b in net.biases]
        self._cuts = [0, *accumulate(widths)]

    def rows(self, arena: np.ndarray) -> Rows:
        """Return the numbers of an array laid out as the network's arena."""
        numbers = arena[self._places].tolist()
        return [numbers[start:end] for start, end in pairwise(self._cuts)]

    def fill(self, arena: np.ndarray, rows: Rows) -> np.ndarray:
        """Write the numbers into such an array, and return it; its gaps stay as they are."""
        with np.errstate(over="ignore"):  # of a diverged run, which the trainer reports
            arena[self._places] = np.concatenate(rows)
        return arena

    def arena(self, rows: Rows) -> np.ndarray:
        """Return the numbers as such an array of float64."""
        return self.fill(np.zeros(self._size), rows)

    def layers(self, rows: Rows) -> tuple[list[Rows], Rows]:
        """Return the weights and the biases, layer by layer; they are the same lists."""
        cuts = pairwise([0, *accumulate(self._heights)])
        return [rows[start:end] for start, end in cuts], rows[sum(self._heights) :]
