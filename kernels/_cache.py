"""Compiled code on disk: a file for each kernel and signature, and each library, in a private folder, keyed by what shaped it.

Numba's own cache keys a function by its own bytecode: it serves stale machine code when a helper in another file
changes, raises at import when no folder can be written, and unpickles whatever it finds. Here the folder's name holds
a hash of all kernel sources, the versions, the processor and the vector width; files carry a SHA-256; and whatever goes
wrong, the kernel is compiled as if there were no cache. _machine_code.py says what is in a kernel's file.
"""

import hashlib
import os
import pickle
import stat
import sys
import tempfile
from functools import cache
from pathlib import Path

import llvmlite
import numba
import numpy
from numba.core.caching import _Cache

from ._machine_code import storable
from .processor import host

_CHECKSUM_BYTES = hashlib.sha256().digest_size


def cache_root() -> Path:
    """The user's cache folder: FASTNN_CACHE, else XDG_CACHE_HOME/fastnn, else ~/.cache/fastnn. OSError if none can be named."""
    named = os.environ.get("FASTNN_CACHE")
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(base) if base else Path.home() / ".cache") / "fastnn"
    except RuntimeError as error:  # no HOME and no entry in the password file
        raise OSError(f"no folder for the cache: {error}; set FASTNN_CACHE") from error


@cache
def _key() -> str:
    """One hash of all that decides what machine code comes out."""
    digest = hashlib.sha256()
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.name.encode())
        digest.update(source.read_bytes())
    target = host()
    for part in (
        sys.version,
        numba.__version__,
        llvmlite.__version__,
        numpy.__version__,
        target.architecture,
        ",".join(sorted(target.features)),
        str(target.vector_bits),
        # Numba's own settings that change the code.
        ",".join(
            f"{name}={value}" for name, value in sorted(os.environ.items()) if name.startswith("NUMBA_")
        ),
    ):
        digest.update(part.encode() + b"\0")
    return digest.hexdigest()[:16]


def kernel_folder() -> Path:
    """The folder of this version's compiled kernels; it need not exist yet."""
    return cache_root() / "kernels" / _key()


def _is_private(path: Path) -> bool:
    """True if nobody else could have put something at `path`: cached files are unpickled, and so are code."""
    if not hasattr(os, "getuid"):
        return True
    found = path.lstat()
    return found.st_uid == os.getuid() and not stat.S_IMODE(found.st_mode) & (stat.S_IWGRP | stat.S_IWOTH)


def cache_is_ours() -> bool:
    """Whether files can be kept in the folder of kernels, which is made where it is missing, and are trusted there."""
    try:
        folder = kernel_folder()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return _is_private(folder) and os.access(folder, os.W_OK | os.X_OK)
    except OSError:
        return False


def _path(name, variant) -> Path:
    return kernel_folder() / f"{name}-{hashlib.sha256(variant.encode()).hexdigest()[:16]}.kernel"


def read_file(name, variant):
    """Return what `write_file` kept. Raises an exception where there is nothing that can be trusted."""
    path = _path(name, variant)
    if not (_is_private(path) and _is_private(path.parent)):
        raise PermissionError(f"others may write {path}")
    content = path.read_bytes()
    checksum, payload = content[:_CHECKSUM_BYTES], content[_CHECKSUM_BYTES:]
    if hashlib.sha256(payload).digest() != checksum:
        raise ValueError(f"{path} is damaged")
    return pickle.loads(payload)


def write_file(name, variant, content):
    """Write `content` under a temporary name, then rename it; give up silently where that fails."""
    temporary = None
    try:
        payload = pickle.dumps(content, protocol=pickle.HIGHEST_PROTOCOL)
        path = _path(name, variant)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
        with os.fdopen(descriptor, "wb") as file:
            file.write(hashlib.sha256(payload).digest() + payload)
        os.replace(temporary, path)
    except Exception:  # a full disk or a read-only folder: the code works, it is only not kept
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


class KernelCache(_Cache):
    """The disk cache of one kernel, in the shape that Numba's dispatcher asks for."""

    def __init__(self, py_func):
        self._name = py_func.__qualname__

    @property
    def cache_path(self):
        """The folder, as Numba's interface names it."""
        return str(kernel_folder())

    def enable(self):
        """Nothing to do: always on."""

    def disable(self):
        """Nothing to do: never off."""

    def flush(self):
        """Nothing to do: a file is complete as soon as it has its name."""

    def read(self, sig):
        """Return what `storable` kept of the kernel. Raises an exception where there is nothing that can be trusted."""
        return read_file(self._name, str(sig))

    def load_overload(self, sig, target_context):
        """Return None: Numba is only asked where there is no file, or where machine code is not enough."""

    def save_overload(self, sig, data):
        """Write the compiled kernel, if another process can use it."""
        try:
            stored = storable(data)
        except ValueError:
            return
        write_file(self._name, str(sig), stored)
