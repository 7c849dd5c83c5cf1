"""A whole training step of a dense network on plain lists: forward, loss, backward, update."""

from collections.abc import Mapping
from typing import Any

from .dropout import Masks
from .inputs import Matrix, Vector, as_number, as_sequence, as_vector
from .losses import LOSSES, right_rows
from .network import Activation, backward, check_network, forward
from .operations import dot
from .optimizers import SGD, Adagrad, Adam, Lion, Regularised, RMSprop

Loss = str | Mapping[str, Any]
"""A name of `losses.LOSSES`, or settings such as {"name": "huber", "delta": 2.0}."""
Optimizer = SGD | Adam | RMSprop | Adagrad | Lion | Regularised


def split_loss(loss: Loss) -> tuple[str, dict[str, Any]]:
    """Return the name of a loss and its other settings. Raises ValueError for an unknown name."""
    settings = {"name": loss} if isinstance(loss, str) else dict(loss)
    name = settings.pop("name", None)
    if name not in LOSSES:
        raise ValueError(f"loss is {name!r}; it must be one of {', '.join(map(repr, LOSSES))}")
    return name, settings


def row_losses(outputs: Matrix, targets: Any, loss: Loss) -> Vector:
    """l_i of every row. outputs (m, n)."""
    name, settings = split_loss(loss)
    return LOSSES[name](outputs, targets, **settings)[0]


def mean_loss(outputs: Matrix, targets: Any, loss: Loss, row_weights: Any = None) -> tuple[float, Matrix]:
    """L = Σ_i w_i l_i / Σ_i w_i and dL/doutputs (m, n); both are 0 where all rows weigh 0. outputs (m, n)."""
    name, settings = split_loss(loss)
    weights = [1.0] * len(outputs) if row_weights is None else as_vector(row_weights, "row_weights")
    total = sum(weights)
    if total == 0.0:
        return 0.0, [[0.0] * len(row) for row in outputs]
    losses, gradient = LOSSES[name](outputs, targets, weights, **settings)
    return dot(weights, losses) / total, gradient


def loss_and_gradients(
    weights: Any,
    biases: Any,
    X: Any,
    labels: Any,
    activation: Activation = "relu",
    loss: Loss = "cross_entropy",
    row_weights: Any = None,
    masks: Masks | None = None,
) -> tuple[float, int, list[Matrix], list[Vector]]:
    """L, the mean loss, and its gradients -> (L, how many rows were right, dL/dW, dL/db); arguments as of `train_step`.

    Raises ValueError for shapes, labels, an activation or a loss that do not fit.
    """
    check_network(weights, biases, X)
    labels = as_sequence(labels, "labels")
    Z, A = forward(weights, biases, X, activation, masks)
    mean, dZ = mean_loss(Z[-1], labels, loss, row_weights)
    dW, db = backward(weights, Z, A, dZ, activation, masks)
    return mean, sum(right_rows(split_loss(loss)[0], Z[-1], labels)), dW, db


def all_rows(weights: list[Matrix], biases: list[Vector]) -> Matrix:
    """Return the lists that hold the numbers: every row of every weight matrix, then every bias."""
    return [row for W in weights for row in W] + list(biases)


def train_step(
    weights: list[Matrix],
    biases: list[Vector],
    X: Any,
    labels: Any,
    learning_rate: float = 0.1,
    optimizer: Optimizer | None = None,
    activation: Activation = "relu",
    loss: Loss = "cross_entropy",
    row_weights: Any = None,
    masks: Masks | None = None,
) -> tuple[float, int]:
    """One step on one batch: weights and biases change in place -> (loss, correct), both from before it.

    weights: lists of rows (fan_in, fan_out); biases: lists (fan_out,); X (n, d).
    labels: n whole numbers, or n rows of targets, as the loss takes them.
    optimizer: one of `optimizers`, one object for all steps; None is plain gradient descent, p ← p - η dL/dp.
    activation: a name, or a pair f, f'; or a list of such, one for each hidden layer.
    loss: a name, or settings, {"name": ...}. L is the mean of the rows' losses, weighted by row_weights (n,) where given.
    masks: as of `forward`. loss is that mean; correct counts the rows that were right, see `losses.right_rows`.

    Raises ValueError for shapes, labels, an activation or a loss that do not fit, TypeError for parameters that are
    not lists and for other optimisers; the parameters are then unchanged.
    """
    learning_rate = as_number(learning_rate, "learning_rate")
    optimizer = SGD() if optimizer is None else optimizer
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"optimizer is {optimizer!r}; one of fastnn.reference.optimizers is needed")
    mean, correct, dW, db = loss_and_gradients(
        weights, biases, X, labels, activation, loss, row_weights, masks
    )
    parameters = all_rows(weights, biases)
    if not all(isinstance(row, list) for row in parameters):
        raise TypeError("weights and biases must be lists, and the rows of weights too: they change in place")
    if isinstance(optimizer, Regularised):
        optimizer.update(weights, biases, dW, db, learning_rate)
    else:
        optimizer.update(parameters, all_rows(dW, db), learning_rate)
    return mean, correct
