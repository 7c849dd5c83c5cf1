"""An activation that a user writes: a Python function, its derivative given or found, and compiled."""

import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .. import checks
from .builtin import BY_NAME, Activation
from .slope_check import check_slope

Function = Callable[[float], float]


@dataclass(frozen=True)
class Custom(Activation):
    """An activation of one's own: a Python function of one number, compiled by Numba.

    Parameters
    ----------
    function: f(x) of a float x, with what Numba compiles: arithmetic, `math`, NumPy's functions of numbers.
    derivative: f'(x), a function like it. If None, it is found from `function`, which must then be one calculation
        for all x, without `if` and comparisons: np.maximum, np.minimum and abs will do.
    name: if None, the function's name, with "custom_" before it where there is an activation of that name.

    The derivative is compared with central differences of `function` at some points; where that has a kink, jumps or is
    not finite, nothing is compared. Both functions are compiled at once, and computed in float64 whatever the network's
    dtype. A derivative that was found goes the way of `function`: where a part of that overflows, it may be NaN.

    Attributes
    ----------
    slope: f', as given or found.
    kernel: the compiled function; None where Numba is told not to compile.

    Raises TypeError for what is no such function or cannot be compiled, ValueError for a derivative that is wrong or cannot
    be found.
    """

    function: Function
    derivative: Function | None = None
    name: str | None = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", _custom_name(self.name, self.function))
        check_function(self.function, "function")
        derivative = self.derivative
        if derivative is None:
            derivative = _derive(self.function, self.name)
        else:
            check_function(derivative, "derivative")
        check_slope(self.function, derivative, self.name)
        from ..backends.functions import compile_custom  # takes Numba with it

        object.__setattr__(self, "slope", derivative)
        object.__setattr__(self, "kernel", compile_custom(self.name, self.function, derivative))

    @property
    def parameters(self) -> tuple[float, float]:
        """Always 0: what the function needs it has itself."""
        return 0.0, 0.0

    def settings(self) -> dict[str, Any]:
        """Return that it is custom, and the function's name: the function itself has to be given again."""
        return {"name": "custom", "function": self.name}

    def __deepcopy__(self, memo: dict) -> "Custom":
        return self  # nothing in it changes, and functions are not copied either

    def __reduce__(self) -> tuple:
        return Custom, (self.function, self.derivative, self.name)


def _custom_name(name: Any, function: Any) -> str:
    if name is None:
        name = getattr(function, "__name__", "custom")
        return f"custom_{name}" if name in BY_NAME else name
    if not isinstance(name, str):
        raise TypeError(f"name is {checks.describe(name)}; a string is needed")
    if name in BY_NAME:
        raise ValueError(f"name is {name!r}, which is an activation there is; give it another name")
    return name


def check_function(function: Any, name: str) -> None:
    """Raise TypeError unless it is a Python function, or one compiled by Numba."""
    # Numba's compiled functions have the Python function in them.
    if not isinstance(getattr(function, "py_func", function), types.FunctionType):
        raise TypeError(
            f"{name} is {checks.describe(function)}; a Python function of one number is needed, "
            "such as lambda x: np.tanh(x)"
        )


def _derive(function: Any, name: str) -> Function:
    from .expressions import derivative

    try:
        return derivative(getattr(function, "py_func", function))
    except Exception as error:  # whatever a user's function raises when x is not a number
        raise ValueError(
            f"the derivative of {name!r} cannot be found: {error}. Give derivative=, or write it without if and "
            "comparisons: np.maximum, np.minimum and abs will do"
        ) from error
