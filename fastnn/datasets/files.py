"""Opening data files: what is no path, or no file that ends, is refused first."""

import os
import stat
from pathlib import Path
from typing import BinaryIO

from .. import checks


def as_path(path: str | os.PathLike[str], name: str = "path") -> Path:
    """Return `path` as a Path; TypeError unless it is a str or a path: `open` takes a number for a file."""
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"{name} is {checks.describe(path)}; a str or a pathlib.Path is needed")
    return Path(path)


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a file to read bytes; OSError where there is none, and for pipes and devices: they may not end."""
    path = as_path(path)
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(f"{path} is not a regular file; a folder, pipe or device cannot be read as data")
    return path.open("rb")
