"""Rows that begin whole pages apart are gathered before a wide first layer: the same bits, whichever way they are read."""

import numpy as np
import pytest
from problems import OPTIMIZERS, Problem, train

import fastnn
from fastnn.backends import Task, inputs, jit
from fastnn.backends.jit import JitBackend
from fastnn.kernels.arrays import rows_collide
from fastnn.kernels.threads import Team

COLUMNS = {"float32": 1024, "float64": 512}

every_dtype = pytest.mark.parametrize("dtype", COLUMNS)


@pytest.fixture
def as_they_lie(monkeypatch):
    """Has rows read where they lie from now on."""
    return lambda: monkeypatch.setattr(inputs, "_GATHERED_UNITS", 10**9)


def network(dtype, units=128):
    return fastnn.MLP([COLUMNS[dtype], units, 3], dtype=dtype, seed=1)


def data(dtype, rows):
    rng = np.random.default_rng(2)
    return rng.standard_normal((rows, COLUMNS[dtype])).astype(dtype), rng.integers(0, 3, rows)


def test_which_rows_collide():
    assert [columns for columns in range(1, 4097) if rows_collide(columns, 4)] == [1024, 2048, 3072, 4096]
    assert rows_collide(512, 8)
    assert not rows_collide(784, 4)


def test_which_networks_gather():
    assert inputs.gathers([1024, 128, 10], 4)
    assert not inputs.gathers([1024, 127, 10], 4)
    assert not inputs.gathers([1000, 128, 10], 4)


@every_dtype
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("batch", "cut"), [(20, False), (1100, True)])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_training(dtype, threads, batch, cut, optimizer, as_they_lie, monkeypatch):
    monkeypatch.setattr(jit, "Team", lambda _: Team(threads))
    X, y = data(dtype, batch)
    order = np.random.default_rng(3).integers(0, batch, 2 * batch + batch // 2)
    problem = Problem(network(dtype), X, y, batch, order, [2, 1])
    backend = JitBackend(problem.net, Task(X, y, batch, OPTIMIZERS[optimizer]))
    assert backend._layout.input_stride > COLUMNS[dtype]
    assert (backend._slice_rows > 0) == cut
    gathered = train(JitBackend, problem, OPTIMIZERS[optimizer])
    as_they_lie()
    assert JitBackend(problem.net, Task(X, y, batch, OPTIMIZERS[optimizer]))._layout.input_stride == 0
    assert gathered == train(JitBackend, problem, OPTIMIZERS[optimizer])


@every_dtype
@pytest.mark.parametrize("rows", [9, 96, 250])
def test_predictions(dtype, rows, as_they_lie):
    X, y = data(dtype, rows)
    net = network(dtype)
    gathered = net.predict_proba(X), net.evaluate(X, y)
    as_they_lie()
    assert np.array_equal(gathered[0], net.predict_proba(X))
    assert gathered[1] == net.evaluate(X, y)
    hidden = np.maximum(X.astype(float) @ net.weights[0] + net.biases[0], 0)
    logits = hidden @ net.weights[1].astype(float) + net.biases[1]
    exact = np.exp(logits - logits.max(axis=1, keepdims=True))
    exact /= exact.sum(axis=1, keepdims=True)
    assert np.abs(gathered[0] - exact).max() < (1e-4 if dtype == "float32" else 1e-12)


@every_dtype
def test_a_number_that_is_not_finite_is_named(dtype):
    X, y = data(dtype, 50)
    X[31, 5] = np.nan
    with pytest.raises(ValueError, match=r"X\[31, 5\] is nan"):
        network(dtype).predict_proba(X)
    with pytest.raises(ValueError, match=r"X\[31, 5\] is nan"):
        network(dtype).fit(X, y, epochs=1)
