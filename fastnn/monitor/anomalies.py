"""What training can run into, as an error or a warning that says where and why."""

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Finding:
    """Something that is wrong with a training run.

    kind: "diverged", "dead", "saturated", "vanishing" or "exploding".
    step: counted from 0 in this fit; of "diverged" the first step whose loss or new parameters are not finite.
    epoch: counted from 1 in this fit.
    layer: counted from 0.
    quantity: "weights", "biases", "activations", "logits", "gradient" or "loss".
    range: the least and the largest of its finite values; NaN where there is none.
    causes: what it may come from, the likeliest first; one at least.
    """

    kind: str
    step: int
    epoch: int
    layer: int
    quantity: str
    range: tuple[float, float]
    causes: tuple[str, ...]
    what: str

    def message(self) -> str:
        """Return what, where and why in words."""
        text = f"{self.what} in epoch {self.epoch}, step {self.step}"
        text += f" (counted from 0). Likely cause: {self.causes[0]}."
        if len(self.causes) > 1:
            text += f" Or: {'; '.join(self.causes[1:])}."
        return text


class _Told:
    """An exception with the attributes of a Finding; all are None where it was raised without one."""

    kind: str | None = None
    step: int | None = None
    epoch: int | None = None
    layer: int | None = None
    quantity: str | None = None
    range: tuple[float, float] | None = None
    causes: tuple[str, ...] | None = None
    _then = " The network has the parameters from before that step."

    def __init__(self, message: str | Finding):
        if not isinstance(message, Finding):
            super().__init__(message)
        else:
            finding = message
            super().__init__(finding.message() + self._then)
            for field in fields(Finding):
                if field.name != "what":
                    setattr(self, field.name, getattr(finding, field.name))


class TrainingDiverged(_Told, ArithmeticError):  # noqa: N818
    """The loss or a parameter became NaN or infinite.

    Its attributes step, epoch, layer, quantity, range and causes say where and why; see `Finding`. The network has the
    parameters from before that step.
    """


class TrainingStopped(_Told, ArithmeticError):  # noqa: N818
    """A layer is dead or saturated, or gradients vanish or explode, and `anomalies` is "stop".

    Its attributes are those of TrainingDiverged, and kind, which is "dead", "saturated", "vanishing" or "exploding".
    """


class TrainingWarning(_Told, UserWarning):
    """A layer is dead or saturated, or gradients vanish or explode; its attributes are those of TrainingStopped."""

    _then = ""


def finite_range(values: Any) -> tuple[float, float]:
    """Return the least and the largest finite value, NaN where there is none."""
    values = np.asarray(values)
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else (math.nan, math.nan)


def in_words(span: tuple[float, float]) -> str:
    """Say where the finite values lie."""
    low, high = span
    return "none is finite" if math.isnan(low) else f"the finite ones lie from {low:.3g} to {high:.3g}"
