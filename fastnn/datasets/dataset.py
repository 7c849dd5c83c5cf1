"""Dataset: rows of features with their labels, as every loader returns them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .. import checks


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Rows of features and their labels, or numbers to predict.

    `X` is float32 (n, features), C-contiguous. `y` is int64 (n,), or None where the rows have no labels; numbers are
    float32 (n, k), two dimensions also where there is one a row.
    `classes` holds the name of each label, or is None where the labels 0, 1, 2 ... are their own names.
    Real X and whole-number y of other dtypes are converted. Raises TypeError for other types, ValueError for
    shapes that do not fit and for labels that are not whole, below 0 or without a class.
    """

    X: np.ndarray
    y: np.ndarray | None = None
    classes: tuple[str, ...] | None = None

    def __post_init__(self):
        object.__setattr__(self, "X", _as_rows(self.X))
        object.__setattr__(self, "classes", _as_classes(self.classes))
        object.__setattr__(self, "y", _as_labels(self.y, len(self.X), self.classes))

    def __len__(self) -> int:
        return len(self.X)

    def __repr__(self) -> str:
        if self.y is None:
            labels = "no labels"
        elif self.y.ndim == 2:
            labels = f"{self.y.shape[1]} numbers to predict"
        elif self.classes is not None:
            shown = self.classes if len(self.classes) <= 6 else (*self.classes[:5], "...")
            labels = f"{len(self.classes)} classes: {', '.join(shown)}"
        else:
            labels = f"labels {self.y.min()} to {self.y.max()}" if len(self) else "no rows"
        return f"Dataset({len(self)} rows, {self.X.shape[1]} features, {labels})"

    def relabel(self, classes: Sequence[str] | None) -> "Dataset":
        """Return the same rows with their labels numbered as `classes` numbers them.

        A file that lacks a class numbers the others differently: relabel what a model shall be tested on with
        the classes that it was trained with. With None, labels are whole numbers that stand for themselves.
        Raises ValueError where a label is not among the classes.
        """
        classes = _as_classes(classes)
        if self.y is not None and self.y.ndim == 2:
            raise ValueError("y holds numbers, and no labels")
        if self.y is None or classes == self.classes:
            return replace(self, classes=classes)
        present, rows = np.unique(self.y, return_inverse=True)
        names = [str(label) if self.classes is None else self.classes[label] for label in present]
        for name in names:
            if classes is None and not (name.isdecimal() and len(name) < 19):
                raise ValueError(f"y holds the label {name!r}; labels must be whole numbers from 0")
            if classes is not None and name not in classes:
                raise ValueError(f"y holds the label {name!r}; the known classes are {', '.join(classes)}")
        numbers = [int(name) if classes is None else classes.index(name) for name in names]
        return replace(self, y=np.array(numbers, dtype=np.int64)[rows], classes=classes)


def _as_rows(X) -> np.ndarray:
    X = checks.real_array(X, "X")
    if X.ndim != 2:
        raise ValueError(f"X has shape {X.shape}; (rows, features) is needed")
    with np.errstate(over="ignore"):  # `fit` refuses what is infinite in float32
        return np.ascontiguousarray(X, dtype=np.float32)


def _as_classes(classes) -> tuple[str, ...] | None:
    if classes is None:
        return None
    if not isinstance(classes, tuple | list) or not all(isinstance(name, str) for name in classes):
        raise TypeError(f"classes is {checks.describe(classes)}; a tuple of str or None is needed")
    if len(set(classes)) < len(classes):
        raise ValueError(f"classes is {classes!r}; each name may occur once")
    return tuple(classes)


def _as_labels(y, rows: int, classes: tuple[str, ...] | None) -> np.ndarray | None:
    if y is None:
        return None
    if np.ndim(y) == 2 and classes is None:
        return _as_numbers(checks.real_array(y, "y"), rows)
    return checks.check_y(y, rows, checks.LARGEST_COUNT if classes is None else len(classes))


def _as_numbers(y: np.ndarray, rows: int) -> np.ndarray:
    if len(y) != rows or not y.shape[1]:
        raise ValueError(f"y has shape {y.shape}; ({rows}, k) is needed")
    return np.ascontiguousarray(y, dtype=np.float32)
