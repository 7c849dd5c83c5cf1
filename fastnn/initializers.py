"""How the weights of a layer start: drawn in float64 from the seed, then rounded to the network's dtype.

The same seed thus gives the same draws in float32 and in float64. Biases start at zero.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np

from . import checks


def generator(seed: int, *stream: int) -> np.random.Generator:
    """Return the generator of one stream of a seed: (0,) draws weights, (1, epoch) shuffles that epoch.

    PCG64 by name, because NumPy may change what `default_rng` is.
    """
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=stream)))


def he_normal(rng: np.random.Generator, W: np.ndarray) -> None:
    """W ~ N(0, 2 / fan_in). Source: He et al., Delving deep into rectifiers, 2015, equation 10."""
    _normal(rng, W, sqrt(2 / W.shape[0]))


def he_uniform(rng: np.random.Generator, W: np.ndarray) -> None:
    """W ~ U(-a, a), a = √(6 / fan_in): the variance 2 / fan_in of `he_normal`."""
    _uniform(rng, W, sqrt(6 / W.shape[0]))


def glorot_normal(rng: np.random.Generator, W: np.ndarray) -> None:
    """W ~ N(0, 2 / (fan_in + fan_out)).

    Source: Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks,
    2010, equation 12.
    """
    _normal(rng, W, sqrt(2 / sum(W.shape)))


def glorot_uniform(rng: np.random.Generator, W: np.ndarray) -> None:
    """W ~ U(-a, a), a = √(6 / (fan_in + fan_out)). Source: as `glorot_normal`, equation 16."""
    _uniform(rng, W, sqrt(6 / sum(W.shape)))


def lecun_normal(rng: np.random.Generator, W: np.ndarray) -> None:
    """W ~ N(0, 1 / fan_in). Source: LeCun, Bottou, Orr and Müller, Efficient backprop, 1998, equation 16."""
    _normal(rng, W, sqrt(1 / W.shape[0]))


def zeros(rng: np.random.Generator, W: np.ndarray) -> None:
    """W = 0: for networks without hidden layers, since equal hidden units would stay equal."""
    W[...] = 0


INITIALIZERS: dict[str, Callable[[np.random.Generator, np.ndarray], None]] = {
    "he_normal": he_normal,
    "he_uniform": he_uniform,
    "glorot_normal": glorot_normal,
    "glorot_uniform": glorot_uniform,
    "lecun_normal": lecun_normal,
    "zeros": zeros,
}


@dataclass(frozen=True)
class Initializer:
    """How every layer's weights start: `fill` draws them, `written` is what makes it again by `resolve`."""

    written: str | dict[str, Any]
    fill: Callable[[np.random.Generator, np.ndarray], None]


def resolve(value: Any, name: str = "init") -> Initializer:
    """Return the initialiser of a name, or of settings: {"name": "uniform", "low", "high"} or {"name": "normal", "deviation"}.

    Raises TypeError or ValueError for anything else.
    """
    if isinstance(value, str):
        return Initializer(value, INITIALIZERS[checks.one_of(value, name, tuple(INITIALIZERS))])
    if not isinstance(value, Mapping):
        raise TypeError(
            f"{name} is {checks.describe(value)}; it must be one of {', '.join(map(repr, INITIALIZERS))}, "
            "a list of weight arrays, one for each layer, or settings such as {'name': 'uniform', 'low': -1, 'high': 1}"
        )
    if value.get("name") in INITIALIZERS and len(value) == 1:
        return resolve(value["name"], name)
    kind = checks.one_of(value.get("name"), f"{name}['name']", (*INITIALIZERS, "uniform", "normal"))
    needed = {"uniform": ("low", "high"), "normal": ("deviation",)}.get(kind, ())
    if set(value) - {"name"} != set(needed):
        raise ValueError(
            f"{name} has the settings {', '.join(map(repr, value))}; "
            f"{', '.join(map(repr, ('name', *needed)))} are needed for {kind!r}"
        )
    numbers = [
        checks.real_number(value[key], f"{name}[{key!r}]", math.isfinite, "that is finite") for key in needed
    ]
    written = {"name": kind, **dict(zip(needed, numbers, strict=True))}
    if kind == "normal":
        (deviation,) = numbers
        return Initializer(written, lambda rng, W: _normal(rng, W, deviation))
    low, high = numbers
    if not low < high:
        raise ValueError(f"{name} is from {low:g} to {high:g}; low must be less than high")
    return Initializer(written, lambda rng, W: _fill(W, lambda shape: rng.uniform(low, high, shape)))


def _normal(rng: np.random.Generator, W: np.ndarray, deviation: float) -> None:
    _fill(W, lambda shape: deviation * rng.standard_normal(shape))


def _uniform(rng: np.random.Generator, W: np.ndarray, bound: float) -> None:
    _fill(W, lambda shape: rng.uniform(-bound, bound, shape))


def _fill(W: np.ndarray, draw: Callable[[tuple[int, int]], np.ndarray]) -> None:
    # A few rows at a time: the float64 draws of a large layer would take more memory than the layer.
    fan_in, fan_out = W.shape
    rows = max(1, 2**16 // fan_out)
    for start in range(0, fan_in, rows):
        block = W[start : start + rows]
        block[...] = draw(block.shape)
