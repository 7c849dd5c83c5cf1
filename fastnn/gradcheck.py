"""Comparing the gradients of the jit backend with the slopes of its loss, measured by finite differences."""

from collections.abc import Callable
from math import inf, isfinite

import numpy as np

from . import backends, checks
from .mlp import MLP

ROWS = 100
"""The most samples that are used."""

SMALL = 1000
"""Up to so many parameters of a network, all are checked."""

ENTRIES = 50
"""In a larger network, so many are checked of each array."""

STEPS = (2.0**-10, 2.0**-12, 2.0**-14, 2.0**-16, 2.0**-18, 2.0**-20, 2.0**-22)
"""The steps h, for parameters up to 1; powers of two, so that p + h is nearly exact."""

CLOSE = 1e-7
"""A relative error below which no smaller step is tried."""

RESOLUTION = 1e-6
"""The smallest slope that is measured to six digits, where the loss is about 1."""


def gradient_check(net: MLP, X: object, y: object, seed: int = 0) -> dict[str, float]:
    """Compare dL/dp of the mean loss L with its measured slopes -> each array's worst relative error.

    The keys are "weights[0]", "biases[0]", "weights[1]" and so on. The error of a parameter p with gradient g
    and measured slope s is |g - s| / max(|g|, |s|, 1e-6 max(1, L)): relative, but for slopes so small that
    they are lost in the rounding of L; 0 and 0 give 0. Right gradients stay below 1e-6. A g that is 0, or
    twice what it should be, gives 1 or 1/2.

    The slope is the central difference of fourth order, (8 (L₁ - L₋₁) - (L₂ - L₋₂)) / 12h, L_k = L(p +
    kh). Where a step crosses the kink of a ReLU it is wrong, and where p lies on a kink (as a bias of 0
    does when a sample is all zeros) there are two slopes, one to each side. So those of both sides are
    measured too, (-3 L₀ + 4 L₁ - L₂) / 2h and its mirror image. Where none of the three agrees, all are
    measured again with smaller steps: h = 2⁻¹⁰, 2⁻¹² ... 2⁻²², times |p| where that is above 1. The best
    agreement counts: a wrong gradient agrees with none. When most units are within 1e-6 of their kinks,
    as with weights a hundred times smaller than He's, every step crosses some, and right gradients too
    have errors.

    All is computed in float64, on a copy: a float32 network is checked as the float64 network with the same
    parameters, and is itself never written to. Up to 1000 parameters are checked all; of a larger network,
    50 of each array: the one with the largest gradient, and others drawn by `seed`. Of more than 100 samples,
    100 are drawn.

    Raises TypeError or ValueError for a net that is no MLP, and for X and y as `fit` does.
    """
    if not isinstance(net, MLP):
        raise TypeError(f"net is {checks.describe(net)}; an MLP is needed")
    copy = MLP(net.sizes, list(net.activations), list(net.weights), "float64", loss=net.loss)
    copy.biases = list(net.biases)
    X, y = copy.check_samples(X, y)
    rng = np.random.Generator(np.random.PCG64(checks.whole_number(seed, "seed", least=0, most=None)))
    if len(y) > ROWS:
        rows = rng.choice(len(y), ROWS, replace=False)
        X, y = X[rows], y[rows]
    backend = backends.get("jit")
    dW, db = backend.gradients(copy, X, y)
    small = sum(array.size for array in (*copy.weights, *copy.biases)) <= SMALL

    def worst_error(parameters: np.ndarray, gradient: np.ndarray) -> float:
        parameters, gradient = parameters.reshape(-1), gradient.reshape(-1)
        chosen = range(len(gradient)) if small else _choose(rng, gradient)
        return max(_error(loss, level, parameters, int(i), float(gradient[i])) for i in chosen)

    def loss() -> float:
        return float(backend.losses(copy, X, y, None)[0].mean())

    level = loss()
    errors = {}
    for layer in range(len(dW)):
        errors[f"weights[{layer}]"] = worst_error(copy.weights[layer], dW[layer])
        errors[f"biases[{layer}]"] = worst_error(copy.biases[layer], db[layer])
    return errors


def _choose(rng: np.random.Generator, gradient: np.ndarray) -> np.ndarray:
    """Draw ENTRIES indices of the gradient, with that of its largest; return all if there are no more."""
    if len(gradient) <= ENTRIES:
        return np.arange(len(gradient))
    others = rng.choice(len(gradient), ENTRIES - 1, replace=False)
    return np.union1d(others, np.abs(gradient).argmax())


def _error(loss: Callable[[], float], level: float, array: np.ndarray, i: int, gradient: float) -> float:
    """Return the relative error of the gradient by array[i], as in `gradient_check`; level is loss()."""
    floor = RESOLUTION * max(1.0, level)
    best = inf
    for step in STEPS:
        h = step * max(1.0, abs(float(array[i])))
        for slope in _slopes(loss, level, array, i, h):
            error = abs(gradient - slope) / max(abs(gradient), abs(slope), floor)
            if isfinite(error):
                best = min(best, error)
        if best < CLOSE:
            break
    return best


def _slopes(
    loss: Callable[[], float], level: float, array: np.ndarray, i: int, h: float
) -> tuple[float, float, float]:
    """Measure the slope of the loss in array[i]: around its value, to the right, and to the left."""
    p = float(array[i])

    def at(k: int) -> float:
        array[i] = p + k * h
        return loss()

    left2, left1, right1, right2 = map(at, (-2, -1, 1, 2))
    array[i] = p
    around = (8 * (right1 - left1) - (right2 - left2)) / (12 * h)
    right = (-3 * level + 4 * right1 - right2) / (2 * h)
    left = (3 * level - 4 * left1 + left2) / (2 * h)
    return around, right, left
