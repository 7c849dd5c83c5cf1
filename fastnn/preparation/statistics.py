"""Mean, deviation, least and largest of a data set, in float64, a block of rows at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..csr import is_scipy_sparse

_BLOCK = 2**19  # numbers looked at together: their float64 copy takes 4 MiB, whatever the size of the data


@dataclass(frozen=True)
class Statistics:
    """Of all numbers (), or of each feature (d,); float64."""

    mean: np.ndarray
    deviation: np.ndarray
    least: np.ndarray
    largest: np.ndarray


def statistics(X: Any, per_feature: bool) -> Statistics:
    """Return the statistics of X (n, d), an array or a SciPy CSR matrix, which is not made dense.

    The deviation is √(Σ (x - mean)² / n), in two passes: the one of Σ x² - n mean² loses its digits where the mean
    is large. Source: Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 1.9.
    """
    if is_scipy_sparse(X):
        return _sparse(X, per_feature)
    axis = 0 if per_feature else None
    count = X.shape[0] if per_feature else X.size
    mean = sum(block.sum(axis) for block in _blocks(X)) / count
    squares = sum(np.square(block - mean).sum(axis) for block in _blocks(X))
    return Statistics(
        np.asarray(mean),
        np.sqrt(squares / count),
        np.asarray(X.min(axis), np.float64),
        np.asarray(X.max(axis), np.float64),
    )


def _blocks(X: np.ndarray) -> Iterator[np.ndarray]:
    rows = max(1, _BLOCK // max(1, X.shape[1]))
    for start in range(0, len(X), rows):
        yield X[start : start + rows].astype(np.float64)


def _sparse(X: Any, per_feature: bool) -> Statistics:
    axis = 0 if per_feature else None
    rows, features = X.shape
    data = X.data.astype(np.float64)
    if per_feature:
        zeros = rows - np.bincount(X.indices, minlength=features)
        mean = np.bincount(X.indices, data, minlength=features) / rows
        apart = np.square(data - mean[X.indices])
        squares = np.bincount(X.indices, apart, minlength=features) + zeros * np.square(mean)
        deviation = np.sqrt(squares / rows)
        least, largest = (extreme.toarray().ravel() for extreme in (X.min(axis), X.max(axis)))
    else:
        count = rows * features
        mean = np.asarray(data.sum() / count)
        squares = np.square(data - mean).sum() + (count - data.size) * np.square(mean)
        deviation = np.sqrt(squares / count)
        least, largest = X.min(axis), X.max(axis)
    return Statistics(mean, deviation, np.asarray(least, np.float64), np.asarray(largest, np.float64))
