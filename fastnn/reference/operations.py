"""The operations of a dense network on plain lists, in 64-bit floats: what each kernel is checked against.

A matrix (m, n) is a list of m rows of n floats. Functions return new lists and leave their arguments alone.
"""

import math
from numbers import Real
from operator import mul
from typing import Any

from .inputs import Matrix, Vector, as_flag, as_labels, as_matrix, as_number, as_sequence, as_vector


def dot(u: Vector, v: Vector) -> float:
    """Σ_k u_k v_k, added in order. u, v (n,)."""
    return sum(map(mul, u, v), 0.0)


def transpose(A: Matrix, width: int | None) -> Matrix:
    """Aᵀ. A (m, width) -> (width, m). The width is an argument since an empty list does not show it."""
    return [[row[j] for row in A] for j in range(width or 0)]


def matmul(
    a: Any, b: Any, transpose_a: bool = False, transpose_b: bool = False, out: Matrix | None = None
) -> Matrix:
    """C = A B, C_ij = Σ_k A_ik B_kj, where A is a or its transpose, and B is b or its transpose.

    a (m, k), or (k, m) with transpose_a; b (k, n), or (n, k) with transpose_b -> C (m, n).
    With out, a list of m lists of n numbers, C is written there and out is returned; it may be a or b.

    Raises ValueError when the shapes do not fit, TypeError when entries are not real numbers.
    """
    transpose_a, transpose_b = as_flag(transpose_a, "transpose_a"), as_flag(transpose_b, "transpose_b")
    A, a_width = as_matrix(a, "a")
    B, b_width = as_matrix(b, "b")
    a_inner = len(A) if transpose_a else a_width
    b_inner = b_width if transpose_b else len(B)
    if a_inner != b_inner and None not in (a_inner, b_inner):
        a_side, b_side = "rows" if transpose_a else "columns", "columns" if transpose_b else "rows"
        raise ValueError(f"a has {a_inner} {a_side} but b has {b_inner} {b_side}; the two must be equal")
    rows = transpose(A, a_width) if transpose_a else A
    columns = B if transpose_b else transpose(B, b_width)
    C = [[dot(row, column) for column in columns] for row in rows]
    return C if out is None else fill(out, C, len(columns))


def fill(out: Matrix, C: Matrix, width: int) -> Matrix:
    """Write C (m, width) over out, row by row, and return out."""
    if not isinstance(out, list) or not all(isinstance(row, list) for row in out):
        raise TypeError("out must be a list of lists of numbers")
    if len(out) != len(C) or any(len(row) != width for row in out):
        raise ValueError(f"out must have {len(C)} rows of {width} numbers, the shape of the product")
    for target, row in zip(out, C, strict=True):
        target[:] = row
    return out


def add_bias(Z: Any, b: Any) -> Matrix:
    """Z_ij + b_j. Z (m, n), b (n,) -> (m, n)."""
    Z, width = as_matrix(Z, "Z")
    b = as_vector(b, "b")
    if width not in (len(b), None):
        raise ValueError(f"b has {len(b)} numbers but Z has {width} columns; the two must be equal")
    return [[z + b_j for z, b_j in zip(row, b, strict=True)] for row in Z]


def column_sums(dZ: Any) -> Vector:
    """s_j = Σ_i dZ_ij: the gradient of a bias, which was added to every row. dZ (m, n) -> (n,)."""
    dZ, width = as_matrix(dZ, "dZ")
    return [sum(column, 0.0) for column in transpose(dZ, width)]


def relu(x: Any) -> Any:
    """max(x, 0) of every number; NaN stays NaN. x: a number or lists of any depth -> arranged as x."""
    if hasattr(x, "tolist"):
        x = x.tolist()
    if isinstance(x, Real):
        # Not max(0.0, x): of 0.0 and NaN, Python's max is 0.0.
        return 0.0 if x <= 0.0 else as_number(x, "x")
    return [relu(part) for part in as_sequence(x, "x")]


def shifted_exponentials(row: Vector) -> tuple[Vector, float]:
    """e^(z_j - max z), and max z: nothing overflows, and the largest is exactly 1, so the sum is at least 1.

    The maximum is the row's own. With one maximum for a whole batch, a row far below it would underflow to
    zeros everywhere, and its softmax be 0 / 0.
    """
    largest = max(row)
    return [math.exp(z - largest) for z in row], largest


def softmax_row(row: Vector) -> Vector:
    """p_j = e^(z_j) / Σ_k e^(z_k). row z (n,) -> (n,)."""
    exponentials, _ = shifted_exponentials(row)
    total = sum(exponentials)
    return [e / total for e in exponentials]


def softmax(x: Any) -> Matrix:
    """p_ij = e^(x_ij) / Σ_k e^(x_ik). x (m, n), n at least 1 -> (m, n); every row has the sum 1."""
    rows, classes = as_matrix(x, "x")
    if classes == 0:
        raise ValueError("x has no columns; at least one is needed")
    return [softmax_row(row) for row in rows]


def cross_entropy_row(row: Vector, label: int) -> float:
    """-log softmax(z)_label, computed as log Σ_k e^(z_k) - z_label. row z (n,).

    The logarithm is of a sum that is at least 1, never of a probability that may have become 0. So an
    extremely wrong row has its exact, finite loss, and no small constant need be added anywhere.
    """
    exponentials, largest = shifted_exponentials(row)
    return math.log(sum(exponentials)) + (largest - row[label])


def softmax_cross_entropy(logits: Any, labels: Any) -> tuple[Vector, Matrix]:
    """L = (1/m) Σ_i l_i, l_i = -log softmax(logits_i)[labels_i] -> losses l (m,), gradient dL/dlogits (m, n).

    logits (m, n); labels: m whole numbers from 0 to n - 1. There is one loss a row; the gradient is that of
    their mean, (softmax(logits) - onehot(labels)) / m: the short form, which `jacobian.py` derives.

    Raises ValueError for a wrong shape or label.
    """
    logits, classes = as_matrix(logits, "logits")
    if classes == 0:
        raise ValueError("logits has no columns; at least one is needed")
    m = len(logits)
    labels = as_labels(labels, m, classes or 0)
    losses, gradient = [], []
    for row, label in zip(logits, labels, strict=True):
        losses.append(cross_entropy_row(row, label))
        difference = softmax_row(row)
        difference[label] -= 1.0
        gradient.append([d / m for d in difference])
    return losses, gradient
