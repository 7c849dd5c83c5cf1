"""Splitting a data set in two: seeded, and by default with the classes' proportions kept in both parts."""

from dataclasses import replace

import numpy as np

from .. import checks
from .dataset import Dataset


def split(
    dataset: Dataset, part: float | int, seed: int = 0, stratify: bool = True
) -> tuple[Dataset, Dataset]:
    """Return (rest, part): `part` of the rows, drawn at random, and the rest.

    The same seed draws the same rows. Both results keep the rows in their original order.

    Parameters
    ----------
    dataset : Dataset
        The rows to draw from.
    part : float or int
        A float between 0 and 1 is the fraction of the rows, rounded to whole rows; an int their number. Both
        results must get at least one row.
    seed : int
        A whole number from 0.
    stratify : bool
        Draw from each class in proportion, by largest remainder: the count of a class differs by less than
        one row from its exact share, so a class of few rows may be missing in one result. False draws from
        all rows alike.

    Raises
    ------
    TypeError, ValueError
        For a bad argument, which the message names.

    """
    if not isinstance(dataset, Dataset):
        raise TypeError(f"dataset is {checks.describe(dataset)}; a Dataset is needed")
    if checks.flag(stratify, "stratify") and (dataset.y is None or dataset.y.ndim == 2):
        raise ValueError("dataset has no labels to stratify by; give stratify=False")
    seed = checks.whole_number(seed, "seed", least=0, most=None)
    count = _count(part, len(dataset))
    classes = dataset.y if stratify else np.zeros(len(dataset), dtype=np.int64)
    drawn = draw(classes, count, seed)
    return _take(dataset, ~drawn), _take(dataset, drawn)


def _count(part: float | int, rows: int) -> int:
    if isinstance(part, int | np.integer) and not isinstance(part, bool):
        if not 1 <= part < rows:
            raise ValueError(
                f"part is {checks.describe(part)}; of {rows} rows, at least 1 and fewer than all can be drawn"
            )
        return int(part)
    need = "between 0 and 1, a fraction of the rows, or a whole number of rows"
    count = round(rows * checks.real_number(part, "part", lambda fraction: 0 < fraction < 1, need))
    if not 1 <= count < rows:
        raise ValueError(f"part is {part}; that leaves one side of {rows} rows empty")
    return count


def draw(classes: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Return a mask (n,), true for `count` rows drawn with `seed`, from each of `classes` (n,) its share."""
    labels, members = np.unique(classes, return_counts=True)
    shares = [divmod(count * int(n), len(classes)) for n in members]  # whole rows, remainder: exact
    quotas = [whole for whole, _ in shares]
    by_remainder = sorted(range(len(labels)), key=lambda i: -shares[i][1])
    for i in by_remainder[: count - sum(quotas)]:
        quotas[i] += 1
    # Ranks of uniform numbers: NumPy may change how it shuffles or chooses, hardly its uniform stream.
    ranks = np.random.Generator(np.random.PCG64(seed)).random(len(classes))
    drawn = np.zeros(len(classes), dtype=bool)
    for label, quota in zip(labels, quotas, strict=True):
        rows = np.flatnonzero(classes == label)
        drawn[rows[np.argsort(ranks[rows], kind="stable")[:quota]]] = True
    return drawn


def _take(dataset: Dataset, rows: np.ndarray) -> Dataset:
    return replace(dataset, X=dataset.X[rows], y=None if dataset.y is None else dataset.y[rows])
