"""Training, in samples a second: fastnn with one thread and with two, and a NumPy trainer written well."""

import numpy as np
import pytest
from numpy_trainer import NumpyTrainer
from workloads import WORKLOADS

import fastnn

_RATE = 0.01

every_workload = pytest.mark.parametrize("work", WORKLOADS, ids=lambda work: work.name)


@every_workload
@pytest.mark.parametrize("threads", [1, 2])
def test_fastnn(benchmark, record, work, threads):
    X, y = work.data()
    net = fastnn.MLP(work.sizes)

    def train(epochs):
        net.fit(X, y, epochs, work.batch, learning_rate=_RATE, threads=threads)

    train(1)  # warm-up: compiles, or reads the cache
    benchmark.group = work.name
    benchmark(train, work.epochs)
    record(work.flops, samples=work.samples, threads=threads)


@every_workload
def test_numpy(benchmark, record, work):
    """With as many threads as OPENBLAS_NUM_THREADS says, or all."""
    X, y = work.data()
    net = fastnn.MLP(work.sizes)
    trainer = NumpyTrainer(net.weights, net.biases, work.batch, _RATE)
    trainer.fit(X, y, 1)  # warm-up: OpenBLAS starts its threads
    benchmark.group = work.name
    benchmark(trainer.fit, X, y, work.epochs)
    record(work.flops, samples=work.samples, threads=fastnn.get_num_threads())


@every_workload
def test_both_learn_the_same(work):
    """What is compared is the same training: in the same order it gives the same weights, but for rounding."""
    X, y = work.data()
    X, y = X[: 4 * work.batch], y[: 4 * work.batch]
    net = fastnn.MLP(work.sizes)
    trainer = NumpyTrainer(net.weights, net.biases, work.batch, _RATE)
    before = [W.copy() for W in net.weights]
    trainer.fit(X, y, 1, shuffle=False)
    net.fit(X, y, 1, work.batch, learning_rate=_RATE, shuffle=False)
    for ours, theirs, start in zip(net.weights, trainer.weights, before, strict=True):
        assert np.abs(ours - theirs).max() <= 1e-3 * np.abs(ours - start).max()
