"""The backends: what executes training steps. This module names them and says what each offers."""

import importlib
from functools import cache
from typing import TYPE_CHECKING, Protocol

import numpy as np

from .. import checks
from ..csr import CSR
from ..optimizers import Optimizer

if TYPE_CHECKING:
    from ..mlp import MLP

_BACKENDS = {"jit": "JitBackend", "reference": "ReferenceBackend"}


class Backend(Protocol):
    """One training run of a network. The input was checked before; a backend trusts it."""

    inputs: str
    """Which of the two it is: "sparse" or "dense"."""

    steps_per_chunk: int
    """How many whole steps one call of `run` should get, so that Ctrl-C and progress are served in time."""

    def __init__(
        self,
        net: "MLP",
        optimizer: Optimizer,
        X: np.ndarray | CSR,
        y: np.ndarray,
        batch_size: int,
        threads: int | None,
        sparse: bool | None = None,
    ):
        """Take over the network's parameters, as `push` does.

        X is (n, d), C-contiguous, of the network's dtype, perhaps read-only, or CSR; y is int64 (n,);
        batch_size is at most n. `sparse` asks for the first layer over the non-zeros of X alone (True), over all
        of X (False), or for the faster of the two (None).
        """

    def run(
        self, rows: np.ndarray, learning_rates: np.ndarray, first_step: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Make len(learning_rates) training steps.

        `rows` (int64) are the batches' rows of X one after the other, every batch of batch_size but the last,
        which may be shorter; `learning_rates` (float64) has one for each step; `first_step` steps were made
        before in this run. Return each batch's mean loss before its update (float64) and how many of its rows
        were classified right (int64).
        """

    def pull(self) -> None:
        """Write the parameters into net.weights and net.biases, in place."""

    def push(self) -> None:
        """Read the network's parameters again: a callback may have changed them."""

    def close(self) -> None:
        """End worker threads; may be called twice."""

    @staticmethod
    def gradients(
        net: "MLP", X: np.ndarray | CSR, y: np.ndarray
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Return dL/dW and dL/db of every layer, L being the mean loss."""

    @staticmethod
    def predict_proba(net: "MLP", X: np.ndarray | CSR, threads: int | None) -> np.ndarray:
        """Return softmax of the logits, (n, classes) of the network's dtype."""

    @staticmethod
    def evaluate(net: "MLP", X: np.ndarray | CSR, y: np.ndarray, threads: int | None) -> tuple[float, int]:
        """Return the mean loss and how many rows were classified right."""


def get(name: str) -> type[Backend]:
    """Return the backend of that name, imported now; raise ValueError for an unknown name."""
    return _load(checks.one_of(name, "backend", tuple(_BACKENDS)))


@cache
def _load(name: str) -> type[Backend]:
    return getattr(importlib.import_module(f".{name}", __name__), _BACKENDS[name])
