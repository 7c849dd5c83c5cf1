"""The losses on plain lists: what each row costs, and the gradient of the batch's weighted mean.

L = Σ_i w_i l_i / Σ_i w_i, with the row's loss l_i and its weight w_i, 1 where no weights are given. Of the elementwise losses
l_i is the mean over the outputs. The outputs z are logits where the loss is an entropy: softmax or sigmoid is inside. The
definitions are PyTorch's.
"""

import math
from collections.abc import Callable
from typing import Any

from .inputs import Matrix, Vector, as_labels, as_matrix, as_number, as_sequence, as_vector
from .operations import shifted_exponentials, softmax

Losses = tuple[Vector, Matrix]


def sigmoid(z: float) -> float:
    """p = 1 / (1 + e^-z), where e^-|z| cannot overflow."""
    u = math.exp(-abs(z))
    return u / (1.0 + u) if z < 0.0 else 1.0 / (1.0 + u)


def shares(weights: Any, m: int) -> Vector:
    """w_i / Σ_k w_k, the part of each of m rows in the mean; 1 / m where weights is None.

    Raises ValueError for another number of weights, a negative one, and a sum of 0.
    """
    weights = [1.0] * m if weights is None else as_vector(weights, "weights")
    if len(weights) != m:
        raise ValueError(f"weights has {len(weights)} numbers; {m} are needed, one for each row")
    if any(w < 0.0 for w in weights):
        raise ValueError("weights has a negative number; all must be at least 0")
    total = sum(weights)
    if m and total == 0.0:
        raise ValueError("weights has the sum 0; at least one must be greater")
    return [w / total for w in weights]


def is_labels(targets: Any) -> bool:
    """Whether targets are labels, one number a row, and not a matrix."""
    rows = as_sequence(targets, "targets")
    return len(rows) > 0 and not hasattr(rows[0], "__len__")


def target_rows(targets: Any, m: int, width: int | None) -> Matrix:
    """Return targets as a list of m rows of `width` floats. Raises ValueError for another shape."""
    rows, columns = as_matrix(targets, "targets")
    if (len(rows), columns) != (m, width):
        raise ValueError(f"targets is {len(rows)} x {columns}; {m} x {width} is needed, the outputs' shape")
    return rows


def cross_entropy(logits: Any, targets: Any, weights: Any = None, label_smoothing: float = 0.0) -> Losses:
    """l_i = -Σ_j t_ij log softmax(z_i)_j -> losses (m,), dL/dz (m, n).

    logits (m, n); targets: m labels y, for which t is 1 at y and 0 elsewhere, or rows t (m, n). With smoothing
    s, (1 - s) t + s / n takes the place of t. Since log softmax(z)_j = z_j - log Σ_k e^(z_k), the gradient by z_j
    is p_j Σ_k t_k - t_j. Source of the smoothing: Szegedy et al., Rethinking the Inception architecture, 2016, section 7.
    """
    logits, n = as_matrix(logits, "logits")
    m = len(logits)
    if is_labels(targets):
        targets = [[float(j == y) for j in range(n)] for y in as_labels(targets, m, n)]
    targets = target_rows(targets, m, n)
    s = as_number(label_smoothing, "label_smoothing")
    losses, gradient = [], []
    for z, t, share in zip(logits, targets, shares(weights, m), strict=True):
        t = [(1.0 - s) * t_j + s / n for t_j in t]
        e, largest = shifted_exponentials(z)
        log_sum = math.log(sum(e))
        # Where the target is 0 nothing is lost, not even in a class whose logit is minus infinity.
        losses.append(sum(t_j * (log_sum + (largest - z_j)) for z_j, t_j in zip(z, t, strict=True) if t_j))
        p_total = sum(t) / sum(e)
        gradient.append([share * (e_j * p_total - t_j) for e_j, t_j in zip(e, t, strict=True)])
    return losses, gradient


def elementwise(element: Callable[[float, float], tuple[float, float]]) -> Callable[..., Losses]:
    """The loss l_i = (1/n) Σ_j f(z_ij, t_ij), where element(z, t) is f and its slope ∂f/∂z."""

    def loss(outputs: Any, targets: Any, weights: Any = None) -> Losses:
        rows, n = as_matrix(outputs, "outputs")
        m = len(rows)
        losses, gradient = [], []
        for z, t, share in zip(rows, target_rows(targets, m, n), shares(weights, m), strict=True):
            pairs = [element(z_j, t_j) for z_j, t_j in zip(z, t, strict=True)]
            losses.append(sum(value for value, _ in pairs) / n)
            gradient.append([share * slope / n for _, slope in pairs])
        return losses, gradient

    return loss


def _logistic(z: float, t: float) -> tuple[float, float]:
    # -t log p - (1 - t) log(1 - p), p = sigmoid(z), where log p = -log(1 + e^-z) = min(z, 0) - log(1 + e^-|z|).
    value = (1.0 - t if z > 0.0 else t) * abs(z) + math.log1p(math.exp(-abs(z)))
    # The slope is p - t; this form of it does not vanish before p (1 - t) and (1 - p) t do.
    return value, sigmoid(z) * (1.0 - t) - sigmoid(-z) * t


def _squared(z: float, t: float) -> tuple[float, float]:
    d = z - t
    return d * d, 2.0 * d  # d**2 would raise where d * d is infinite


def _absolute(z: float, t: float) -> tuple[float, float]:
    # The slope at the kink is taken as 0.
    return abs(z - t), float((z > t) - (z < t))


def binary_cross_entropy(logits: Any, targets: Any, weights: Any = None) -> Losses:
    """l_i = -(1/n) Σ_j (t_ij log p_ij + (1 - t_ij) log(1 - p_ij)), p = 1 / (1 + e^-z) -> losses (m,), dL/dz (m, n).

    logits (m, n); targets (m, n) from 0 to 1. The slope by a logit is p - t.
    """
    return elementwise(_logistic)(logits, targets, weights)


def mean_squared_error(outputs: Any, targets: Any, weights: Any = None) -> Losses:
    """l_i = (1/n) Σ_j (z_ij - t_ij)² -> losses (m,), dL/dz (m, n). outputs, targets (m, n)."""
    return elementwise(_squared)(outputs, targets, weights)


def mean_absolute_error(outputs: Any, targets: Any, weights: Any = None) -> Losses:
    """l_i = (1/n) Σ_j |z_ij - t_ij| -> losses (m,), dL/dz (m, n). outputs, targets (m, n)."""
    return elementwise(_absolute)(outputs, targets, weights)


def huber(outputs: Any, targets: Any, weights: Any = None, delta: float = 1.0) -> Losses:
    """l_i = (1/n) Σ_j h(z_ij - t_ij), h(d) = d² / 2 where |d| <= δ, else δ (|d| - δ / 2) -> losses (m,), dL/dz (m, n).

    outputs, targets (m, n). Source: Huber, Robust estimation of a location parameter, 1964, section 1.
    """
    delta = as_number(delta, "delta")

    def element(z: float, t: float) -> tuple[float, float]:
        d = z - t
        if abs(d) > delta:
            return delta * (abs(d) - delta / 2.0), math.copysign(delta, d)
        return d * d / 2.0, d

    return elementwise(element)(outputs, targets, weights)


LOSSES = {
    "cross_entropy": cross_entropy,
    "binary_cross_entropy": binary_cross_entropy,
    "mean_squared_error": mean_squared_error,
    "mean_absolute_error": mean_absolute_error,
    "huber": huber,
}


def right_rows(name: str, outputs: Any, targets: Any) -> list[bool]:
    """Which rows the loss `name` counts as right. outputs (m, n); targets as of the loss.

    cross_entropy: the first largest output is that of the label, or of the first largest target. binary_cross_entropy:
    every output is on the side of 0 on which its target is of 1/2. The others: none, of a number nobody says that it is right.
    """
    rows, n = as_matrix(outputs, "outputs")
    if name == "cross_entropy":
        if is_labels(targets):
            labels = as_labels(targets, len(rows), n)
        else:
            labels = [t.index(max(t)) for t in target_rows(targets, len(rows), n)]
        return [z.index(max(z)) == label for z, label in zip(rows, labels, strict=True)]
    if name == "binary_cross_entropy":
        pairs = zip(rows, target_rows(targets, len(rows), n), strict=True)
        return [all((z_j > 0.0) == (t_j > 0.5) for z_j, t_j in zip(z, t, strict=True)) for z, t in pairs]
    return [False] * len(rows)


def sigmoid_outputs(outputs: Any) -> Matrix:
    """1 / (1 + e^-z) of every output. outputs (m, n) -> (m, n)."""
    return [[sigmoid(z) for z in row] for row in as_matrix(outputs, "outputs")[0]]


def identity_outputs(outputs: Any) -> Matrix:
    """The outputs themselves (m, n)."""
    return as_matrix(outputs, "outputs")[0]


PROBABILITIES = {"softmax": softmax, "sigmoid": sigmoid_outputs, "identity": identity_outputs}
