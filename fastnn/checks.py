"""The checks at the door: what a user passes is looked at here, once, and the code behind trusts it."""

import math
import operator
import reprlib
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .csr import CSR, is_scipy_sparse, to_csr

LARGEST_COUNT = 2**31 - 1
"""The largest number of epochs, of rows in a batch, of units in a layer: more is a slip of the keyboard."""

LARGEST_BYTES = 2**32
"""The most bytes (4 GiB) that the parameters of one network, or the activations of one batch, may take."""

_BLOCK = 2**18  # values looked at together: they stay in the second-level cache for a second look

_FEW = 4096

Look = Callable[[np.ndarray], bool]
"""Says whether all of a C-contiguous array's floats are finite."""

_KINDS = {
    "c": "complex numbers",
    "U": "strings",
    "S": "strings",
    "T": "strings",
    "O": "objects",
    "M": "dates",
    "m": "time differences",
    "V": "records",
}


def describe(value: object) -> str:
    """Say in a few words what came."""
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape} and type {value.dtype}"
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, int) and value.bit_length() > 128:
        return f"a whole number of {value.bit_length()} bits"
    if value is None or isinstance(value, bool | int | float | complex | str | bytes):
        return reprlib.repr(value)
    if isinstance(value, type):
        return f"the class {value.__name__}"
    return f"an object of type {type(value).__name__}"


def whole_number(value: Any, name: str, least: int = 1, most: int | None = LARGEST_COUNT) -> int:
    """Return `value` as an int from `least` to `most`: a Python or NumPy integer, no bool and no float."""
    span = f"from {least} to {most}" if most is not None else f"of at least {least}"
    need = f"a whole number {span} is needed"
    if isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} is {describe(value)}; {need}")
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} is {describe(value)}; {need}") from None
    if number < least or (most is not None and number > most):
        raise ValueError(f"{name} is {describe(number)}; {need}")
    return number


def real_number(value: object, name: str, accept: Callable[[float], bool], need: str) -> float:
    """Return `value` as a float for which `accept` holds; `need` says in words what `accept` asks."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.integer | np.floating):
        raise TypeError(f"{name} is {describe(value)}; it must be a number {need}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not accept(number):
        raise ValueError(f"{name} is {describe(value)}; it must be a number {need}")
    return number


def flag(value: object, name: str) -> bool:
    """Return `value`, which must be True or False."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} is {describe(value)}; it must be True or False")
    return bool(value)


def one_of(value: object, name: str, choices: Sequence[str]) -> str:
    """Return `value`, which must be one of the names in `choices`."""
    if isinstance(value, str) and value in choices:
        return str(value)
    need = f"it must be one of {', '.join(map(repr, choices))}"
    if not isinstance(value, str):
        raise TypeError(f"{name} is {describe(value)}; {need}")
    raise ValueError(f"{name} is {describe(value)}; {need}")


def check_threads(threads: object) -> int | None:
    """Return `threads`, a whole number or None."""
    return None if threads is None else whole_number(threads, "threads")


def check_sizes(sizes: Any) -> tuple[int, ...]:
    """Return the sizes of a network's layers as a tuple."""
    need = "a list of whole numbers is needed, such as [784, 512, 10]"
    if not isinstance(sizes, list | tuple | np.ndarray):
        raise TypeError(f"sizes is {describe(sizes)}; {need}")
    if len(sizes) < 2:
        raise ValueError(f"sizes has {len(sizes)} numbers; at least two are needed, inputs and outputs")
    checked = tuple(whole_number(size, f"sizes[{i}]") for i, size in enumerate(sizes))
    return checked


def check_dtype(dtype: Any) -> np.dtype:
    """Return the NumPy dtype of a network: float32 or float64."""
    need = "it must be 'float32' or 'float64'"
    if not isinstance(dtype, str | type | np.dtype):
        raise TypeError(f"dtype is {describe(dtype)}; {need}")
    try:
        checked = np.dtype(dtype)
    except (TypeError, ValueError):
        raise ValueError(f"dtype is {describe(dtype)}; {need}") from None
    if checked not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise ValueError(f"dtype is {checked}; {need}")
    return checked


def check_batch_size(batch_size: object, rows: int, sizes: tuple[int, ...], dtype: np.dtype) -> int:
    """Return the number of rows in a batch, at most `rows`."""
    batch = min(whole_number(batch_size, "batch_size"), rows)
    needed = batch * sum(sizes[1:]) * dtype.itemsize
    if needed > LARGEST_BYTES:
        raise ValueError(
            f"batch_size is {describe(batch_size)}; the units of {batch} rows take {needed / 2**30:.1f} GiB, "
            f"and at most {LARGEST_BYTES / 2**30:g} GiB are possible"
        )
    return batch


def check_classes(names: Any, classes: int) -> tuple[str, ...]:
    """Return the names of the classes as a tuple."""
    if isinstance(names, str) or not isinstance(names, Sequence):
        raise TypeError(f"classes is {describe(names)}; a list of {classes} names is needed")
    if len(names) != classes:
        raise ValueError(f"classes has {len(names)} names; {classes} are needed, one for each output")
    for i, name in enumerate(names):
        if not isinstance(name, str):
            raise TypeError(f"classes[{i}] is {describe(name)}; a string is needed")
    if len(set(names)) != len(names):
        raise ValueError("classes has a name twice; every class needs one of its own")
    return tuple(map(str, names))


def real_array(value: Any, name: str, need: str = "real numbers are needed") -> np.ndarray:
    """Return `value` as an array of real numbers (booleans, integers or floats), not copied if it is one."""
    if is_scipy_sparse(value):
        raise TypeError(f"{name} is a SciPy sparse matrix; a dense array is needed: pass {name}.toarray()")
    # NumPy imports numpy.ma when it is first named, 12 ms; who has a masked array has done it.
    if "numpy.ma" in sys.modules and isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name} is a masked array; a plain array is needed: fill the masked values first")
    try:
        array = np.asarray(value)
    except Exception as error:  # a foreign __array__ may raise anything
        raise TypeError(
            f"{name} is {describe(value)} that NumPy cannot make an array of; {need}, in rows of equal length"
        ) from error
    if array.dtype.kind not in "biuf":
        what = _KINDS.get(array.dtype.kind, "values that are no numbers")
        raise TypeError(f"{name} holds {what} (type {array.dtype}); {need}")
    return array


@np.errstate(over="ignore", invalid="ignore")
def _squares(flat: np.ndarray) -> float:
    return flat.dot(flat)


def _block_is_finite(block: np.ndarray) -> bool:
    """Whether all of a 1-D array's floats are finite: as whole numbers, their bits are below infinity's but for the sign.

    NumPy finds the largest of them in half the time that it takes to make a mask: 60,000 x 784 in 14 ms, not 27. Those with a
    sign are the largest as numbers without one, and the smallest as numbers with one.
    """
    unsigned = block.view(f"u{block.itemsize}")
    infinity, minus_infinity = np.array([np.inf, -np.inf], block.dtype).view(unsigned.dtype)
    largest = np.maximum.reduce(unsigned)
    if largest < infinity:
        return True
    return bool(largest < minus_infinity and np.maximum.reduce(block.view(f"i{block.itemsize}")) < infinity)


def _first_bad_block(flat: np.ndarray) -> int | None:
    starts = range(0, flat.size, _BLOCK)
    return next((start for start in starts if not _block_is_finite(flat[start : start + _BLOCK])), None)


def all_finite(array: np.ndarray) -> bool:
    """Say whether all of a C-contiguous array's floats are finite, by NumPy alone."""
    return _first_bad_block(array.reshape(-1)) is None


def first_not_finite(array: np.ndarray, look: Look = all_finite) -> tuple[int, ...] | None:
    """Return the index of the first NaN or infinity of a C-contiguous array of floats, or None; `look` says if there is one."""
    flat = array.reshape(-1)
    # One row of a few hundred numbers: their squares' sum tells in a third of the time (or is too large, and tells nothing).
    if (flat.size <= _FEW and math.isfinite(_squares(flat))) or look(flat):
        return None
    start = _first_bad_block(flat)
    if start is None:  # somebody has changed it meanwhile
        return None
    place = start + int(np.isfinite(flat[start : start + _BLOCK]).argmin())
    return tuple(map(int, np.unravel_index(place, array.shape)))


def finite_array(array: np.ndarray, dtype: np.dtype, name: str, look: Look | None = all_finite) -> np.ndarray:
    """Return `array` C-contiguous, aligned and of `dtype`, not copied if it is, after a look for NaN unless that is None."""
    if array.dtype == dtype and array.flags.c_contiguous and array.flags.aligned:
        cast = np.asarray(array)
    else:
        with np.errstate(over="ignore", invalid="ignore"):
            cast = np.require(array, dtype, ["C", "A", "E"])
    where = first_not_finite(cast, look) if look is not None and array.dtype.kind == "f" else None
    if where is not None:
        place = f"{name}[{', '.join(map(str, where))}]" if where else name
        came = array[where]
        if np.isfinite(came):
            raise ValueError(
                f"{place} is {came:g}, too large for {dtype}; scale the values or use dtype 'float64'"
            )
        raise ValueError(f"{place} is {came:g}; every value must be finite")
    return cast


def check_X(  # noqa: N802
    X: Any, columns: int, dtype: np.dtype, name: str = "X", look: Look | None = all_finite
) -> np.ndarray | CSR:
    """Return X as a C-contiguous array (rows, columns) of `dtype`, not copied if it is one already.

    Anything that NumPy can make an array of will do: lists, data frames, memory-mapped and read-only arrays. A
    SciPy sparse matrix stays sparse, and comes back as CSR. `look` looks for NaN; None leaves that of an array to the caller.

    Raises TypeError for what is not real numbers in rows of equal length, ValueError for anything but two
    dimensions, no rows, a wrong number of columns, NaN, infinity, and values too large for `dtype`.
    """
    usual = type(X) is np.ndarray and X.dtype == dtype and X.flags.carray
    if usual and look is None and X.ndim == 2 and X.shape[0] > 0 and X.shape[1] == columns:
        return X  # 1 us sooner, of 11 that one row takes
    array = X if is_scipy_sparse(X) else real_array(X, name)
    if array.ndim != 2:
        hint = f": for one sample, pass {name}.reshape(1, -1)" if array.ndim == 1 else ""
        raise ValueError(
            f"{name} has shape {array.shape}; two dimensions are needed, (rows, {columns}){hint}"
        )
    if array.shape[0] == 0:
        raise ValueError(f"{name} has no rows; at least one is needed")
    if array.shape[1] != columns:
        raise ValueError(f"{name} has {array.shape[1]} columns; the network needs {columns}")
    if not is_scipy_sparse(X):
        return finite_array(array, dtype, name, look)
    try:
        csr = to_csr(X)
    except ValueError as error:
        raise ValueError(f"{name} is a damaged SciPy sparse matrix: {error}") from None
    data = real_array(csr.data[: csr.indptr[-1]], f"{name}.data")
    data = finite_array(data, dtype, f"{name}.data", look or all_finite)
    return CSR(csr.indptr.astype(np.int64), csr.indices[: csr.indptr[-1]].astype(np.int32), data, csr.shape)


def check_y(y: Any, rows: int, classes: int, name: str = "y") -> np.ndarray:
    """Return y as a C-contiguous int64 array (rows,) of labels from 0 to classes - 1.

    Raises TypeError for what is not real numbers, ValueError for anything but one dimension, a length other
    than `rows`, and labels that are not whole numbers in that range.
    """
    need = f"labels must be whole numbers from 0 to {classes - 1}"
    labels = real_array(y, name, need)
    if labels.ndim != 1:
        hint = f": pass {name}.ravel()" if labels.ndim == 2 and labels.shape[1] == 1 else ""
        raise ValueError(f"{name} has shape {labels.shape}; one dimension is needed, ({rows},){hint}")
    if len(labels) != rows:
        raise ValueError(f"{name} has {len(labels)} labels; {rows} are needed, one for each row")
    bad = (labels < 0) | (labels >= classes)
    if labels.dtype.kind == "f":
        bad |= labels != np.floor(labels)  # holds for NaN too
    if bad.any():
        row = int(bad.argmax())
        raise ValueError(f"{name}[{row}] is {describe(labels[row])}; {need}")
    return np.require(labels, np.int64, ["C", "A", "E"])
