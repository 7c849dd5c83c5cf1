"""What all preparations of inputs have in common: fit on the training data, transform anything, settings and state."""

from typing import Any, ClassVar, Self

import numpy as np

from .. import checks
from ..csr import is_scipy_sparse, to_csr


class Transform:
    """A preparation of inputs: `fit` learns from training data, `transform` changes any data in the same way.

    X is anything that NumPy can make a 2-D array of, or a SciPy sparse matrix. What comes out is an array, or a
    CSR matrix for a sparse one, of float64 for float64 and large integers, and of float32 for the others, such as bytes.
    X itself is never changed. Errors: TypeError for what is not real numbers in rows of equal length, ValueError
    for other shapes, NaN and infinity.
    """

    name: ClassVar[str]
    """What the preparation is called in settings."""

    def fit(self, X: Any) -> Self:
        """Learn from the training data X (n, d), and return this object."""
        self._learn(numbers(X))
        return self

    def transform(self, X: Any) -> Any:
        """Return X (n, d) prepared; X stays as it is."""
        return self._apply(numbers(X))

    def fit_transform(self, X: Any) -> Any:
        """Learn from X and return it prepared."""
        X = numbers(X)
        self._learn(X)
        return self._apply(X)

    def settings(self) -> dict[str, Any]:
        """Return name and settings, such as TOML and JSON can hold; `fastnn.preparation.resolve` reads them."""
        raise NotImplementedError

    def state(self) -> dict[str, Any]:
        """Return what `fit` learned as numbers and lists, such as JSON can hold; empty where there is nothing."""
        return {}

    def restore(self, state: dict[str, Any]) -> Self:
        """Take over what `state` gave, and return this object."""
        if state:
            raise ValueError(f"state has {sorted(state)}; {self.name} learns nothing and needs none")
        return self

    def _learn(self, X: Any) -> None:
        pass

    def _apply(self, X: Any) -> Any:
        raise NotImplementedError

    def __repr__(self) -> str:
        given = ", ".join(f"{key}={value!r}" for key, value in self.settings().items() if key != "name")
        return f"{type(self).__name__}({given})"


def numbers(X: Any, name: str = "X") -> Any:
    """Return X as a C-contiguous array or a SciPy CSR matrix of finite float32 or float64; see `Transform`."""
    sparse = is_scipy_sparse(X)
    array = X if sparse else checks.real_array(X, name)
    if array.ndim != 2:
        raise ValueError(f"{name} has shape {array.shape}; two dimensions are needed, (rows, columns)")
    if array.shape[0] == 0:
        raise ValueError(f"{name} has no rows; at least one is needed")
    if not sparse:
        return checks.finite_array(array, float_type(array.dtype), name)
    try:
        csr = to_csr(X)
    except ValueError as error:
        raise ValueError(f"{name} is a damaged SciPy sparse matrix: {error}") from None
    data = checks.real_array(csr.data, f"{name}.data")
    return with_data(csr, checks.finite_array(data, float_type(data.dtype), f"{name}.data"))


def with_data(csr: Any, data: np.ndarray) -> Any:
    """Return a CSR matrix of the same pattern with other numbers; the caller's is not changed."""
    return type(csr)((data, csr.indices, csr.indptr), shape=csr.shape)


def check_columns(X: Any, columns: int, reason: str) -> None:
    """Raise ValueError unless X has so many columns."""
    if X.shape[1] != columns:
        raise ValueError(f"X has {X.shape[1]} columns; {columns} are needed, {reason}")


def check_shape(shape: Any, name: str = "shape") -> tuple[int, int]:
    """Return the height and the width of images, a pair of whole numbers."""
    if not isinstance(shape, tuple | list):
        raise TypeError(f"{name} is {checks.describe(shape)}; a pair (height, width) is needed")
    if len(shape) != 2:
        raise ValueError(f"{name} has {len(shape)} numbers; a pair (height, width) is needed")
    height, width = (checks.whole_number(n, f"{name}[{i}]", most=4096) for i, n in enumerate(shape))
    return height, width


def float_type(dtype: np.dtype) -> np.dtype:
    """Return float32 where it holds every number of `dtype` (or half-precision floats), else float64."""
    return np.dtype(np.float32 if np.result_type(dtype, np.float32) == np.float32 else np.float64)
