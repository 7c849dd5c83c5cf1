"""What a classifier got right and wrong, class by class: the counts, the ratios of them, and a table to read."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from . import checks

AVERAGES = ("macro", "weighted", "micro")

# Each as numerator and denominator, of the counts of true and false positives and negatives.
_RATIOS = {
    "precision": lambda tp, fp, fn, tn: (tp, tp + fp),
    "recall": lambda tp, fp, fn, tn: (tp, tp + fn),
    "specificity": lambda tp, fp, fn, tn: (tn, tn + fp),
    "f1": lambda tp, fp, fn, tn: (2 * tp, 2 * tp + fp + fn),
}
MEASURES = tuple(_RATIOS)


@dataclass(frozen=True, eq=False)
class ClassificationReport:
    """A confusion matrix and what is read from it; `str` gives a table.

    For a class, the rows of data that belong to it are the positives, all others the negatives. Every property is
    an array with one number a class. A ratio of 0 to 0 is 0, as in scikit-learn; the table shows it as "-".

    confusion : (k, k), entry [i, j] counts the rows of class i that were taken for class j; int64, or float64
        where rows have weights.
    classes : the k names.
    """

    confusion: np.ndarray
    classes: tuple[str, ...]

    @property
    def tp(self) -> np.ndarray:
        """True positives: of the class, and taken for it."""
        return self.confusion.diagonal().copy()

    @property
    def fp(self) -> np.ndarray:
        """False positives: of another class, but taken for this one."""
        return self._wrong().sum(axis=0)

    @property
    def fn(self) -> np.ndarray:
        """False negatives: of the class, but taken for another."""
        return self._wrong().sum(axis=1)

    @property
    def tn(self) -> np.ndarray:
        """True negatives: of another class, and not taken for this one."""
        support = self.support
        # Weights are summed with rounding, which must not make a count of 0 negative.
        return np.maximum(support.sum() - support - self.fp, 0)

    @property
    def support(self) -> np.ndarray:
        """The rows of the class, tp + fn."""
        return self.tp + self.fn

    @property
    def precision(self) -> np.ndarray:
        """Of what was taken for the class, the part that is of it: tp / (tp + fp)."""
        return self._ratio("precision")[0]

    @property
    def recall(self) -> np.ndarray:
        """Of the class, the part that was taken for it: tp / (tp + fn); also called sensitivity."""
        return self._ratio("recall")[0]

    @property
    def specificity(self) -> np.ndarray:
        """Of the other classes, the part that was not taken for this one: tn / (tn + fp)."""
        return self._ratio("specificity")[0]

    @property
    def f1(self) -> np.ndarray:
        """The harmonic mean of precision and recall: 2 tp / (2 tp + fp + fn)."""
        return self._ratio("f1")[0]

    @property
    def accuracy(self) -> float:
        """The part of all rows that was classified right."""
        return float(self.tp.sum() / self.confusion.sum())

    def average(self, average: str) -> dict[str, float]:
        """Return precision, recall, specificity and f1 over all classes.

        "macro" is the mean over the classes, "weighted" that mean weighted by their support, and "micro" the ratio of
        the counts summed over the classes. A class without any row counts too, with its 0.
        """
        checks.one_of(average, "average", AVERAGES)
        if average == "micro":
            counts = [count.sum(keepdims=True) for count in self._counts()]
            return {name: float(_divide(*ratio(*counts))[0][0]) for name, ratio in _RATIOS.items()}
        weights = self.support if average == "weighted" else None
        return {name: float(np.average(self._ratio(name)[0], weights=weights)) for name in MEASURES}

    def __str__(self) -> str:
        columns = ["class", "rows", "TP", "FP", "FN", "TN", "precision", "recall", "specificity", "F1"]
        counts = zip(self.support, *self._counts(), strict=True)
        ratios = zip(*(zip(*self._ratio(name), strict=True) for name in MEASURES), strict=True)
        rows = [
            [name, *map(_count, numbers), *(f"{value:.4f}" if defined else "-" for value, defined in pairs)]
            for name, numbers, pairs in zip(self.classes, counts, ratios, strict=True)
        ]
        total = _count(self.support.sum())
        for average in ("macro", "weighted"):
            values = self.average(average).values()
            rows.append([f"{average} average", total, *[""] * 4, *(f"{value:.4f}" for value in values)])
        return f"{_table(columns, rows)}\naccuracy: {100 * self.accuracy:.2f} % of {total}"

    def confusion_table(self) -> str:
        """Return the confusion matrix as text: a line for each true class, a column for each predicted one."""
        rows = [
            [name, *map(_count, counts)] for name, counts in zip(self.classes, self.confusion, strict=True)
        ]
        return _table(["true \\ predicted", *self.classes], rows)

    def _wrong(self) -> np.ndarray:
        wrong = self.confusion.copy()
        np.fill_diagonal(wrong, 0)
        return wrong

    def _counts(self) -> tuple[np.ndarray, ...]:
        return self.tp, self.fp, self.fn, self.tn

    def _ratio(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        return _divide(*_RATIOS[name](*self._counts()))


def _divide(numerator: np.ndarray, denominator: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the quotients, 0 where the denominator is 0, and where it is not."""
    defined = denominator != 0
    return np.divide(numerator, denominator, out=np.zeros(len(defined)), where=defined), defined


def _count(number: np.integer | np.floating) -> str:
    return f"{number:,}" if isinstance(number, np.integer) else f"{number:,.6g}"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay out text in columns: the first one to the left, the others, which hold figures, to the right."""
    lines = [columns, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            [first.ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(rest, widths[1:], strict=True))]
        ).rstrip()
        for first, *rest in lines
    )
