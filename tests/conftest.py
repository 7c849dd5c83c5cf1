"""Fixtures for several test files: a small data set, and a backend in NumPy that keeps a record."""

from typing import ClassVar

import numpy as np
import pytest

import fastnn.backends


class NumpyBackend:
    """Plain SGD in NumPy, in chunks of two steps; `instances` are the training runs so far."""

    inputs = "dense"
    steps_per_chunk = 2
    instances: ClassVar[list] = []

    def __init__(self, net, optimizer, X, y, batch_size, threads, sparse=None):
        self.net, self.optimizer, self.X, self.y = net, optimizer, X, y
        self.batch_size, self.threads = batch_size, threads
        self.rows, self.first_steps, self.learning_rates = [], [], []
        self.closed = False
        self.instances.append(self)
        self.push()

    def run(self, rows, learning_rates, first_step):
        self.rows.append(rows)
        self.first_steps.append(first_step)
        self.learning_rates.extend(learning_rates)
        losses, correct = [], []
        for i, rate in enumerate(learning_rates):
            batch = rows[i * self.batch_size : (i + 1) * self.batch_size]
            loss, hits = self.step(self.X[batch], self.y[batch], rate)
            losses.append(loss)
            correct.append(hits)
        return np.array(losses, np.float64), np.array(correct, np.int64)

    def step(self, X, y, rate):
        with np.errstate(over="ignore", invalid="ignore"):
            loss, hits, dWs, dbs = _backward(self.weights, self.biases, self.net.activation, X, y)
            for p, g in zip(self.weights + self.biases, dWs + dbs, strict=True):
                p -= p.dtype.type(rate) * g
        return loss, hits

    def push(self):
        self.weights = [W.copy() for W in self.net.weights]
        self.biases = [b.copy() for b in self.net.biases]

    def pull(self):
        for i, (W, b) in enumerate(zip(self.weights, self.biases, strict=True)):
            self.net.weights[i][...] = W
            self.net.biases[i][...] = b

    def close(self):
        self.closed = True

    @staticmethod
    def predict_proba(net, X, threads):
        with np.errstate(over="ignore", invalid="ignore"):
            return _forward(net.weights, net.biases, net.activation, X)[1]

    @staticmethod
    def evaluate(net, X, y, threads):
        with np.errstate(over="ignore", invalid="ignore"):
            loss, hits, _, _ = _backward(net.weights, net.biases, net.activation, X, y)
        return float(loss), int(hits)


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
    loss = -np.log(np.maximum(proba[each, y], np.finfo(proba.dtype).tiny)).mean(dtype=np.float64)
    hits = (proba.argmax(axis=1) == y).sum()
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
    return loss, hits, dWs[::-1], dbs[::-1]


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

    def __init__(self, threads):
        self.threads = threads

    def most_steps(self):
        return None

    def record(self, seconds, steps):
        pass


@pytest.fixture(autouse=True)
def all_threads(monkeypatch):
    """Train with as many threads as asked for from the first step on, and whatever the machine is doing."""
    monkeypatch.setattr("fastnn.backends.jit.Pace", _AllThreads)
