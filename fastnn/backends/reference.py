"""The reference backend: training in plain Python lists and 64-bit floats, whatever the network's dtype.

NumPy only carries numbers in and out here; those of a float32 network are rounded on the way back.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import optimizers, reference
from ..csr import CSR
from ..reference.operations import softmax, softmax_cross_entropy
from ..reference.training import count_correct, forward

if TYPE_CHECKING:
    from ..mlp import MLP

_BLOCK = 256  # rows made lists at a time: as a list, a number takes 32 bytes


class ReferenceBackend:
    """One training run of the reference; see `fastnn.backends.Backend`. `threads` and `sparse` are ignored."""

    inputs = "dense"
    steps_per_chunk = 1

    def __init__(
        self,
        net: "MLP",
        optimizer: optimizers.Optimizer,
        X: np.ndarray | CSR,
        y: np.ndarray,
        batch_size: int,
        threads: int | None,
        sparse: bool | None = None,
    ):
        self._net = net
        self._X = X
        self._y = y
        self._batch_size = batch_size
        self._optimizer = _reference_optimizer(optimizer)
        self.push()

    def run(
        self, rows: np.ndarray, learning_rates: np.ndarray, first_step: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Make one training step for each learning rate; see `Backend.run`."""
        losses, correct = [], []
        for step, learning_rate in enumerate(learning_rates.tolist()):
            batch = rows[step * self._batch_size : (step + 1) * self._batch_size]
            loss, hits = reference.train_step(
                self._weights,
                self._biases,
                self._X[batch].tolist(),
                self._y[batch].tolist(),
                learning_rate,
                self._optimizer,
                self._net.activation,
            )
            losses.append(loss)
            correct.append(hits)
        return np.array(losses, np.float64), np.array(correct, np.int64)

    def pull(self) -> None:
        """Write the parameters into the network, rounded to its dtype, and go on from there."""
        with np.errstate(over="ignore"):  # of a diverged run, which the trainer reports
            for target, source in zip(self._net.weights, self._weights, strict=True):
                target[...] = source
            for target, source in zip(self._net.biases, self._biases, strict=True):
                target[...] = source
        self.push()

    def push(self) -> None:
        """Read the network's parameters."""
        self._weights, self._biases = _lists(self._net)

    def close(self) -> None:
        """Nothing to end."""

    @staticmethod
    def gradients(
        net: "MLP", X: np.ndarray | CSR, y: np.ndarray
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Return dL/dW and dL/db of every layer, L being the mean loss; in float64 for either dtype."""
        _, _, dW, db = reference.loss_and_gradients(*_lists(net), X.tolist(), y.tolist(), net.activation)
        return [np.array(gradient) for gradient in dW], [np.array(gradient) for gradient in db]

    @staticmethod
    def predict_proba(net: "MLP", X: np.ndarray | CSR, threads: int | None) -> np.ndarray:
        """Return softmax of the logits, (n, classes) of the network's dtype."""
        proba = np.empty((len(X), net.sizes[-1]), net.dtype)
        for rows, logits in _logits(net, X):
            proba[rows] = softmax(logits)
        return proba

    @staticmethod
    def evaluate(net: "MLP", X: np.ndarray | CSR, y: np.ndarray, threads: int | None) -> tuple[float, int]:
        """Return the mean loss and how many rows were classified right."""
        total, correct = 0.0, 0
        for rows, logits in _logits(net, X):
            labels = y[rows].tolist()
            losses, _ = softmax_cross_entropy(logits, labels)
            total += sum(losses)
            correct += count_correct(logits, labels)
        return total / len(y), correct


def _reference_optimizer(settings: optimizers.Optimizer) -> Any:
    if isinstance(settings, optimizers.Adam):
        return reference.Adam(settings.beta1, settings.beta2, settings.epsilon)
    return reference.SGD(settings.momentum, settings.nesterov)


def _lists(net: "MLP") -> tuple[list, list]:
    return [W.tolist() for W in net.weights], [b.tolist() for b in net.biases]


def _logits(net: "MLP", X: np.ndarray | CSR):
    weights, biases = _lists(net)
    for start in range(0, len(X), _BLOCK):
        rows = slice(start, start + _BLOCK)
        Z, _ = forward(weights, biases, X[rows].tolist(), net.activation)
        yield rows, Z[-1]
