"""What `fastnn bench` measures: each measurement is a function that returns a rate, called once a round."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

import fastnn
from fastnn import kernels

Measurement = Callable[[], float]


@dataclass(frozen=True)
class Product:
    """A matrix product of training, (m, k) times (k, n), with the layout its factors have in memory."""

    layout: str  # "nn"; "tn" and "nt" where the first or the second factor is stored transposed
    m: int
    k: int
    n: int

    @property
    def name(self) -> str:
        """The layout and the shape."""
        return f"{self.layout} {self.m} x {self.k} x {self.n}"

    @property
    def flops(self) -> int:
        """Floating-point operations."""
        return 2 * self.m * self.k * self.n


@dataclass(frozen=True)
class Workload:
    """A network and a batch size to train it with."""

    letter: str
    sizes: tuple[int, ...]
    batch_size: int

    @property
    def name(self) -> str:
        """The letter, the sizes and the batch size."""
        return f"{self.letter} {'-'.join(map(str, self.sizes))} batch {self.batch_size}"

    @property
    def flops(self) -> int:
        """Floating-point operations for a sample: forward and all gradients but that of the inputs."""
        macs = [fan_in * fan_out for fan_in, fan_out in zip(self.sizes, self.sizes[1:], strict=False)]
        return 2 * (3 * sum(macs) - macs[0])


# All products of workload C: two forward, two of the weights' gradients, one of the hidden layer's. Then one
# between two wide layers, and a square.
PRODUCTS = (
    Product("nn", 128, 784, 512),
    Product("nn", 128, 512, 10),
    Product("tn", 784, 128, 512),
    Product("tn", 512, 128, 10),
    Product("nt", 128, 10, 512),
    Product("nt", 100, 1000, 1000),
    Product("nn", 1024, 1024, 1024),
)
WORKLOADS = (
    Workload("A", (784, 32, 32, 10), 500),
    Workload("B20", (784, 100, 10), 20),
    Workload("B256", (784, 100, 10), 256),
    Workload("C", (784, 512, 10), 128),
)


def peak(threads: int, seconds: float) -> Measurement:
    """Return the measurement of this machine's peak, in GFLOP/s."""
    kernels.fma_peak(threads, seconds=0.001)  # compiles
    return lambda: kernels.fma_peak(threads, seconds)


def matmul(product: Product, seconds: float) -> tuple[Measurement, Measurement]:
    """Return two measurements of a product, by fastnn and by NumPy, in GFLOP/s."""
    rng = np.random.default_rng(0)
    transposed = [side == "t" for side in product.layout]
    shapes = (product.m, product.k), (product.k, product.n)
    a, b = (
        rng.standard_normal(shape[::-1] if flip else shape, dtype=np.float32)
        for shape, flip in zip(shapes, transposed, strict=True)
    )
    op_a, op_b = (array.T if flip else array for array, flip in zip((a, b), transposed, strict=True))
    out = np.empty((product.m, product.n), np.float32)
    gflops = product.flops / 1e9
    return (
        repeated(lambda: kernels.matmul(a, b, *transposed, out=out), gflops, seconds),
        repeated(lambda: np.matmul(op_a, op_b, out=out), gflops, seconds),
    )


def repeated(call: Callable[[], object], work: float, seconds: float) -> Measurement:
    """Return a measurement of `work` per second, of as many calls as take about `seconds`."""
    call()  # compiles, and fills the caches
    begin = time.perf_counter()
    call()
    calls = math.ceil(seconds / (time.perf_counter() - begin))

    def measure() -> float:
        begin = time.perf_counter()
        for _ in range(calls):
            call()
        return work * calls / (time.perf_counter() - begin)

    return measure


def training(workload: Workload, data, seconds: float) -> Measurement:
    """Return the measurement of a training by plain SGD, in samples per second."""

    def train(epochs: int) -> float:
        # A new network each time: every round does the same work.
        net = fastnn.MLP(workload.sizes, seed=0)
        history = net.fit(data.X, data.y, epochs=epochs, batch_size=workload.batch_size, learning_rate=0.05)
        return epochs * len(data) / sum(history.seconds)

    train(1)  # compiles
    epochs = max(1, round(seconds * train(1) / len(data)))
    return lambda: train(epochs)
