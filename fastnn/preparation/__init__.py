"""Preparations of inputs, one after another, and what they are called in settings.

steps = fastnn.preparation.Pipeline([CropBorder(2), Standardize()])
net.fit(steps.fit_transform(train.X), train.y)
net.evaluate(steps.transform(test.X), test.y)
"""

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

from .. import checks
from .cropping import CenterCrop as CenterCrop
from .cropping import CropBorder as CropBorder
from .cropping import LostInk as LostInk
from .downscale import Downscale14 as Downscale14
from .scaling import Binarize as Binarize
from .scaling import ScaleToUnit as ScaleToUnit
from .scaling import Scaling
from .scaling import Standardize as Standardize
from .transform import Transform as Transform

if TYPE_CHECKING:
    from ..mlp import MLP


class Pipeline(Transform):
    """Several preparations in order: each is fitted on what the one before makes of the training data.

    Parameters
    ----------
    steps: preparations, or names or settings of them; at least one.
    """

    name: ClassVar[str] = "pipeline"

    def __init__(self, steps: Sequence[Any]):
        if not isinstance(steps, list | tuple):
            raise TypeError(f"steps is {checks.describe(steps)}; a list of preparations is needed")
        if not steps:
            raise ValueError("steps is empty; at least one preparation is needed")
        self.steps = tuple(resolve(step, f"steps[{i}]") for i, step in enumerate(steps))

    def fold(self, net: "MLP") -> None:
        """Change the first layer of `net`, trained on prepared inputs, so that it takes them unprepared.

        Raises TypeError unless every step is a `Standardize` or `ScaleToUnit`.
        """
        for step in reversed(self._scalings()):
            step.fold(net)

    def unfold(self, net: "MLP") -> None:
        """Undo `fold`: change the first layer of `net` so that it takes prepared inputs."""
        for step in self._scalings():
            step.unfold(net)

    def settings(self) -> dict[str, Any]:
        """Return {"name": "pipeline", "steps": [...]}."""
        return {"name": self.name, "steps": [step.settings() for step in self.steps]}

    def state(self) -> dict[str, Any]:
        """Return {"steps": [...]}, what each step learned."""
        return {"steps": [step.state() for step in self.steps]}

    def restore(self, state: dict[str, Any]) -> Self:
        """Take over what `state` gave, and return this object."""
        states = state.get("steps")
        if not isinstance(states, list) or len(states) != len(self.steps):
            raise ValueError(f"state is that of another pipeline; this one has {len(self.steps)} steps")
        for step, own in zip(self.steps, states, strict=True):
            step.restore(own)
        return self

    def fit_transform(self, X: Any) -> Any:
        """Learn from X and return it prepared."""
        for step in self.steps:
            X = step.fit_transform(X)
        return X

    def _learn(self, X: Any) -> None:
        for step in self.steps[:-1]:
            X = step.fit_transform(X)
        self.steps[-1].fit(X)

    def _apply(self, X: Any) -> Any:
        for step in self.steps:
            X = step.transform(X)
        return X

    def _scalings(self) -> list[Scaling]:
        scalings = [step for step in self.steps if isinstance(step, Scaling)]
        if len(scalings) < len(self.steps):
            raise TypeError(f"{self!r} has steps that are no scalings; only these can be folded into a layer")
        return scalings


_KINDS: dict[str, type[Transform]] = {
    kind.name: kind
    for kind in (ScaleToUnit, Standardize, Binarize, CropBorder, CenterCrop, Downscale14, Pipeline)
}


def names() -> tuple[str, ...]:
    """Return the names of all preparations."""
    return tuple(_KINDS)


def resolve(value: Any, name: str = "preparation") -> Transform:
    """Return the preparation that `value` is or names: an object, a name, settings as a dict, or a list of such."""
    if isinstance(value, Transform):
        return value
    if isinstance(value, list | tuple):
        return Pipeline(value)
    if isinstance(value, str):
        value = {"name": value}
    if not isinstance(value, dict):
        raise TypeError(
            f"{name} is {checks.describe(value)}; an object of fastnn.preparation, a name, settings or a list is needed"
        )
    if "name" not in value:
        raise ValueError(f"{name} has no 'name'; it must be one of {', '.join(map(repr, _KINDS))}")
    kind = _KINDS[checks.one_of(value["name"], f"{name}.name", tuple(_KINDS))]
    given = {key: item for key, item in value.items() if key != "name"}
    try:
        inspect.signature(kind).bind(**given)
    except TypeError as error:
        raise TypeError(f"{name} is {kind.name!r} with {sorted(given)}: {error}") from None
    return kind(**given)
