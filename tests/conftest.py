"""Fixtures for several test files: a small data set, a backend in NumPy that keeps a record, a cache to be damaged."""

import copy
import math
import shutil
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

import fastnn.backends

# How long an example takes depends on the machine, and the first one may compile.
settings.register_profile("fastnn", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("fastnn")


class NumpyBackend:
    """Plain SGD in NumPy, in chunks of two steps; `instances` are the training runs so far."""

    inputs = "dense"
    steps_per_chunk = 2
    instances: ClassVar[list] = []

    def __init__(self, net, task):
        assert task.row_weights is None and not task.dropout  # more than this one knows
        self.net, self.optimizer, self.X, self.y = net, task.optimizer, task.X, task.targets
        self.batch_size, self.threads = task.batch_size, task.threads
        self.rows, self.first_steps, self.learning_rates = [], [], []
        self.closed = False
        self.instances.append(self)
        self.push()

    def run(self, chunk):
        self.rows.append(chunk.rows)
        self.first_steps.append(chunk.first_step)
        self.learning_rates.extend(chunk.learning_rates)
        losses, correct, totals = [], [], []
        for i, rate in enumerate(chunk.learning_rates):
            batch = chunk.rows[i * chunk.batch_size : (i + 1) * chunk.batch_size]
            loss, hits = self.step(self.X[batch], self.y[batch], rate)
            losses.append(loss)
            correct.append(hits)
            totals.append(len(batch))
        return np.array(losses, np.float64), np.array(correct, np.int64), np.array(totals, np.float64)

    def step(self, X, y, rate):
        with np.errstate(over="ignore", invalid="ignore"):
            losses, hits, dWs, dbs = _backward(self.weights, self.biases, self.net.activation, X, y)
            for p, g in zip(self.weights + self.biases, dWs + dbs, strict=True):
                p -= p.dtype.type(rate) * g
        return losses.mean(), hits.sum()

    def push(self):
        self.weights = [W.copy() for W in self.net.weights]
        self.biases = [b.copy() for b in self.net.biases]

    def pull(self):
        for i, (W, b) in enumerate(zip(self.weights, self.biases, strict=True)):
            self.net.weights[i][...] = W
            self.net.biases[i][...] = b

    def is_in_network(self):
        return False

    def is_finite(self):
        return all(np.isfinite(array).all() for array in self.weights + self.biases)

    def snapshot(self, over=None):
        return [array.copy() for array in self.weights + self.biases]

    def restore(self, snapshot):
        for mine, kept in zip(self.weights + self.biases, snapshot, strict=True):
            mine[...] = kept

    def state(self):
        twin = copy.copy(self.net)
        for view, array in zip((*twin.weights, *twin.biases), self.weights + self.biases, strict=True):
            view[...] = array
        return {"parameters": twin.arena}

    def close(self):
        self.closed = True

    @staticmethod
    def all_finite(array, threads):
        return bool(np.isfinite(array).all())

    @staticmethod
    def predict_proba(net, X, threads):
        with np.errstate(over="ignore", invalid="ignore"):
            return _forward(net.weights, net.biases, net.activation, X)[1]

    @classmethod
    def predict_and_look(cls, net, X, threads):
        outputs = cls.predict_proba(net, X, threads)
        return outputs, bool(np.isfinite(X).all() and np.isfinite(outputs).all())

    @staticmethod
    def losses(net, X, targets, threads):
        with np.errstate(over="ignore", invalid="ignore"):
            return _backward(net.weights, net.biases, net.activation, X, targets)[:2]

    @staticmethod
    def gradients(net, X, targets, row_weights=None, threads=None):
        return _backward(net.weights, net.biases, net.activation, X, targets)[2:]

    @staticmethod
    def inspect(net, X, threads=None):
        inputs, _ = _forward(net.weights, net.biases, net.activation, X)
        outputs = [*inputs[1:], inputs[-1] @ net.weights[-1] + net.biases[-1]]
        return outputs, [(A > 0).astype(A.dtype) for A in inputs[1:]]


def _forward(weights, biases, activation, X):
    inputs = [X]
    for W, b in zip(weights[:-1], biases[:-1], strict=True):
        Z = inputs[-1] @ W + b
        inputs.append(np.maximum(Z, 0) if activation == "relu" else Z)
    logits = inputs[-1] @ weights[-1] + biases[-1]
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return inputs, exponentials / exponentials.sum(axis=1, keepdims=True)


def _backward(weights, biases, activation, X, y):
    inputs, proba = _forward(weights, biases, activation, X)
    each = np.arange(len(y))
    losses = -np.log(np.maximum(proba[each, y], np.finfo(proba.dtype).tiny)).astype(np.float64)
    hits = (proba.argmax(axis=1) == y).astype(np.int64)
    dZ = proba.copy()
    dZ[each, y] -= 1
    dZ /= len(y)
    dWs, dbs = [], []
    for A, W in zip(inputs[::-1], weights[::-1], strict=True):
        dWs.append(A.T @ dZ)
        dbs.append(dZ.sum(axis=0))
        dZ = dZ @ W.T
        if activation == "relu":
            dZ = dZ * (A > 0)
    return losses, hits, dWs[::-1], dbs[::-1]


@pytest.fixture
def numpy_backend(monkeypatch):
    """The NumPy backend, in the place of every other."""
    monkeypatch.setattr(fastnn.backends, "get", lambda name: NumpyBackend)
    monkeypatch.setattr(NumpyBackend, "instances", [])
    return NumpyBackend


@pytest.fixture(scope="session")
def blobs():
    """Three well separated clusters: X float32 (90, 4), y int64 (90,)."""
    rng = np.random.default_rng(5)
    y = rng.integers(0, 3, 90)
    centres = np.array([[1, 0, 0, 1], [0, 1, 0, -1], [0, 0, 1, 0]])
    X = (centres[y] + 0.1 * rng.standard_normal((90, 4))).astype(np.float32)
    X.flags.writeable = False
    y.flags.writeable = False
    return X, y


class _AllThreads:
    """A pace that never falls back to one thread: tests mean the number of threads that they ask for."""

    def __init__(self, threads, alone=0.0):
        self.threads = threads

    def patience(self):
        return math.inf, 0.0

    def most_steps(self):
        return None

    def record(self, seconds, steps, alone_steps=0, alone_seconds=0.0):
        pass


@pytest.fixture(autouse=True)
def all_threads(monkeypatch):
    """Train with as many threads as asked for from the first step on, and whatever the machine is doing."""
    monkeypatch.setattr("fastnn.backends.jit.Pace", _AllThreads)


@pytest.fixture
def warm(filled, tmp_path):
    """A copy of the cache folder `filled`, of the test's own file, to do damage to."""
    return Path(shutil.copytree(filled, tmp_path / "cache"))
