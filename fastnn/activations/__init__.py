"""The hidden layers' activations: names, parameters, and functions of a user's own. No arithmetic of networks."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from .. import checks
from .builtin import BY_NAME
from .builtin import ELU as ELU
from .builtin import GELU as GELU
from .builtin import Activation as Activation
from .builtin import Identity as Identity
from .builtin import LeakyReLU as LeakyReLU
from .builtin import ReLU as ReLU
from .builtin import ShiftedReLU as ShiftedReLU
from .builtin import Sigmoid as Sigmoid
from .builtin import SiLU as SiLU
from .builtin import Softplus as Softplus
from .builtin import Tanh as Tanh
from .custom import Custom as Custom
from .custom import check_function


def names() -> tuple[str, ...]:
    """Return the names of the activations."""
    return tuple(BY_NAME)


def resolve(value: Any, name: str = "activation") -> Activation:
    """Return the activation meant by an object, a name, settings such as {"name": "elu", "alpha": 1}, or a function.

    Raises TypeError and ValueError, which name `name`, for anything else.
    """
    if isinstance(value, Activation):
        return value
    if isinstance(value, Mapping):
        return _from_settings(value, name)
    if isinstance(value, str):
        return BY_NAME[checks.one_of(value, name, names())]()
    if callable(value) and not isinstance(value, type):
        check_function(value, name)
        return Custom(value)
    raise TypeError(
        f"{name} is {checks.describe(value)}; it must be one of {', '.join(map(repr, names()))}, an object of "
        "fastnn.activations such as LeakyReLU(slope=0.1), or a function of one number"
    )


def _from_settings(settings: Mapping[str, Any], name: str) -> Activation:
    if settings.get("name") == "custom":
        raise ValueError(
            f"{name} is the custom function {settings.get('function')!r}, which its settings do not hold; "
            "give the function itself"
        )
    if "name" not in settings:
        raise ValueError(f"{name} has no 'name' among its settings; one of {', '.join(names())} is needed")
    kind = BY_NAME[checks.one_of(settings["name"], f"{name}.name", names())]
    fields = [field.name for field in dataclasses.fields(kind)]
    for key in settings:
        if key not in ("name", *fields):
            known = f"{kind.name} has: {', '.join(fields)}" if fields else f"{kind.name} has none"
            raise ValueError(f"{name} has a setting {key!r}; {known}")
    return kind(**{key: number for key, number in settings.items() if key != "name"})
