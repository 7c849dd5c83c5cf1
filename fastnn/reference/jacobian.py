"""The gradient of softmax with cross-entropy the long way, through the Jacobian: the short form's origin.

By the chain rule dl/dz = Jᵀ dl/dp, with J_ij = ∂p_i/∂z_j. For the true class y, dl/dp is 0 but at y, and so
Σ_i J_ij (dl/dp)_i = p_y (δ_yj - p_j) (-1/p_y) = p_j - δ_yj: the short form, p - onehot(y). The long way makes
n² numbers for each row, and divides by p_y, which may have become 0: it is for small cases and for learning.
"""

from typing import Any

from .inputs import Matrix, Vector, as_labels, as_vector
from .operations import dot, softmax_row, transpose


def softmax_jacobian(row: Any) -> Matrix:
    """J_ij = ∂p_i/∂z_j = p_i (δ_ij - p_j) of p = softmax(z). row z (n,) -> (n, n)."""
    p = softmax_row(as_vector(row, "row"))
    return [[p_i * ((i == j) - p_j) for j, p_j in enumerate(p)] for i, p_i in enumerate(p)]


def cross_entropy_gradient(p: Vector, label: int) -> Vector:
    """∂l/∂p_i of l = -log p_label: -1/p_i at the label, else 0. p (n,) -> (n,).

    Raises ValueError when p_label is 0, where the long form ends and the short form does not.
    """
    if p[label] == 0.0:
        raise ValueError(
            f"p[{label}] is 0, where log has no derivative; softmax_cross_entropy needs none there"
        )
    return [-1.0 / p_i if i == label else 0.0 for i, p_i in enumerate(p)]


def long_form_gradient(row: Any, label: int) -> Vector:
    """Jᵀ ∂l/∂p, the gradient of l = -log softmax(z)_label by z: p - onehot(label). row z (n,) -> (n,)."""
    row = as_vector(row, "row")
    (label,) = as_labels([label], 1, len(row))
    J = softmax_jacobian(row)
    dp = cross_entropy_gradient(softmax_row(row), label)
    return [dot(column, dp) for column in transpose(J, len(row))]
