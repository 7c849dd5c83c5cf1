"""The training workloads that are timed, on synthetic inputs without zeros."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Workload:
    """Plain SGD on a dense ReLU network, so many rows and epochs a round."""

    name: str
    sizes: tuple[int, ...]
    batch: int
    rows: int
    epochs: int = 1

    @property
    def samples(self):
        """Samples that a round goes through."""
        return self.rows * self.epochs

    @property
    def flops(self):
        """Operations of a round: forward, dW, and dX of every layer but the first."""
        macs = [a * b for a, b in zip(self.sizes, self.sizes[1:], strict=False)]
        return 2 * (3 * sum(macs) - macs[0]) * self.samples

    def data(self):
        """X float32 (rows, inputs) in (0, 1], y int64 (rows,)."""
        rng = np.random.default_rng(0)
        X = 1 - rng.random((self.rows, self.sizes[0]), dtype=np.float32)
        return X, rng.integers(0, self.sizes[-1], self.rows)


WORKLOADS = (
    Workload("A", (784, 32, 32, 10), 500, 8000, 10),
    Workload("B20", (784, 100, 10), 20, 8000, 2),
    Workload("B256", (784, 100, 10), 256, 8192, 4),
    Workload("C", (784, 512, 10), 128, 6400, 2),
)
