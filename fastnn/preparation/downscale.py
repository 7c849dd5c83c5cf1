"""Images of 28 by 28 pixels made into 14 by 14 black and white ones, the way of a well-known small data set."""

import math
from functools import cache
from typing import Any, ClassVar

import numpy as np

from .. import checks
from ..csr import is_scipy_sparse
from .transform import Transform, check_columns

_SIDE, _HALF = 28, 14
_LOBES = 3
_BLOCK = 1024  # images at once: the working copies take 6 MiB
_ONE = 2.0**22  # what a weight of 1 is in whole numbers


@cache
def lanczos_weights() -> np.ndarray:
    """W (14, 28): the weight of each old pixel in each new one, whole numbers, rows summing to about 2²².

    L(x) = sinc(x) sinc(x / 3) for |x| < 3, at x half the distance in old pixels, cut off at the edges. Source:
    Duchon, Lanczos filtering in one and two dimensions, 1979; stretched by the scale, as image libraries do.
    """
    centres = 2.0 * np.arange(_HALF)[:, None] + 1.0
    x = (np.arange(_SIDE) + 0.5 - centres) / 2.0
    weights = np.where(abs(x) < _LOBES, np.sinc(x) * np.sinc(x / _LOBES), 0.0)
    # Whole numbers, as Pillow has them: the sums are exact, so that no pixel depends on the order of additions.
    return np.rint(_ONE * weights / weights.sum(axis=1, keepdims=True))


class Downscale14(Transform):
    """Halve images of 28 by 28 pixels, then x' = 1 where a byte would be at least 128, else 0.

    Each row is weighed by Lanczos' kernel, then each column; after each pass the pixels are rounded to whole numbers
    from 0 to 255. These are the pixels of the data set of Neuroflow JS. A sparse matrix stays sparse.

    Parameters
    ----------
    white: the value of a full pixel: 1 for this library's data sets, 255 for bytes.
    """

    name: ClassVar[str] = "downscale_14"

    def __init__(self, white: float = 1.0):
        self.white = checks.real_number(
            white, "white", lambda x: 0 < x < math.inf, "greater than 0 and finite"
        )

    def settings(self) -> dict[str, Any]:
        """Return {"name": "downscale_14", "white": ...}."""
        return {"name": self.name, "white": self.white}

    def _apply(self, X: Any) -> Any:
        check_columns(X, _SIDE * _SIDE, f"pixels of images {(_SIDE, _SIDE)}")
        blocks = [self._halve(X[start : start + _BLOCK]) for start in range(0, X.shape[0], _BLOCK)]
        if not is_scipy_sparse(X):
            return np.concatenate(blocks)
        from scipy.sparse import vstack

        return vstack([type(X)(block) for block in blocks], format="csr")

    def _halve(self, X: Any) -> np.ndarray:
        dense = X.toarray() if is_scipy_sparse(X) else X
        images = _bytes(dense.reshape(-1, _SIDE, _SIDE).astype(np.float64) * (255 / self.white))
        W = lanczos_weights()
        halves = _bytes(W @ _bytes(images @ W.T / _ONE) / _ONE)
        return (halves >= 128).reshape(-1, _HALF * _HALF).astype(X.dtype)


def _bytes(images: np.ndarray) -> np.ndarray:
    return np.clip(np.floor(images + 0.5), 0, 255)
