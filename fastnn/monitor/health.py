"""A look at a network in training: whether its layers are alive, and gradients come through."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..activations import Activation
from ..backends import Chunk
from ..csr import CSR, take_rows
from ..optimizers import Optimizer
from ..sums import sum_of_squares
from .anomalies import Finding, finite_range
from .causes import Facts, Start, he_deviation, likely_causes

if TYPE_CHECKING:
    from ..mlp import MLP
    from ..run import Run

FEWEST = 8
"""Layers of fewer units, and batches of fewer rows, say too little."""

_ROWS, _UNITS = 32, 4000
"""So many rows at most are looked at, fewer where every hidden layer has that many units together: they tell what all would."""

_TWO_SIDED = ("sigmoid", "tanh", "custom")  # those that saturate; the others are dead where they are flat
_FLAT = 1e-3  # a sigmoid's slope is that 6.9 from its middle, and 0.25 there
_DEAD = 1e-6
_SATURATED_PART, _DEAD_PART = 0.99, 0.999

_VANISHED = 1e-8  # of a gradient's norm, times the weights'
_LIVELY = 1e-4  # the same of the last layer, or there is nothing to learn any more
_LOSS_TO_LOWER = 0.1  # times that of guessing among the classes
_EXPLODED = 10.0  # an update's norm, times the weights'
_EXPLODED_RISING = 1.0  # the same where the loss is twice the first one


def _rows(net: "MLP") -> int:
    """Return how many rows to look at."""
    narrowest = min((size for size in net.sizes[1:-1] if size >= FEWEST), default=1)
    return max(FEWEST, min(_ROWS, _UNITS // narrowest))


def is_worth_a_look(net: "MLP", rows: int) -> bool:
    """Say whether there is enough to see."""
    return rows >= FEWEST and any(size >= FEWEST for size in net.sizes[1:])


@dataclass(frozen=True)
class _Case:
    """What a look is taken at."""

    net: "MLP"
    chunk: Chunk
    epoch: int
    rows: np.ndarray
    X: np.ndarray | CSR
    targets: np.ndarray

    @property
    def rate(self) -> float:
        """The learning rate of the step that comes."""
        return float(self.chunk.learning_rates[0])


class Health:
    """Looks at the layers of networks that one fit makes, and remembers which were well."""

    def __init__(self, run: "Run", starts: list[Start]):
        self._run, self._starts = run, starts
        self._well: set[int] = set()

    def look(
        self, net: "MLP", chunk: Chunk, epoch: int, rising: bool = False, gradients: bool = True
    ) -> list[Finding]:
        """Return what is wrong with `net` on the first rows of the chunk's first batch.

        epoch: counted from 1. rising: whether the loss is; then less is needed to say that gradients explode. gradients:
        whether to look at them as well as at the layers.
        """
        rows = chunk.rows[: min(_rows(net), chunk.batch_size)]
        X = chunk.X[: len(rows)] if chunk.X is not None else take_rows(self._run.X, rows)
        case = _Case(net, chunk, epoch, rows, X, self._run.targets[rows])
        with np.errstate(all="ignore"):
            outputs, slopes = self._run.backend.inspect(net, X, self._run.threads)
            if not np.isfinite(outputs[-1]).all():
                return []  # the step itself will tell
            found = self._layers(case, outputs, slopes)
            return self._gradients(case, rising) if gradients and not found else found

    def _layers(self, case: "_Case", outputs: list[np.ndarray], slopes: list[np.ndarray]) -> list[Finding]:
        """Return the first layer that is flat: those above it get no news from below, those below no gradients."""
        for layer, (activation, slope) in enumerate(zip(case.net.activations, slopes, strict=True)):
            if slope.shape[1] < FEWEST:
                continue
            kind = _flat(activation, slope)
            if kind is not None:
                what = f"layer {layer} is {kind}: its {activation.name} is flat for nearly all units and rows"
                return [self._finding(case, kind, layer, "activations", outputs[layer], what)]
            self._well.add(layer)
        return []

    def _gradients(self, case: "_Case", rising: bool) -> list[Finding]:
        """Return the first layer whose gradient vanishes or explodes."""
        run, net = self._run, case.net
        weights = None if run.row_weights is None else run.row_weights[case.rows]
        if weights is not None and not weights.any():
            return []
        dW, db = run.backend.gradients(net, case.X, case.targets, weights, run.threads)
        sizes = [max(_norm(W), 0.1 * he_deviation(len(W)) * math.sqrt(W.size)) for W in net.weights]
        lively = math.hypot(_norm(dW[-1]), _norm(db[-1])) > _LIVELY * sizes[-1]
        for layer, (gradient, size) in enumerate(zip(dW, sizes, strict=True)):
            norm = _norm(gradient)
            # A narrow layer above may well be dead for a few rows, and lets no gradient through then.
            if min(net.sizes[layer + 1 : -1] or net.sizes[-1:]) < FEWEST or not math.isfinite(norm):
                continue
            if norm < _VANISHED * size and lively and self._has_loss(case):
                what = (
                    f"gradients vanish in layer {layer}: their norm is {norm / size:.2g} times the weights'"
                )
                return [self._finding(case, "vanishing", layer, "gradient", gradient, what)]
            update = update_norm(run.optimizer, case.rate, norm, gradient.size) / size
            if update > (_EXPLODED_RISING if rising else _EXPLODED):
                what = f"gradients explode in layer {layer}: a step changes the weights by {update:.3g} times their norm"
                return [self._finding(case, "exploding", layer, "gradient", gradient, what, update)]
        return []

    def _finding(
        self,
        case: "_Case",
        kind: str,
        layer: int,
        quantity: str,
        values: np.ndarray,
        what: str,
        update: float = 0.0,
    ) -> Finding:
        well = layer in self._well and quantity == "activations"
        X = case.X.toarray() if isinstance(case.X, CSR) else case.X
        facts = Facts(kind, case.net, layer, X, case.targets, self._starts, case.rate, update, was_well=well)
        span = finite_range(values)
        what = f"{what} ({quantity} from {span[0]:.3g} to {span[1]:.3g})"
        step = case.chunk.first_step
        return Finding(kind, step, case.epoch, layer, quantity, span, likely_causes(facts), what)

    def _has_loss(self, case: "_Case") -> bool:
        net = case.net
        losses, _ = self._run.backend.losses(net, case.X, case.targets, 1)
        guessing = math.log(max(2, net.sizes[-1])) if net.loss.kind == "classes" else math.log(2)
        return float(losses.mean()) > _LOSS_TO_LOWER * (1.0 if net.loss.kind == "values" else guessing)


def _flat(activation: Activation, slope: np.ndarray) -> str | None:
    """Say whether a layer is "saturated" or "dead", or return None."""
    saturates = activation.settings()["name"] in _TWO_SIDED
    limit, part = (_FLAT, _SATURATED_PART) if saturates else (_DEAD, _DEAD_PART)
    if np.count_nonzero(np.abs(slope) < limit) < part * slope.size:
        return None
    return "saturated" if saturates else "dead"


def _norm(array: np.ndarray) -> float:
    return math.sqrt(sum_of_squares(array))


def update_norm(optimizer: Optimizer, rate: float, norm: float, size: int) -> float:
    """Return about the norm of a step on `size` weights whose gradient has this norm."""
    if optimizer.kernel not in ("sgd", "momentum", "nesterov"):
        return rate * math.sqrt(size)  # the others scale gradients to about 1
    if optimizer.clip_norm is not None:
        norm = min(norm, optimizer.clip_norm)
    if optimizer.clip_value is not None:
        norm = min(norm, optimizer.clip_value * math.sqrt(size))
    return rate * norm
