"""The full MNIST: 60,000 training and 10,000 test images, from a folder, the user's cache or a download.

The files are by Yann LeCun and Corinna Cortes. Each is checked against the SHA-256 of the official file's
uncompressed content, wherever it comes from.
"""

import contextlib
import io
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..atomic_file import write_atomically
from .dataset import Dataset
from .download import DownloadError, download
from .files import as_path
from .idx import IdxError, idx_sha256, parse_idx, read_idx


class OfficialFile(NamedTuple):
    """One of MNIST's four files: size and SHA-256 as published, gzipped, and the SHA-256 of its content."""

    name: str
    gz_bytes: int
    gz_sha256: str
    sha256: str


FILES = (
    OfficialFile(
        "train-images-idx3-ubyte",
        9912422,
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    ),
    OfficialFile(
        "train-labels-idx1-ubyte",
        28881,
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ),
    OfficialFile(
        "t10k-images-idx3-ubyte",
        1648877,
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    ),
    OfficialFile(
        "t10k-labels-idx1-ubyte",
        4542,
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
)

# yann.lecun.com, the original site, has refused these files since 2024.
MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://raw.githubusercontent.com/fgnt/mnist/master/",
)


def load_mnist(folder: str | os.PathLike[str] | None = None) -> tuple[Dataset, Dataset]:
    """Return MNIST's training and test set, from the first place that has it.

    `folder` if given, and then nowhere else; $FASTNN_DATA; the user's cache; the mirrors, which fill the
    cache. A folder holds the files itself or in its subfolder `mnist`, raw or gzipped.

    Raises IdxError for a damaged or foreign file in a folder, OSError where MNIST cannot be had.
    """
    if folder is not None:
        return as_datasets(read_folder(folder))
    given = os.environ.get("FASTNN_DATA")
    if given and _find_folder(Path(given)):
        return as_datasets(read_folder(given))
    try:
        return as_datasets([_read_cached(file) for file in FILES])
    except DownloadError as error:
        raise DownloadError(
            f"MNIST is neither in $FASTNN_DATA ({given or 'not set'}) nor in the cache "
            f"({_cache_folder() or 'no home folder'}) and could not be downloaded ({error}); "
            "give a folder that holds its four files, as the argument folder or in FASTNN_DATA"
        ) from error


def read_folder(folder: str | os.PathLike[str]) -> list[np.ndarray]:
    """Return the arrays of the official files in `folder` or its subfolder `mnist`, as `FILES` lists them."""
    found = _find_folder(as_path(folder, "folder"))
    if found is None:
        raise FileNotFoundError(
            f"folder {folder} has no MNIST files; {', '.join(file.name for file in FILES)} are needed there "
            "or in its subfolder mnist, raw or gzipped"
        )
    return [_read_from(found, file) for file in FILES]


def as_datasets(arrays: Sequence[np.ndarray]) -> tuple[Dataset, Dataset]:
    """Return (train, test) from the files' arrays: training images, training labels, test images, labels."""
    train_images, train_labels, test_images, test_labels = arrays
    return Dataset(_as_rows(train_images), train_labels), Dataset(_as_rows(test_images), test_labels)


def require_sha256(array: np.ndarray, sha256: str, name: str) -> np.ndarray:
    """Return `array`, read from the IDX file `name`; IdxError unless the file's content has this SHA-256."""
    actual = idx_sha256(array)
    if actual != sha256:
        raise IdxError(
            f"{name} is not the expected file: the SHA-256 of its content is {actual}, not {sha256}"
        )
    return array


def _as_rows(images: np.ndarray) -> np.ndarray:
    # The dtype is named because NumPy 1 would divide bytes by a float32 number in float16.
    return np.divide(images.reshape(len(images), -1), np.float32(255), dtype=np.float32)


def _paths(folder: Path, file: OfficialFile) -> list[Path]:
    dotted = file.name.replace("-idx", ".idx")
    return [folder / name for name in (file.name, f"{file.name}.gz", dotted, f"{dotted}.gz")]


def _find_folder(root: Path) -> Path | None:
    for folder in (root, root / "mnist"):
        if any(path.is_file() for file in FILES for path in _paths(folder, file)):
            return folder
    return None


def _read_from(folder: Path, file: OfficialFile) -> np.ndarray:
    for path in _paths(folder, file):
        if path.is_file():
            return require_sha256(read_idx(path), file.sha256, str(path))
    raise FileNotFoundError(f"{folder} lacks {file.name}, raw or gzipped; MNIST is four files")


def _read_cached(file: OfficialFile) -> np.ndarray:
    folder = _cache_folder()
    name = f"{file.name}.gz"
    if folder is not None:
        with contextlib.suppress(OSError, IdxError):
            return require_sha256(read_idx(folder / name), file.sha256, name)
    content = download([mirror + name for mirror in MIRRORS], file.gz_bytes, file.gz_sha256)
    if folder is not None:
        _keep(folder / name, content)
    return require_sha256(parse_idx(io.BytesIO(content), name), file.sha256, name)


def _keep(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(str(path), content)
    except OSError as error:
        warnings.warn(f"MNIST was downloaded but could not be kept in the cache ({error})", stacklevel=2)


def _cache_folder() -> Path | None:
    """Return the folder of the user's cache that holds MNIST; None where the user has no home."""
    own = os.environ.get("FASTNN_CACHE")
    if own:
        return Path(own) / "data" / "mnist"
    shared = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(shared):  # the XDG specification has relative paths ignored
        home = os.path.expanduser("~")
        if not os.path.isabs(home):
            return None
        shared = os.path.join(home, ".cache")
    return Path(shared) / "fastnn" / "data" / "mnist"
