"""Why training goes wrong: the facts that speak for each of the usual causes."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..sums import sum_of_squares

if TYPE_CHECKING:
    from ..mlp import MLP

_LARGE_INPUTS = 10.0  # root mean square; scaled inputs have about 1, pixels up to 255 have 80
_LARGE_TARGETS = 100.0
_LARGE_WEIGHTS = 3.0  # times those of He's initialisation
_GROWN_WEIGHTS = 10.0  # times those at the start
_LARGE_UPDATE = 1.0  # times the weights
_LARGE_RATE = 100.0  # whatever the optimiser
_SAMPLE = 10_000  # weights: their root mean square is that of all to one per cent


def root_mean_square(values: Any) -> float:
    """sqrt(mean(x^2)), in float64."""
    flat = np.asarray(values).reshape(-1)
    product = sum_of_squares(flat)
    if not math.isfinite(product):  # float32 overflows at 1e19 already
        with np.errstate(over="ignore"):
            product = float(np.square(flat, dtype=np.float64).sum())
    return math.sqrt(product / flat.size)


def he_deviation(fan_in: int) -> float:
    """sqrt(2 / fan_in). He et al., ICCV 2015, section 2.2."""
    return math.sqrt(2 / fan_in)


@dataclass(frozen=True)
class Start:
    """Mean and root mean square of a layer's weights when the fit began, and the root mean square of its biases."""

    mean: float
    size: float
    bias_size: float
    fan_in: int

    @classmethod
    def of(cls, W: np.ndarray, b: np.ndarray) -> "Start":
        """Look at a layer, and of a large one at some of its weights: all of them took 1 % of half a second's training."""
        some = W.reshape(-1)[:: W.size // _SAMPLE + 1 | 1]  # of both: an odd step does not keep to one column
        return cls(float(some.mean(dtype=np.float64)), root_mean_square(some), root_mean_square(b), len(W))

    @property
    def excess(self) -> float:
        """How many times larger the weights are than He's initialisation makes them."""
        return self.size / he_deviation(self.fan_in)

    def __str__(self) -> str:
        text = f"root mean square {self.size:.3g}"
        return f"{text}, mean {self.mean:.3g}" if abs(self.mean) > self.size / 2 else text


@dataclass(frozen=True)
class Facts:
    """What is known when something went wrong in a layer."""

    kind: str
    """As in `Finding`."""
    net: "MLP"
    """With the parameters from before the step."""
    layer: int
    X: np.ndarray
    """The step's rows."""
    targets: np.ndarray
    start: list[Start]
    """Each layer when the fit began."""
    rate: float
    update: float
    """The step's update of the layer's weights, times their own norm."""
    was_well: bool = False
    """Whether the layer was looked at before and nothing was wrong."""


def likely_causes(facts: Facts) -> tuple[str, ...]:
    """Return the causes that something speaks for: first what the others follow from."""
    inputs, targets, initial, rate = _inputs(facts), _targets(facts), _initial(facts), _rate(facts)
    if rate is not None and facts.rate > _LARGE_RATE:
        order = [rate, inputs, targets, initial]
    elif facts.was_well:
        order = [inputs, targets, rate, initial]
    else:
        order = [inputs, targets, initial, rate]
    found = [cause for cause in order if cause is not None]
    return tuple(found) or (_otherwise(facts),)


def _otherwise(facts: Facts) -> str:
    if facts.kind == "vanishing":
        return (
            "activations too flat: the slopes of the layers above multiply to almost nothing; take 'relu', or fewer "
            "layers"
        )
    return f"learning rate too high: it is {facts.rate:g}; take a tenth of it, or clip_norm=1"


def _inputs(facts: Facts) -> str | None:
    size = root_mean_square(facts.X)
    if size == 0:
        return "inputs are all 0 in this batch"
    if size <= _LARGE_INPUTS:
        return None
    return (
        f"inputs not scaled: X goes from {facts.X.min():.3g} to {facts.X.max():.3g}, root mean square {size:.3g} "
        "where about 1 is good; see fastnn.preparation"
    )


def _targets(facts: Facts) -> str | None:
    if facts.net.loss.kind != "values":
        return None
    size = root_mean_square(facts.targets)
    if size <= _LARGE_TARGETS:
        return None
    return f"targets not scaled: y has root mean square {size:.3g}; scale it to about 1"


def _initial(facts: Facts) -> str | None:
    """What speaks against the parameters that the fit began with."""
    # Gradients come from above, everything else from below.
    above = range(facts.layer, len(facts.start))
    below = range(facts.layer + 1)
    looked_at = above if facts.kind == "vanishing" else below
    for layer in (facts.layer, *above):
        if facts.start[layer].size == 0:
            return f"initial weights are all 0 in layer {layer}; take init='he_normal'"
    worst = max(below, key=lambda layer: facts.start[layer].excess)
    text = "initial weights too large"
    if facts.start[worst].excess <= _LARGE_WEIGHTS:
        worst = min(looked_at, key=lambda layer: facts.start[layer].excess)
        text = "initial weights too small"
        if facts.kind != "vanishing" or facts.start[worst].excess >= 1 / _LARGE_WEIGHTS:
            worst = max(below, key=lambda layer: facts.start[layer].bias_size)
            size = facts.start[worst].bias_size
            if size <= _LARGE_INPUTS:
                return None
            return f"initial biases too large: those of layer {worst} had root mean square {size:.3g}"
    start = facts.start[worst]
    return (
        f"{text}: those of layer {worst} had {start}, {start.excess:.3g} times He initialisation's deviation of "
        f"{he_deviation(start.fan_in):.3g}; take init='he_normal'"
    )


def _rate(facts: Facts) -> str | None:
    if facts.kind == "vanishing":
        return None
    start = facts.start[facts.layer]
    now = root_mean_square(facts.net.weights[facts.layer])
    others = max(1.0, root_mean_square(facts.X)) * max(1.0, start.excess)  # these make gradients large too
    text = f"learning rate too high: it is {facts.rate:g}, and "
    if facts.update > _LARGE_UPDATE * others:
        times = (
            f"{facts.update:.3g} times their norm" if math.isfinite(facts.update) else "more than all bounds"
        )
        return f"{text}the step changes the weights of layer {facts.layer} by {times}"
    if start.size > 0 and now > _GROWN_WEIGHTS * start.size:
        return f"{text}the weights of layer {facts.layer} have grown to {now / start.size:.3g} times their first size"
    if facts.was_well:
        return f"{text}layer {facts.layer} was well earlier in this fit"
    return None
