"""The training loop: epochs, shuffles, chunks of steps, validation, callbacks. No arithmetic of networks."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from . import checks
from .backends import Backend
from .csr import CSR
from .history import History
from .initializers import generator
from .optimizers import Optimizer, rates
from .parameters import Parameters
from .progress import Reporter

if TYPE_CHECKING:
    from .mlp import MLP

# By process and network: a lock in the network itself would survive neither pickling nor a fork.
_IN_TRAINING: dict[tuple[int, int], object] = {}


class TrainingDiverged(ArithmeticError):  # noqa: N818
    """The loss or a parameter became NaN or infinite."""


@dataclass(frozen=True)
class Run:
    """The checked arguments of one call of `fit`."""

    backend: type[Backend]
    samples: tuple[np.ndarray | CSR, np.ndarray]
    validation: tuple[np.ndarray | CSR, np.ndarray] | None
    epochs: int
    batch_size: int
    optimizer: Optimizer
    shuffle: bool
    threads: int | None
    callbacks: tuple[Callable[..., Any], ...]
    reporter: Reporter
    sparse: bool | None


def check_callbacks(callbacks: Any) -> tuple[Callable[..., Any], ...]:
    """Return the callbacks as a tuple of functions."""
    if not isinstance(callbacks, list | tuple):
        raise TypeError(f"callbacks is {checks.describe(callbacks)}; a list of functions is needed")
    for i, callback in enumerate(callbacks):
        if not callable(callback):
            raise TypeError(
                f"callbacks[{i}] is {checks.describe(callback)}; a function of (net, history) is needed"
            )
    return tuple(callbacks)


def train(net: "MLP", parameters: Parameters, run: Run) -> History:
    """Train `net`, whose parameters these are, and return the history."""
    key, token = (os.getpid(), id(net)), object()
    try:
        if _IN_TRAINING.setdefault(key, token) is not token:
            raise RuntimeError("this network is being trained already; train a copy.deepcopy of it instead")
        return _train(net, parameters, run)
    finally:
        if _IN_TRAINING.get(key) is token:
            del _IN_TRAINING[key]


def _train(net: "MLP", parameters: Parameters, run: Run) -> History:
    history = net.history = History()
    backend = run.backend(net, run.optimizer, *run.samples, run.batch_size, run.threads, run.sparse)
    history.inputs = backend.inputs
    epoch = 1
    try:
        while epoch <= run.epochs and history.stopped is None:
            loss, accuracy, seconds = _train_epoch(net, parameters, run, backend, epoch)
            net.epochs_trained += 1
            _record(net, run, history, loss, accuracy, seconds)
            run.reporter.on_epoch(net, history)
            _call_back(net, parameters, run, backend, history)
            epoch += 1
    except BaseException as error:
        history.stopped = f"{type(error).__name__} in epoch {epoch}"
        raise
    finally:
        backend.close()
    return history


def _train_epoch(
    net: "MLP", parameters: Parameters, run: Run, backend: Backend, epoch: int
) -> tuple[float, float, float]:
    """Train one epoch; however it ends, the network has finite parameters, the latest there are."""
    before = parameters.arena.copy()
    try:
        result = _run_epoch(net, run, backend, epoch)
        backend.pull()
        if not parameters.is_finite():
            raise TrainingDiverged(_diverged("a parameter is not finite", epoch, "its last"))
    except BaseException as error:
        backend.pull()  # once more: Ctrl-C may have come in the middle of the one above
        if isinstance(error, TrainingDiverged) or not parameters.is_finite():
            parameters.arena[...] = before
        raise
    return result


def _run_epoch(net: "MLP", run: Run, backend: Backend, epoch: int) -> tuple[float, float, float]:
    """Return the epoch's mean loss, its accuracy and its seconds."""
    n, batch = len(run.samples[1]), run.batch_size
    rows = generator(net.seed, 1, net.epochs_trained).permutation(n) if run.shuffle else np.arange(n)
    step = (epoch - 1) * -(-n // batch)
    loss_sum, correct, done = 0.0, 0, 0
    start = time.perf_counter()
    while done < n:
        chunk = rows[done : done + backend.steps_per_chunk * batch]
        steps = -(-len(chunk) // batch)
        learning_rates = rates(run.optimizer.learning_rate, step, steps)
        losses, hits = backend.run(chunk, learning_rates, step)
        where = checks.first_not_finite(losses)
        if where is not None:
            at = f"{step + where[0]} (learning rate {learning_rates[where]:g})"
            raise TrainingDiverged(_diverged(f"the loss is {losses[where]}", epoch, at))
        loss_sum += batch * losses[:-1].sum() + (len(chunk) - batch * (steps - 1)) * losses[-1]
        correct += int(hits.sum())
        done += len(chunk)
        step += steps
        seconds = time.perf_counter() - start
        run.reporter.on_chunk(epoch, run.epochs, done, n, float(loss_sum / done), correct / done, seconds)
    return float(loss_sum / n), correct / n, seconds


def _diverged(what: str, epoch: int, step: str) -> str:
    kept = f"at the end of epoch {epoch - 1}" if epoch > 1 else "before training"
    return (
        f"training diverged: {what} in epoch {epoch}, step {step}; try a smaller learning rate, "
        f"or inputs scaled to about 1; the parameters are as they were {kept}"
    )


def _record(net: "MLP", run: Run, history: History, loss: float, accuracy: float, seconds: float) -> None:
    # The validation first: interrupted in it, the history keeps lists of one length.
    if run.validation is not None:
        val_loss, val_correct = run.backend.evaluate(net, *run.validation, run.threads)
        history.val_loss.append(float(val_loss))
        history.val_accuracy.append(int(val_correct) / len(run.validation[1]))
    history.loss.append(loss)
    history.accuracy.append(accuracy)
    history.seconds.append(seconds)
    history.samples_per_second.append(len(run.samples[1]) / max(seconds, 1e-9))


def _call_back(net: "MLP", parameters: Parameters, run: Run, backend: Backend, history: History) -> None:
    for callback in run.callbacks:
        answer = callback(net, history)
        name = getattr(callback, "__name__", type(callback).__name__)
        if answer is not None and not isinstance(answer, bool | np.bool_):
            raise TypeError(
                f"callback {name} returned {checks.describe(answer)}; True (stop), False or None is needed"
            )
        if answer:
            history.stopped = f"stopped by {name} after epoch {len(history.loss)}"
    if run.callbacks:
        parameters.check_finite()
        backend.push()
