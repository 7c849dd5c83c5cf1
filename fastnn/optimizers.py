"""The optimisers as plain settings; the arithmetic of their steps is the backends'.

Names in other words than PyTorch's, but its formulas and defaults. A step: the gradients are clipped, by their norm and
then each number; the penalties' gradients are added; weights decay; the optimiser moves the parameters; the norms of
hidden units' weights are limited; the average follows. Penalties, decay and max_norm are for weights, never for biases.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, fields
from typing import Any, ClassVar

import numpy as np

from . import checks, schedules
from .schedules.schedule import Schedule, from_settings, not_negative, positive

LearningRate = float | Callable[[int], float] | Schedule

_SMALLEST_EPSILON = float(
    np.finfo(np.float32).tiny
)  # below it, epsilon would be 0 in float32, and 0 / 0 a step


def _rate(value: Any, name: str) -> LearningRate:
    if isinstance(value, Schedule) or (callable(value) and not isinstance(value, type)):
        return value
    if isinstance(value, Mapping):
        return schedules.resolve(value, name)
    need = "greater than 0 and finite, a schedule, or a function of the step"
    return checks.real_number(value, name, lambda rate: 0 < rate < math.inf, need)


def _fraction(value: Any, name: str) -> float:
    return checks.real_number(value, name, lambda x: 0 <= x < 1, "from 0 to below 1")


def _epsilon(value: Any, name: str) -> float:
    return checks.real_number(
        value,
        name,
        lambda x: _SMALLEST_EPSILON <= x < math.inf,
        f"of at least {_SMALLEST_EPSILON:.2g} (the smallest normal float32) and finite",
    )


def _limit(value: Any, name: str) -> float | None:
    return None if value is None else positive(value, name)


def _average(value: Any, name: str) -> float | None:
    if value is None:
        return None
    return checks.real_number(value, name, lambda x: 0 < x < 1, "greater than 0 and below 1, or None")


@dataclass(frozen=True)
class Optimizer:
    """What all optimisers have.

    Parameters
    ----------
    learning_rate: a number greater than 0, a schedule of `fastnn.schedules` or its settings, or a function of the
        step (0, 1, 2 ... within one call of fit).
    weight_decay: of the weights, not the biases. Coupled (SGD, Adam, RMSprop, Adagrad): weight_decay W is added to the
        gradient of the mean loss, which so gains weight_decay/2 |W|². Decoupled (AdamW, Lion): W *= 1 - learning_rate
        weight_decay before the step (Loshchilov and Hutter, Decoupled weight decay regularization, 2019).
    l1: l1 sign(W) is added to the weights' gradient: the loss gains l1 Σ|W|.
    clip_value: every number of the gradients is kept from -clip_value to clip_value; None for no limit.
    clip_norm: all gradients together are scaled by min(1, clip_norm / (norm + 1e-6)) before; None for no limit. Source:
        Pascanu, Mikolov and Bengio, On the difficulty of training recurrent neural networks, 2013, algorithm 1.
    max_norm: the largest norm of a hidden unit's incoming weights after a step; longer ones are scaled down to it. None
        for no limit. Source: Srebro and Shraibman, 2005; Hinton et al., 2012, appendix A.1.
    average: the decay of a moving average of the parameters, a ← average a + (1 - average) p after each step, from the
        first step's p on; greater than 0 and below 1, None for none. Source: Polyak and Juditsky, 1992.
    """

    learning_rate: LearningRate
    _: KW_ONLY
    weight_decay: float = 0.0
    l1: float = 0.0
    clip_value: float | None = None
    clip_norm: float | None = None
    max_norm: float | None = None
    average: float | None = None

    name: ClassVar[str]
    decoupled: ClassVar[bool] = False
    """Whether the weights decay by themselves, not through their gradient."""

    def __post_init__(self) -> None:
        self._check(_rate, "learning_rate")
        self._check(not_negative, "weight_decay", "l1")
        self._check(_limit, "clip_value", "clip_norm", "max_norm")
        self._check(_average, "average")

    def _check(self, check: Callable[[Any, str], Any], *names: str) -> None:
        """Replace fields by what `check` returns for them."""
        for name in names:
            object.__setattr__(self, name, check(getattr(self, name), name))

    @property
    def kernel(self) -> str:
        """The name of its update among the compiled ones."""
        return self.name

    @property
    def state_arrays(self) -> int:
        """How many numbers it keeps for each parameter: 0, 1 or 2."""
        return 1

    @property
    def penalises(self) -> bool:
        """Whether anything is done to gradients or weights before the update."""
        return bool(self.weight_decay or self.l1 or self.clip_value or self.clip_norm)

    def settings_table(self, learning_rates: np.ndarray, first_step: int, dtype: Any) -> np.ndarray:
        """Return what the compiled update needs, (steps, 2, columns): of weights and of biases."""
        from .backends.settings import settings_table

        return settings_table(self, learning_rates, first_step, dtype)

    def to_settings(self) -> dict[str, Any]:
        """Return the name and the settings, as `resolve` reads them; what is None is left out.

        Raises TypeError where the learning rate is a function, which cannot be written down.
        """
        found = {item.name: getattr(self, item.name) for item in fields(self)}
        if not isinstance(self.learning_rate, float):
            found["learning_rate"] = schedules.resolve(self.learning_rate).settings()
        return {"name": self.name} | {name: value for name, value in found.items() if value is not None}


@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent: v = momentum v + g; p -= learning_rate v (v is g without momentum).

    With `nesterov`, p -= learning_rate (g + momentum v). Source: Sutskever, Martens, Dahl and Hinton, On the
    importance of initialization and momentum in deep learning, 2013, section 2, in the form of PyTorch.

    Parameters
    ----------
    momentum: from 0 to below 1.
    nesterov: look ahead along v; needs a momentum.
    The others: see `Optimizer`.
    """

    learning_rate: LearningRate = 0.1
    momentum: float = 0.0
    nesterov: bool = False
    name: ClassVar[str] = "sgd"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check(_fraction, "momentum")
        self._check(checks.flag, "nesterov")
        if self.nesterov and self.momentum == 0:
            raise ValueError(
                "nesterov is True and momentum 0; Nesterov's step needs a momentum greater than 0"
            )

    @property
    def kernel(self) -> str:
        """The name of its update among the compiled ones."""
        if self.momentum == 0:
            return "sgd"
        return "nesterov" if self.nesterov else "momentum"

    @property
    def state_arrays(self) -> int:
        """How many numbers it keeps for each parameter: v, where there is momentum."""
        return 0 if self.momentum == 0 else 1


@dataclass(frozen=True)
class _TwoMoments(Optimizer):
    """The settings of Adam and AdamW."""

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check(_fraction, "beta1", "beta2")
        self._check(_epsilon, "epsilon")

    @property
    def state_arrays(self) -> int:
        """How many numbers it keeps for each parameter: m and v."""
        return 2


@dataclass(frozen=True)
class Adam(_TwoMoments):
    """m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g²; p -= learning_rate m̂ / (√v̂ + epsilon).

    Here m̂ = m / (1 - beta1ᵗ) and v̂ = v / (1 - beta2ᵗ) at the steps t = 1, 2 ... Source: Kingma and Ba,
    Adam: a method for stochastic optimization, 2015, algorithm 1.

    Parameters
    ----------
    beta1, beta2: from 0 to below 1.
    epsilon: a normal float32 greater than 0.
    The others: see `Optimizer`.
    """

    learning_rate: LearningRate = 0.001
    name: ClassVar[str] = "adam"


@dataclass(frozen=True)
class AdamW(_TwoMoments):
    """W *= 1 - learning_rate weight_decay, then Adam's step: the decay of all weights is alike.

    Source: Loshchilov and Hutter, Decoupled weight decay regularization, 2019, algorithm 2.

    Parameters
    ----------
    As Adam's.
    """

    learning_rate: LearningRate = 0.001
    _: KW_ONLY
    weight_decay: float = 0.01
    name: ClassVar[str] = "adamw"
    decoupled: ClassVar[bool] = True


@dataclass(frozen=True)
class RMSprop(Optimizer):
    """v = alpha v + (1 - alpha) g²; m = momentum m + g / (√v + epsilon); p -= learning_rate m.

    Source: Tieleman and Hinton, Neural networks for machine learning, lecture 6.5, 2012, in the form of PyTorch.

    Parameters
    ----------
    alpha, momentum: from 0 to below 1.
    epsilon: a normal float32 greater than 0.
    The others: see `Optimizer`.
    """

    learning_rate: LearningRate = 0.01
    alpha: float = 0.99
    epsilon: float = 1e-8
    momentum: float = 0.0
    name: ClassVar[str] = "rmsprop"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check(_fraction, "alpha", "momentum")
        self._check(_epsilon, "epsilon")

    @property
    def kernel(self) -> str:
        """The name of its update among the compiled ones."""
        return "rmsprop_momentum" if self.momentum else "rmsprop"

    @property
    def state_arrays(self) -> int:
        """How many numbers it keeps for each parameter: v, and m where there is momentum."""
        return 2 if self.momentum else 1


@dataclass(frozen=True)
class Adagrad(Optimizer):
    """v = v + g²; p -= learning_rate g / (√v + epsilon): what was seen often moves little.

    Source: Duchi, Hazan and Singer, Adaptive subgradient methods, 2011, section 1.1, in the form of PyTorch.

    Parameters
    ----------
    epsilon: a normal float32 greater than 0.
    The others: see `Optimizer`.
    """

    learning_rate: LearningRate = 0.01
    epsilon: float = 1e-10
    name: ClassVar[str] = "adagrad"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check(_epsilon, "epsilon")


@dataclass(frozen=True)
class Lion(Optimizer):
    """W *= 1 - learning_rate weight_decay; p -= learning_rate sign(beta1 m + (1 - beta1) g); m = beta2 m + (1 - beta2) g.

    Source: Chen et al., Symbolic discovery of optimization algorithms, 2023, algorithm 2.

    Parameters
    ----------
    beta1, beta2: from 0 to below 1.
    The others: see `Optimizer`.
    """

    learning_rate: LearningRate = 0.0001
    beta1: float = 0.9
    beta2: float = 0.99
    name: ClassVar[str] = "lion"
    decoupled: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check(_fraction, "beta1", "beta2")


OPTIMIZERS: dict[str, type[Optimizer]] = {
    kind.name: kind for kind in (SGD, Adam, AdamW, RMSprop, Adagrad, Lion)
}


def resolve(optimizer: Any, learning_rate: Any) -> Optimizer:
    """Return the optimiser that `fit` was asked for: an object as it is, or a name or settings with a learning rate."""
    if isinstance(optimizer, str):
        optimizer = {"name": checks.one_of(optimizer, "optimizer", tuple(OPTIMIZERS))}
    if isinstance(optimizer, Mapping) and learning_rate is not None and "learning_rate" not in optimizer:
        optimizer, learning_rate = {**optimizer, "learning_rate": learning_rate}, None
    if not isinstance(optimizer, Optimizer | Mapping):
        raise TypeError(
            f"optimizer is {checks.describe(optimizer)}; it must be {', '.join(map(repr, OPTIMIZERS))}, "
            "or an object of fastnn.optimizers such as SGD(learning_rate=0.1)"
        )
    if learning_rate is not None:
        raise ValueError(
            f"learning_rate is {checks.describe(learning_rate)} and optimizer "
            f"{'settings' if isinstance(optimizer, Mapping) else 'an object'} with a learning rate of "
            "its own; give one of the two"
        )
    return (
        optimizer if isinstance(optimizer, Optimizer) else from_settings(OPTIMIZERS, optimizer, "optimizer")
    )


def rates(
    learning_rate: LearningRate, first_step: int, steps: int, epoch: int = 0, steps_per_epoch: int = 1
) -> np.ndarray:
    """Return the learning rates (float64) of the steps first_step ... first_step + steps - 1, all of one epoch.

    A schedule must have begun. The results are checked here: each must be a finite number, and may be 0.
    """
    found = schedules.values(schedules.resolve(learning_rate), first_step, steps, epoch, steps_per_epoch)
    wrong = ~((found >= 0) & (found < math.inf))
    if wrong.any():
        place = int(wrong.argmax())
        not_negative(float(found[place]), f"learning_rate({first_step + place})")
    return found
