"""Data sets: the embedded digits, MNIST, scikit-learn's digits, a person's own files, and splits of them."""

import os

from .. import checks
from .dataset import Dataset as Dataset
from .digits import MissingExtraError as MissingExtraError
from .digits import load_digits
from .download import DownloadError as DownloadError
from .embedded import load_mnist_small
from .idx import IdxError as IdxError
from .idx import read_idx as read_idx
from .mnist import load_mnist
from .split import split as split
from .table import DataError as DataError
from .table import load_file as load_file

NAMES = ("mnist-small", "mnist", "digits")
"""The data sets that `load` knows."""


def load(name: str, folder: str | os.PathLike[str] | None = None) -> tuple[Dataset, Dataset]:
    """Return a data set's (train, test).

    `mnist-small`: 10,000 and 2,000 digits of 28 x 28 pixels, inside the package. `mnist`: all 60,000 and
    10,000, from `folder`, else the folder $FASTNN_DATA, else the user's cache, else downloaded into it.
    `digits`: 1,438 and 359 digits of 8 x 8 pixels, from scikit-learn. Pixels are scaled to 0 to 1.

    Raises ValueError for an unknown name, a damaged file or a missing extra, OSError where data cannot be
    had, TypeError for arguments of another type.
    """
    if checks.one_of(name, "name", NAMES) == "mnist":
        return load_mnist(folder)
    if folder is not None:
        raise ValueError(
            f"folder is {checks.describe(folder)}; only mnist is read from a folder, {name} is not"
        )
    return load_mnist_small() if name == "mnist-small" else load_digits()
