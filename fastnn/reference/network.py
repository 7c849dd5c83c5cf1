"""A dense network on plain lists: forward, and the chain rule back.

Layer l computes Z[l] = A[l] W[l] + b[l], and A[l + 1] = f(Z[l]) ⊙ M[l + 1] is what the next one gets; A[0] = X ⊙ M[0]. M are
dropout's masks, all 1 where there are none. The last Z are the outputs, which go to the loss without an f. W[l] (fan_in,
fan_out), b[l] (fan_out,).
"""

from collections.abc import Callable
from typing import Any

from .activations import ACTIVATIONS
from .dropout import Masks
from .inputs import Matrix, Vector, as_matrix, as_sequence, as_vector
from .operations import add_bias, column_sums, matmul

Pair = tuple[Callable[[float], float], Callable[[float], float]]
"""f and f', functions of one number."""
Activation = str | Pair | list[str | Pair]
"""Of all hidden layers, or a list with one for each: a name of `activations.ACTIVATIONS`, or f and f'."""


def activation_pair(activation: str | Pair) -> Pair:
    """Return f and f'. Raises ValueError for an unknown name."""
    if not isinstance(activation, str):
        return activation
    if activation not in ACTIVATIONS:
        names = ", ".join(map(repr, ACTIVATIONS))
        raise ValueError(f"activation is {activation!r}; it must be one of {names}")
    return ACTIVATIONS[activation]


def activation_pairs(activation: Activation, hidden: int) -> list[Pair]:
    """Return f and f' of each of the hidden layers. Raises ValueError for unknown names, and for too few or too many."""
    if not isinstance(activation, list):
        activation = [activation] * hidden
    if len(activation) != hidden:
        raise ValueError(
            f"activation has {len(activation)} entries; {hidden} are needed, one for each hidden layer"
        )
    return [activation_pair(each) for each in activation]


def check_network(weights: Any, biases: Any, X: Any) -> None:
    """Raise ValueError unless the shapes of the network fit together, and X fits the network."""
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


def each(f: Callable[[float], float], A: Matrix) -> Matrix:
    """f(A_ij)."""
    return [[f(a) for a in row] for row in A]


def product(A: Matrix, B: Matrix) -> Matrix:
    """A_ij B_ij."""
    return [[a * b for a, b in zip(*rows, strict=True)] for rows in zip(A, B, strict=True)]


def masked(A: Matrix, masks: Masks | None, place: int) -> Matrix:
    """A ⊙ M[place]; A itself where nothing is dropped."""
    M = None if masks is None else masks[place]
    return A if M is None else product(as_matrix(A, "A")[0], M)


def forward(
    weights: Any, biases: Any, X: Any, activation: Activation = "relu", masks: Masks | None = None
) -> tuple[list[Matrix], list[Matrix]]:
    """X (n, d) -> (Z, A): Z[l] is layer l before its activation, Z[-1] the outputs; A[l] is its input.

    masks: of the inputs, then of each hidden layer's outputs, each an array of their shape or None; None for no dropout.
    """
    pairs = activation_pairs(activation, len(weights) - 1)
    A = [masked(X, masks, 0)]
    Z = [add_bias(matmul(A[0], weights[0]), biases[0])]
    for layer, (f, _) in enumerate(pairs, 1):
        A.append(masked(each(f, Z[-1]), masks, layer))
        Z.append(add_bias(matmul(A[-1], weights[layer]), biases[layer]))
    return Z, A


def backward(
    weights: Any,
    Z: list[Matrix],
    A: list[Matrix],
    dZ: Matrix,
    activation: Activation = "relu",
    masks: Masks | None = None,
) -> tuple[list[Matrix], list[Vector]]:
    """Chain rule from the last layer to the first -> (dW, db): dL/dW[l] and dL/db[l] of every layer l.

    dW[l] = A[l]ᵀ dZ[l], db[l] = column sums of dZ[l], dA[l] = dZ[l] W[l]ᵀ, dZ[l - 1] = dA[l] ⊙ M[l] ⊙ f'(Z[l - 1]),
    with Z and A from `forward`, and dZ (n, outputs) that of the last layer.
    """
    pairs = activation_pairs(activation, len(weights) - 1)
    dW, db = [], []
    for layer in reversed(range(len(weights))):
        dW.insert(0, matmul(A[layer], dZ, transpose_a=True))
        db.insert(0, column_sums(dZ))
        if layer > 0:
            dA = masked(matmul(dZ, weights[layer], transpose_b=True), masks, layer)
            _, slope = pairs[layer - 1]
            dZ = product(dA, each(slope, Z[layer - 1]))
    return dW, db
