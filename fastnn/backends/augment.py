"""The distortion of images on the compiled kernel, for fastnn.augmentation."""

from typing import TYPE_CHECKING

import numpy as np

from ..kernels._jit import require_jit
from ..kernels.arrays import plain
from ..kernels.augment import (
    ALPHA,
    ANGLE,
    PROBABILITY,
    SCALING,
    SETTINGS,
    SHEAR,
    SHIFT,
    augment_rows,
    gaussian_taps,
)
from ..kernels.random import make_key
from ..kernels.thread_count import get_num_threads as get_num_threads

if TYPE_CHECKING:
    from ..augmentation import Augment

_STREAM = 3  # of the seed's streams (see initializers.py), that of augmentation


class Distorter:
    """Distorts rows of X (n, height width), C-contiguous float32 or float64, as `augment` says; threads may share it."""

    def __init__(self, augment: "Augment", X: np.ndarray):
        require_jit()
        self._X, self._shape = plain(X), augment.shape
        alpha, sigma = augment.elastic or (0.0, 0.0)
        self._settings = np.zeros(SETTINGS)
        self._settings[PROBABILITY] = augment.probability
        self._settings[SHIFT] = augment.shift
        self._settings[ANGLE] = np.deg2rad(augment.rotation)
        self._settings[SCALING], self._settings[SHEAR] = augment.scale, augment.shear
        self._settings[ALPHA] = alpha
        self._taps = gaussian_taps(sigma).astype(X.dtype)
        # No rows: compiles the kernel, or loads it, in this thread.
        self.distort(np.empty(0, np.int64), self.key(0, 0), np.empty((0, X.shape[1]), X.dtype))

    @staticmethod
    def key(seed: int, epoch: int) -> np.uint64:
        """Return the key of all random numbers of an epoch."""
        return make_key(seed, _STREAM, epoch)

    def distort(self, rows: np.ndarray, key: np.uint64, out: np.ndarray) -> None:
        """Write distorted copies of X[rows], int64 numbers in range, to `out` (rows, height width)."""
        height, width = self._shape
        augment_rows(self._X, rows, key, height, width, self._settings, self._taps, out)
