"""mnist-small: the digits inside the package, drawn from MNIST by `scripts/make_mnist_small.py`."""

from importlib import resources

from .dataset import Dataset
from .idx import parse_idx
from .mnist import as_datasets, require_sha256

SHA256 = {
    "train-images-idx3-ubyte.gz": "b8121ecab0263baedba81986f6d8f6ea09a552aafdc25ef3da20cc3f1f622ef6",
    "train-labels-idx1-ubyte.gz": "aa85c14b704411a3ee21d326d65c5c141020bed095802dfd75b01c15be15cdfc",
    "t10k-images-idx3-ubyte.gz": "eb31dffe9a5614446f2cfe863aa9f8b45fa83340bcd897e3566e862565b8a3b1",
    "t10k-labels-idx1-ubyte.gz": "a634cfa3c3461fe11b5200daf0e522d6a24184242dc55e5a23b6a09a64ce9757",
}
"""The embedded files and the SHA-256 of the content of each."""


def load_mnist_small() -> tuple[Dataset, Dataset]:
    """Return the embedded training set (10,000 images) and test set (2,000).

    Raises IdxError where an installed file is damaged.
    """
    arrays = []
    for name, sha256 in SHA256.items():
        with resources.files(__package__).joinpath("mnist_small", name).open("rb") as file:
            arrays.append(require_sha256(parse_idx(file, name), sha256, name))
    return as_datasets(arrays)
