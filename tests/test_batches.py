"""Batch sizes that change by step and by epoch, laid out over the rows, and trained with."""

import math

import numpy as np
import pytest

import fastnn
from fastnn import batches, checkpoint
from fastnn.schedules import BatchRamp, Constant, Cosine, Exponential, OneCycle, Plateau, Step, Warmup


def lay_out(value, rows=100, epochs=1):
    return batches.lay_out(value, rows, epochs, lambda size: min(size, rows))


def sizes(value, rows, epochs):
    """The rows of every step, by epoch, gone through with `at`."""
    laid_out, found = lay_out(value, rows, epochs), []
    for epoch in range(epochs):
        row, steps = 0, []
        while row < rows:
            size, left = laid_out.at(epoch, row)
            assert 0 < left <= rows - row
            steps.append(min(size, left))
            row += steps[-1]
        assert len(steps) == laid_out.steps(epoch)
        assert steps[-1] == laid_out.last(epoch)[1] <= laid_out.last(epoch)[0] <= laid_out.largest
        found.append(steps)
    return found


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (4, [[4, 4, 2], [4, 4, 2]]),
        (np.int64(10), [[10], [10]]),
        (Constant(7), [[7, 3], [7, 3]]),
        (10**9, [[10], [10]]),
        (BatchRamp(3, 5), [[3, 3, 3, 1], [5, 5]]),
        ({"name": "batch_ramp", "start": 3, "limit": 5}, [[3, 3, 3, 1], [5, 5]]),
        (Exponential(5, 1.7), [[5, 5], [8, 2]]),
        (Cosine(6, end=2, unit="epoch"), [[6, 4], [4, 4, 2]]),
        (lambda step: 1 + step, [[1, 2, 3, 4], [5, 5]]),
        (lambda step: 4 - step % 2, [[4, 3, 3], [3, 4, 3]]),  # the last of the first epoch is of 4, cut short
        (Exponential(1, 2, unit="step"), [[1, 2, 4, 3], [10]]),
        (Step(2, every=2, factor=3, unit="step"), [[2, 2, 6], [6, 4]]),
        (Cosine(6, length=2, end=2), [[6, 4], [2, 2, 2, 2, 2]]),
        (Warmup(2, 6), [[2, 4, 4], [6, 4]]),
        (Warmup(3, BatchRamp(4, 8)), [[1, 2, 3, 4], [8, 2]]),
    ],
)
def test_layout(value, expected):
    assert sizes(value, 10, 2) == expected


def test_equal_sizes_are_one_change():
    assert lay_out(lambda step: 2 if step < 3 else 5, 20, 2).changes == (((0, 2), (6, 5)), ((0, 5),))


@pytest.mark.parametrize("value", [7, BatchRamp(3, 50), lambda step: 1 + step % 5])
def test_table_and_back(value):
    laid_out = lay_out(value, 100, 3)
    assert batches.Batches.of_table(100, laid_out.table()) == laid_out


@pytest.mark.parametrize(
    ("value", "error", "words"),
    [
        (0, ValueError, "batch_size is 0; a whole number"),
        (2.5, TypeError, r"batch_size is 2\.5; a whole number"),
        (Plateau(30), TypeError, "batch_size is a schedule that waits for the history"),
        (Warmup(3, Plateau(30)), TypeError, "batch_size is a schedule that waits"),
        (lambda step: 2 - step, ValueError, "batch_size of step 2 is 0.0; .* from 1 to"),
        (lambda step: "4", TypeError, r"batch_size\(0\) is '4'"),
        (lambda step: math.nan, ValueError, r"batch_size: batch_size\(0\) is nan"),
        (Exponential(8, 2.0**40), ValueError, "batch_size of epoch 1 is 8796093022208.0"),
        (Cosine(10), ValueError, "batch_size: length is None, and how many steps .* give the length"),
        (Warmup(3, OneCycle(10)), ValueError, "batch_size: length is None"),
    ],
)
def test_bad_sizes(value, error, words):
    with pytest.raises(error, match=f"^{words}"):
        lay_out(value, 100, 5)


class Sizes(fastnn.callbacks.Callback):
    """Counts the steps of each epoch."""

    def __init__(self):
        self.steps = []

    def on_fit_begin(self, net, history):
        self.steps.append(0)

    def on_step_end(self, net, history, step, loss):
        self.steps[-1] += 1

    def on_epoch_end(self, net, history):
        self.steps.append(0)


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(90, 5)).astype("f4")
    return X, (X[:, 0] > 0).astype(int) + (X[:, 1] > 0)


def by_step(step):
    return 4 + 3 * (step // 5)


def test_training_by_step_is_training_by_hand(data):
    """One fit whose batches grow, against a fit for every batch: their rows, in their order, in that many steps."""
    X, y = data
    settings = {"learning_rate": 0.1, "shuffle": False, "anomalies": "ignore"}
    net, by_hand = (fastnn.MLP([5, 8, 3], seed=1) for _ in range(2))
    history = net.fit(X, y, epochs=2, batch_size=by_step, **settings)
    step = 0
    for _ in range(2):
        row = 0
        while row < len(X):
            rows = slice(row, row + by_step(step))
            by_hand.fit(X[rows], y[rows], epochs=1, batch_size=by_step(step), **settings)
            row, step = rows.stop, step + 1
    for ours, theirs in zip(net.weights + net.biases, by_hand.weights + by_hand.biases, strict=True):
        assert np.array_equal(ours, theirs)
    assert history.batch_size[-1] == by_step(step - 1)


@pytest.mark.parametrize("augment", [None, {"shape": (1, 5), "shift": 1}])
def test_both_backends_make_the_same_steps(data, augment):
    counted, nets = [], []
    for backend in ("jit", "reference"):
        counter, net = Sizes(), fastnn.MLP([5, 8, 3], seed=1, dtype="float64")
        net.fit(
            *data,
            epochs=2,
            batch_size=by_step,
            dropout=0.3,
            augment=augment and fastnn.augmentation.Augment(**augment),
            callbacks=[counter],
            backend=backend,
            norms=True,
        )
        counted.append(counter.steps)
        nets.append(net)
    laid_out = lay_out(by_step, 90, 2)
    assert counted == [[laid_out.steps(0), laid_out.steps(1), 0]] * 2
    for ours, theirs in zip(nets[0].weights, nets[1].weights, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-13)


def test_chunks_do_not_change_the_steps(data):
    """A callback at each step makes chunks of one; without it they are as long as the sizes are alike."""
    nets = [fastnn.MLP([5, 8, 3], seed=1) for _ in range(2)]
    for net, callbacks in zip(nets, ([], [Sizes()]), strict=True):
        net.fit(*data, epochs=3, batch_size=by_step, optimizer="adam", dropout=0.2, callbacks=callbacks)
    assert nets[0].arena.tobytes() == nets[1].arena.tobytes()


def test_resuming_refuses_other_steps(data, tmp_path):
    path = tmp_path / "file"
    net = fastnn.MLP([5, 8, 3], seed=1)
    net.fit(*data, epochs=2, batch_size=by_step, checkpoint=checkpoint.Checkpoint(path))
    with pytest.raises(ValueError, match="batch_size of epoch 1 was 10 and is 7"):
        fastnn.MLP([5, 8, 3], seed=1).fit(
            *data,
            epochs=2,
            batch_size=lambda step: 4 + 3 * (step // 5) - 3 * (step == 10),
            checkpoint=checkpoint.Checkpoint(path, resume=True),
        )
