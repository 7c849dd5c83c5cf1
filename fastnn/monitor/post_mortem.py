"""Post-mortem of a training run that is no longer finite: find the step again, and what broke first in it."""

import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import checks
from ..backends import Backend, Chunk
from .anomalies import Finding, finite_range, in_words
from .causes import Facts, Start, likely_causes

if TYPE_CHECKING:
    from ..mlp import MLP
    from ..trainer import Training


def network_of(net: "MLP", backend: Backend) -> "MLP":
    """Return a copy of the network with the parameters that the backend has now; it is left as it is."""
    twin = copy.copy(net)
    with np.errstate(over="ignore"):
        twin.arena[...] = backend.state()["parameters"]
    return twin


def is_finite(net: "MLP") -> bool:
    """Say whether no parameter is NaN or infinite."""
    return checks.first_not_finite(net.arena) is None


def with_images(training: "Training", chunk: Chunk) -> Chunk:
    """Return the chunk with its augmented images, which are made anew."""
    if training.augmenter is None:
        return chunk
    images = training.augmenter.prepare(chunk.rows, training.net.epochs_trained)
    return replace(chunk, X=images.result())


def find(training: "Training", chunks: list[Chunk], starts: list[Start]) -> Finding | None:
    """Make the steps since a state again, which the backend has, up to the first that is not finite; it is left as before that.

    None, and the backend anywhere, if all are finite this time.
    """
    backend, net = training.backend, training.net
    for chunk in chunks:
        chunk = with_images(training, chunk)
        before = backend.snapshot()
        losses = backend.run(chunk)[0]
        if np.isfinite(losses).all() and is_finite(network_of(net, backend)):
            continue
        backend.restore(before)
        for step in _steps(chunk):
            before, start = backend.snapshot(), network_of(net, backend)
            loss = backend.run(step)[0][0]
            end = network_of(net, backend)
            if np.isfinite(loss) and is_finite(end):
                continue
            backend.restore(before)
            with np.errstate(all="ignore"):
                return _explain(training, step, start, end, starts)
    return None


def _steps(chunk: Chunk) -> list[Chunk]:
    """Return the chunk's steps, one by one."""
    size, found = chunk.batch_size, []
    for i in range(chunk.learning_rates.size):
        part = slice(i * size, (i + 1) * size)
        X = None if chunk.X is None else chunk.X[part]
        found.append(Chunk(chunk.rows[part], chunk.learning_rates[i : i + 1], chunk.first_step + i, size, X))
    return found


def _explain(training: "Training", step: Chunk, start: "MLP", end: "MLP", starts: list[Start]) -> Finding:
    run = training.run
    X, targets = step.X if step.X is not None else run.X[step.rows], run.targets[step.rows]
    layer, quantity, values = _first_broken(training, start, end, X, targets, step.rows)
    before, after = start.weights[layer].astype(np.float64), end.weights[layer].astype(np.float64)
    change = float(np.linalg.norm(after - before) / max(np.linalg.norm(before), 1e-300))
    facts = Facts(
        kind="diverged",
        net=start,
        layer=layer,
        X=X,
        targets=targets,
        start=starts,
        rate=float(step.learning_rates[0]),
        update=change if np.isfinite(change) else np.inf if quantity in ("weights", "biases") else 0.0,
    )
    span = finite_range(values)
    where = "the loss" if quantity == "loss" else f"the {quantity} of layer {layer}"
    be = "is" if quantity in ("loss", "gradient") else "are"
    return Finding(
        kind="diverged",
        step=step.first_step,
        epoch=training.epoch + 1,
        layer=layer,
        quantity=quantity,
        range=span,
        causes=likely_causes(facts),
        what=f"training diverged: {where} {be} not finite ({in_words(span)})",
    )


def _first_broken(
    training: "Training", start: "MLP", end: "MLP", X: np.ndarray, targets: np.ndarray, rows: np.ndarray
) -> tuple[int, str, Any]:
    """Return layer, quantity and values of what is not finite first, in the order in which a step computes.

    Dropout is left out here; where it is to blame, the loss is.
    """
    backend, run = training.run.backend, training.run
    outputs, _ = backend.inspect(start, X, run.threads)
    last = len(outputs) - 1
    for layer, values in enumerate(outputs):
        if not np.isfinite(values).all():
            return layer, "logits" if layer == last else "activations", values
    losses, _ = backend.losses(start, X, targets, 1)
    if not np.isfinite(losses).all():
        return last, "loss", losses
    weights = None if run.row_weights is None else run.row_weights[rows]
    dW, db = backend.gradients(start, X, targets, weights, training.run.threads)
    for layer in reversed(range(last + 1)):
        if not (np.isfinite(dW[layer]).all() and np.isfinite(db[layer]).all()):
            return layer, "gradient", np.concatenate([dW[layer].ravel(), db[layer]])
    for layer in range(last + 1):
        for quantity, values in (("weights", end.weights[layer]), ("biases", end.biases[layer])):
            if not np.isfinite(values).all():
                return layer, quantity, values
    return last, "loss", losses
