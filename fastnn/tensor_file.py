"""Files of arrays with a description and a checksum: what model files and checkpoints have in common.

A safetensors file with one metadata entry, whose name says what kind of file it is: a JSON object, the description,
with "sha256" in it. That is the SHA-256 of the other keys' JSON (keys sorted, Python's separators, ASCII) followed,
for each tensor in the order of the kind of file, by a line "name dtype shape" and the tensor's little-endian bytes.
Nothing in such a file names anything that could be imported or run.
"""

import errno
import hashlib
import json
import os
import stat
from collections.abc import Callable
from math import prod
from typing import Any, BinaryIO

import numpy as np

from . import checks

LARGEST_HEADER = 2**20  # bytes; some 5,000 layers
_LENGTH_BYTES = 8  # a safetensors file starts with the length of its JSON header

DTYPES = {
    "bool": "BOOL",
    "uint8": "U8",
    "int8": "I8",
    "uint16": "U16",
    "int16": "I16",
    "uint32": "U32",
    "int32": "I32",
    "uint64": "U64",
    "int64": "I64",
    "float16": "F16",
    "float32": "F32",
    "float64": "F64",
}
"""What safetensors calls NumPy's dtypes; others are not written."""

_ITEM_SIZES = {name: np.dtype(dtype).itemsize for dtype, name in DTYPES.items()}

Description = dict[str, Any]
Tensors = dict[str, np.ndarray]
Check = Callable[[Description, dict[str, Any]], list[str]]
"""Called with the description and the header's table before the arrays are read: raises TypeError or ValueError for what
the kind of file does not have, and returns the names of all tensors in the order of the checksum."""


def file_name(path: Any) -> str:
    """Return a path as a string."""
    if not isinstance(path, str | bytes | os.PathLike):
        raise TypeError(f"path is {checks.describe(path)}; the name of a file is needed")
    name = os.fsdecode(path)
    if "\0" in name:
        raise ValueError(f"path is {name!r}; the name of a file holds no null character")
    return name


def encode(kind: str, description: Description, tensors: Tensors) -> bytes:
    """Return the content of a file of that kind. Raises ValueError where the header gets too large."""
    import safetensors.numpy

    entry = json.dumps({**description, "sha256": _checksum(description, tensors)})
    # Arrays that are not contiguous would be written in the wrong order.
    tensors = {name: np.require(array, requirements="C") for name, array in tensors.items()}
    data = safetensors.numpy.save(tensors, {kind: entry})
    if _header_length(data) > LARGEST_HEADER:
        raise ValueError(f"settings and names of layers and classes need more than {LARGEST_HEADER} bytes")
    return data


def read(name: str, kind: str, what: str, check: Check) -> tuple[Description, Tensors]:
    """Return the description and the tensors of the file `name`, which is to be a `what`.

    Raises FileNotFoundError if there is none, another OSError if it is no file or cannot be read, and a ValueError or
    TypeError that says what is wrong with its content.
    """
    try:
        if not stat.S_ISREG(os.stat(name).st_mode):  # before opening: a pipe would wait for its writer
            raise OSError(errno.EINVAL, "it is not a file")
        with open(name, "rb") as file:
            return _decode(file, kind, what, check)
    except FileNotFoundError as error:
        raise FileNotFoundError(error.errno, f"there is no {what} {name!r}") from None
    except OSError as error:
        raise OSError(error.errno, f"{name!r} cannot be read: {error.strerror or error}") from error


def _decode(file: BinaryIO, kind: str, what: str, check: Check) -> tuple[Description, Tensors]:
    # The header is small, and is held against `check` and the file's size before any data are read.
    import safetensors.numpy

    size = os.fstat(file.fileno()).st_size
    start = file.read(_LENGTH_BYTES)
    length = _header_length(start)
    if length > min(LARGEST_HEADER, size - _LENGTH_BYTES):
        raise ValueError(f"it is not a {what}, or it is cut short")
    header = file.read(length)
    table = json_object(header.decode(), "the header", what)
    description, checksum = _check_metadata(table.pop("__metadata__", None), kind, what)
    names = check(description, table)
    needed = _LENGTH_BYTES + length + sum(_bytes(table[name], name) for name in names)
    if size != needed:
        raise ValueError(f"it has {size} bytes, and its arrays need {needed}: it is damaged")
    try:
        loaded = safetensors.numpy.load(start + header + file.read())
    except safetensors.SafetensorError as error:
        raise ValueError(f"it is damaged ({error})") from None
    tensors = {name: loaded[name] for name in names}
    if _checksum(description, tensors) != checksum:
        raise ValueError("its SHA-256 is not that of its content: it is damaged")
    return description, tensors


def json_object(text: str, subject: str, what: str) -> Description:
    """Return the object that a text in a file is. Raises ValueError for all other texts."""

    def unique(pairs: list[tuple[str, Any]]) -> Description:
        keys = dict(pairs)
        if len(keys) != len(pairs):
            raise ValueError("a key stands twice")
        return keys

    try:
        value = json.loads(text, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{subject} is not the JSON of a {what} ({error})") from None
    if not isinstance(value, dict):
        raise ValueError(f"{subject} is not that of a {what}")
    return value


def check_format(description: Description, newest: int) -> int:
    """Return the format's number."""
    version = checks.whole_number(description.get("format"), "format")
    if version > newest:
        raise ValueError(f"it has format {version}, of a later fastnn; this one reads format {newest}")
    return version


def _check_metadata(metadata: Any, kind: str, what: str) -> tuple[Description, Any]:
    if not isinstance(metadata, dict) or not isinstance(metadata.get(kind), str):
        if isinstance(metadata, dict) and any(name.startswith("fastnn") for name in metadata):
            raise ValueError(f"it is not a {what}, but a file of fastnn's of another kind")
        raise ValueError("it is a safetensors file that fastnn did not write")
    if metadata.keys() != {kind}:
        raise ValueError("its metadata have an entry that is not known")
    description = json_object(metadata[kind], "the description", what)
    return description, description.pop("sha256", None)


def _bytes(entry: Any, name: str) -> int:
    """How many bytes a tensor of the table has."""
    try:
        shape = [checks.whole_number(size, name, least=0, most=None) for size in entry["shape"]]
        return prod(shape) * _ITEM_SIZES[entry["dtype"]]
    except (KeyError, TypeError, ValueError):
        raise ValueError(f"the table's entry of {name} is damaged") from None


def _checksum(description: Description, tensors: Tensors) -> str:
    digest = hashlib.sha256(json.dumps(description, sort_keys=True).encode())
    for name, array in tensors.items():
        digest.update(f"{name} {array.dtype.name} {array.shape}\n".encode())
        digest.update(np.require(array, array.dtype.newbyteorder("<"), "C"))
    return digest.hexdigest()


def _header_length(data: bytes) -> int:
    return int.from_bytes(data[:_LENGTH_BYTES], "little")
