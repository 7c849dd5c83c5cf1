"""The schedule that waits for results: it alone has a state."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from .. import checks
from .schedule import Schedule, not_negative, positive

# Of an improvement, relative: a change below it is noise. PyTorch's default.
_THRESHOLD = 1e-4
_METRICS = ("val_loss", "loss", "val_accuracy", "accuracy")


@dataclass(frozen=True)
class Plateau(Schedule):
    """start, times `factor` whenever `metric` has not improved for more than `patience` epochs; never below `least`.

    PyTorch's ReduceLROnPlateau: an improvement is one by more than 1e-4 of the best so far. `metric` is a list of the
    History: "val_loss", "loss", "val_accuracy" or "accuracy". `begin` returns a new one that has seen nothing.
    """

    start: float
    factor: float = 0.1
    patience: int = 10
    metric: str = "val_loss"
    least: float = 0.0
    # The one thing that changes: the value now, the best metric (None before the first), the epochs without a better.
    _state: dict[str, Any] = field(init=False, repr=False, compare=False, hash=False)
    name: ClassVar[str] = "plateau"
    unit: ClassVar[None] = None

    def __post_init__(self) -> None:
        self.check(positive, "start")
        factor = checks.real_number(self.factor, "factor", lambda x: 0 < x < 1, "greater than 0 and below 1")
        object.__setattr__(self, "factor", factor)
        self.check(checks.whole_number, "patience", least=0)
        self.check(checks.one_of, "metric", choices=_METRICS)
        self.check(not_negative, "least")
        object.__setattr__(self, "_state", {"value": self.start, "best": None, "bad_epochs": 0})

    def begin(self, total_steps: int, total_epochs: int) -> "Plateau":
        """Return a new one."""
        return replace(self)

    def value(self, step: int, epoch: int, steps_per_epoch: int) -> float:
        """Return what the epochs so far have left of `start`."""
        return self._state["value"]

    def observe(self, history: Any) -> None:
        """Compare the metric's latest value with the best. Raises ValueError where the history has none."""
        found = getattr(history, self.metric)
        if not found:
            raise ValueError(
                f"metric is {self.metric!r}, and the history has none; fit with validation=(X, y), or follow 'loss'"
            )
        latest, now = float(found[-1]), self._state
        if now["best"] is None or self._is_better(latest, now["best"]):
            now["best"], now["bad_epochs"] = latest, 0
            return
        now["bad_epochs"] += 1
        if now["bad_epochs"] > self.patience:
            # min: a start below `least` does not rise to it.
            now["value"] = min(now["value"], max(self.factor * now["value"], self.least))
            now["bad_epochs"] = 0

    def _is_better(self, latest: float, best: float) -> bool:
        if self.metric.endswith("accuracy"):
            return latest > best * (1 + _THRESHOLD)
        return latest < best * (1 - _THRESHOLD)

    def state(self) -> dict[str, Any]:
        """Return the value now, the best metric and the epochs since."""
        return dict(self._state)

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from such a state."""
        super().restore(state)
        self._state.update(state)
