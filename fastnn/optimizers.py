"""The optimisers as plain settings; the arithmetic of their steps is the backends'."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import checks

LearningRate = float | Callable[[int], float]

_SMALLEST_EPSILON = float(
    np.finfo(np.float32).tiny
)  # below it, epsilon would be 0 in float32, and 0 / 0 a step


def _rate(value: Any) -> LearningRate:
    if callable(value) and not isinstance(value, type):
        return value
    return checks.real_number(
        value,
        "learning_rate",
        lambda rate: 0 < rate < math.inf,
        "greater than 0 and finite, or a function of the step",
    )


def _fraction(value: Any, name: str) -> float:
    return checks.real_number(value, name, lambda x: 0 <= x < 1, "from 0 to below 1")


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent: v = momentum v + g; p -= learning_rate v (v is g without momentum).

    With `nesterov`, p -= learning_rate (g + momentum v). Source: Sutskever, Martens, Dahl and Hinton, On the
    importance of initialization and momentum in deep learning, 2013, section 2, in the form of PyTorch.

    Parameters
    ----------
    learning_rate: a number greater than 0, or a function of the step (0, 1, 2 ... within one call of fit).
    momentum: from 0 to below 1.
    nesterov: look ahead along v; needs a momentum.
    """

    learning_rate: LearningRate = 0.1
    momentum: float = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "learning_rate", _rate(self.learning_rate))
        object.__setattr__(self, "momentum", _fraction(self.momentum, "momentum"))
        object.__setattr__(self, "nesterov", checks.flag(self.nesterov, "nesterov"))
        if self.nesterov and self.momentum == 0:
            raise ValueError(
                "nesterov is True and momentum 0; Nesterov's step needs a momentum greater than 0"
            )


@dataclass(frozen=True)
class Adam:
    """m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g²; p -= learning_rate m̂ / (√v̂ + epsilon).

    Here m̂ = m / (1 - beta1ᵗ) and v̂ = v / (1 - beta2ᵗ) at the steps t = 1, 2 ... Source: Kingma and Ba,
    Adam: a method for stochastic optimization, 2015, algorithm 1.

    Parameters
    ----------
    learning_rate: a number greater than 0, or a function of the step (0, 1, 2 ... within one call of fit).
    beta1, beta2: from 0 to below 1.
    epsilon: a normal float32 greater than 0.
    """

    learning_rate: LearningRate = 0.001
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        object.__setattr__(self, "learning_rate", _rate(self.learning_rate))
        object.__setattr__(self, "beta1", _fraction(self.beta1, "beta1"))
        object.__setattr__(self, "beta2", _fraction(self.beta2, "beta2"))
        epsilon = checks.real_number(
            self.epsilon,
            "epsilon",
            lambda x: _SMALLEST_EPSILON <= x < math.inf,
            f"of at least {_SMALLEST_EPSILON:.2g} (the smallest normal float32) and finite",
        )
        object.__setattr__(self, "epsilon", epsilon)


Optimizer = SGD | Adam
OPTIMIZERS = {"sgd": SGD, "adam": Adam}


def resolve(optimizer: Any, learning_rate: Any) -> Optimizer:
    """Return the optimiser that `fit` was asked for: an object as it is, or a name with a learning rate."""
    if isinstance(optimizer, SGD | Adam):
        if learning_rate is not None:
            raise ValueError(
                f"learning_rate is {checks.describe(learning_rate)} and optimizer an object with a "
                "learning rate of its own; give one of the two"
            )
        return optimizer
    if not isinstance(optimizer, str):
        raise TypeError(
            f"optimizer is {checks.describe(optimizer)}; it must be 'sgd', 'adam', "
            "or an object of fastnn.optimizers such as SGD(learning_rate=0.1)"
        )
    kind = OPTIMIZERS[checks.one_of(optimizer, "optimizer", tuple(OPTIMIZERS))]
    return kind() if learning_rate is None else kind(learning_rate=learning_rate)


def rates(learning_rate: LearningRate, first_step: int, steps: int) -> np.ndarray:
    """Return the learning rates (float64) of the steps first_step ... first_step + steps - 1.

    A function's results are checked here: each must be a finite number, and a schedule may touch 0.
    """
    if not callable(learning_rate):
        return np.full(steps, learning_rate)
    return np.array(
        [
            checks.real_number(
                learning_rate(step),
                f"learning_rate({step})",
                lambda rate: 0 <= rate < math.inf,
                "of at least 0 and finite",
            )
            for step in range(first_step, first_step + steps)
        ]
    )
