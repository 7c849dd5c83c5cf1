"""The IDX file format of MNIST: a strict reader, raw or gzipped, and a deterministic writer.

An IDX file is two zero bytes, a type code, the number of dimensions, each dimension as a 4-byte big-endian
integer, then the data, big-endian, row by row (described on the original MNIST page).
"""

import gzip
import hashlib
import io
import math
import os
import zlib
from typing import BinaryIO

import numpy as np

from ..atomic_file import write_atomically
from .files import as_path, open_regular

MAX_BYTES = 2 * 1024**3
"""The most bytes of data an IDX file may declare; a larger one is refused before its data are read."""

_DTYPES = {
    0x08: np.dtype("u1"),
    0x09: np.dtype("i1"),
    0x0B: np.dtype(">i2"),
    0x0C: np.dtype(">i4"),
    0x0D: np.dtype(">f4"),
    0x0E: np.dtype(">f8"),
}
_MAX_DIMENSIONS = 32  # as many as every NumPy can hold
_CHUNK = 1 << 20


class IdxError(ValueError):
    """A file that is not a whole, well-formed IDX file, or not the one expected."""


def read_idx(path: str | os.PathLike[str]) -> np.ndarray:
    """Read one IDX file, raw or gzipped (told apart by content), as an array in native byte order.

    Raises IdxError for anything but exactly one well-formed array of at most `MAX_BYTES`, OSError where the
    file cannot be read.
    """
    with open_regular(path) as file:
        return parse_idx(file, str(path))


def parse_idx(file: BinaryIO, name: str) -> np.ndarray:
    """Read an open, seekable IDX file from its start; `name` names it in errors (see `read_idx`)."""
    gzipped = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    if not gzipped:
        return _parse(file, name)
    try:
        with gzip.GzipFile(fileobj=file) as inflated:
            return _parse(inflated, name)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise IdxError(f"{name} is a damaged gzip file ({error}); a whole one is needed") from error


def write_idx(path: str | os.PathLike[str], array: np.ndarray) -> None:
    """Write `array` as an IDX file, gzipped where `path` ends in .gz; equal arrays give equal bytes.

    Raises TypeError for a dtype and ValueError for a number of dimensions that IDX does not have.
    """
    path = as_path(path)
    content = b"".join(_encode(array))
    if path.suffix == ".gz":
        packed = io.BytesIO()
        with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=packed, mtime=0) as file:
            file.write(content)
        content = packed.getvalue()
    write_atomically(str(path), content)


def idx_sha256(array: np.ndarray) -> str:
    """Return the SHA-256, in hexadecimal, of the uncompressed IDX file that holds `array`."""
    header, data = _encode(array)
    digest = hashlib.sha256(header)
    digest.update(data)
    return digest.hexdigest()


def _parse(file: BinaryIO, name: str) -> np.ndarray:
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _DTYPES:
        raise IdxError(
            f"{name} starts with the bytes '{magic.hex(' ')}'; an IDX file starts with 00 00 and a type"
        )
    dtype, dimensions = _DTYPES[magic[2]], magic[3]
    if not 1 <= dimensions <= _MAX_DIMENSIONS:
        raise IdxError(f"{name} declares {dimensions} dimensions; 1 to {_MAX_DIMENSIONS} can be read")
    sizes = file.read(4 * dimensions)
    if len(sizes) < 4 * dimensions:
        raise IdxError(f"{name} ends within its header; {dimensions} dimensions were announced")
    shape = tuple(int.from_bytes(sizes[i : i + 4], "big") for i in range(0, len(sizes), 4))
    # A dimension of 0 must not hide others that NumPy could not hold: it counts as 1 here.
    if math.prod(max(size, 1) for size in shape) * dtype.itemsize > MAX_BYTES:
        raise IdxError(f"{name} declares the shape {shape}; more than {MAX_BYTES} bytes of data are not read")
    expected = math.prod(shape) * dtype.itemsize
    data = _read_up_to(file, expected + 1)
    if len(data) < expected:
        raise IdxError(f"{name} ends after {len(data)} bytes of data; its shape {shape} needs {expected}")
    if len(data) > expected:
        raise IdxError(
            f"{name} goes on after the {expected} bytes of data of its shape {shape}; nothing may follow"
        )
    return np.ndarray(shape, dtype, buffer=data).astype(dtype.newbyteorder("="), copy=False)


def _read_up_to(file: BinaryIO, size: int) -> bytearray:
    """Read at most `size` bytes, in pieces: what a header declares is not allocated before it is there."""
    data = bytearray()
    while chunk := file.read(min(_CHUNK, size - len(data))):
        data += chunk
    return data


def _encode(array: np.ndarray) -> tuple[bytes, bytes]:
    codes = {dtype.newbyteorder("="): code for code, dtype in _DTYPES.items()}
    code = codes.get(array.dtype.newbyteorder("="))
    if code is None:
        raise TypeError(f"array has dtype {array.dtype}; IDX holds {', '.join(map(str, codes))}")
    if not 1 <= array.ndim <= _MAX_DIMENSIONS:
        raise ValueError(f"array has {array.ndim} dimensions; IDX files have 1 to {_MAX_DIMENSIONS}")
    header = bytes([0, 0, code, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    return header, array.astype(_DTYPES[code], copy=False).tobytes()
