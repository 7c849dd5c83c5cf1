"""What looks on while a network trains, and may stop it: the protocol of callbacks, and early stopping."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from . import checks

if TYPE_CHECKING:
    from .history import History
    from .mlp import MLP

METRICS = {"val_loss": False, "val_accuracy": True, "loss": False, "accuracy": True}
"""The metrics that a History has, and whether the largest is the best."""


class Callback:
    """Its methods are called by `fit`; override what is wanted.

    Each may read and change `net.weights` and `net.biases`; training goes on from what it leaves there.
    """

    def on_fit_begin(self, net: "MLP", history: "History") -> None:
        """Before the first step; when training resumes from a checkpoint, before the first after it."""

    def on_step_end(self, net: "MLP", history: "History", step: int, loss: float) -> bool | None:
        """After each step, counted from 0; `loss` is its batch's, from before it. True stops.

        A callback that overrides this costs speed: steps are then made one by one, and the parameters copied after each.
        """

    def on_epoch_end(self, net: "MLP", history: "History") -> bool | None:
        """After each epoch and its validation. True stops."""

    def on_fit_end(self, net: "MLP", history: "History") -> None:
        """After the last step, unless an error or Ctrl-C ended training."""

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint must hold of this callback: numbers, strings, None and arrays by name."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from such a state."""


class FunctionCallback(Callback):
    """A function of (net, history), called at each epoch's end."""

    def __init__(self, function: Callable[["MLP", "History"], bool | None]):
        self.function = function

    def on_epoch_end(self, net: "MLP", history: "History") -> bool | None:
        """Call the function."""
        return self.function(net, history)


class EarlyStopping(Callback):
    """Stop when a metric has not become better for `patience` epochs, and take back the best parameters.

    Parameters
    ----------
    metric: "val_loss", "val_accuracy", "loss", "accuracy", or a function of (net, history) that returns a number.
    patience: epochs without an improvement after which training stops, at least 1.
    least_change: by how much the metric must be better than the best so far to count, at least 0.
    larger_is_better: whether the metric is one; if None, it is for the accuracies, and is not for losses and functions.
    restore_best: whether the parameters of the best epoch are those of the network after `fit`.

    Attributes
    ----------
    best: the best value so far, or None; best_epoch: its epoch, counted from 1 in the fit.
    """

    def __init__(
        self,
        metric: str | Callable[["MLP", "History"], float] = "val_loss",
        patience: int = 5,
        least_change: float = 0.0,
        larger_is_better: bool | None = None,
        restore_best: bool = True,
    ):
        if not callable(metric):
            metric = checks.one_of(metric, "metric", tuple(METRICS))
        self.metric = metric
        self.patience = checks.whole_number(patience, "patience")
        need = "of at least 0 and finite"
        self.least_change = checks.real_number(
            least_change, "least_change", lambda x: 0 <= x < math.inf, need
        )
        if larger_is_better is None:
            larger_is_better = isinstance(metric, str) and METRICS[metric]
        self.larger_is_better = checks.flag(larger_is_better, "larger_is_better")
        self.restore_best = checks.flag(restore_best, "restore_best")
        self._forget()

    def _forget(self) -> None:
        self.best: float | None = None
        self.best_epoch = 0
        self._best_parameters: np.ndarray | None = None
        self._bad_epochs = 0

    def on_fit_begin(self, net: "MLP", history: "History") -> None:
        """Start afresh, unless training resumes."""
        if not history.loss:
            self._forget()

    def on_epoch_end(self, net: "MLP", history: "History") -> bool:
        """Compare the metric with the best so far."""
        value = self._value(net, history)
        sign = 1 if self.larger_is_better else -1
        if self.best is None or sign * (value - self.best) > self.least_change:
            self.best, self.best_epoch, self._bad_epochs = value, len(history.loss), 0
            self._best_parameters = net.arena.copy() if self.restore_best else None
            return False
        self._bad_epochs += 1
        return self._bad_epochs >= self.patience

    def _value(self, net: "MLP", history: "History") -> float:
        if not isinstance(self.metric, str):
            name = getattr(self.metric, "__name__", "metric")
            return checks.real_number(self.metric(net, history), f"{name}(net, history)", math.isfinite, "")
        found = getattr(history, self.metric)
        if not found:
            raise ValueError(
                f"metric is {self.metric!r}, and the history has none; fit with validation=(X, y), or follow 'loss'"
            )
        return float(found[-1])

    def on_fit_end(self, net: "MLP", history: "History") -> None:
        """Put the best parameters back."""
        if self._best_parameters is not None:
            net.arena[...] = self._best_parameters

    def state(self) -> dict[str, Any]:
        """Return the best value, its epoch and parameters, and the epochs since."""
        return {
            "best": self.best,
            "best_epoch": self.best_epoch,
            "bad_epochs": self._bad_epochs,
            "best_parameters": self._best_parameters,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from such a state."""
        self.best, self.best_epoch = state["best"], state["best_epoch"]
        self._bad_epochs, self._best_parameters = state["bad_epochs"], state.get("best_parameters")


def check_callbacks(callbacks: Any) -> tuple[Callback, ...]:
    """Return the callbacks as a tuple of Callback objects."""
    if not isinstance(callbacks, list | tuple):
        raise TypeError(
            f"callbacks is {checks.describe(callbacks)}; a list of functions of (net, history), or objects of "
            "fastnn.callbacks, is needed"
        )
    found = []
    for i, callback in enumerate(callbacks):
        if not isinstance(callback, Callback) and (isinstance(callback, type) or not callable(callback)):
            raise TypeError(
                f"callbacks[{i}] is {checks.describe(callback)}; a function of (net, history), or an object of "
                "fastnn.callbacks is needed"
            )
        found.append(callback if isinstance(callback, Callback) else FunctionCallback(callback))
    return tuple(found)


def name_of(callback: Callback) -> str:
    """Return what a callback is called in messages."""
    inner = callback.function if isinstance(callback, FunctionCallback) else callback
    return getattr(inner, "__name__", type(inner).__name__)
