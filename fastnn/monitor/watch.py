"""Watching over training: numbers that are not finite, layers that are dead or saturated, gradients that vanish or explode.

Both are to cost little. A state of the backend is kept now and then, with the chunks since, which are run again once
something is not finite. Layers and gradients are looked at before the first step, and then as often as 0.25 % of the time allows.
"""

import math
import os
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..backends import Backend, Chunk
from . import post_mortem
from .anomalies import TrainingDiverged, TrainingStopped, TrainingWarning
from .causes import Start
from .health import Health, is_worth_a_look

if TYPE_CHECKING:
    from ..mlp import MLP
    from ..run import Run
    from ..trainer import Training

_PART = 400  # of training's time, that goes into states, and again into looks
_COPIED = 5e9  # bytes a second, about: what a state takes that is still to be copied
_EARLY = 10  # steps, before which a loss that does not fall says nothing

# Gradients take so many seconds a parameter to look at: of a larger network than this they wait until there was time for it.
# (At once, as those of smaller ones, they took 5 % of half a second of training 784-1000-1000-10.)
_GRADIENT_SECONDS = 8e-9
_SMALL = 250_000
_FOLDER = str(Path(__file__).parent.parent) + os.sep


class Monitor:
    """Watches one call of `fit`."""

    def __init__(self, net: "MLP", run: "Run"):
        self._run = run
        self._starts = [Start.of(W, b) for W, b in zip(net.weights, net.biases, strict=True)]
        self._health = Health(run, self._starts)
        self._told: set[tuple[str, int]] = set()
        self._looks = 0
        self._looking = self._keeping = self._first = 0.0  # seconds
        self._started = self._kept = time.perf_counter()
        self._state: Any = None
        self._in_network = False  # whether the network is the state
        self._chunks: list[Chunk] = []
        self._first_loss, self._last_loss = math.nan, math.nan

    def begin_epoch(self, training: "Training") -> None:
        """Keep the state at an epoch's begin; what comes before is never made again."""
        self._keep(training)

    def _keep(self, training: "Training") -> None:
        start = time.perf_counter()
        self._chunks, self._kept = [], start
        # At an epoch's begin the network may be the copy, and is until the epoch's end: the first of one of 12 million parameters
        # takes as long as half a step. (Step by step, callbacks see the network, and it is written at each.)
        self._in_network = training.backend.is_in_network() and not training.by_step
        if self._in_network:
            self._keeping = training.net.arena.nbytes / _COPIED
            return
        self._state = training.backend.snapshot(self._state)
        self._kept = time.perf_counter()
        self._keeping = self._kept - start

    def before(self, training: "Training", chunk: Chunk) -> None:
        """Look at the network before a chunk of steps is made, where it is time to, and keep the state."""
        since = time.perf_counter() - self._kept
        # Step by step, callbacks may change the network in between.
        if self._chunks and (training.by_step or since > _PART * self._keeping):
            # A step shows in the loss of the next one only, and this state must be one to go back to.
            start = time.perf_counter()
            if not training.backend.is_finite():
                raise self._diverged(training)
            self._keep(training)
            self._keeping = self._kept - start
        self._chunks.append(replace(chunk, X=None))
        if self._looks == 0 or time.perf_counter() - self._started > _PART * self._looking:
            self._look(training, chunk)

    def first_look(self) -> float:
        """Return the seconds of the first look, once: it may have compiled kernels, and is not training."""
        seconds, self._first = self._first, 0.0
        return seconds

    def after(self, training: "Training", chunk: Chunk, losses: np.ndarray) -> None:
        """Look at the losses of a chunk that was made."""
        if not np.isfinite(losses).all():
            raise self._diverged(training)
        if losses.size:
            if math.isnan(self._first_loss):
                self._first_loss = float(losses[0])
            self._last_loss = float(losses.mean())

    def check_parameters(self, training: "Training") -> None:
        """Look at the parameters at an epoch's end, before the network gets them."""
        if not training.backend.is_finite():
            raise self._diverged(training)

    def end_epoch(self, training: "Training") -> None:
        """Look at the layers, if the loss has not fallen in the fit's first epoch."""
        # The next look that there is time for may come late; where nothing is learnt, it comes after one epoch.
        if training.epoch == 0 and training.step >= _EARLY and self._last_loss > 0.98 * self._first_loss:
            last = self._chunks[-1]
            coming = replace(post_mortem.with_images(training, last), first_step=training.step)
            self._look(training, coming, training.net)

    def go_back(self, training: "Training") -> None:
        """Take the parameters of the state that was kept last."""
        self._restore(training.backend)
        training.backend.pull()

    def _restore(self, backend: Backend) -> None:
        if self._in_network:
            backend.push()
        else:
            backend.restore(self._state)

    def _look(self, training: "Training", chunk: Chunk, net: "MLP | None" = None) -> None:
        """Look at `net`, or where that is None at what the backend has."""
        if self._run.anomalies == "ignore" or not is_worth_a_look(
            training.net, min(chunk.rows.size, chunk.batch_size)
        ):
            return
        start = time.perf_counter()
        checked = net is not None or training.step == 0  # and then the network has what the backend has
        if net is None:
            net = training.net if checked else post_mortem.network_of(training.net, training.backend)
        rising = self._last_loss > 2 * self._first_loss
        findings = []
        if checked or post_mortem.is_finite(net):
            parameters = net.arena.size
            elapsed = time.perf_counter() - self._started
            gradients = parameters <= _SMALL or elapsed > _PART * _GRADIENT_SECONDS * parameters
            findings = self._health.look(net, chunk, training.epoch + 1, rising, gradients)
        self._looks += 1
        seconds = time.perf_counter() - start
        self._looking += seconds
        if self._looks == 1:
            self._first = seconds
        for finding in findings:
            if (finding.kind, finding.layer) in self._told:
                continue
            self._told.add((finding.kind, finding.layer))
            if self._run.anomalies == "stop":
                raise TrainingStopped(finding)
            warnings.warn(TrainingWarning(finding), stacklevel=_callers_level())

    def _diverged(self, training: "Training") -> TrainingDiverged:
        """Return the error that says what broke first; backend and network are left as before that step."""
        self._restore(training.backend)
        finding = post_mortem.find(training, self._chunks, self._starts)
        if finding is None:
            self.go_back(training)
            return TrainingDiverged(
                f"the loss or a parameter is not finite in epoch {training.epoch + 1}, after step "
                f"{self._chunks[0].first_step}, but not when the steps are made again: the backend does not repeat "
                "itself. The network has the parameters from before that step"
            )
        training.backend.pull()
        return TrainingDiverged(finding)


def _callers_level() -> int:
    """Return the stack level of the first caller outside this package, as `warnings.warn` in the calling function counts."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_FOLDER):
        frame, level = frame.f_back, level + 1
    return level
