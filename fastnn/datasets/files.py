"""Opening and writing files: paths are checked first, and a file is written whole or not at all."""

import os
import secrets
import stat
from pathlib import Path
from typing import BinaryIO


def as_path(path: str | os.PathLike[str], name: str = "path") -> Path:
    """Return `path` as a Path; TypeError unless it is a str or a path: `open` takes a number for a file."""
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"{name} is {path!r}; a str or a pathlib.Path is needed")
    return Path(path)


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a file to read bytes; OSError where there is none, and for pipes and devices: they may not end."""
    path = as_path(path)
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(f"{path} is not a regular file; a folder, pipe or device cannot be read as data")
    return path.open("rb")


def write_whole(path: str | os.PathLike[str], data: bytes) -> None:
    """Write `data` to a temporary file in the same folder, sync it and rename it to `path`."""
    path = as_path(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
