"""Is a function's derivative right? Central differences say, where they can be trusted."""

import math
from collections.abc import Callable
from numbers import Real
from typing import Any

import numpy as np

from ..checks import describe

_HALF = (0.013, 0.11, 0.37, 0.83, 1.3, 2.1, 3.7, 7.3, 19.0)
_POINTS = (*(-x for x in reversed(_HALF)), *_HALF)

# Differences of fourth order over 1e-3: 1e-13 |f'''''| of the series' rest, 1e-13 |f| of rounding.
_STEP = 2.0**-10
_TOLERANCE = 1e-6
# The slopes on both sides differ by 2 h f''; at a kink, they just differ.
_KINK = 0.05


def _value(function: Callable[[float], Any], x: float, name: str) -> float:
    """f(x), or NaN where it does not exist. Raises TypeError where the function cannot be called, or gives no number."""
    try:
        result = function(np.float64(x))  # with NumPy's rules for types, as where it is compiled
    except ArithmeticError:  # overflow, a division by 0
        return math.nan
    except ValueError:  # math.log(-1)
        return math.nan
    except Exception as error:
        raise TypeError(f"{name}({x:g}) raised {type(error).__name__}: {error}") from error
    if isinstance(result, complex):  # a fractional power of a negative number
        return math.nan
    if not isinstance(result, Real):
        raise TypeError(f"{name}({x:g}) is {describe(result)}; a real number is needed")
    return float(result)


def check_slope(function: Callable[[float], Any], derivative: Callable[[float], Any], name: str) -> None:
    """Compare f' with central differences of f at a spread of points, where f is finite and smooth.

    Raises ValueError where they differ, or where there is no such point.
    """
    with np.errstate(all="ignore"):  # NumPy's functions warn of what is looked at here anyway
        if not any([_agrees(function, derivative, name, x) for x in _POINTS]):
            raise ValueError(f"{name!r} is nowhere finite and smooth from {_POINTS[0]:g} to {_POINTS[-1]:g}")


def _agrees(
    function: Callable[[float], Any], derivative: Callable[[float], Any], name: str, x: float
) -> bool:
    """True where f' is right at x, False where f is not finite or smooth there; raise ValueError where f' is wrong."""
    far_left, left, here, right, far_right = (
        _value(function, x + steps * _STEP, name) for steps in (-2, -1, 0, 1, 2)
    )
    numerical = (8 * (right - left) - (far_right - far_left)) / (12 * _STEP)
    given = _value(derivative, x, f"the derivative of {name}")
    bend = abs((far_right - here) - (here - far_left)) / (2 * _STEP)
    scale = 1 + abs(numerical) + abs(here)
    if not math.isfinite(numerical) or bend > _KINK * scale:
        return False
    if not abs(given - numerical) <= _TOLERANCE * scale:
        raise ValueError(
            f"the derivative of {name!r} is wrong at {x:g}: it gives {given:.9g}, and the function's differences "
            f"there {numerical:.9g}"
        )
    return True
