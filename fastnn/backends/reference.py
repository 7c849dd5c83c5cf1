"""The reference backend: training in plain Python lists and 64-bit floats, whatever the network's dtype.

NumPy only carries numbers in and out here; those of a float32 network are rounded on the way back.
"""

import copy
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import checks, reference
from ..csr import CSR
from ..reference.dropout import Masks, step_masks
from ..reference.losses import PROBABILITIES, right_rows
from ..reference.network import each, forward
from ..reference.optimizers import Adam, zeros_like
from ..reference.random import make_key, subkey
from ..reference.training import all_rows, row_losses
from . import Chunk, Task
from .arrangement import Arrangement, Rows
from .reference_settings import moments, rule, what

if TYPE_CHECKING:
    from ..mlp import MLP

_BLOCK = 256  # rows made lists at a time: as a list, a number takes 32 bytes

_STREAM = 2  # of the seed's streams (see initializers.py), that of dropout


class ReferenceBackend:
    """One training run of the reference; see `fastnn.backends.Backend`. `threads` and `sparse` are ignored."""

    inputs = "dense"
    steps_per_chunk = 1

    def __init__(self, net: "MLP", task: Task):
        self._net, self._task = net, task
        self._what = what(net)
        self._rule = rule(task.optimizer)
        self._stream = make_key(net.seed, _STREAM, task.stream)
        self._arrangement = Arrangement(net)
        self.push()

    def run(self, chunk: Chunk) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Make one training step for each learning rate; see `Backend.run`."""
        steps = chunk.learning_rates.size
        losses, correct, totals = np.zeros(steps), np.zeros(steps, np.int64), np.zeros(steps)
        for i, learning_rate in enumerate(chunk.learning_rates.tolist()):
            batch = slice(i * chunk.batch_size, (i + 1) * chunk.batch_size)
            rows = chunk.rows[batch]
            X = self._task.X[rows] if chunk.X is None else chunk.X[batch]
            row_weights = _listed(self._task.row_weights, rows)
            step = chunk.first_step + i
            self._begin(step)
            losses[i], correct[i] = reference.train_step(
                self._weights,
                self._biases,
                X.tolist(),
                self._task.targets[rows].tolist(),
                learning_rate,
                self._rule,
                **self._what,
                row_weights=row_weights,
                masks=self._masks(step, rows.size),
            )
            totals[i] = rows.size if row_weights is None else sum(row_weights)
        return losses, correct, totals

    def _begin(self, step: int) -> None:
        """Let the optimiser know which step comes: by a state alone it could not tell."""
        if isinstance(self._rule.optimizer, Adam):
            self._rule.optimizer.t = step
        if step == 0:
            self._rule.averages = None  # the first step's parameters are where it starts

    def _masks(self, step: int, rows: int) -> Masks | None:
        if not self._task.dropout:
            return None
        return step_masks(self._task.dropout, rows, self._net.sizes[:-1], subkey(self._stream, step))

    def push(self) -> None:
        """Read the network's parameters; an average of them starts anew."""
        self._take("parameters", self._net.arena)
        if self._rule.average is not None:
            self._take("average", self._net.arena)

    def pull(self) -> None:
        """Write the parameters, or their average, into the network, rounded to its dtype, and go on with those."""
        name = "parameters" if self._rule.average is None else "average"
        self._take(name, self._arrangement.fill(self._net.arena, self._rows()[name]))

    def is_in_network(self) -> bool:
        """Say no: the network's numbers are rounded to its dtype."""
        return False

    def is_finite(self) -> bool:
        """Say whether no parameter is NaN or infinite."""
        most = float(np.finfo(self._net.dtype).max)
        rows = all_rows(self._weights, self._biases)
        return all(-most <= number <= most for row in rows for number in row)  # false of NaN

    def snapshot(self, over: Any = None) -> Any:
        """Return a copy of the parameters and of the optimiser."""
        return copy.deepcopy((self._weights, self._biases, self._rule))

    def restore(self, snapshot: Any) -> None:
        """Go back to a snapshot."""
        self._weights, self._biases, self._rule = copy.deepcopy(snapshot)

    def state(self) -> dict[str, np.ndarray]:
        """Return the parameters, moments and average, float64, laid out as `net.arena`."""
        return {name: self._arrangement.arena(rows) for name, rows in self._rows().items()}

    def load_state(self, state: dict[str, np.ndarray]) -> None:
        """Go on from a state."""
        for name in self._rows():
            self._take(name, state[name])

    def close(self) -> None:
        """Nothing to end."""

    def _rows(self) -> dict[str, Rows]:
        """Return all numbers that a step changes, by name."""
        parameters = all_rows(self._weights, self._biases)
        found = {"parameters": parameters}
        for name, attribute in moments(self._task.optimizer, self._rule).items():
            found[name] = getattr(self._rule.optimizer, attribute) or zeros_like(parameters)
        if self._rule.average is not None:
            found["average"] = self._rule.averages or parameters
        return found

    def _take(self, name: str, arena: np.ndarray) -> None:
        """Set the numbers of that name."""
        rows = self._arrangement.rows(arena)
        if name == "parameters":
            self._weights, self._biases = self._arrangement.layers(rows)
        elif name == "average":
            self._rule.averages = rows
        else:
            setattr(self._rule.optimizer, moments(self._task.optimizer, self._rule)[name], rows)

    @staticmethod
    def all_finite(array: np.ndarray, threads: int | None) -> bool:
        """Say whether all of a C-contiguous array's floats are finite."""
        return checks.all_finite(array)

    @staticmethod
    def gradients(
        net: "MLP",
        X: np.ndarray | CSR,
        targets: np.ndarray,
        row_weights: np.ndarray | None = None,
        threads: int | None = None,
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Return dL/dW and dL/db of every layer, L being the mean loss; in float64 for either dtype."""
        _, _, dW, db = reference.loss_and_gradients(
            *_lists(net),
            X.tolist(),
            targets.tolist(),
            **what(net),
            row_weights=_listed(row_weights, slice(None)),
        )
        return [np.array(gradient) for gradient in dW], [np.array(gradient) for gradient in db]

    @staticmethod
    def predict_proba(net: "MLP", X: np.ndarray | CSR, threads: int | None) -> np.ndarray:
        """Return the outputs (n, outputs) of the network's dtype: after softmax or sigmoid, where the loss has one."""
        proba = np.empty((len(X), net.sizes[-1]), net.dtype)
        with np.errstate(over="ignore"):  # MLP reports outputs that are infinite
            for rows, outputs in _outputs(net, X):
                proba[rows] = PROBABILITIES[net.loss.probabilities](outputs)
        return proba

    @staticmethod
    def losses(
        net: "MLP", X: np.ndarray | CSR, targets: np.ndarray, threads: int | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return each row's loss (float64), and whether its outputs are right (int64)."""
        losses, right = np.empty(len(X)), np.empty(len(X), np.int64)
        for rows, outputs in _outputs(net, X):
            wanted = targets[rows].tolist()
            losses[rows] = row_losses(outputs, wanted, net.loss.settings())
            right[rows] = right_rows(net.loss.name, outputs, wanted)
        return losses, right

    @staticmethod
    def inspect(
        net: "MLP", X: np.ndarray | CSR, threads: int | None = None
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Return every layer's outputs, the hidden ones' after their activation f, and the hidden ones' f'; float64."""
        pairs = what(net)["activation"]
        Z, A = forward(*_lists(net), X.tolist(), pairs)
        slopes = [each(slope, rows) for (_, slope), rows in zip(pairs, Z[:-1], strict=True)]
        return [np.array(rows) for rows in (*A[1:], Z[-1])], [np.array(rows) for rows in slopes]


def _listed(row_weights: np.ndarray | None, rows: Any) -> list[float] | None:
    return None if row_weights is None else row_weights[rows].tolist()


def _lists(net: "MLP") -> tuple[list, list]:
    return [W.tolist() for W in net.weights], [b.tolist() for b in net.biases]


def _outputs(net: "MLP", X: np.ndarray | CSR) -> Iterator[tuple[slice, Rows]]:
    """Yield slices of X's rows with their outputs."""
    weights, biases = _lists(net)
    activation = what(net)["activation"]
    for start in range(0, len(X), _BLOCK):
        rows = slice(start, start + _BLOCK)
        Z, _ = forward(weights, biases, X[rows].tolist(), activation)
        yield rows, Z[-1]
