"""What must be the same for a training to go on from a checkpoint, as values that JSON can hold."""

import dataclasses
import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..csr import CSR

if TYPE_CHECKING:
    from ..mlp import MLP
    from ..run import Run

_ROWS = 1000  # of a matrix that are looked at, evenly spaced
_DIGITS = 16


def fingerprint(net: "MLP", run: "Run") -> dict[str, Any]:
    """Return the settings of a network and of a call of `fit` that decide its steps, and digests of the data.

    Left out are those that do not: threads, progress and the like, the time budget; and the epochs, which may grow, with
    their batches.
    """
    return {
        "sizes": list(net.sizes),
        "activations": [plain(activation) for activation in net.activations],
        "loss": plain(net.loss),
        "dtype": net.dtype.name,
        "seed": net.seed,
        "backend": run.backend.__name__.removesuffix("Backend").lower(),
        "optimizer": plain(run.optimizer),
        "shuffle": run.shuffle,
        "dropout": list(run.dropout),
        "augment": plain(run.augment),
        "norms": run.norms,
        "rows": run.rows,
        "X": digest(run.X),
        "y": digest(run.targets),
        "weights of the rows": digest(run.row_weights),
        "validation": [digest(part) for part in run.validation] if run.validation else None,
        "callbacks": [type(callback).__name__ for callback in run.callbacks],
    }


def plain(value: Any) -> Any:
    """Return settings as what JSON can hold: objects by their kind and fields, functions by their qualified name."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return digest(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, type) or hasattr(value, "__qualname__"):
        return value.__qualname__
    kind = type(value).__qualname__
    if not dataclasses.is_dataclass(value):
        return kind
    settings = {
        field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value) if field.init
    }
    return {"kind": kind, **settings}


def digest(data: np.ndarray | CSR | None) -> str | None:
    """Return the start of the SHA-256 of data: of all of a vector, and of up to 1,000 evenly spaced rows of a matrix."""
    if data is None:
        return None
    sha = hashlib.sha256(str(data.shape).encode())
    if isinstance(data, CSR):
        for row in _spaced(len(data)):
            entries = slice(data.row_starts[row], data.row_starts[row + 1])
            sha.update(data.columns[entries].tobytes() + data.data[entries].tobytes())
    else:
        rows = data if data.ndim < 2 else data[_spaced(len(data))]
        sha.update(f"{data.dtype.name}\n".encode())
        sha.update(np.ascontiguousarray(rows))
    return sha.hexdigest()[:_DIGITS]


def _spaced(rows: int) -> np.ndarray:
    return np.linspace(0, rows - 1, min(rows, _ROWS)).round().astype(np.int64)


def differences(before: Any, now: Any, name: str = "") -> list[str]:
    """Say of every setting that is not as it was what it was and what it is."""
    if before == now:
        return []
    if isinstance(before, dict) and isinstance(now, dict):
        if before.get("kind") == now.get("kind"):
            keys = dict.fromkeys([*before, *now])
            return [
                text
                for key in keys
                for text in differences(before.get(key), now.get(key), f"{name}.{key}" if name else key)
            ]
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        pairs = enumerate(zip(before, now, strict=True))
        return [text for i, (old, new) in pairs for text in differences(old, new, f"{name}[{i}]")]
    return [f"{name} was {_shown(before)} and is {_shown(now)}"]


def _shown(value: Any) -> str:
    return value["kind"] if isinstance(value, dict) and "kind" in value else repr(value)
