"""Sums: of squares, and of the figures of an epoch's batches, the same bits however the steps were cut into chunks."""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .losses import Loss


def sum_of_squares(array: np.ndarray) -> float:
    """Return the sum of the squares of all numbers of an array.

    Not by np.vdot: the threads of NumPy's BLAS would go on looking for work for milliseconds, on a core that training needs.
    """
    flat = array.reshape(-1)
    return float(np.einsum("i,i", flat, flat))


class EpochSums:
    """Keeps each batch's figures: sums of chunks would depend on the chunks, and so would a schedule that follows the loss."""

    def __init__(self, loss: "Loss"):
        self._loss = loss
        self._losses: list[np.ndarray] = []
        self._totals: list[np.ndarray] = []
        self.correct = 0
        self.rows = 0

    def add(self, losses: np.ndarray, correct: np.ndarray, totals: np.ndarray, rows: int) -> None:
        """Add the figures of a chunk: each batch's mean loss, rows that were right and sum of weights."""
        self._losses.append(losses)
        self._totals.append(totals)
        self.correct += int(correct.sum())
        self.rows += rows

    def means(self) -> tuple[float, float | None]:
        """Return the mean loss of all rows, by their weights, and the fraction that was right (None for losses of values)."""
        losses, totals = self.arrays()
        weight = totals.sum()
        loss = float((losses * totals).sum() / weight) if weight > 0 else 0.0
        return loss, None if self._loss.kind == "values" else self.correct / self.rows

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the batches' losses and sums of weights."""
        self._losses = [np.concatenate(self._losses)] if self._losses else [np.empty(0)]
        self._totals = [np.concatenate(self._totals)] if self._totals else [np.empty(0)]
        return self._losses[0], self._totals[0]

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return what a checkpoint must hold: numbers, and arrays."""
        losses, totals = self.arrays()
        return {"correct": self.correct, "rows": self.rows}, {"losses": losses, "totals": totals}

    def restore(self, numbers: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        """Go on from such a state."""
        self.correct, self.rows = numbers["correct"], numbers["rows"]
        self._losses, self._totals = [arrays["losses"]], [arrays["totals"]]
