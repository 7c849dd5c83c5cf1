"""What training and evaluation give back."""

from dataclasses import dataclass, field


@dataclass(repr=False)
class History:
    """What happened in one call of `fit`: one entry for each completed epoch in every list.

    loss : mean cross-entropy over the epoch's samples, each before its batch's update.
    accuracy : fraction of the samples classified right, at the same moment.
    val_loss, val_accuracy : on the validation set at the epoch's end; empty without one.
    seconds : time spent training, without validation and callbacks.
    samples_per_second : training samples over `seconds`.
    stopped : why training ended before its last epoch, or None.
    inputs : "sparse" where the first layer went over the non-zeros of X alone, else "dense".
    """

    loss: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    val_accuracy: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    samples_per_second: list[float] = field(default_factory=list)
    stopped: str | None = None
    inputs: str = "dense"

    def __repr__(self) -> str:
        if not self.loss:
            return "History(no epoch completed)"
        parts = [f"{len(self.loss)} epochs", f"loss {self.loss[-1]:.4g}", f"accuracy {self.accuracy[-1]:.4f}"]
        if self.val_loss:
            parts += [f"val_loss {self.val_loss[-1]:.4g}", f"val_accuracy {self.val_accuracy[-1]:.4f}"]
        if self.stopped:
            parts.append(self.stopped)
        return f"History({', '.join(parts)})"


@dataclass(frozen=True)
class Evaluation:
    """Mean cross-entropy loss, fraction classified right, and number of samples of one evaluation."""

    loss: float
    accuracy: float
    samples: int
