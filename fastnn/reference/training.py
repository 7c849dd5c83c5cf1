"""A whole training step of a dense network on plain lists: forward, loss, backward, update.

Layer l computes Z[l] = A[l] W[l] + b[l], and A[l + 1] = f(Z[l]) is what the next one gets; A[0] = X. The last
Z are the logits, which go to the softmax of the loss without an f. W[l] (fan_in, fan_out), b[l] (fan_out,).
"""

from collections.abc import Callable
from typing import Any

from .inputs import Matrix, Vector, as_labels, as_matrix, as_number, as_sequence, as_vector
from .operations import add_bias, column_sums, matmul, relu, relu_backward, softmax_cross_entropy
from .optimizers import SGD, Adam


def identity(x: Matrix) -> Matrix:
    """Return x: a layer without an activation."""
    return x


def identity_backward(dA: Matrix, Z: Matrix) -> Matrix:
    """dL/dZ = dL/dA."""
    return dA


ACTIVATIONS: dict[str, tuple[Callable, Callable]] = {
    "relu": (relu, relu_backward),
    "identity": (identity, identity_backward),
}


def activation_pair(activation: str) -> tuple[Callable, Callable]:
    """Return f and its backward pass. Raises ValueError for an unknown name."""
    if activation not in ACTIVATIONS:
        names = ", ".join(map(repr, ACTIVATIONS))
        raise ValueError(f"activation is {activation!r}; it must be one of {names}")
    return ACTIVATIONS[activation]


def check_step(weights: Any, biases: Any, X: Any, labels: Any) -> None:
    """Raise ValueError unless the shapes of the network fit together, and X and labels fit the network."""
    layers = len(as_sequence(weights, "weights"))
    if layers == 0 or len(as_sequence(biases, "biases")) != layers:
        raise ValueError(
            f"weights has {layers} layers and biases {len(biases)}; both need as many, at least 1"
        )
    rows, fan_in = as_matrix(X, "X")
    if not rows:
        raise ValueError("X has no rows; at least one is needed")
    source = "X"
    for layer in range(layers):
        name = f"weights[{layer}]"
        W, fan_out = as_matrix(weights[layer], name)
        if len(W) != fan_in:
            raise ValueError(
                f"{name} has {len(W)} rows but {source} has {fan_in} columns; the two must be equal"
            )
        if len(as_vector(biases[layer], f"biases[{layer}]")) != fan_out:
            raise ValueError(
                f"biases[{layer}] has {len(biases[layer])} numbers; {name} has {fan_out} columns"
            )
        source, fan_in = name, fan_out
    as_labels(labels, len(rows), fan_in or 0)


def forward(weights: Any, biases: Any, X: Any, activation: str = "relu") -> tuple[list[Matrix], list[Matrix]]:
    """X (n, d) -> (Z, A): Z[l] is layer l before its activation, Z[-1] the logits; A[l] is its input."""
    f, _ = activation_pair(activation)
    Z, A = [], [X]
    for W, b in zip(weights, biases, strict=True):
        if Z:
            A.append(f(Z[-1]))
        Z.append(add_bias(matmul(A[-1], W), b))
    return Z, A


def backward(
    weights: Any, Z: list[Matrix], A: list[Matrix], dlogits: Matrix, activation: str = "relu"
) -> tuple[list[Matrix], list[Vector]]:
    """Chain rule from the last layer to the first -> (dW, db): dL/dW[l] and dL/db[l] of every layer l.

    dW[l] = A[l]ᵀ dZ[l], db[l] = column sums of dZ[l], dA[l] = dZ[l] W[l]ᵀ, dZ[l - 1] = dA[l] ⊙ f'(Z[l - 1]),
    with Z and A from `forward`, and dlogits (n, classes) = dZ of the last layer.
    """
    _, f_backward = activation_pair(activation)
    dW, db = [], []
    dZ = dlogits
    for layer in reversed(range(len(weights))):
        dW.insert(0, matmul(A[layer], dZ, transpose_a=True))
        db.insert(0, column_sums(dZ))
        if layer > 0:
            dA = matmul(dZ, weights[layer], transpose_b=True)
            dZ = f_backward(dA, Z[layer - 1])
    return dW, db


def count_correct(logits: Matrix, labels: Any) -> int:
    """Count the rows whose largest logit (the first one, if several are equal) stands at their label."""
    return sum(row.index(max(row)) == label for row, label in zip(logits, labels, strict=True))


def loss_and_gradients(
    weights: Any, biases: Any, X: Any, labels: Any, activation: str = "relu"
) -> tuple[float, int, list[Matrix], list[Vector]]:
    """L, the mean loss, and its gradients -> (L, how many rows were classified right, dL/dW, dL/db).

    Raises ValueError for shapes, labels or an activation that do not fit.
    """
    check_step(weights, biases, X, labels)
    Z, A = forward(weights, biases, X, activation)
    losses, dlogits = softmax_cross_entropy(Z[-1], labels)
    dW, db = backward(weights, Z, A, dlogits, activation)
    return sum(losses) / len(losses), count_correct(Z[-1], labels), dW, db


def all_rows(weights: list[Matrix], biases: list[Vector]) -> Matrix:
    """Return the lists that hold the numbers: every row of every weight matrix, then every bias."""
    return [row for W in weights for row in W] + list(biases)


def train_step(
    weights: list[Matrix],
    biases: list[Vector],
    X: Any,
    labels: Any,
    learning_rate: float = 0.1,
    optimizer: SGD | Adam | None = None,
    activation: str = "relu",
) -> tuple[float, int]:
    """One step on one batch: weights and biases change in place -> (loss, correct), both from before it.

    weights: lists of rows (fan_in, fan_out); biases: lists (fan_out,); X (n, d); labels: n whole numbers.
    optimizer: this package's `SGD` or `Adam`, one object for all steps; None is plain gradient descent,
    p ← p - η dL/dp. loss is the mean of the batch; correct counts its rows that were classified right.

    Raises ValueError for shapes, labels or an activation that do not fit, TypeError for parameters that are
    not lists and for other optimisers; the parameters are then unchanged.
    """
    learning_rate = as_number(learning_rate, "learning_rate")
    optimizer = SGD() if optimizer is None else optimizer
    if not isinstance(optimizer, SGD | Adam):
        raise TypeError(f"optimizer is {optimizer!r}; an SGD or Adam of fastnn.reference is needed")
    loss, correct, dW, db = loss_and_gradients(weights, biases, X, labels, activation)
    parameters = all_rows(weights, biases)
    if not all(isinstance(row, list) for row in parameters):
        raise TypeError("weights and biases must be lists, and the rows of weights too: they change in place")
    optimizer.update(parameters, all_rows(dW, db), learning_rate)
    return loss, correct
