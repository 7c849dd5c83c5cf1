"""Reading arguments: nested sequences of numbers become lists of floats, or an error names the argument."""

from collections.abc import Sequence
from numbers import Real
from typing import Any

Vector = list[float]
Matrix = list[Vector]


def as_sequence(x: Any, name: str) -> Sequence[Any]:
    """Return x if it is a list, a tuple or alike, or x.tolist() if it has that, as NumPy's arrays do.

    Raises ValueError for a number (a dimension is missing), TypeError for anything else.
    """
    if hasattr(x, "tolist"):
        x = x.tolist()
    if isinstance(x, Sequence) and not isinstance(x, str | bytes):
        return x
    if isinstance(x, Real):
        raise ValueError(f"{name} is the number {x}; a list is needed there")
    raise TypeError(f"{name} is of type {type(x).__name__}; a list of numbers is needed there")


def as_number(x: Any, name: str) -> float:
    """Return x as a float. Raises TypeError for what is no real number, ValueError for a list."""
    if isinstance(x, Sequence) and not isinstance(x, str | bytes):
        raise ValueError(f"{name} is a list; a number is needed there")
    if not isinstance(x, Real):
        raise TypeError(f"{name} is of type {type(x).__name__}; a real number is needed there")
    try:
        return float(x)
    except OverflowError:
        raise ValueError(f"{name} is too large for a 64-bit float") from None


def as_vector(x: Any, name: str) -> Vector:
    """Return x as a list of floats (n,)."""
    x = as_sequence(x, name)
    # Nearly always all are floats, and to ask each one by itself would take as long as the arithmetic.
    if set(map(type, x)) <= {float}:
        return list(x)
    return [as_number(value, f"{name}[{j}]") for j, value in enumerate(x)]


def as_matrix(x: Any, name: str) -> tuple[Matrix, int | None]:
    """Return x as a list of rows (m, n), and the width n: None for an empty list, which does not show it."""
    shape = getattr(x, "shape", ())
    rows = [as_vector(row, f"{name}[{i}]") for i, row in enumerate(as_sequence(x, name))]
    for i, row in enumerate(rows):
        if len(row) != len(rows[0]):
            raise ValueError(f"{name}[{i}] has {len(row)} numbers; {name}[0] has {len(rows[0])}, so must all")
    if rows:
        return rows, len(rows[0])
    return rows, shape[1] if len(shape) == 2 else None


def as_flag(x: Any, name: str) -> bool:
    """Return x, which must be True or False. Raises TypeError for others."""
    if hasattr(x, "tolist"):
        x = x.tolist()
    if not isinstance(x, bool):
        raise TypeError(f"{name} is of type {type(x).__name__}; it must be True or False")
    return x


def as_labels(labels: Any, rows: int, classes: int) -> list[int]:
    """Return labels as a list of ints (rows,), each from 0 to classes - 1. Raises ValueError for others."""
    labels = as_vector(labels, "labels")
    if len(labels) != rows:
        raise ValueError(f"labels has {len(labels)} entries; {rows} are needed, one for each row")
    for i, label in enumerate(labels):
        if not (label.is_integer() and 0 <= label < classes):
            need = f"whole numbers from 0 to {classes - 1}"
            raise ValueError(f"labels[{i}] is {label:.17g}; labels must be {need}")
    return [int(label) for label in labels]
