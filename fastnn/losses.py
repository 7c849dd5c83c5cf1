"""The losses as plain settings, and the checks of what they are computed from; the arithmetic is the backends'.

What `fit` minimises is the weighted mean over the batch, L = sum_i w_i l_i / sum_i w_i, l_i a row's loss and w_i its weight.
The definitions are PyTorch's. z are the outputs of the last layer: softmax and sigmoid are inside the losses.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np

from . import checks

_SMALLEST = float(
    np.finfo(np.float32).tiny
)  # below it, delta would be 0 in float32, and every gradient with it

_SUM_TOLERANCE = 1e-3  # of a row of probabilities: what float16 and rounded decimals leave


@dataclass(frozen=True)
class _Loss:
    name: ClassVar[str]
    kind: ClassVar[str]
    """What a prediction is: "classes" (the largest output), "labels" (each output by itself), or "values"."""
    probabilities: ClassVar[str]
    """What makes probabilities of z: "softmax", "sigmoid" or "identity"."""

    @property
    def parameters(self) -> tuple[float, float]:
        """The numbers a, b that the kernels take."""
        numbers = [getattr(self, field.name) for field in fields(self)]
        return tuple((*numbers, 0.0, 0.0)[:2])  # type: ignore[return-value]

    def settings(self) -> dict[str, Any]:
        """The loss as a dict for JSON or TOML, which `resolve` takes."""
        return {"name": self.name, **{field.name: getattr(self, field.name) for field in fields(self)}}

    def kernel(self, targets: np.ndarray) -> str:
        """The name of the compiled function for targets from `check_targets`."""
        return self.name


@dataclass(frozen=True)
class CrossEntropy(_Loss):
    """l = -sum_j t_j log softmax(z)_j, t the one-hot row of the label, or the row of targets that is given.

    With label_smoothing s, (1 - s) t + s / classes takes the place of t. Source of that: Szegedy, Vanhoucke, Ioffe, Shlens and
    Wojna, Rethinking the Inception architecture for computer vision, 2016, section 7.

    Parameters
    ----------
    label_smoothing: from 0 to below 1.
    """

    name: ClassVar[str] = "cross_entropy"
    kind: ClassVar[str] = "classes"
    probabilities: ClassVar[str] = "softmax"

    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        smoothing = checks.real_number(
            self.label_smoothing, "label_smoothing", lambda s: 0 <= s < 1, "from 0 to below 1"
        )
        object.__setattr__(self, "label_smoothing", smoothing)

    def kernel(self, targets: np.ndarray) -> str:
        """The name of the compiled function for targets from `check_targets`: of labels, or of rows."""
        if targets.ndim == 2:
            return f"{self.name}_targets"
        return f"smoothed_{self.name}_labels" if self.label_smoothing else f"{self.name}_labels"


@dataclass(frozen=True)
class BinaryCrossEntropy(_Loss):
    """l = the outputs' mean of -t log p - (1 - t) log(1 - p), p = 1 / (1 + e^-z): yes or no, for each output by itself.

    One output tells two classes apart; several are labels of which a row may have any number. It is computed as
    max(z, 0) - z t + log(1 + e^-|z|), which is finite for every finite z.
    """

    name: ClassVar[str] = "binary_cross_entropy"
    kind: ClassVar[str] = "labels"
    probabilities: ClassVar[str] = "sigmoid"


@dataclass(frozen=True)
class MeanSquaredError(_Loss):
    """l = the outputs' mean of (z - t)^2."""

    name: ClassVar[str] = "mean_squared_error"
    kind: ClassVar[str] = "values"
    probabilities: ClassVar[str] = "identity"


@dataclass(frozen=True)
class MeanAbsoluteError(_Loss):
    """l = the outputs' mean of |z - t|; the slope at 0 is taken as 0."""

    name: ClassVar[str] = "mean_absolute_error"
    kind: ClassVar[str] = "values"
    probabilities: ClassVar[str] = "identity"


@dataclass(frozen=True)
class Huber(_Loss):
    """l = the outputs' mean of d^2 / 2 where |d| <= delta, and of delta (|d| - delta / 2) elsewhere, d = z - t.

    Outliers pull with the force delta, not more. (PyTorch's HuberLoss; its SmoothL1Loss is this divided by delta.)
    Source: Huber, Robust estimation of a location parameter, 1964, section 1.

    Parameters
    ----------
    delta: a normal float32 greater than 0.
    """

    name: ClassVar[str] = "huber"
    kind: ClassVar[str] = "values"
    probabilities: ClassVar[str] = "identity"

    delta: float = 1.0

    def __post_init__(self) -> None:
        delta = checks.real_number(
            self.delta,
            "delta",
            lambda x: _SMALLEST <= x < math.inf,
            f"of at least {_SMALLEST:.2g} (the smallest normal float32) and finite",
        )
        object.__setattr__(self, "delta", delta)


Loss = CrossEntropy | BinaryCrossEntropy | MeanSquaredError | MeanAbsoluteError | Huber
LOSSES: dict[str, type[Loss]] = {
    kind.name: kind for kind in (CrossEntropy, BinaryCrossEntropy, MeanSquaredError, MeanAbsoluteError, Huber)
}


def resolve(value: Any, name: str = "loss") -> Loss:
    """Return the loss that `value` means: an object as it is, a name, or a dict as `settings` gives.

    Raises TypeError for anything else, ValueError for an unknown name, setting, or value of it.
    """
    if isinstance(value, Loss):
        return value
    if isinstance(value, str):
        return LOSSES[checks.one_of(value, name, tuple(LOSSES))]()
    if not isinstance(value, Mapping):
        choices = ", ".join(map(repr, LOSSES))
        raise TypeError(
            f"{name} is {checks.describe(value)}; it must be one of {choices}, "
            "an object of fastnn.losses such as Huber(delta=1.0), or a dict of settings"
        )
    if "name" not in value:
        raise ValueError(f"{name} has no 'name'; it must be one of {', '.join(map(repr, LOSSES))}")
    kind = LOSSES[checks.one_of(value["name"], f"{name}['name']", tuple(LOSSES))]
    settings = {key: setting for key, setting in value.items() if key != "name"}
    known = [field.name for field in fields(kind)]
    for key in settings:
        if key not in known:
            has = f"it has {', '.join(map(repr, known))}" if known else "it has none"
            raise ValueError(f"{name} has the setting {key!r}, which {kind.name} does not have; {has}")
    return kind(**settings)


def check_targets(
    loss: Loss, y: Any, rows: int, outputs: int, dtype: np.dtype, name: str = "y"
) -> np.ndarray:
    """Return the targets of `loss`: int64 labels (rows,), or a C-contiguous finite matrix (rows, outputs) of `dtype`.

    Of cross-entropy, one dimension is labels from 0 to outputs - 1, two are probabilities: each at least 0, each row
    with the sum 1 within 1e-3. Of binary cross-entropy every number is from 0 to 1. Where there is one output, one
    dimension will do for it. Numbers of any real type are taken, and copied only where they must be.

    Raises TypeError for what is not real numbers, ValueError for other shapes and values.
    """
    if isinstance(loss, CrossEntropy):
        return _class_targets(y, rows, outputs, dtype, name)
    array = checks.real_array(y, name)
    shapes = f"({rows}, {outputs}) is needed" + (f", or ({rows},)" if outputs == 1 else "")
    if array.shape != (rows, outputs) and not (outputs == 1 and array.shape == (rows,)):
        raise ValueError(f"{name} has shape {array.shape}; {shapes}, one number for each row and output")
    array = checks.finite_array(array, dtype, name)
    if isinstance(loss, BinaryCrossEntropy):
        _check_span(array, name, 1.0, "targets of binary cross-entropy must be from 0 to 1")
    return array.reshape(rows, outputs)


def _class_targets(y: Any, rows: int, classes: int, dtype: np.dtype, name: str) -> np.ndarray:
    array = checks.real_array(
        y, name, f"labels from 0 to {classes - 1}, or rows of probabilities, are needed"
    )
    if array.ndim < 2 or (array.ndim == 2 and array.shape[1] == 1 != classes):
        return checks.check_y(array, rows, classes, name)
    if array.shape != (rows, classes):
        raise ValueError(
            f"{name} has shape {array.shape}; ({rows},) is needed for labels, ({rows}, {classes}) for probabilities"
        )
    array = checks.finite_array(array, dtype, name)
    _check_span(array, name, math.inf, "probabilities must be at least 0")
    sums = array.sum(axis=1, dtype=np.float64)
    wrong = np.abs(sums - 1) > _SUM_TOLERANCE
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(
            f"{name}[{row}] has the sum {sums[row]:g}; the probabilities of a row must add up to 1"
        )
    return array


def _check_span(array: np.ndarray, name: str, most: float, need: str) -> None:
    """Raise ValueError where a number is below 0 or above `most`."""
    if array.min() >= 0 and array.max() <= most:  # in one pass each, without a mask of the whole
        return
    place = np.unravel_index(int(((array < 0) | (array > most)).argmax()), array.shape)
    raise ValueError(f"{name}[{', '.join(map(str, place))}] is {array[place]:g}; {need}")


def class_weights(spec: Any, labels: np.ndarray, classes: int, name: str = "class_weight") -> np.ndarray:
    """Return the weight of every class, float64 (classes,): a row weighs what its label's class does.

    Parameters
    ----------
    spec: a dict {class: weight}, where a class that is left out weighs 1; a list of `classes` weights; or "balanced",
        n / (classes * count), with which every class counts the same, and one that does not occur weighs 0.
        (As in scikit-learn, `classes` in it are those that occur.)
    labels: int64 (n,), from 0 to classes - 1.

    With label smoothing, too, a row has its label's weight. (PyTorch gives every class's share of the smoothed target a
    weight of its own.)

    Raises TypeError or ValueError for anything else, weights that are negative or not finite, and where every row would
    weigh 0.
    """
    if isinstance(spec, str):
        checks.one_of(spec, name, ("balanced",))
        counts = np.bincount(labels, minlength=classes)
        present = np.count_nonzero(counts)
        return np.where(counts > 0, len(labels) / (present * np.maximum(counts, 1)), 0.0)
    if isinstance(spec, Mapping):
        weights = np.ones(classes)
        for label, weight in spec.items():
            number = checks.whole_number(label, f"a class of {name}", least=0, most=classes - 1)
            weights[number] = _weight(weight, f"{name}[{number}]")
    elif isinstance(spec, Sequence | np.ndarray) and np.ndim(spec) > 0:
        if len(spec) != classes:
            raise ValueError(f"{name} has {len(spec)} weights; {classes} are needed, one for each class")
        weights = np.array([_weight(weight, f"{name}[{i}]") for i, weight in enumerate(spec)])
    else:
        raise TypeError(
            f"{name} is {checks.describe(spec)}; it must be 'balanced', a list of {classes} weights, "
            "or a dict from class to weight"
        )
    if not weights[labels].any():
        raise ValueError(f"{name} is 0 for every class that occurs; at least one must weigh more")
    return weights


def _weight(value: Any, name: str) -> float:
    return checks.real_number(value, name, lambda w: 0 <= w < math.inf, "of at least 0 and finite")


def check_sample_weight(
    sample_weight: Any, rows: int, dtype: np.dtype, name: str = "sample_weight"
) -> np.ndarray:
    """Return the rows' weights (rows,) of `dtype`: each at least 0 and finite, and not all of them 0.

    Raises TypeError for what is not real numbers, ValueError for other shapes and values.
    """
    array = checks.real_array(sample_weight, name)
    if array.shape != (rows,):
        raise ValueError(f"{name} has shape {array.shape}; ({rows},) is needed, one weight for each row")
    array = checks.finite_array(array, dtype, name)
    _check_span(array, name, math.inf, "weights must be at least 0")
    if not array.any():
        raise ValueError(f"{name} is 0 for every row; at least one must weigh more")
    return array
