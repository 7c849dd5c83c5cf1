"""A person's own data: .npz archives of arrays, and .csv files with a header row."""

import array
import csv
import io
import os
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from .. import checks
from .dataset import Dataset
from .files import as_path, open_regular


class DataError(ValueError):
    """A data file that is damaged or does not hold what is needed; the message names the file."""


def load_file(
    path: str | os.PathLike[str], label: str | None = None, targets: Sequence[str] | None = None
) -> Dataset:
    """Read a data set from a .npz or .csv file.

    An .npz file holds the array `X`, real numbers of shape (n, ...), which become float32 rows (n, features);
    bytes (uint8) are taken for pixels and divided by 255. `label` names the array of labels; without it this
    is `y`, and where there is no `y` the data set has no labels.

    A .csv file has commas, UTF-8 and a header row. `label` names the column of labels; without it the data
    set has no labels. All other columns are features, finite real numbers.

    Labels that are exactly the whole numbers 0 to k - 1 stay as they are. Others, whole numbers or text, are
    numbered in sorted order, and the data set's `classes` holds their names (see `Dataset.relabel`).

    `targets`, a list of names in place of `label`, makes y the numbers (n, k) of these columns, or of one array.

    Raises DataError (a ValueError) for a file that does not fit, TypeError for arguments of another type,
    OSError where the file cannot be read.
    """
    path = as_path(path)
    if label is not None and not isinstance(label, str):
        raise TypeError(f"label is {checks.describe(label)}; the name of the labels, a str, is needed")
    taken = _taken(label, targets)
    readers = {".npz": _read_npz, ".csv": _read_csv}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise DataError(f"{path} is neither .npz nor .csv; one of the two is needed")
    with open_regular(path) as file:
        return reader(file, path, taken, targets is not None)


def _taken(label: str | None, targets: Sequence[str] | None) -> tuple[str, ...]:
    """Return the names of what is not features."""
    if targets is None:
        return () if label is None else (label,)
    if label is not None:
        raise ValueError(f"label is {label!r} and targets are given; give one of the two")
    if isinstance(targets, str) or not all(isinstance(name, str) for name in targets):
        raise TypeError(f"targets is {checks.describe(targets)}; a list of names is needed")
    if not targets or len(set(targets)) < len(targets):
        raise ValueError(f"targets is {list(targets)!r}; at least one name is needed, and each once")
    return tuple(targets)


def _read_npz(file: BinaryIO, path: Path, taken: tuple[str, ...], numbers: bool) -> Dataset:
    if len(taken) > 1:
        raise DataError(f"{path}: targets has {len(taken)} names; an .npz file has them in one array")
    label = taken[0] if taken else None
    if label == "X":
        name = "a name in targets" if numbers else "label"
        raise DataError(f"{path}: {name} is 'X', the array of features; the name of another one is needed")
    if not zipfile.is_zipfile(file):
        raise DataError(f"{path} is not a whole .npz archive; one written by numpy.savez is needed")
    file.seek(0)
    try:
        with np.load(file, allow_pickle=False) as archive:
            names = list(archive.files)
            arrays = {name: np.asarray(archive[name]) for name in ("X", label or "y") if name in names}
    # zipfile, zlib and NumPy each fail in their own way at damaged bytes, objects, and sizes beyond memory.
    except Exception as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path} cannot be read ({reason}); arrays of numbers or text are needed") from error
    for name in ("X",) if label is None else ("X", label):
        if name not in arrays:
            raise DataError(f"{path} has no array {name!r}; it holds {_listed(names)}")
    X = _npz_features(arrays["X"], path)
    y = arrays.get(label or "y")
    if y is None:
        return Dataset(X)
    if numbers:
        return Dataset(X, _npz_targets(y, len(X), f"{path}: {label}"))
    if y.dtype.kind not in "biufU":
        raise DataError(f"{path}: {label or 'y'} has dtype {y.dtype}; whole numbers or text are needed")
    if y.shape != (len(X),):
        raise DataError(
            f"{path}: {label or 'y'} has shape {y.shape}; X has {len(X)} rows, so ({len(X)},) is needed"
        )
    return Dataset(X, *_encode(y.tolist(), lambda i: f"{path}: {label or 'y'}[{i}]"))


def _npz_features(X: np.ndarray, path: Path) -> np.ndarray:
    if X.dtype.kind not in "biuf":
        raise DataError(f"{path}: X has dtype {X.dtype}; real numbers are needed")
    if X.ndim < 2 or X.size == 0:
        raise DataError(
            f"{path}: X has shape {X.shape}; at least one row and one feature, (n, ...), are needed"
        )
    pixels = X.dtype == np.uint8
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, which is refused next
        X = X.reshape(len(X), -1).astype(np.float32)
    if pixels:
        X /= np.float32(255)
    _require_finite(X, lambda row, column: f"{path}: X[{row}, {column}]")
    return X


def _npz_targets(y: np.ndarray, rows: int, where: str) -> np.ndarray:
    if y.dtype.kind not in "biuf" or y.ndim not in (1, 2) or len(y) != rows:
        raise DataError(
            f"{where} has shape {y.shape} and dtype {y.dtype}; real numbers of shape ({rows},) or ({rows}, k) are needed"
        )
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, which is refused next
        y = np.ascontiguousarray(y.reshape(rows, -1), dtype=np.float32)
    _require_finite(y, lambda row, column: f"{where}[{row}, {column}]")
    return y


def _read_csv(file: BinaryIO, path: Path, taken: tuple[str, ...], numbers: bool) -> Dataset:
    with io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
        reader = csv.reader(text, strict=True)
        try:
            header = _read_header(reader, path, taken)
            return _read_rows(reader, header, path, taken, numbers)
        except (csv.Error, UnicodeDecodeError) as error:
            raise DataError(
                f"{path}, after line {reader.line_num}: {error}; comma-separated UTF-8 is needed"
            ) from error


def _read_header(reader: Iterator[list[str]], path: Path, taken: tuple[str, ...]) -> list[str]:
    header = [name.strip() for name in next(reader, [])]
    if not header:
        raise DataError(
            f"{path} is empty or starts with an empty line; a header row, the names of the columns, is needed"
        )
    if "" in header:
        raise DataError(
            f"{path}: column {header.index('') + 1} has no name in the header row; each needs one"
        )
    # Row one of a file without a header would be lost without a word, were it taken for names.
    if all(_is_number(name) for name in header):
        raise DataError(
            f"{path} starts with a row of numbers; a header row, the names of the columns, is needed"
        )
    twice = [name for name in header if header.count(name) > 1]
    if twice:
        raise DataError(
            f"{path}: the header row names {twice[0]!r} twice; each column needs a name of its own"
        )
    for name in taken:
        if name not in header:
            raise DataError(f"{path} has no column {name!r}; it holds {_listed(header)}")
    if len(header) == len(taken):
        columns = f"column {taken[0]!r}" if len(taken) == 1 else f"columns {_listed(taken)}"
        raise DataError(f"{path} has only the {columns}; at least one column of features is needed")
    return header


def _read_rows(reader, header: list[str], path: Path, taken: tuple[str, ...], numbers: bool) -> Dataset:
    # Numbers to predict are read as the features are, and told apart at the end.
    label = None if numbers or not taken else taken[0]
    names = [name for name in header if name != label]
    features, labels, lines = array.array("f"), [], array.array("q")
    for row in reader:
        if not row:  # an empty line
            continue
        if len(row) != len(header):
            raise DataError(
                f"{path}, line {reader.line_num}: {len(row)} values; the header names {len(header)}"
            )
        if label is not None:
            labels.append(row.pop(header.index(label)).strip())
        try:
            features.extend(map(float, row))
        except ValueError:
            name, value = next(pair for pair in zip(names, row, strict=True) if not _is_number(pair[1]))
            raise DataError(
                f"{path}, line {reader.line_num}, column {name!r} is {value!r}; a real number is needed"
            ) from None
        lines.append(reader.line_num)
    if not lines:
        raise DataError(f"{path} has a header but no rows; at least one is needed")
    X = np.frombuffer(features, dtype=np.float32).reshape(len(lines), len(names))
    _require_finite(X, lambda row, column: f"{path}, line {lines[row]}, column {names[column]!r}")
    if numbers:
        columns = [names.index(name) for name in taken]
        return Dataset(np.delete(X, columns, axis=1), X[:, columns])
    if label is None:
        return Dataset(X)
    return Dataset(X, *_encode(labels, lambda i: f"{path}, line {lines[i]}, column {label!r}"))


def _encode(labels: list, where: Callable[[int], str]) -> tuple[np.ndarray, tuple[str, ...] | None]:
    """Return (y, classes) for labels as they were read: numbers, or text that may all be numbers."""
    try:
        numbers = [_number(label) for label in labels]
    except ValueError:
        numbers = None
    for i, value in enumerate(labels if numbers is None else numbers):
        if value == "" or (isinstance(value, float) and not value.is_integer()):
            raise DataError(f"{where(i)} is {labels[i]!r}; labels must be whole numbers or names")
    values = labels if numbers is None else [int(number) for number in numbers]
    found = sorted(set(values))
    y = np.array([*map({value: i for i, value in enumerate(found)}.get, values)], dtype=np.int64)
    return y, None if found == [*range(len(found))] else tuple(map(str, found))


def _number(label) -> int | float:
    if isinstance(label, str):
        try:
            return int(label)
        except ValueError:
            return float(label)
    return label


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _require_finite(X: np.ndarray, where: Callable[[int, int], str]) -> None:
    place = checks.first_not_finite(X)
    if place is not None:
        raise DataError(f"{where(*place)} is {X[place]}; a finite number that float32 holds is needed")


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:10])
    return f"{shown} and {len(names) - 10} more" if len(names) > 10 else shown or "none"
