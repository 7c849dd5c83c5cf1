"""Model files: a network in a safetensors file, with its architecture and a checksum in the metadata.

The file holds the tensors weights.0, biases.0, weights.1, ... and one metadata entry, "fastnn": a JSON
object with the keys of `_describe`, and "sha256". That is the SHA-256 of the other keys' JSON (keys sorted,
Python's separators, ASCII) followed, for each tensor in the order above, by a line "name dtype shape" and the
tensor's little-endian bytes. Nothing in the file names anything that could be imported or run.
"""

import errno
import hashlib
import json
import os
import stat
from collections.abc import Sequence
from itertools import pairwise
from math import prod
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from . import checks
from .atomic_file import write_atomically
from .initializers import INITIALIZERS

if TYPE_CHECKING:
    from .mlp import MLP

FORMAT = 1
LARGEST_HEADER = 2**20  # bytes; some 5,000 layers
_LENGTH_BYTES = 8  # a safetensors file starts with the length of its JSON header
_DTYPES = {"float32": "F32", "float64": "F64"}  # as safetensors calls them


class ModelFileError(ValueError):
    """The file is no model file, is damaged, or comes from a later version."""


def save(net: "MLP", path: str | os.PathLike[str]) -> None:
    """Write `net` to the file `path`; one already there is replaced in one step, when the new one is whole.

    Raises ValueError if a parameter is not finite, and OSError if the file cannot be written; the file that
    was there is then as before.
    """
    import safetensors.numpy

    name = _file_name(path)
    tensors = {}
    for key, array in _tensors(net.weights, net.biases).items():
        array = array.copy()  # a `fit` in another thread may be at work on it
        tensors[key] = checks.finite_array(array, array.dtype, "{}[{}]".format(*key.split(".")))
    description = _describe(net)
    entry = json.dumps({**description, "sha256": _checksum(description, tensors)})
    data = safetensors.numpy.save(tensors, {"fastnn": entry})
    if _header_length(data) > LARGEST_HEADER:
        raise ValueError(f"the names of the layers and classes need more than {LARGEST_HEADER} bytes")
    write_atomically(name, data)


def load(path: str | os.PathLike[str]) -> "MLP":
    """Return the network in the file `path`, made by `save`.

    Raises FileNotFoundError if there is no such file, another OSError if it cannot be read, and
    ModelFileError, a ValueError, if it is anything but what `save` wrote.
    """
    name = _file_name(path)
    try:
        if not stat.S_ISREG(os.stat(name).st_mode):  # before opening: a pipe would wait for its writer
            raise OSError(errno.EINVAL, "it is not a file")
        with open(name, "rb") as file:
            return _network(*_read(file))
    except FileNotFoundError as error:
        raise FileNotFoundError(error.errno, f"there is no model file {name!r}") from None
    except OSError as error:
        raise OSError(error.errno, f"{name!r} cannot be read: {error.strerror or error}") from error
    except (TypeError, ValueError) as error:
        raise ModelFileError(f"{name!r} cannot be loaded: {error}") from None


def _file_name(path: Any) -> str:
    if not isinstance(path, str | bytes | os.PathLike):
        raise TypeError(f"path is {checks.describe(path)}; the name of a file is needed")
    name = os.fsdecode(path)
    if "\0" in name:
        raise ValueError(f"path is {name!r}; the name of a file holds no null character")
    return name


def _tensors(weights: Sequence[Any], biases: Sequence[Any]) -> dict[str, Any]:
    """Return weights.0, biases.0, weights.1, ... and what belongs to each."""
    return {
        f"{kind}.{layer}": item
        for layer, pair in enumerate(zip(weights, biases, strict=True))
        for kind, item in zip(("weights", "biases"), pair, strict=True)
    }


def _describe(net: "MLP") -> dict[str, Any]:
    return {
        "format": FORMAT,
        "sizes": list(net.sizes),
        "activation": net.activation,
        "init": net.init,
        "dtype": net.dtype.name,
        "seed": net.seed,
        "classes": None if net.classes is None else list(net.classes),
        "epochs_trained": net.epochs_trained,
    }


def _checksum(description: dict[str, Any], tensors: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256(json.dumps(description, sort_keys=True).encode())
    for name, array in tensors.items():
        digest.update(f"{name} {array.dtype.name} {array.shape}\n".encode())
        digest.update(array.astype(array.dtype.newbyteorder("<"), copy=False))
    return digest.hexdigest()


def _header_length(data: bytes) -> int:
    return int.from_bytes(data[:_LENGTH_BYTES], "little")


def _read(file: BinaryIO) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return the description and the tensors; a ValueError or TypeError says what is wrong with the file.

    The header is small, and is held against the architecture and the file's size before any data are read.
    """
    import safetensors.numpy

    size = os.fstat(file.fileno()).st_size
    start = file.read(_LENGTH_BYTES)
    length = _header_length(start)
    if length > min(LARGEST_HEADER, size - _LENGTH_BYTES):
        raise ValueError("it is not a model file, or it is cut short")
    header = file.read(length)
    table = _json_object(header.decode(), "the header")
    description, checksum = _check_metadata(table.pop("__metadata__", None))
    shapes = _check_table(table, description)
    itemsize = np.dtype(description["dtype"]).itemsize
    needed = _LENGTH_BYTES + length + itemsize * sum(map(prod, shapes.values()))
    if size != needed:
        raise ValueError(f"it has {size} bytes, and its network needs {needed}: it is damaged")
    try:
        loaded = safetensors.numpy.load(start + header + file.read())
    except safetensors.SafetensorError as error:
        raise ValueError(f"it is damaged ({error})") from None
    tensors = {name: loaded[name] for name in shapes}
    if _checksum(description, tensors) != checksum:
        raise ValueError("its SHA-256 is not that of its content: it is damaged")
    return description, tensors


def _json_object(text: str, what: str) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = dict(pairs)
        if len(keys) != len(pairs):
            raise ValueError("a key stands twice")
        return keys

    try:
        value = json.loads(text, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{what} is not the JSON of a model ({error})") from None
    if not isinstance(value, dict):
        raise ValueError(f"{what} is not that of a model file")
    return value


def _check_metadata(metadata: Any) -> tuple[dict[str, Any], str]:
    if not isinstance(metadata, dict) or not isinstance(metadata.get("fastnn"), str):
        raise ValueError("it is a safetensors file that fastnn did not write")
    description = _json_object(metadata["fastnn"], "the description of the network")
    version = checks.whole_number(description.get("format"), "format")
    if version > FORMAT:
        raise ValueError(f"it has format {version}, of a later fastnn; this one reads format {FORMAT}")
    keys = {"format", "sizes", "activation", "init", "dtype", "seed", "classes", "epochs_trained", "sha256"}
    if description.keys() != keys or metadata.keys() != {"fastnn"}:
        raise ValueError("the description of the network lacks an entry, or has one that is not known")
    checks.check_sizes(description["sizes"])
    checks.one_of(description["dtype"], "dtype", tuple(_DTYPES))
    checks.one_of(description["init"], "init", (*INITIALIZERS, "given"))
    return description, description.pop("sha256")


def _check_table(table: dict[str, Any], description: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor of the architecture, which `table` has exactly."""
    layers = list(pairwise(description["sizes"]))
    shapes = _tensors(layers, [(units,) for _, units in layers])
    if table.keys() != shapes.keys():
        raise ValueError("its tensors are not the weights and biases of its network")
    dtype = _DTYPES[description["dtype"]]
    for name, shape in shapes.items():
        entry = table[name]
        if not isinstance(entry, dict) or entry.get("dtype") != dtype or entry.get("shape") != list(shape):
            raise ValueError(f"{name} is not of type {dtype} and shape {shape}, which its network needs")
    return shapes


def _network(description: dict[str, Any], tensors: dict[str, np.ndarray]) -> "MLP":
    from .mlp import MLP  # mlp imports this module when it saves

    arrays = list(tensors.values())
    net = MLP(
        description["sizes"],
        activation=description["activation"],
        init=arrays[0::2],
        dtype=description["dtype"],
        seed=description["seed"],
    )
    net.biases = arrays[1::2]
    net.classes = description["classes"]
    net.epochs_trained = description["epochs_trained"]
    net._init = description["init"]  # what it was before the training; the weights were given only here
    return net
