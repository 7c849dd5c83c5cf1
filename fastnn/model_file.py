"""Model files: a network in a safetensors file, with its architecture and a checksum in the metadata.

The file holds the tensors weights.0, biases.0, weights.1, ... and one metadata entry, "fastnn": a JSON object with
the keys of `_describe`, and "sha256". That is the SHA-256 of the other keys' JSON (sorted keys, Python's default
separators, ASCII) followed, for each tensor in the order above, by a line "name dtype shape" and its little-endian
bytes. Nothing in the file names anything that could be imported or run.
"""

import errno
import hashlib
import json
import os
import stat
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from . import checks
from .atomic_file import write_atomically

if TYPE_CHECKING:
    from .mlp import MLP

FORMAT = 1
LARGEST_HEADER = 2**20  # bytes; some 5,000 layers
_LENGTH_BYTES = 8  # a safetensors file starts with the length of its JSON header
_DTYPES = {"float32": "F32", "float64": "F64"}  # as safetensors calls them


class ModelFileError(ValueError):
    """The file is no model file, is damaged, or comes from a later version."""


def save(net: "MLP", path: str | os.PathLike[str]) -> None:
    """Write `net` to the file `path`; a file that is there is replaced in one step, once the new one is safe.

    Raises ValueError if a parameter is not finite, OSError if the file cannot be written: see
    `fastnn.atomic_file`.
    """
    import safetensors.numpy

    name = _file_name(path)
    tensors = {key: array.copy() for key, array in _tensors(net.weights, net.biases).items()}  # fit may be running
    for key, array in tensors.items():
        kind, index = key.split(".")
        checks.finite_array(array, array.dtype, f"{kind}[{index}]")
    description = _describe(net)
    text = json.dumps({**description, "sha256": _checksum(description, tensors)})
    data = safetensors.numpy.save(tensors, {"fastnn": text})
    if int.from_bytes(data[:_LENGTH_BYTES], "little") > LARGEST_HEADER:
        raise ValueError(f"sizes and classes take too much space in a model file: at most {LARGEST_HEADER} bytes")
    write_atomically(name, data)


def load(path: str | os.PathLike[str]) -> "MLP":
    """Return the network in the file `path`, which `save` wrote; all of it is checked first.

    Raises FileNotFoundError if there is no such file, another OSError if it cannot be read, and ModelFileError, a
    ValueError, if it is not exactly what `save` wrote.
    """
    name = _file_name(path)
    try:
        mode = os.stat(name).st_mode
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "it is not a file")
        with open(name, "rb") as file:
            return _parse(file)
    except FileNotFoundError as error:
        raise FileNotFoundError(error.errno, f"there is no model file {name!r}") from None
    except OSError as error:
        raise OSError(error.errno, f"{name!r} cannot be read: {error.strerror or error}") from error
    except (TypeError, ValueError) as error:
        raise ModelFileError(f"{name!r} cannot be loaded: {error}") from None
