"""How `fit` reports while it trains: the protocol of a reporter, and the plain one of `progress=True`."""

from typing import TYPE_CHECKING, Any, Protocol

from . import checks
from .history import History

if TYPE_CHECKING:
    from .mlp import MLP


class Reporter(Protocol):
    """What `fit(progress=...)` accepts beside True and False."""

    def on_chunk(
        self,
        epoch: int,
        epochs: int,
        done_rows: int,
        rows: int,
        loss: float,
        accuracy: float | None,
        seconds: float,
    ) -> None:
        """Hear about every chunk of steps, about 50 ms of work.

        `epoch` counts from 1 within this call of fit; `loss` and `accuracy` (None for losses of values) are means over
        the `done_rows` of the epoch's `rows`; `seconds` have passed since the epoch began.
        """

    def on_epoch(self, net: "MLP", history: History) -> None:
        """Hear about every completed epoch, after its validation and before the callbacks."""


class Silent:
    """Report nothing."""

    def on_chunk(self, *_: Any) -> None:
        """Do nothing."""

    def on_epoch(self, net: "MLP", history: History) -> None:
        """Do nothing."""


class PlainProgress:
    """Print one line an epoch to standard output."""

    def __init__(self) -> None:
        self._epochs = 0

    def on_chunk(self, epoch: int, epochs: int, *_: Any) -> None:
        """Remember how many epochs there will be."""
        self._epochs = epochs

    def on_epoch(self, net: "MLP", history: History) -> None:
        """Print the epoch's figures."""
        line = f"epoch {len(history.loss)}/{self._epochs}  loss {history.loss[-1]:.4f}{_accuracy(history.accuracy)}"
        if history.val_loss:
            line += f"  validation loss {history.val_loss[-1]:.4f}{_accuracy(history.val_accuracy)}"
        print(f"{line}  {history.samples_per_second[-1]:,.0f} samples/s", flush=True)


def _accuracy(values: list[float]) -> str:
    """Return the last accuracy in words, or nothing for losses of values, which have none."""
    return f"  accuracy {values[-1]:.2%}".replace("%", " %") if values else ""


def reporter(progress: Any) -> Reporter:
    """Return the reporter that `fit(progress=...)` asks for."""
    if callable(getattr(progress, "on_chunk", None)) and callable(getattr(progress, "on_epoch", None)):
        return progress
    try:
        return PlainProgress() if checks.flag(progress, "progress") else Silent()
    except TypeError:
        raise TypeError(
            f"progress is {checks.describe(progress)}; it must be True, False, "
            "or an object with the methods on_chunk and on_epoch"
        ) from None
