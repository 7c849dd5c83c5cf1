"""The activations that have names: their parameters. The arithmetic is the backends'."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .. import checks

_LARGEST = float(np.finfo(np.float32).max)


class Activation:
    """A function of one number, applied to every output of a hidden layer.

    Attributes
    ----------
    name: as it is asked for, such as "leaky_relu".
    parameters: the two numbers that the compiled function takes; 0 where it needs none.
    """

    name: ClassVar[str]

    @property
    def parameters(self) -> tuple[float, float]:
        """The two numbers (a, b) that the compiled function takes; 0 where it needs none."""
        numbers = [getattr(self, field.name) for field in dataclasses.fields(self)]
        a, b, *_ = (*numbers, 0.0, 0.0)
        return a, b

    def settings(self) -> dict[str, Any]:
        """Return the name and the parameters by name, as `resolve` takes them."""
        return {"name": self.name, **dataclasses.asdict(self)}


def _check(activation: Any, field: str, accept: Callable[[float], bool], need: str) -> None:
    number = checks.real_number(getattr(activation, field), field, accept, need)
    object.__setattr__(activation, field, number)


def _in_float32(number: float) -> bool:
    return abs(number) <= _LARGEST


@dataclass(frozen=True)
class Identity(Activation):
    """f(x) = x."""

    name = "identity"


@dataclass(frozen=True)
class ReLU(Activation):
    """f(x) = max(x, 0); f'(0) = 0."""

    name = "relu"


@dataclass(frozen=True)
class LeakyReLU(Activation):
    """f(x) = x for x > 0, else slope · x; f'(0) = slope. Maas, Hannun and Ng, ICML 2013, section 2.

    Parameters
    ----------
    slope: a finite number.
    """

    slope: float = 0.01
    name = "leaky_relu"

    def __post_init__(self) -> None:
        _check(self, "slope", _in_float32, "that is finite in float32")


@dataclass(frozen=True)
class ShiftedReLU(Activation):
    """f(x) = max(x, least); f'(least) = 0. Clevert, Unterthiner and Hochreiter, ICLR 2016, section 4.1.

    Parameters
    ----------
    least: a finite number.
    """

    least: float = -1.0
    name = "shifted_relu"

    def __post_init__(self) -> None:
        _check(self, "least", _in_float32, "that is finite in float32")


@dataclass(frozen=True)
class ELU(Activation):
    """f(x) = x for x > 0, else alpha (eˣ - 1); f'(0) = alpha. Clevert, Unterthiner and Hochreiter, ICLR 2016, section 3.

    Parameters
    ----------
    alpha: a finite number greater than 0.
    """

    alpha: float = 1.0
    name = "elu"

    def __post_init__(self) -> None:
        _check(self, "alpha", lambda x: 0 < x <= _LARGEST, "greater than 0 and finite in float32")


@dataclass(frozen=True)
class GELU(Activation):
    """f(x) = x Φ(x), Φ the normal distribution function, exact. Hendrycks and Gimpel, 2016, section 2."""

    name = "gelu"


@dataclass(frozen=True)
class SiLU(Activation):
    """f(x) = x / (1 + e⁻ˣ), also called swish. Elfwing, Uchibe and Doya, 2018, section 2."""

    name = "silu"


@dataclass(frozen=True)
class Sigmoid(Activation):
    """f(x) = 1 / (1 + e⁻ˣ)."""

    name = "sigmoid"


@dataclass(frozen=True)
class Tanh(Activation):
    """f(x) = tanh x."""

    name = "tanh"


@dataclass(frozen=True)
class Softplus(Activation):
    """f(x) = log(1 + eˣ), for all x: PyTorch's takes x itself above 20. Dugas et al., NIPS 2000, section 2."""

    name = "softplus"


KINDS = (Identity, ReLU, LeakyReLU, ShiftedReLU, ELU, GELU, SiLU, Sigmoid, Tanh, Softplus)
BY_NAME = {kind.name: kind for kind in KINDS}
