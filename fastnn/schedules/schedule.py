"""What every schedule offers, and the checks of settings that schedules and optimisers share."""

import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from typing import Any, ClassVar

from .. import checks


def positive(value: Any, name: str) -> float:
    """Return `value` as a float greater than 0 and finite."""
    return checks.real_number(value, name, lambda x: 0 < x < math.inf, "greater than 0 and finite")


def not_negative(value: Any, name: str) -> float:
    """Return `value` as a float of at least 0 and finite."""
    return checks.real_number(value, name, lambda x: 0 <= x < math.inf, "of at least 0 and finite")


def from_settings(kinds: Mapping[str, type], settings: Mapping[str, Any], name: str) -> Any:
    """Return an object of the kind that settings["name"] names, made with the other settings as keywords."""
    if "name" not in settings:
        raise ValueError(f"{name} has no 'name'; it must be one of {', '.join(map(repr, kinds))}")
    kind = kinds[checks.one_of(settings["name"], f"{name}['name']", tuple(kinds))]
    known = {item.name: item for item in fields(kind) if item.init}
    given = {key: value for key, value in settings.items() if key != "name"}
    for key in given:
        if key not in known:
            raise ValueError(f"{name} has the setting {key!r}; {kind.name!r} has {', '.join(known)}")
    for key, item in known.items():
        if item.default is MISSING and key not in given:
            raise ValueError(f"{name} lacks {key!r}; {kind.name!r} has {', '.join(known)}")
    return kind(**given)


class Schedule:
    """What every schedule offers; `unit` says how often its value changes, None that only `observe` changes it."""

    name: ClassVar[str]
    unit: str | None = "step"

    def begin(self, total_steps: int | None, total_epochs: int) -> "Schedule":
        """Return the schedule for a fit of this length: a length that was left out is the whole fit, if that is known."""
        return self

    def value(self, step: int, epoch: int, steps_per_epoch: int) -> float:
        """Return the value for a step, counted from 0 in the whole fit, of an epoch, counted from 0."""
        raise NotImplementedError

    def observe(self, history: Any) -> None:
        """Look at the history, after each epoch."""

    def state(self) -> dict[str, Any]:
        """Return what was learnt from the history, numbers and None by name; empty for most."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned. Raises ValueError for other names."""
        if set(state) != set(self.state()):
            need = f"of {', '.join(self.state())}" if self.state() else "that is empty"
            raise ValueError(
                f"state holds {', '.join(map(str, state)) or 'nothing'}; a state {need} is needed"
            )

    def settings(self) -> dict[str, Any]:
        """Return the name and the settings, as `resolve` reads them; what is None is left out."""
        found = {item.name: getattr(self, item.name) for item in fields(self) if item.init}
        written = {
            name: value.settings() if isinstance(value, Schedule) else value for name, value in found.items()
        }
        return {"name": self.name} | {name: value for name, value in written.items() if value is not None}

    def check(self, check: Callable[..., Any], *names: str, **limits: Any) -> None:
        """Replace fields by what `check` returns for them."""
        for name in names:
            object.__setattr__(self, name, check(getattr(self, name), name, **limits))


class Timed(Schedule):
    """A schedule that is a formula of the time in its unit."""

    def __post_init__(self) -> None:
        self.check(checks.one_of, "unit", choices=("step", "epoch"))
        self.check(positive, "start")

    def value(self, step: int, epoch: int, steps_per_epoch: int) -> float:
        """Return the value at time t, the step or the epoch."""
        return self._at(epoch if self.unit == "epoch" else step)

    def _at(self, t: int) -> float:
        raise NotImplementedError
