"""Short training runs drawn from a seed, with any of the settings that a run may have, on either backend."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import fastnn
from fastnn.backends import Chunk, Task
from fastnn.kernels.tile import lanes
from fastnn.optimizers import SGD

# Around the edges of a vector and of a panel; the reference takes 0.1 us for every product.
_WIDTHS = sorted({1, 2, 3, 5, lanes(8), lanes(8) + 1, lanes(4) + 1, 2 * lanes(8) + 1, 2 * lanes(4) + 1})
_ROWS = 80
_CHUNKS = (1, 4, 2, 5)  # steps


@dataclass(frozen=True)
class Training:
    """A network, what it is trained on, and in which steps."""

    net: fastnn.MLP
    task: Task
    chunks: tuple[Chunk, ...]

    def change(self, **settings: Any) -> "Training":
        """Return the same with other settings of the task."""
        return replace(self, task=replace(self.task, **settings))


def targets_of(kind: str, rng: np.random.Generator, outputs: int, dtype: Any) -> tuple[str, np.ndarray]:
    """The loss that takes targets of this kind, and _ROWS of them."""
    if kind == "labels":
        return "cross_entropy", rng.integers(0, outputs, _ROWS)
    if kind == "soft":
        return "cross_entropy", rng.dirichlet(np.ones(outputs), _ROWS).astype(dtype)
    if kind == "yes or no":
        return "binary_cross_entropy", rng.integers(0, 2, (_ROWS, outputs)).astype(dtype)
    return "mean_squared_error", rng.standard_normal((_ROWS, outputs)).astype(dtype)


def a_training(
    seed: int,
    activation: Any = "tanh",
    kind: str = "labels",
    loss: Any = None,
    dtype: Any = "float64",
    optimizer: Any = None,
    weighted: bool = False,
    dropout: bool = False,
    sizes: Any = None,
    **settings: Any,
) -> Training:
    """Draw a training run of twelve steps: `kind` says what the targets are, `activation` may be a list of choices."""
    rng = np.random.default_rng(seed)
    if sizes is None:
        least = 2 if kind in ("labels", "soft") else 1
        sizes = [*rng.choice(_WIDTHS, rng.integers(2, 5)).tolist(), max(least, int(rng.choice(_WIDTHS)))]
    hidden = len(sizes) - 2
    if isinstance(activation, list):
        activation = [activation[i] for i in rng.integers(0, len(activation), hidden)]
    named, targets = targets_of(kind, rng, sizes[-1], dtype)
    net = fastnn.MLP(sizes, activation, "glorot_uniform", dtype, seed + 5, loss or named)
    net.biases = [0.3 * rng.standard_normal(b.shape) for b in net.biases]
    X = rng.uniform(-1, 1, (_ROWS, sizes[0])).astype(dtype)
    X[rng.random(X.shape) < 0.4] = 0
    batch = int(rng.integers(2, 16))
    task = Task(
        X,
        targets,
        batch + int(rng.integers(0, 3)),
        optimizer or SGD(0.1),
        row_weights=(rng.random(_ROWS) * (rng.random(_ROWS) < 0.8)).astype(dtype) if weighted else None,
        dropout=(0.2, *([0.5, 0.0, 0.3][:hidden])) if dropout else (),
        stream=seed,
        **settings,
    )
    chunks, step = [], 0
    for steps in _CHUNKS:
        # As in an epoch, no row comes twice.
        rows = rng.permutation(_ROWS)[: steps * batch - int(rng.integers(0, batch))]
        rates = task.optimizer.learning_rate * rng.uniform(0.5, 1, steps)
        chunks.append(Chunk(rows, rates, step, batch))
        step += steps
    return Training(net, task, tuple(chunks))


def train(backend: Any, training: Training) -> dict[str, np.ndarray]:
    """Train from the network's parameters, which are put back, and return all there is to see by name."""
    before = training.net.arena.copy()
    run = backend(training.net, training.task)
    try:
        parts = zip(*(run.run(chunk) for chunk in training.chunks), strict=True)
        found = dict(zip(("losses", "correct", "totals"), map(np.concatenate, parts), strict=True))
        run.pull()
        found |= run.state() | {"pulled": training.net.arena.copy()}
    finally:
        run.close()
        training.net.arena[...] = before
    return found
