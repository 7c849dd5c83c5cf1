"""Batches cut into slices: the reference's steps, the same bits with any number of threads, and which batches are cut."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from runs import a_training, train

import fastnn
from fastnn import schedules
from fastnn.backends import jit, sharing
from fastnn.backends.jit import JitBackend
from fastnn.backends.reference import ReferenceBackend
from fastnn.kernels import threads as kernel_threads
from fastnn.kernels.slices import count_slices
from fastnn.losses import Huber
from fastnn.optimizers import SGD, Adam, AdamW, Lion

TRAININGS = {
    "sgd": dict(activation="relu"),
    "momentum": dict(activation="tanh", optimizer=SGD(0.05, 0.9, True)),
    "adam": dict(activation="gelu", optimizer=Adam(0.01)),
    "weights of rows": dict(activation="relu", optimizer=Lion(0.003), weighted=True),
    "values": dict(activation="relu", kind="values", loss=Huber(0.3)),
    "dropout": dict(activation="relu", dropout=True),
    "dropout and slopes": dict(activation="gelu", dropout=True, optimizer=Adam(0.01)),
    "clip_norm": dict(activation="relu", optimizer=SGD(0.1, clip_norm=0.05)),
    "max_norm": dict(activation="relu", optimizer=SGD(0.1, max_norm=0.6, average=0.8)),
    "all": dict(
        activation="silu",
        dropout=True,
        weighted=True,
        optimizer=AdamW(0.01, weight_decay=0.05, clip_value=0.02, clip_norm=0.1, max_norm=0.6, average=0.8),
    ),
}
trainings = pytest.mark.parametrize("settings", TRAININGS.values(), ids=TRAININGS)


@pytest.fixture
def cut(monkeypatch):
    """Cut every batch of at least 3 rows: slices of at most 4 rows, up to 3 parts."""
    monkeypatch.setattr(jit, "parts_of_batch", lambda sizes, batch, itemsize: 3)
    monkeypatch.setattr(jit, "rows_of_slice", lambda inputs, itemsize: 4)
    monkeypatch.setattr(jit, "SLICE_ROWS", 4)
    monkeypatch.setattr(jit, "LEAST_CUT", 3)


def team_of(threads, monkeypatch):
    monkeypatch.setattr(jit, "Team", lambda _: kernel_threads.Team(threads))


@trainings
def test_the_steps_of_the_reference(settings, cut):
    for seed in range(6):
        training = a_training(seed, **settings)
        one, other = train(JitBackend, training), train(ReferenceBackend, training)
        for name in one:
            assert np.abs(one[name] - other[name]).max() <= 1e-12 * max(1, np.abs(other[name]).max()), name
        assert (one["parameters"] != training.net.arena).any()


@trainings
def test_the_same_bits_with_any_number_of_threads(settings, cut, monkeypatch):
    for seed in range(6):
        training = a_training(seed, dtype="float32", **settings)
        found = []
        for threads in (1, 2, 3, 4):
            team_of(threads, monkeypatch)
            found.append(train(JitBackend, training))
        for other in found[1:]:
            assert all(found[0][name].tobytes() == other[name].tobytes() for name in other)


def test_the_same_bits_when_one_thread_goes_on_alone(cut, monkeypatch):
    class Impatient(jit.Pace):
        def patience(self):
            return 0.0, 0.0

    training = a_training(3, "relu", optimizer=SGD(0.05, 0.9))
    team_of(1, monkeypatch)
    expected = train(JitBackend, training)
    monkeypatch.setattr(jit, "Pace", Impatient)
    for threads in (2, 3):
        team_of(threads, monkeypatch)
        found = train(JitBackend, training)
        assert all(expected[name].tobytes() == found[name].tobytes() for name in found)


def test_cutting_rounds_otherwise_but_no_more(cut, monkeypatch):
    """A sign that the fixture cuts batches, and only those that it should."""
    training = a_training(0, "relu", sizes=[40, 17, 5], optimizer=SGD(0.1))
    training = replace(training, chunks=tuple(c for c in training.chunks if c.batch_size >= 9))
    in_slices = train(JitBackend, training)["parameters"]
    monkeypatch.setattr(jit, "LEAST_CUT", 1000)
    whole = train(JitBackend, training)["parameters"]
    assert (in_slices != whole).any()
    assert np.abs(in_slices - whole).max() < 1e-13


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_fit(dtype):
    """Whole calls: batches that are cut, a ramp from smaller ones that are not, and last batches that are shorter."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((1500, 20)).astype(dtype), rng.integers(0, 3, 1500)
    assert sharing.parts_of_batch([20, 30, 3], 600, X.itemsize) == 5
    runs = []
    for threads in (1, 2, 3):
        net = fastnn.MLP([20, 30, 3], dtype=dtype, seed=1)
        ramp = schedules.BatchRamp(100, 600)
        history = net.fit(X, y, epochs=6, batch_size=ramp, threads=threads, dropout=0.2, input_dropout=0.1)
        runs.append((history.loss, net.arena.tobytes()))
    assert runs[0] == runs[1] == runs[2]
    assert runs[0][0][-1] < runs[0][0][0]


def test_gradients_of_many_rows():
    """Sixteen parts of several slices, against float64's gradient, in a batch of all rows."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((5001, 10)), rng.integers(0, 3, 5001)
    net = fastnn.MLP([10, 8, 3], dtype="float64", seed=1)
    parts = JitBackend.gradients(net, X, y)[0]
    few = [JitBackend.gradients(net, X[i : i + 100], y[i : i + 100])[0] for i in range(0, 5001, 100)]
    sizes = [len(X[i : i + 100]) for i in range(0, 5001, 100)]
    for layer, found in enumerate(parts):
        expected = sum(n * dW[layer] for n, dW in zip(sizes, few, strict=True)) / 5001
        assert np.abs(found - expected).max() <= 1e-14


@given(st.integers(1, 5000), st.integers(1, 128), st.integers(1, 16))
def test_slices_and_parts(rows, slice_rows, most_parts):
    slices, parts = count_slices.py_func(rows, slice_rows, most_parts)
    sizes = [rows * (i + 1) // slices - rows * i // slices for i in range(slices)]
    assert max(sizes) <= slice_rows and min(sizes) >= 1 and sum(sizes) == rows
    assert 1 <= parts <= min(slices, most_parts)
    assert count_slices.py_func(rows, 0, 0) == (1, 1)


@given(
    st.lists(st.integers(1, 5000), min_size=2, max_size=5), st.integers(1, 100_000), st.sampled_from([4, 8])
)
def test_what_cutting_may_cost(sizes, batch, itemsize):
    parts = sharing.parts_of_batch(sizes, batch, itemsize)
    assert parts == 0 or 2 <= parts <= 16
    if parts:
        assert batch >= 2 * sharing.SLICE_ROWS
        assert parts * itemsize * sum(a * b for a, b in pairwise(sizes)) <= 64_000_000
    assert 32 <= sharing.rows_of_slice(sizes[0], itemsize) <= sharing.SLICE_ROWS


@pytest.mark.parametrize(
    ("sizes", "batch", "parts"),
    [
        ([784, 32, 32, 10], 500, 4),
        ([784, 100, 10], 20, 0),
        ([784, 100, 10], 256, 0),
        ([784, 100, 10], 4096, 16),
        ([784, 512, 10], 128, 0),
        ([784, 1000, 1000, 10], 100, 0),
        ([30, 64, 64, 2], 256, 2),
        ([784, 1000, 1000, 10], 60_000, 0),  # 16 gradients are 115 MB
    ],
)
def test_which_batches_are_cut(sizes, batch, parts):
    assert sharing.parts_of_batch(sizes, batch, 4) == parts
    if parts:
        assert sharing.useful_threads(sizes, batch, parts) == parts


def test_a_batch_of_all_rows_needs_few_activations():
    """Of slices only the rows in work have room: 2 x 128, not 20,000."""
    X, y = np.ones((20_000, 3), np.float32), np.zeros(20_000, np.int64)
    backend = JitBackend(
        fastnn.MLP([3, 64, 2], seed=0), fastnn.backends.Task(X, y, 20_000, SGD(0.1), threads=2)
    )
    try:
        assert backend._outputs.size <= 2 * 128 * (80 + 16) + 64
    finally:
        backend.close()
