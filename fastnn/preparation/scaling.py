"""Inputs moved and stretched, x' = (x - offset) / divisor, and what their first layer has to do with it."""

import math
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from .. import checks
from ..csr import is_scipy_sparse
from .statistics import Statistics, statistics
from .transform import Transform, check_columns, with_data

if TYPE_CHECKING:
    from ..mlp import MLP


class Scaling(Transform):
    """x' = (x - offset) / divisor, with one offset and divisor for all features, or one each.

    A sparse matrix stays sparse where all offsets are 0; where they are not, `transform` raises TypeError, and
    `fold` lets a network take the sparse matrix as it is.
    """

    def __init__(self) -> None:
        self._offset: np.ndarray | None = None  # float64 () or (d,)
        self._divisor: np.ndarray | None = None

    def fold(self, net: "MLP") -> None:
        """Change the first layer of `net`, trained on prepared inputs, so that it takes them unprepared.

        W' = W / divisor by rows, b' = b - (offset / divisor) W: the outputs are the same but for rounding.
        """
        offset, divisor = self._vectors(net.sizes[0])
        W, b = _first_layer(net)
        net.weights[0], net.biases[0] = W / divisor[:, None], b - (offset / divisor) @ W

    def unfold(self, net: "MLP") -> None:
        """Undo `fold`: change the first layer of `net` so that it takes prepared inputs. W = divisor W', b = b' + offset W'."""
        offset, divisor = self._vectors(net.sizes[0])
        W, b = _first_layer(net)
        net.weights[0], net.biases[0] = W * divisor[:, None], b + offset @ W

    def state(self) -> dict[str, Any]:
        """Return {"offset": ..., "divisor": ...}: numbers, or lists of one for each feature; empty before `fit`."""
        if self._offset is None or self._divisor is None:
            return {}
        return {"offset": self._offset.tolist(), "divisor": self._divisor.tolist()}

    def restore(self, state: dict[str, Any]) -> Self:
        """Take over what `state` gave, and return this object."""
        if not state:
            self._offset = self._divisor = None
            return self
        if set(state) != {"offset", "divisor"}:
            raise ValueError(f"state has {sorted(state)}; 'divisor' and 'offset' are needed")
        offset, divisor = (
            np.array(checks.real_array(state[key], key), np.float64) for key in ("offset", "divisor")
        )
        if offset.shape != divisor.shape or offset.ndim > 1:
            raise ValueError(
                f"offset and divisor have shapes {offset.shape} and {divisor.shape}; () or (features,) is needed"
            )
        if not (np.isfinite(offset).all() and np.isfinite(divisor).all() and (divisor > 0).all()):
            raise ValueError("offset and divisor must be finite, and divisor greater than 0")
        self._offset, self._divisor = offset, divisor
        return self

    def _learn(self, X: Any) -> None:
        self._take(statistics(X, self._per_feature()))

    def _take(self, found: Statistics) -> None:
        raise NotImplementedError

    def _per_feature(self) -> bool:
        raise NotImplementedError

    def _fitted(self) -> tuple[np.ndarray, np.ndarray]:
        if self._offset is None or self._divisor is None:
            raise ValueError(f"{self!r} was not fitted; call fit(X) with the training data first")
        return self._offset, self._divisor

    def _vectors(self, features: int) -> tuple[np.ndarray, np.ndarray]:
        offset, divisor = self._fitted()
        if offset.ndim and offset.size != features:
            raise ValueError(f"net takes {features} inputs; {self!r} was fitted on {offset.size} features")
        return np.broadcast_to(offset, features), np.broadcast_to(divisor, features)

    def _apply(self, X: Any) -> Any:
        offset, divisor = self._fitted()
        if offset.ndim:
            check_columns(X, offset.size, "as in fit")
        # In the type of X: NumPy would make float64 of float32 by a float64 array.
        offset, divisor = offset.astype(X.dtype), divisor.astype(X.dtype)
        if is_scipy_sparse(X):
            if offset.any():
                raise TypeError(
                    f"X is sparse, and after {self!r} no zero would stay a zero: pass X.toarray(), "
                    "or train on X as it is"
                )
            return with_data(X, X.data / (divisor[X.indices] if divisor.ndim else divisor))
        prepared = X - offset
        prepared /= divisor
        return prepared


class Standardize(Scaling):
    """x' = (x - mean) / deviation, both those of the training data: of all its numbers, or feature by feature.

    The deviation is that of a population (over n, not n - 1). What is constant in training is only moved to 0.

    Parameters
    ----------
    per_feature: False for one mean and deviation of everything, as for pixels; True for each feature's own.
    """

    name: ClassVar[str] = "standardize"

    def __init__(self, per_feature: bool = False):
        super().__init__()
        self.per_feature = checks.flag(per_feature, "per_feature")

    def settings(self) -> dict[str, Any]:
        """Return {"name": "standardize", "per_feature": ...}."""
        return {"name": self.name, "per_feature": self.per_feature}

    def _per_feature(self) -> bool:
        return self.per_feature

    def _take(self, found: Statistics) -> None:
        constant = found.least == found.largest
        # The mean of equal numbers may be off by a rounding; they themselves are not.
        self._offset = np.where(constant, found.least, found.mean)
        self._divisor = np.where(constant | (found.deviation == 0), 1.0, found.deviation)


class ScaleToUnit(Scaling):
    """x' = (x - low) / (high - low), so that low ... high become 0 ... 1; what lies outside is not cut off.

    Parameters
    ----------
    low, high: both numbers, such as 0 and 255 for bytes; or neither, for the training data's least and largest.
        What is constant in training is only moved to 0.
    per_feature: take each feature's own; only without low and high.
    """

    name: ClassVar[str] = "scale_to_unit"

    def __init__(self, low: float | None = None, high: float | None = None, per_feature: bool = False):
        super().__init__()
        self.per_feature = checks.flag(per_feature, "per_feature")
        self.low, self.high = low, high
        if (low is None) != (high is None):
            raise ValueError(
                f"low is {checks.describe(low)} and high {checks.describe(high)}; give both or neither"
            )
        if low is None or high is None:
            return
        self.low = checks.real_number(low, "low", math.isfinite, "that is finite")
        self.high = checks.real_number(high, "high", math.isfinite, "that is finite")
        if not self.low < self.high or not math.isfinite(self.high - self.low):
            raise ValueError(f"low is {self.low:g} and high {self.high:g}; low must be below high")
        if self.per_feature:
            raise ValueError("per_feature is True, and low and high are given; they hold for all features")
        self._offset, self._divisor = np.array(self.low), np.array(self.high - self.low)

    def settings(self) -> dict[str, Any]:
        """Return {"name": "scale_to_unit", "per_feature": ...}, or with "low" and "high" if they were given."""
        if self.low is None:
            return {"name": self.name, "per_feature": self.per_feature}
        return {"name": self.name, "low": self.low, "high": self.high}

    def state(self) -> dict[str, Any]:
        """Return {"offset": ..., "divisor": ...}; empty before `fit`, and where low and high were given."""
        return super().state() if self.low is None else {}

    def restore(self, state: dict[str, Any]) -> Self:
        """Take over what `state` gave, and return this object."""
        if self.low is None:
            return super().restore(state)
        return Transform.restore(self, state)

    def _learn(self, X: Any) -> None:
        if self.low is None:
            super()._learn(X)

    def _per_feature(self) -> bool:
        return self.per_feature

    def _take(self, found: Statistics) -> None:
        span = found.largest - found.least
        self._offset, self._divisor = np.array(found.least), np.where(span > 0, span, 1.0)


class Binarize(Transform):
    """x' = 1 where x >= threshold, else 0. A sparse matrix stays sparse, with a threshold greater than 0.

    Parameters
    ----------
    threshold: a finite number; 0.5 for pixels from 0 to 1, 128 for bytes.
    """

    name: ClassVar[str] = "binarize"

    def __init__(self, threshold: float = 0.5):
        self.threshold = checks.real_number(threshold, "threshold", math.isfinite, "that is finite")

    def settings(self) -> dict[str, Any]:
        """Return {"name": "binarize", "threshold": ...}."""
        return {"name": self.name, "threshold": self.threshold}

    def _apply(self, X: Any) -> Any:
        if not is_scipy_sparse(X):
            return np.greater_equal(X, self.threshold).astype(X.dtype)
        if self.threshold <= 0:
            raise TypeError(f"X is sparse, and after {self!r} its zeros would be ones: pass X.toarray()")
        result = with_data(X, (X.data >= self.threshold).astype(X.dtype)).copy()
        result.eliminate_zeros()
        return result


def _first_layer(net: "MLP") -> tuple[np.ndarray, np.ndarray]:
    return net.weights[0].astype(np.float64), net.biases[0].astype(np.float64)
