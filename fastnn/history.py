"""What training and evaluation give back."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .losses import Loss


@dataclass(repr=False)
class History:
    """What happened in one call of `fit`: one entry for each completed epoch in every list.

    loss : mean loss over the epoch's samples, each before its batch's update.
    accuracy : fraction of the samples whose outputs were right, at the same moment; empty for losses of values.
    val_loss, val_accuracy : on the validation set at the epoch's end; empty without one.
    learning_rate, batch_size : of the epoch's last step.
    weight_norms, gradient_norms : with `norms=True`, a list of each layer's Euclidean norms at the epoch's end, of its
        weights and of their gradient over the epoch's last batch, without dropout.
    seconds : time spent training, without validation and callbacks.
    samples_per_second : training samples over `seconds`.
    stopped : why training ended before its last epoch, or None.
    inputs : "sparse" where the first layer went over the non-zeros of X alone, else "dense".
    """

    loss: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    val_accuracy: list[float] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)
    batch_size: list[int] = field(default_factory=list)
    weight_norms: list[list[float]] = field(default_factory=list)
    gradient_norms: list[list[float]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    samples_per_second: list[float] = field(default_factory=list)
    stopped: str | None = None
    inputs: str = "dense"

    def __repr__(self) -> str:
        if not self.loss:
            return "History(no epoch completed)"
        parts = [f"{len(self.loss)} epochs", f"loss {self.loss[-1]:.4g}"]
        if self.accuracy:
            parts.append(f"accuracy {self.accuracy[-1]:.4f}")
        if self.val_loss:
            parts.append(f"val_loss {self.val_loss[-1]:.4g}")
        if self.val_accuracy:
            parts.append(f"val_accuracy {self.val_accuracy[-1]:.4f}")
        if self.stopped:
            parts.append(self.stopped)
        return f"History({', '.join(parts)})"


@dataclass(frozen=True)
class Evaluation:
    """Mean loss, fraction of the samples whose outputs are right (None for losses of values), and number of samples."""

    loss: float
    accuracy: float | None
    samples: int

    @classmethod
    def of(cls, loss: "Loss", row_losses: np.ndarray, correct: np.ndarray) -> "Evaluation":
        """Return the evaluation of rows with these losses, and whether they are right."""
        samples = len(row_losses)
        accuracy = None if loss.kind == "values" else int(correct.sum()) / samples
        return cls(float(row_losses.mean()), accuracy, samples)
