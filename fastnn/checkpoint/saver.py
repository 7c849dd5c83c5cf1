"""Checkpoints: a file from which an interrupted training goes on, to the same bits as if it had not been interrupted."""

import math
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .. import checks, tensor_file
from ..atomic_file import write_atomically
from . import state
from .fingerprint import fingerprint

if TYPE_CHECKING:
    from ..mlp import MLP
    from ..run import Run
    from ..trainer import Training

_ENDLESS = 2**31  # steps


class CheckpointError(ValueError):
    """The file is no checkpoint, is damaged, or comes from a later version."""


@dataclass(frozen=True)
class Checkpoint:
    """A file that `fit` writes now and then, and from which it goes on.

    It is written when training begins, then after every `steps` steps or `seconds` seconds, whichever is first, or at
    each epoch's end if neither is given; and when training ends, unless with an error. Each time the old file is replaced
    in one step, when the new one is whole.

    Parameters
    ----------
    path: the name of the file.
    steps: a whole number of at least 1, or None.
    seconds: a number greater than 0, or None; looked at between chunks of steps, of some 30 ms each.
    resume: go on from the file, if it exists: the network's parameters and `epochs_trained` are replaced by those in it,
        and `fit` goes on from there, with the state of optimiser, schedule and callbacks and the history so far. It must
        get the data and settings that it got before, but may get more epochs, other threads and another time budget. The
        final parameters are bit for bit those of a training that was not interrupted, on the same kind of machine. Where
        the file is of a finished training, `fit` returns at once with its history. False: the file is overwritten.

    `fit` raises CheckpointError, a ValueError, if the file is damaged or no checkpoint, ValueError naming what differs if it
    is of another training, and OSError if it cannot be read or written; the network is as before in the first two cases,
    and the file is in all.
    """

    path: str | os.PathLike[str]
    steps: int | None = None
    seconds: float | None = None
    resume: bool = False

    def __post_init__(self) -> None:
        tensor_file.file_name(self.path)
        if self.steps is not None:
            object.__setattr__(self, "steps", checks.whole_number(self.steps, "steps"))
        if self.seconds is not None:
            need = "greater than 0 and finite"
            seconds = checks.real_number(self.seconds, "seconds", lambda x: 0 < x < math.inf, need)
            object.__setattr__(self, "seconds", seconds)
        checks.flag(self.resume, "resume")


class Saver:
    """Reads and writes the checkpoint of one call of `fit`; does nothing where there is none."""

    def __init__(self, checkpoint: Checkpoint | None, net: "MLP", run: "Run"):
        self._checkpoint = checkpoint
        self._saved: state.Saved | None = None
        if checkpoint is None:
            return
        self._name = tensor_file.file_name(checkpoint.path)
        self._each_epoch = checkpoint.steps is None and checkpoint.seconds is None
        self.fingerprint = fingerprint(net, run)
        if checkpoint.resume and os.path.exists(self._name):
            self._saved = self._read(run)

    def _read(self, run: "Run") -> state.Saved:
        try:
            saved = state.Saved(self._name)
        except (TypeError, ValueError) as error:
            raise CheckpointError(f"{self._name!r} cannot be resumed from: {error}") from None
        saved.check_same(self.fingerprint, run.batches)
        return saved

    def first_epoch(self, otherwise: int) -> int:
        """Return how many epochs the network had been trained when this training began, which may be in a file."""
        return otherwise if self._saved is None else self._saved.first_epoch

    def begin(self, training: "Training") -> None:
        """Restore what the file holds; or write it for the first time, so that one that cannot be written is known."""
        if self._checkpoint is None:
            return
        if self._saved is None:
            self._write(training)
            return
        self._saved.restore(training)
        self._saved = None  # its arrays need memory
        self._note(training)

    def steps_until_due(self, step: int) -> int:
        """Return how many steps may be made after `step` of them, before `after_steps` is to be called."""
        if self._checkpoint is None or self._checkpoint.steps is None:
            return _ENDLESS
        left = self._checkpoint.steps - (step - self._step)
        return left if left > 0 else self._checkpoint.steps  # at `step` itself it will have been written

    def after_steps(self, training: "Training") -> None:
        """Write the file, if it is time, or if training stops here, within an epoch."""
        if self._checkpoint is not None and (self._is_due(training) or training.history.stopped):
            self._write(training)

    def after_epoch(self, training: "Training") -> None:
        """Write the file, if it is time, or if training stops here."""
        if self._checkpoint is None:
            return
        ends = training.epoch == training.run.epochs or training.history.stopped
        if ends or self._each_epoch or self._is_due(training):
            self._write(training)

    def _is_due(self, training: "Training") -> bool:
        steps, seconds = self._checkpoint.steps, self._checkpoint.seconds
        if steps is not None and training.step - self._step >= steps:
            return True
        return seconds is not None and time.perf_counter() - self._time >= seconds

    def _write(self, training: "Training") -> None:
        content = state.encode(training)
        if content is not None:  # else the old file is worth more, and training is about to end with an error
            write_atomically(self._name, content)
        self._note(training)

    def _note(self, training: "Training") -> None:
        self._step, self._time = training.step, time.perf_counter()
