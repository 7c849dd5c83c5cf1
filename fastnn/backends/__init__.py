"""The backends: what executes training steps. This module names them and says what each offers."""

import importlib
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from .. import checks
from ..csr import CSR
from ..optimizers import Optimizer

if TYPE_CHECKING:
    from ..mlp import MLP

_BACKENDS = {"jit": "JitBackend", "reference": "ReferenceBackend"}


@dataclass(frozen=True)
class Task:
    """What a training run is made of, beside the network; all of it was checked before."""

    X: np.ndarray | CSR
    """(n, d), C-contiguous, of the network's dtype, perhaps read-only, or CSR."""
    targets: np.ndarray
    """As `fastnn.losses.check_targets` returns them for the network's loss."""
    batch_size: int
    """The most rows in a batch, at most n."""
    optimizer: Optimizer | None = None
    """None only asks for gradients."""
    row_weights: np.ndarray | None = None
    """(n,) of the network's dtype, or None where every row weighs 1."""
    dropout: tuple[float, ...] = ()
    """The fraction of the inputs and of each hidden layer's outputs that is dropped; empty: none."""
    stream: int = 0
    """Beside the network's seed, what selects the random numbers of this run."""
    threads: int | None = None
    sparse: bool | None = None
    """True trains the first layer over the non-zeros of X alone, False over all of X; None what is faster."""


@dataclass(frozen=True)
class Chunk:
    """Some training steps: one for each learning rate."""

    rows: np.ndarray
    """int64: the batches' rows of X one after the other, every batch of batch_size but the last, which may be shorter.

    None may come twice in a batch: there is room for as many sparse entries as different rows have.
    """
    learning_rates: np.ndarray
    """float64."""
    first_step: int
    """How many steps were made before in this run."""
    batch_size: int
    X: np.ndarray | None = None
    """(len(rows), d) to take instead of these rows of X: augmented ones."""


class Backend(Protocol):
    """One training run of a network. The input was checked before; a backend trusts it."""

    inputs: str
    """How the first layer is trained: "sparse" or "dense"."""

    steps_per_chunk: int
    """How many whole steps one call of `run` should get, so that Ctrl-C and progress are served in time."""

    def __init__(self, net: "MLP", task: Task):
        """Take over the network's parameters, as `push` does."""

    def run(self, chunk: Chunk) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Make the steps.

        Return each batch's mean loss before its update (float64), how many of its rows were right (int64), and the sum of its
        rows' weights (float64).
        """

    def pull(self) -> None:
        """Write the parameters, or where an average of them is kept that, into net.weights and net.biases."""

    def push(self) -> None:
        """Read the network's parameters again: a callback may have changed them."""

    def is_in_network(self) -> bool:
        """Say whether the network holds all that a step changes, so that `push` goes back to it."""

    def is_finite(self) -> bool:
        """Say whether no parameter is NaN or infinite."""

    def snapshot(self, over: Any = None) -> Any:
        """Return a copy of all that a step changes, for `restore`; it may be written over an earlier one."""

    def restore(self, snapshot: Any) -> None:
        """Go back to a snapshot."""

    def state(self) -> dict[str, np.ndarray]:
        """Return all that a step changes as 1-D arrays laid out as `net.arena`, for a file."""

    def load_state(self, state: dict[str, np.ndarray]) -> None:
        """Go on from such a state."""

    def close(self) -> None:
        """End worker threads; may be called twice."""

    @staticmethod
    def all_finite(array: np.ndarray, threads: int | None) -> bool:
        """Say whether all of a C-contiguous array's floats are finite; looked at by so many threads at most."""

    @staticmethod
    def gradients(
        net: "MLP",
        X: np.ndarray | CSR,
        targets: np.ndarray,
        row_weights: np.ndarray | None = None,
        threads: int | None = None,
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Return dL/dW and dL/db of every layer, L being the mean loss."""

    @staticmethod
    def predict_proba(net: "MLP", X: np.ndarray | CSR, threads: int | None) -> np.ndarray:
        """Return the outputs (n, outputs) of the network's dtype: after softmax or sigmoid, where the loss has one."""

    @staticmethod
    def losses(
        net: "MLP", X: np.ndarray | CSR, targets: np.ndarray, threads: int | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return each row's loss (float64), and whether its outputs are right (int64)."""

    @staticmethod
    def inspect(
        net: "MLP", X: np.ndarray | CSR, threads: int | None = None
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Return every layer's outputs, the hidden ones' after their activation f, and the hidden ones' f'."""


def get(name: str) -> type[Backend]:
    """Return the backend of that name, imported now; raise ValueError for an unknown name."""
    return _load(checks.one_of(name, "backend", tuple(_BACKENDS)))


@cache
def _load(name: str) -> type[Backend]:
    return getattr(importlib.import_module(f".{name}", __name__), _BACKENDS[name])
