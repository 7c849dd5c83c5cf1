"""Parts of images: a border cut off, or a rectangle in the middle kept."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .. import checks
from ..csr import is_scipy_sparse
from .transform import Transform, check_columns, check_shape, numbers


@dataclass(frozen=True)
class LostInk:
    """What a crop cuts off: ink is what is not 0, weighed by its magnitude.

    images: how many there are.
    losing: how many of them lose some ink.
    fraction: the part of all ink that is lost, from 0 to 1.
    """

    images: int
    losing: int
    fraction: float

    def __str__(self) -> str:
        return f"{self.losing:,} of {self.images:,} images lose ink, {100 * self.fraction:.2g} % of all"


class Crop(Transform):
    """Keep the rectangle `rows` by `columns` of images (height, width), each one row of X. Sparse matrices stay sparse."""

    def __init__(self, shape: tuple[int, int], rows: slice, columns: slice):
        self.shape = shape
        pixels = np.arange(shape[0] * shape[1]).reshape(shape)[rows, columns]
        self.cropped_shape: tuple[int, int] = pixels.shape
        """Height and width of what is kept."""
        self.kept = pixels.ravel()
        """The numbers of the columns of X that are kept."""

    def lost_ink(self, X: Any) -> LostInk:
        """Count the images of X that lose something but zeros, and how much that is."""
        X = numbers(X)
        check_columns(X, self.shape[0] * self.shape[1], f"pixels of images {self.shape}")
        ink = abs(X)
        gone = np.ones(X.shape[1], bool)
        gone[self.kept] = False
        lost = np.asarray(ink[:, gone].sum(axis=1, dtype=np.float64))
        total = ink.sum(dtype=np.float64)
        return LostInk(X.shape[0], int((lost > 0).sum()), float(lost.sum() / total) if total else 0.0)

    def _apply(self, X: Any) -> Any:
        check_columns(X, self.shape[0] * self.shape[1], f"pixels of images {self.shape}")
        cropped = X[:, self.kept]
        return cropped if is_scipy_sparse(cropped) else np.ascontiguousarray(cropped)


class CropBorder(Crop):
    """Cut `k` pixels off every side of images.

    Parameters
    ----------
    k: a whole number of at least 0, so small that something is left. MNIST's border is not blank: 1 pixel costs
        813 of the 60,000 training images some ink.
    shape: height and width of the images.
    """

    name: ClassVar[str] = "crop_border"

    def __init__(self, k: int, shape: tuple[int, int] = (28, 28)):
        height, width = check_shape(shape)
        self.k = checks.whole_number(k, "k", 0, (min(height, width) - 1) // 2)
        super().__init__((height, width), slice(self.k, height - self.k), slice(self.k, width - self.k))

    def settings(self) -> dict[str, Any]:
        """Return {"name": "crop_border", "k": ..., "shape": ...}."""
        return {"name": self.name, "k": self.k, "shape": list(self.shape)}


class CenterCrop(Crop):
    """Keep the `size` pixels in the middle of images; of an odd border, the larger part is cut off at the end.

    Parameters
    ----------
    size: the height and width that are kept, a whole number, or a pair.
    shape: height and width of the images.
    """

    name: ClassVar[str] = "center_crop"

    def __init__(self, size: int | tuple[int, int], shape: tuple[int, int] = (28, 28)):
        shape = check_shape(shape)
        self.size = check_shape(size if isinstance(size, tuple | list) else (size, size), "size")
        if self.size[0] > shape[0] or self.size[1] > shape[1]:
            raise ValueError(f"size is {self.size}; the images have {shape}, and nothing larger can be kept")
        top, left = ((whole - part) // 2 for whole, part in zip(shape, self.size, strict=True))
        super().__init__(shape, slice(top, top + self.size[0]), slice(left, left + self.size[1]))

    def settings(self) -> dict[str, Any]:
        """Return {"name": "center_crop", "size": ..., "shape": ...}."""
        return {"name": self.name, "size": list(self.size), "shape": list(self.shape)}
