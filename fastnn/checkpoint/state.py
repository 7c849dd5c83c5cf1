"""All of a training that decides its future, as a description and arrays for a file, and back."""

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import checks, tensor_file
from ..batches import Batches
from ..callbacks import name_of
from ..history import History
from .fingerprint import differences

if TYPE_CHECKING:
    from ..trainer import Training

FORMAT = 1
KIND = "fastnn checkpoint"
WHAT = "checkpoint"

_LISTS = [
    field.name for field in dataclasses.fields(History) if field.default_factory is not dataclasses.MISSING
]
_POSITION = ("epoch", "done", "step", "seconds", "first_epoch")
_KEYS = {
    "format",
    "must be the same",
    "position",
    "epochs_trained",
    "correct",
    "rows",
    "stopped",
    "inputs",
    "schedule",
    "callbacks",
}


def encode(training: "Training") -> bytes | None:
    """Return the content of a checkpoint, made between two steps; None where a parameter is not finite."""
    state = training.backend.state()
    if checks.first_not_finite(state["parameters"]) is not None:
        return None
    numbers, arrays = training.sums.state()
    history = training.history
    tensors = {f"backend.{name}": array for name, array in state.items()}
    tensors |= {f"sums.{name}": array for name, array in arrays.items()}
    tensors |= {f"history.{name}": np.array(getattr(history, name)) for name in _LISTS}
    tensors["batches"] = training.run.batches.table()
    description = {
        "format": FORMAT,
        "must be the same": training.saver.fingerprint,
        "position": {name: getattr(training, name) for name in _POSITION},
        "epochs_trained": training.net.epochs_trained,
        **numbers,
        # The time is that of one call of fit: the next goes on.
        "stopped": None if training.out_of_time else history.stopped,
        "inputs": training.backend.inputs,
        "schedule": _split(training.schedule.state(), "learning_rate", "schedule.", tensors),
        "callbacks": [
            _split(callback.state(), f"callback {name_of(callback)}", f"callbacks.{i}.", tensors)
            for i, callback in enumerate(training.run.callbacks)
        ],
    }
    return tensor_file.encode(KIND, description, dict(sorted(tensors.items())))


def _split(state: Any, owner: str, prefix: str, tensors: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return what JSON can hold of a state, and put its arrays among the tensors. Raises TypeError for all else."""
    if not isinstance(state, dict):
        raise TypeError(f"{owner}: state() returned {checks.describe(state)}; a dict is needed")
    plain = {}
    for name, value in state.items():
        if not isinstance(name, str):
            raise TypeError(f"{owner}: state() has the name {checks.describe(name)}; a string is needed")
        if isinstance(value, np.ndarray | np.generic) and value.dtype.name in tensor_file.DTYPES:
            tensors[prefix + name] = np.asarray(value)
        elif value is None or isinstance(value, bool | int | float | str):
            plain[name] = value
        else:
            raise TypeError(
                f"{owner}: state()[{name!r}] is {checks.describe(value)}; "
                "a number, a string, None or an array of numbers is needed"
            )
    return plain


class Saved:
    """What was read from a checkpoint: `restore` goes back to it. Raises what `tensor_file.read` does."""

    def __init__(self, name: str):
        self._name = name
        self._description, self._tensors = tensor_file.read(name, KIND, WHAT, _check)
        self.first_epoch: int = self._description["position"]["first_epoch"]
        """How many epochs the network had been trained when this training began."""

    def check_same(self, fingerprint: dict[str, Any], batches: Batches) -> None:
        """Raise ValueError naming what differs, if a call of `fit` with these is of another training."""
        found = differences(self._description["must be the same"], fingerprint)
        found += self._other_batches(batches)
        if found:
            raise ValueError(
                f"the checkpoint {self._name!r} is of another training: {'; '.join(found)}; "
                "give what it was made with, or another path"
            )

    def _other_batches(self, now: Batches) -> list[str]:
        before = Batches.of_table(now.rows, self._tensors["batches"])
        if len(now.changes) < len(before.changes):
            return [f"epochs was {len(before.changes)} and is {len(now.changes)}, and may only grow"]
        for epoch, (old, new) in enumerate(zip(before.changes, now.changes, strict=False)):
            if old != new:
                row = min({*old} ^ {*new})[0]
                sizes = [batches.at(epoch, row)[0] for batches in (before, now)]
                return [f"batch_size of epoch {epoch + 1} was {sizes[0]} and is {sizes[1]}"]
        return []

    def restore(self, training: "Training") -> None:
        """Put all into a training that has just been made, and into its network."""
        description, backend = self._description, training.backend
        if description["inputs"] != backend.inputs:
            raise ValueError(
                f"the checkpoint {self._name!r} is of another training: the first layer's inputs were "
                f"{description['inputs']} and are {backend.inputs}; give sparse={description['inputs'] == 'sparse'}"
            )
        state = self._part("backend.")
        training.schedule.restore(self._joined(description["schedule"], "schedule."))
        for i, callback in enumerate(training.run.callbacks):
            callback.restore(self._joined(description["callbacks"][i], f"callbacks.{i}."))
        for name in _POSITION:
            setattr(training, name, description["position"][name])
        training.sums.restore(description, self._part("sums."))
        for name, values in self._part("history.").items():
            getattr(training.history, name)[:] = values.tolist()
        training.history.stopped = description["stopped"]
        backend.load_state(state)
        training.net.epochs_trained = description["epochs_trained"]
        # As `pull` would write them; but that one may round what the backend goes on with.
        training.parameters.arena[...] = state.get("average", state["parameters"])

    def _part(self, prefix: str) -> dict[str, np.ndarray]:
        """Return the tensors whose names begin so, by the rest of the name; copies, which may be written."""
        return {
            name.removeprefix(prefix): array.copy()
            for name, array in self._tensors.items()
            if name.startswith(prefix)
        }

    def _joined(self, plain: dict[str, Any], prefix: str) -> dict[str, Any]:
        arrays = self._part(prefix)
        return {**plain, **{name: array if array.ndim else array[()] for name, array in arrays.items()}}


def _check(description: dict[str, Any], table: dict[str, Any]) -> list[str]:
    """See `tensor_file.Check`. What is in it was written with its checksum; only a foreign file could have other content."""
    tensor_file.check_format(description, FORMAT)
    if description.keys() != _KEYS:
        raise ValueError("the description of the training lacks an entry, or has one that is not known")
    return sorted(table)
