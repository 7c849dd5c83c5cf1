"""What can be asked of a peer in its process: each method is one figure, or a check that comes before it."""

import time
from collections.abc import Callable

import numpy as np

from .crew import SETTLE_SECONDS
from .workloads import Layers, Workload


class Tasks:
    """The questions to one peer; the data of the latest workload stays loaded."""

    def __init__(self, peer):
        self._peer = peer
        self._work: Workload | None = None

    def check(self, work: Workload) -> float:
        """Return the loss after one epoch in the data's order; this also compiles what the peer compiles."""
        self._load(work)
        return mean_loss(self._train(epochs=1, shuffle=False), self._X, self._y)

    def train(self, work: Workload) -> float:
        """Return the seconds from NumPy arrays to the trained layers."""
        self._load(work)
        start = time.perf_counter()
        self._train(work.epochs, shuffle=True)
        return time.perf_counter() - start

    def probabilities(self, work: Workload) -> np.ndarray:
        """Return the probabilities of every row, with the initial weights; what predicts is kept for `predict_...`."""
        self._load(work)
        self._proba, self._predict = self._peer.classifier(work.layers())
        return np.asarray(self._proba(self._X))

    def predict_proba(self, seconds: float) -> float:
        """Return the seconds of one prediction of the probabilities of all rows."""
        return seconds_of(lambda: self._proba(self._X), seconds)

    def predict_one(self, seconds: float) -> float:
        """Return the seconds of one prediction of the class of one row."""
        row = self._X[:1].copy()
        return seconds_of(lambda: self._predict(row), seconds)

    def product(self, layout: str, m: int, k: int, n: int, seconds: float) -> float:
        """Return the seconds of one matrix product, (m, k) times (k, n)."""
        rng = np.random.default_rng(0)
        shapes = [
            shape[::-1] if side == "t" else shape
            for side, shape in zip(layout, ((m, k), (k, n)), strict=True)
        ]
        a, b = (rng.standard_normal(shape, dtype=np.float32) for shape in shapes)
        out = np.empty((m, n), np.float32)
        multiply = self._peer.matmul(layout, a, b, out)
        multiply()
        op_a, op_b = (array.T if side == "t" else array for side, array in zip(layout, (a, b), strict=True))
        if not np.allclose(out[:8], op_a[:8] @ op_b, atol=1e-3 * k**0.5):
            raise ArithmeticError(f"{layout} {m} x {k} x {n} is wrong")
        # NumPy's own threads, which the check woke in this process, go on looking for work on a core for a while.
        time.sleep(SETTLE_SECONDS)
        return seconds_of(multiply, seconds)

    def peak(self, cores: int, seconds: float) -> float:
        """Return the operations per second that so many cores can do at most."""
        return self._peer.peak(cores, seconds)

    def _load(self, work: Workload) -> None:
        if work != self._work:
            self._work = None
            self._X, self._y = work.data()
            self._layers = work.layers()
            self._work = work

    def _train(self, epochs: int, shuffle: bool) -> Layers:
        work = self._work
        return self._peer.train(
            self._X, self._y, self._layers, work.batch, work.learning_rate, epochs, shuffle
        )


def seconds_of(call: Callable[[], object], at_least: float) -> float:
    """Return the mean seconds of as many calls as take at least so long together."""
    call()
    calls, elapsed = 0, 0.0
    start = time.perf_counter()
    while elapsed < at_least:
        call()
        calls += 1
        elapsed = time.perf_counter() - start
    return elapsed / calls


def mean_loss(layers: Layers, X: np.ndarray, y: np.ndarray) -> float:
    """Return the mean cross-entropy of up to 1,000 rows, in float64."""
    A, y = X[:1000].astype(np.float64), y[:1000]
    for W, b in layers[:-1]:
        A = np.maximum(A @ W + b, 0)
    W, b = layers[-1]
    Z = A @ W + b
    Z -= Z.max(axis=1, keepdims=True)
    return float((np.log(np.exp(Z).sum(axis=1)) - Z[np.arange(len(y)), y]).mean())
