"""How good predictions are: of classes, of probabilities, of values. NumPy only, whatever made the predictions.

Every function takes the truth first. Labels are whole numbers from 0. `sample_weight`, (n,) numbers of at least 0 and
not all 0, makes a row count as so many; without it every row counts as one.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from . import checks
from .report import AVERAGES, ClassificationReport

SUM_TOLERANCE = 1e-3
"""How far from 1 the probabilities of a row may add up."""

ROUNDING = 1e-6
"""How far above 1 a probability may be, which float32 rounds; it counts as 1."""


def classification_report(
    y: Any, predicted: Any, classes: int | Sequence[str] | None = None, sample_weight: Any = None
) -> ClassificationReport:
    """Count by class what was classified right and wrong; `print` the result for a table.

    Parameters
    ----------
    y: (n,) the true labels.
    predicted: (n,) the predicted labels; or (n, k) probabilities or logits, whose largest, the first of equals, is
        the prediction; or (n, 1) probabilities of class 1, which is predicted above 1/2.
    classes: the names of the classes, or their number; if None, as many as labels or columns show.
    """
    confusion, names = _confusion(y, predicted, classes, sample_weight)
    return ClassificationReport(confusion, names)


def confusion_matrix(
    y: Any, predicted: Any, classes: int | Sequence[str] | None = None, sample_weight: Any = None
) -> np.ndarray:
    """Return C, (k, k), where C[i, j] is how many rows of class i were taken for class j.

    The arguments are those of `classification_report`. The result is int64, or float64 sums of weights.
    """
    return _confusion(y, predicted, classes, sample_weight)[0]


def precision(
    y: Any,
    predicted: Any,
    average: str | None = None,
    classes: int | Sequence[str] | None = None,
    sample_weight: Any = None,
) -> np.ndarray | float:
    """Return tp / (tp + fp) of every class, (k,), or their average; 0 for a class that was never predicted.

    average: None, "macro", "weighted" or "micro": see `ClassificationReport.average`. The other arguments are those
    of `classification_report`.
    """
    return _measure("precision", y, predicted, average, classes, sample_weight)


def recall(
    y: Any,
    predicted: Any,
    average: str | None = None,
    classes: int | Sequence[str] | None = None,
    sample_weight: Any = None,
) -> np.ndarray | float:
    """Return tp / (tp + fn) of every class, (k,), or their average, as `precision` does; 0 for a class without rows."""
    return _measure("recall", y, predicted, average, classes, sample_weight)


def specificity(
    y: Any,
    predicted: Any,
    average: str | None = None,
    classes: int | Sequence[str] | None = None,
    sample_weight: Any = None,
) -> np.ndarray | float:
    """Return tn / (tn + fp) of every class, (k,), or their average, as `precision` does; 0 for the only class."""
    return _measure("specificity", y, predicted, average, classes, sample_weight)


def f1(
    y: Any,
    predicted: Any,
    average: str | None = None,
    classes: int | Sequence[str] | None = None,
    sample_weight: Any = None,
) -> np.ndarray | float:
    """Return 2 tp / (2 tp + fp + fn) of every class, (k,), or their average, as `precision` does; 0 for 0 to 0."""
    return _measure("f1", y, predicted, average, classes, sample_weight)


def top_k_accuracy(y: Any, scores: Any, k: int = 5, sample_weight: Any = None) -> float:
    """Return the part of the rows whose class is among the k with the largest scores; of equals, the first count.

    scores: (n, classes) probabilities or logits. k: from 1, where this is the accuracy, to the number of classes.
    """
    scores = _rows(scores, "scores")
    y = checks.check_y(y, len(scores), scores.shape[1])
    k = checks.whole_number(k, "k", most=scores.shape[1])
    own = np.take_along_axis(scores, y[:, None], axis=1)
    before = (scores > own) | ((scores == own) & (np.arange(scores.shape[1]) < y[:, None]))
    return float(np.average(before.sum(axis=1) < k, weights=_weights(sample_weight, len(y))))


def log_loss(y: Any, proba: Any, sample_weight: Any = None) -> float:
    """Return -mean log p of each row's own class: the cross-entropy of probabilities.

    proba: (n, classes) from 0 to 1, rows of sum 1; or (n,) or (n, 1), the probabilities of class 1. Nothing is
    clipped: one row with p = 0 makes the loss infinite. `MLP.evaluate` computes it from the logits, where p that
    would round to 0 keeps its finite logarithm.
    """
    proba = _probabilities(proba)
    y = checks.check_y(y, len(proba), proba.shape[1])
    with np.errstate(divide="ignore"):
        losses = -np.log(proba[np.arange(len(y)), y])
    # A row of weight 0 does not count, and 0 times infinity would be NaN.
    weights = _weights(sample_weight, len(y))
    counted = slice(None) if weights is None else weights > 0
    return float(np.average(losses[counted], weights=None if weights is None else weights[counted]))


def expected_calibration_error(y: Any, proba: Any, bins: int = 15, sample_weight: Any = None) -> float:
    """Return sum over the bins b of |accuracy(b) - confidence(b)| n_b / n.

    The rows are sorted into `bins` intervals of equal width, ((b - 1) / bins, b / bins], by their confidence, which is
    the largest probability. `proba` as in `log_loss`. Guo et al. 2017, "On calibration of modern neural networks",
    equations 2, 3 and 5.
    """
    proba = _probabilities(proba)
    y = checks.check_y(y, len(proba), proba.shape[1])
    bins = checks.whole_number(bins, "bins")
    weights = _weights(sample_weight, len(y))
    weights = np.ones(len(y)) if weights is None else weights
    confidence = proba.max(axis=1)
    right = proba.argmax(axis=1) == y
    bin_of = np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], confidence)
    # n_b / n (accuracy(b) - confidence(b)) is the weighted sum of right - confidence: empty bins add nothing.
    gaps = np.bincount(bin_of, weights * (right - confidence))
    return float(np.abs(gaps).sum() / weights.sum())


def mean_squared_error(
    y: Any, predicted: Any, sample_weight: Any = None, per_output: bool = False
) -> float | np.ndarray:
    """Return the mean of (y - predicted)² over all rows and outputs, or, `per_output`, (outputs,) over the rows.

    y, predicted: (n,) or (n, outputs) finite numbers; the two are not broadcast.
    """
    y, predicted, weights = _values(y, predicted, sample_weight)
    return _over_outputs(np.average((y - predicted) ** 2, axis=0, weights=weights), per_output)


def mean_absolute_error(
    y: Any, predicted: Any, sample_weight: Any = None, per_output: bool = False
) -> float | np.ndarray:
    """Return the mean of |y - predicted|; arguments and result as of `mean_squared_error`."""
    y, predicted, weights = _values(y, predicted, sample_weight)
    return _over_outputs(np.average(np.abs(y - predicted), axis=0, weights=weights), per_output)


def r2_score(
    y: Any, predicted: Any, sample_weight: Any = None, per_output: bool = False
) -> float | np.ndarray:
    """Return 1 - sum (y - predicted)² / sum (y - mean y)², the coefficient of determination; the mean over outputs.

    1 is perfect, 0 no better than the mean, and there is no lowest value. Where y is the same in all rows the
    score is 1 for perfect predictions and 0 for others, as in scikit-learn. Arguments as of `mean_squared_error`.
    """
    y, predicted, weights = _values(y, predicted, sample_weight)
    if weights is not None:
        y, predicted, weights = (array[weights > 0] for array in (y, predicted, weights))
    residual = np.average((y - predicted) ** 2, axis=0, weights=weights)
    spread = np.average((y - np.average(y, axis=0, weights=weights)) ** 2, axis=0, weights=weights)
    # The mean of equal numbers is rounded, and their spread then not 0.
    constant = (y == y[0]).all(axis=0)
    scores = 1 - np.divide(residual, spread, out=(residual > 0).astype(float), where=~constant)
    return _over_outputs(scores, per_output)


def _measure(
    name: str, y: Any, predicted: Any, average: str | None, classes: Any, sample_weight: Any
) -> np.ndarray | float:
    if average is not None:
        checks.one_of(average, "average", AVERAGES)
    report = classification_report(y, predicted, classes, sample_weight)
    return getattr(report, name) if average is None else report.average(average)[name]


def _confusion(
    y: Any, predicted: Any, classes: Any, sample_weight: Any
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the confusion matrix and the names of the classes."""
    names = _names(classes)
    predicted, columns = _labels(predicted)
    if columns is not None and names is not None and columns != len(names):
        raise ValueError(f"predicted has {columns} columns; {len(names)} are needed, one for each class")
    most = columns or (checks.LARGEST_COUNT if names is None else len(names))
    predicted = checks.check_y(predicted, len(predicted), most, "predicted")
    y = checks.check_y(y, len(predicted), most)
    if names is None:
        count = columns or 1 + int(max(y.max(), predicted.max()))
        _check_size(count)
        names = tuple(map(str, range(count)))
    _check_size(len(names))
    weights = _weights(sample_weight, len(y))
    count = len(names)
    flat = np.bincount(y * count + predicted, weights, minlength=count * count)
    return flat.reshape(count, count), names


def _names(classes: Any) -> tuple[str, ...] | None:
    if classes is None:
        return None
    if isinstance(classes, str) or not isinstance(classes, Sequence):
        count = checks.whole_number(classes, "classes")
        _check_size(count)
        return tuple(map(str, range(count)))
    if not classes:
        raise ValueError("classes has no names; at least one is needed")
    return checks.check_classes(classes, len(classes))


def _check_size(classes: int) -> None:
    if 8 * classes**2 > checks.LARGEST_BYTES:
        raise ValueError(
            f"there would be {classes} classes, and their confusion matrix would take {8 * classes**2 / 2**30:,.0f} "
            f"GiB; at most {checks.LARGEST_BYTES / 2**30:g} GiB are possible"
        )


def _labels(predicted: Any) -> tuple[np.ndarray, int | None]:
    """Return the labels that are meant, and how many classes there are columns for."""
    array = checks.real_array(predicted, "predicted")
    if array.ndim == 2 and (array.shape[1] > 1 or array.dtype.kind == "f"):
        scores = _rows(array, "predicted")
        if scores.shape[1] == 1:
            return (scores[:, 0] > 0.5).astype(np.int64), 2
        return scores.argmax(axis=1), scores.shape[1]
    if array.ndim == 1 and array.size == 0:
        raise ValueError("predicted has no labels; at least one is needed")
    return array, None


def _rows(scores: Any, name: str) -> np.ndarray:
    """Return (n, k) finite float64 numbers."""
    scores = checks.finite_array(checks.real_array(scores, name), np.dtype(np.float64), name)
    if scores.ndim != 2 or scores.size == 0:
        raise ValueError(f"{name} has shape {scores.shape}; (rows, classes) is needed, at least one of each")
    return scores


def _probabilities(proba: Any) -> np.ndarray:
    """Return (n, k) float64 probabilities; of class 1 alone they become those of both classes."""
    array = checks.real_array(proba, "proba")
    rows = _rows(array[:, None] if array.ndim == 1 else array, "proba")
    bad = (rows < 0) | (rows > 1 + ROUNDING)
    if bad.any():
        row, column = np.unravel_index(bad.argmax(), bad.shape)
        place = f"proba[{row}]" if array.ndim == 1 else f"proba[{row}, {column}]"
        raise ValueError(f"{place} is {rows[row, column]:g}; probabilities from 0 to 1 are needed")
    rows = np.minimum(rows, 1)
    if rows.shape[1] == 1:
        return np.hstack([1 - rows, rows])
    sums = rows.sum(axis=1)
    bad = np.abs(sums - 1) > SUM_TOLERANCE
    if bad.any():
        row = int(bad.argmax())
        raise ValueError(
            f"proba[{row}] adds up to {sums[row]:g}; the probabilities of a row must add up to 1"
        )
    return rows


def _weights(sample_weight: Any, rows: int) -> np.ndarray | None:
    """Return (rows,) float64 weights, or None."""
    if sample_weight is None:
        return None
    array = checks.real_array(sample_weight, "sample_weight")
    if array.shape != (rows,):
        raise ValueError(f"sample_weight has shape {array.shape}; ({rows},) is needed, a weight for each row")
    weights = checks.finite_array(array, np.dtype(np.float64), "sample_weight")
    if (weights < 0).any():
        row = int((weights < 0).argmax())
        raise ValueError(f"sample_weight[{row}] is {weights[row]:g}; weights must be at least 0")
    if not weights.any():
        raise ValueError("sample_weight is 0 for every row; at least one must be greater")
    return weights


def _values(y: Any, predicted: Any, sample_weight: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return both as (n, outputs) of float64, and the weights."""
    arrays = []
    for name, value in (("y", y), ("predicted", predicted)):
        array = checks.finite_array(checks.real_array(value, name), np.dtype(np.float64), name)
        if array.ndim not in (1, 2) or array.size == 0:
            raise ValueError(
                f"{name} has shape {array.shape}; (rows,) or (rows, outputs) is needed, at least one"
            )
        arrays.append(array[:, None] if array.ndim == 1 else array)
    if arrays[0].shape != arrays[1].shape:
        raise ValueError(
            f"predicted has {arrays[1].shape[0]} rows and {arrays[1].shape[1]} outputs; "
            f"{arrays[0].shape[0]} and {arrays[0].shape[1]} are needed, as in y"
        )
    return *arrays, _weights(sample_weight, len(arrays[0]))


def _over_outputs(values: np.ndarray, per_output: bool) -> float | np.ndarray:
    return values if checks.flag(per_output, "per_output") else float(values.mean())
