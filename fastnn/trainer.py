"""The training loop: epochs, shuffles, chunks of steps, validation, callbacks, checkpoints. No arithmetic of networks."""

import math
import os
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from . import checks, schedules
from .augmentation import Augmenter, Prepared
from .backends import Chunk, Task
from .callbacks import Callback, name_of
from .checkpoint import Saver
from .csr import take_rows
from .history import Evaluation, History
from .initializers import generator
from .monitor import Monitor
from .monitor import TrainingDiverged as TrainingDiverged
from .monitor import TrainingStopped as TrainingStopped
from .optimizers import rates
from .parameters import Parameters
from .run import Run
from .sums import EpochSums, sum_of_squares

if TYPE_CHECKING:
    from .mlp import MLP

# By process and network: a lock in the network itself would survive neither pickling nor a fork.
_IN_TRAINING: dict[tuple[int, int], object] = {}


def train(net: "MLP", parameters: Parameters, run: Run) -> History:
    """Train `net`, whose parameters these are, and return the history."""
    key, token = (os.getpid(), id(net)), object()
    try:
        if _IN_TRAINING.setdefault(key, token) is not token:
            raise RuntimeError("this network is being trained already; train a copy.deepcopy of it instead")
        return Training(net, parameters, run).go()
    finally:
        if _IN_TRAINING.get(key) is token:
            del _IN_TRAINING[key]


class Training:
    """One call of `fit` at work. `fastnn.checkpoint.state` says what resuming must restore of it."""

    def __init__(self, net: "MLP", parameters: Parameters, run: Run):
        self.net, self.parameters, self.run = net, parameters, run
        self.saver = Saver(run.checkpoint, net, run)
        self.history = net.history = History()
        self.first_epoch = self.saver.first_epoch(otherwise=net.epochs_trained)
        self.epoch = 0  # completed in this fit
        self.done = 0  # rows of the epoch that is under way
        self.step = 0
        self.seconds = 0.0  # of training in this epoch, before a checkpoint that it was resumed from
        self.sums = EpochSums(net.loss)
        self.out_of_time = False
        self._started = time.perf_counter()
        self._steps_in_epoch = steps = [run.batches.steps(epoch) for epoch in range(run.epochs)]
        self.schedule = schedules.resolve(run.optimizer.learning_rate).begin(sum(steps), run.epochs)
        self.backend = run.backend(net, self._task())
        self.history.inputs = self.backend.inputs
        self.monitor = Monitor(net, run)
        self.augmenter = None
        if run.augment is not None:
            self.augmenter = Augmenter(run.augment, run.X, net.seed, net.dtype, run.threads)
        # For the augmented images of two chunks in turn: fresh memory for each would cost up to 7 us an image.
        self._buffers = [np.empty((0, net.sizes[0]), net.dtype)] * 2
        self.by_step = any(type(each).on_step_end is not Callback.on_step_end for each in run.callbacks)

    def _task(self) -> Task:
        run = self.run
        return Task(
            X=run.X,
            targets=run.targets,
            batch_size=run.batches.largest,
            optimizer=run.optimizer,
            row_weights=run.row_weights,
            dropout=run.dropout,
            stream=self.first_epoch,
            threads=run.threads,
            sparse=False if run.augment is not None else run.sparse,
        )

    def go(self) -> History:
        """Train, and return the history."""
        try:
            self.saver.begin(self)
            self._call_back("on_fit_begin")
            while self.epoch < self.run.epochs and self.history.stopped is None:
                self._train_epoch()
            self.backend.close()
            for callback in self.run.callbacks:
                callback.on_fit_end(self.net, self.history)
                self.parameters.check_finite()
        except BaseException as error:
            self.history.stopped = f"{type(error).__name__} in epoch {min(self.epoch + 1, self.run.epochs)}"
            raise
        finally:
            self.backend.close()
            if self.augmenter is not None:
                self.augmenter.close()
        return self.history

    def _train_epoch(self) -> None:
        """Train one epoch; however it ends, the network has finite parameters, the latest there are."""
        self.monitor.begin_epoch(self)
        try:
            seconds = self._make_steps()
            self.monitor.check_parameters(self)
            self.backend.pull()
            self.monitor.end_epoch(self)
        except BaseException as error:
            # The network may be what there is to go back to: it is not written before it is known that it need not.
            if isinstance(error, TrainingDiverged):
                pass  # it has the parameters from before
            elif self.backend.is_finite():
                self.backend.pull()
            else:
                self.monitor.go_back(self)
            raise
        if self.done < self.run.rows:
            return  # stopped within the epoch
        self._end_epoch(seconds)

    def _make_steps(self) -> float:
        """Make the epoch's steps that are left, and return the seconds that all of them took."""
        run = self.run
        order = self.order()
        start = time.perf_counter() - self.seconds
        upcoming = None
        while self.done < run.rows and self.history.stopped is None:
            rows, size = self._upcoming(order, self.done, self.step) if upcoming is None else upcoming[:2]
            chunk = self._chunk(rows, size, upcoming and upcoming[2])
            upcoming = self._prepare(order, chunk)
            self._run_chunk(chunk)
            start += self.monitor.first_look()
            seconds = time.perf_counter() - start
            self.seconds = seconds
            run.reporter.on_chunk(
                self.epoch + 1, run.epochs, self.done, run.rows, *self.sums.means(), seconds
            )
            if time.perf_counter() - self._started > run.time_budget:
                self.out_of_time = True
                self.history.stopped = f"time budget of {run.time_budget:g} seconds is over"
            if self.done < run.rows:
                self.saver.after_steps(self)
                start = time.perf_counter() - self.seconds  # what the saver needed is not training
        return self.seconds

    def order(self) -> np.ndarray:
        """Return the rows in the order of the epoch that is under way."""
        n = self.run.rows
        if not self.run.shuffle:
            return np.arange(n)
        return generator(self.net.seed, 1, self.net.epochs_trained).permutation(n)

    def _chunk_steps(self, step: int) -> int:
        """Return the most steps that the chunk after `step` of them may have."""
        if self.by_step:
            return 1
        return max(1, min(self.backend.steps_per_chunk, self.saver.steps_until_due(step)))

    def _upcoming(self, order: np.ndarray, done: int, step: int) -> tuple[np.ndarray, int]:
        """Return the rows of the chunk after `done` rows of the epoch and `step` steps, and its batches' size."""
        size, left = self.run.batches.at(self.epoch, done)
        return order[done : done + min(left, self._chunk_steps(step) * size)], size

    def _prepare(self, order: np.ndarray, chunk: Chunk) -> tuple[np.ndarray, int, Prepared] | None:
        """Begin to augment the images of the chunk after `chunk`, while that is trained on; None where none are."""
        done = self.done + len(chunk.rows)
        if self.augmenter is None or done >= len(order):
            return None
        rows, size = self._upcoming(order, done, self.step + len(chunk.learning_rates))
        return rows, size, self._augment(rows)

    def _augment(self, rows: np.ndarray) -> Prepared:
        """Begin to augment the images `rows`, into the buffer that is not trained on."""
        buffer = self._buffers.pop(0)
        if len(buffer) < len(rows):
            buffer = np.empty((len(rows), self.net.sizes[0]), self.net.dtype)
        self._buffers.append(buffer)
        return self.augmenter.prepare(rows, self.net.epochs_trained, buffer[: len(rows)])

    def _chunk(self, rows: np.ndarray, size: int, prepared: Prepared | None) -> Chunk:
        steps = -(-len(rows) // size)
        learning_rates = rates(self.schedule, self.step, steps, self.epoch, self._steps_in_epoch[self.epoch])
        X = None
        if self.augmenter is not None:
            X = (prepared or self._augment(rows)).result()
        return Chunk(rows, learning_rates, self.step, size, X)

    def _run_chunk(self, chunk: Chunk) -> None:
        self.monitor.before(self, chunk)
        losses, correct, totals = self.backend.run(chunk)
        self.monitor.after(self, chunk, losses)
        self.sums.add(losses, correct, totals, len(chunk.rows))
        self.done += len(chunk.rows)
        self.step += losses.size
        if self.by_step:
            self.backend.pull()
            self._call_back("on_step_end", self.step - 1, float(losses[0]))

    def _end_epoch(self, seconds: float) -> None:
        # The validation first: interrupted in it, the history keeps lists of one length.
        run, history = self.run, self.history
        validation = None
        if run.validation is not None:
            row_losses, correct = run.backend.losses(self.net, *run.validation, run.threads)
            validation = Evaluation.of(self.net.loss, row_losses, correct)
        norms = self._norms() if run.norms else None
        loss, accuracy = self.sums.means()
        history.loss.append(loss)
        if accuracy is not None:
            history.accuracy.append(accuracy)
        if validation is not None:
            history.val_loss.append(validation.loss)
            if validation.accuracy is not None:
                history.val_accuracy.append(validation.accuracy)
        if norms is not None:
            history.weight_norms.append(norms[0])
            history.gradient_norms.append(norms[1])
        last = rates(self.schedule, self.step - 1, 1, self.epoch, self._steps_in_epoch[self.epoch])
        history.learning_rate.append(float(last[0]))
        history.batch_size.append(run.batches.last(self.epoch)[0])
        history.seconds.append(seconds)
        history.samples_per_second.append(run.rows / max(seconds, 1e-9))
        self.net.epochs_trained += 1
        self.schedule.observe(history)
        run.reporter.on_epoch(self.net, history)
        self._call_back("on_epoch_end")
        self.epoch += 1
        self.done, self.seconds = 0, 0.0
        self.sums = EpochSums(self.net.loss)
        self.saver.after_epoch(self)

    def _norms(self) -> tuple[list[float], list[float]]:
        """Return the Euclidean norm of each layer's weights, and of their gradient over the epoch's last batch."""
        run = self.run
        last = self.order()[-run.batches.last(self.epoch)[1] :]
        weights = None if run.row_weights is None else run.row_weights[last]
        X, targets = take_rows(run.X, last), run.targets[last]
        gradients, _ = run.backend.gradients(self.net, X, targets, weights, run.threads)
        return _lengths(self.net.weights), _lengths(gradients)

    def _call_back(self, method: str, *arguments: Any) -> None:
        """Call a method of all callbacks; take over what they changed, and stop where one says so."""
        if not self.run.callbacks:
            return
        before = self.parameters.arena.copy()
        for callback in self.run.callbacks:
            answer = getattr(callback, method)(self.net, self.history, *arguments)
            name = name_of(callback)
            if answer is not None and not isinstance(answer, bool | np.bool_):
                raise TypeError(
                    f"callback {name} returned {checks.describe(answer)}; True (stop), False or None is needed"
                )
            if answer:
                self.history.stopped = f"stopped by {name} after epoch {len(self.history.loss)}"
        if not np.array_equal(before, self.parameters.arena, equal_nan=True):
            self.parameters.check_finite()
            self.backend.push()


def _lengths(arrays: list[np.ndarray]) -> list[float]:
    return [math.sqrt(sum_of_squares(array)) for array in arrays]
