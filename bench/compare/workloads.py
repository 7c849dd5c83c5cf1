"""What is trained: networks with their batch sizes, data without zeros or MNIST, and the work it takes."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

Layers = list[tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Workload:
    """Plain SGD on a network of ReLU layers with a softmax at its end, in float32, shuffled every epoch.

    `folder` holds X.npy and y.npy; without one, X is uniform in (0, 1] and a random linear map labels it. The scales
    multiply inputs and initial weights.
    """

    name: str
    sizes: tuple[int, ...]
    batch: int
    rows: int
    epochs: int
    learning_rate: float = 0.01
    folder: str | None = None
    input_scale: float = 1.0
    weight_scale: float = 1.0

    @property
    def title(self) -> str:
        """The name, the sizes and the batch size."""
        return f"{self.name} {'-'.join(map(str, self.sizes))}, batch {self.batch}"

    @property
    def flops(self) -> int:
        """Floating-point operations a sample: forward, gradients of weights, gradients of all inputs but the first."""
        macs = [fan_in * fan_out for fan_in, fan_out in zip(self.sizes, self.sizes[1:], strict=False)]
        return 2 * (3 * sum(macs) - macs[0])

    @property
    def steps(self) -> int:
        """Steps in all epochs."""
        return self.epochs * -(-self.rows // self.batch)

    @property
    def samples(self) -> int:
        """Samples in all epochs."""
        return self.epochs * self.rows

    def shortened(self) -> "Workload":
        """Return a tenth of a second's work: two whole batches and a part of one, twice."""
        return replace(
            self, rows=min(self.rows, 2 * self.batch + self.batch // 2), epochs=min(self.epochs, 2)
        )

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """Return X, float32 (rows, inputs), and y, int64 (rows,)."""
        if self.folder is not None:
            X, y = (np.load(Path(self.folder, f"{name}.npy"))[: self.rows] for name in "Xy")
        else:
            rng = np.random.default_rng(0)
            X = 1 - rng.random((self.rows, self.sizes[0]), dtype=np.float32)  # random() is in [0, 1)
            teacher = rng.standard_normal((self.sizes[0], self.sizes[-1]), dtype=np.float32)
            y = (X @ (teacher - teacher.mean(axis=0))).argmax(axis=1)
        return X if self.input_scale == 1 else X * np.float32(self.input_scale), y

    def layers(self) -> Layers:
        """Return the initial weights, N(0, 2 / fan_in), and biases, zero, of every layer."""
        rng = np.random.default_rng(1)
        return [
            (
                np.float32(self.weight_scale * (2 / fan_in) ** 0.5)
                * rng.standard_normal((fan_in, fan_out), dtype=np.float32),
                np.zeros(fan_out, np.float32),
            )
            for fan_in, fan_out in zip(self.sizes, self.sizes[1:], strict=False)
        ]


# Rows and epochs are such that the fastest peers need about a second for them, and X is larger than the caches.
DENSE = (
    Workload("A", (784, 32, 32, 10), 500, 60_000, 10),
    Workload("B20", (784, 100, 10), 20, 20_000, 5),
    Workload("B256", (784, 100, 10), 256, 40_000, 8),
    Workload("C", (784, 512, 10), 128, 20_000, 4),
    Workload("D", (784, 1000, 1000, 10), 100, 12_000, 2),
    # Steps of 0.01 on so deep a network blow rounding errors up to a hundredth of the loss.
    Workload("E", (784, 2500, 2000, 1500, 1000, 500, 10), 100, 2500, 2, learning_rate=0.002),
)

NAMES = tuple(work.name for work in DENSE)
NAMES_ON_MNIST = ("A", "B20", "B256", "C")


def on_mnist(folder: str, rows: int) -> tuple[Workload, ...]:
    """Return the networks for MNIST on the first `rows` images of the MNIST in `folder`, five epochs each."""
    return tuple(
        replace(work, rows=rows, epochs=5, learning_rate=0.05, folder=folder)
        for work in DENSE
        if work.name in NAMES_ON_MNIST
    )
