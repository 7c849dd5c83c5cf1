"""One test for each fault of the five systems that this project starts from: each fails where the fault is made again."""

import math
import random

import numpy as np
import pytest

import fastnn
from fastnn import callbacks
from fastnn.augmentation import Augment
from fastnn.inspection import layer_outputs
from fastnn.metrics import classification_report
from fastnn.reference import Value

DTYPES = ["float32", "float64"]
BACKENDS = ["jit", "reference"]


def through(dtype, **settings):
    """A network whose outputs are its inputs."""
    net = fastnn.MLP([3, 3], dtype=dtype, init="zeros", **settings)
    net.weights[0][...] = np.eye(3)
    return net


def softmax(row):
    exponentials = [math.exp(z - max(row)) for z in row]
    return [e / sum(exponentials) for e in exponentials]


class TestSoftmax:
    """Two took the batch's maximum, or that of one class over the batch, for the row's; one took none."""

    ROWS = ((1.0, 2.0, 3.0), (5000.0, 0.0, 0.0), (-5000.0, -5001.0, -5002.0), (0.0, 900.0, 900.0))

    @pytest.mark.parametrize("rows", [1, 50])  # few rows, and many: there are two kernels
    @pytest.mark.parametrize("dtype", DTYPES)
    def test_probabilities_do_not_depend_on_the_other_rows(self, dtype, rows):
        X = np.array(self.ROWS * rows)
        expected = np.array([softmax(row) for row in self.ROWS] * rows)
        np.testing.assert_allclose(through(dtype).predict_proba(X), expected, rtol=1e-5, atol=1e-30)

    @pytest.mark.parametrize("backend", BACKENDS)
    @pytest.mark.parametrize("dtype", DTYPES)
    def test_training_goes_on_beside_a_row_of_large_logits(self, dtype, backend):
        net, alone = through(dtype), through(dtype)
        settings = {"epochs": 1, "learning_rate": 0.5, "shuffle": False, "backend": backend}
        # The second row's gradient is 0: its label's probability is 1. It halves what the first one's counts.
        net.fit(np.array(self.ROWS[:2]), [0, 0], batch_size=2, **settings)
        alone.fit(np.array(self.ROWS[:1]), [0], batch_size=1, **{**settings, "learning_rate": 0.25})
        np.testing.assert_allclose(net.weights[0], alone.weights[0], rtol=1e-5)
        assert net.weights[0][0, 0] > 1.2


class TestLogarithm:
    """Three took the logarithm of a probability that may be 0, one of them of 1e-8 instead, which says 18.4 at most."""

    @pytest.mark.parametrize("backend", BACKENDS)
    @pytest.mark.parametrize("dtype", DTYPES)
    def test_of_a_probability_of_0(self, dtype, backend):
        net, X = through(dtype), np.array([[1000.0, 0.0, 0.0]])
        assert net.predict_proba(X)[0, 1] == 0
        assert net.evaluate(X, [1]).loss == 1000
        history = net.fit(X, [1], epochs=1, learning_rate=1e-30, backend=backend)
        assert history.loss == [1000]

    @pytest.mark.parametrize("dtype", DTYPES)
    def test_of_a_sigmoid_of_0(self, dtype):
        net = through(dtype, loss="binary_cross_entropy")
        assert net.evaluate([[-3000.0, 3000.0, 0.0]], [[1, 0, 1]]).loss == pytest.approx(
            (6000 + math.log(2)) / 3
        )


class TestSlopeOfReLU:
    """One system's derivative was always 1: the loss fell, and accuracy stayed at 10 %."""

    @pytest.mark.parametrize("backend", BACKENDS)
    @pytest.mark.parametrize("dtype", DTYPES)
    def test_units_below_0_do_not_learn(self, dtype, backend):
        net = fastnn.MLP([2, 2, 2], dtype=dtype, init="zeros")
        net.weights[0][...] = [[1, -1], [1, -1]]  # for positive inputs one unit is above 0, and one below
        net.weights[1][...] = [[1, -1], [1, -1]]
        net.fit([[1.0, 2.0]], [1], epochs=1, learning_rate=0.5, backend=backend)
        assert (net.weights[0][:, 1] == -1).all() and net.biases[0][1] == 0
        assert (net.weights[0][:, 0] < 1).all() and net.biases[0][0] < 0


class TestSort:
    """One system sorted its graph recursively, and the stack overflowed."""

    def test_a_long_chain_of_values(self):
        x = y = Value(1.0)
        for _ in range(50_000):
            y = y + 1
        y.backward()
        assert (y.data, x.grad) == (50_001, 1)

    def test_a_value_used_twice_adds_up(self):
        """Its ReLU assigned the gradient where it should have added."""
        x = Value(3.0)
        (x.relu() + x.relu()).backward()
        assert x.grad == 2


class TestTinyNumbers:
    """Values near 1e-81 were rounded to 8 decimals: as denormal numbers they were slow."""

    def test_they_are_not_rounded(self):
        net = fastnn.MLP([2, 2, 2], "identity", dtype="float64", init="zeros")
        net.weights[0][...] = [[1e81, 0], [0, 1e81]]
        net.weights[1][...] = np.eye(2)
        np.testing.assert_allclose(layer_outputs(net, [[3e-81, 1e-81]])[-1], [[3, 1]], rtol=1e-15)

    def test_in_float32_denormals_are_0(self):
        # 1e-20 times 1e-20 is a denormal number; what is computed with one takes a hundred times as long.
        net = fastnn.MLP([1, 1, 2], "identity", init=[np.array([[1e-20]]), np.array([[1.0, 0.0]])])
        assert layer_outputs(net, [[1e-20]])[0][0, 0] == 0
        net.weights = [np.array([[1e-20]]), np.array([[1e30, 0.0]])]
        net.weights[1][...] = [[1e38, 0.0]]
        assert net.predict_proba(np.full((100, 1), 1e-20, np.float32))[0, 0] == 0.5

    @pytest.mark.parametrize("backend", BACKENDS)
    def test_training_on_them_goes_on(self, backend):
        net = fastnn.MLP([2, 8, 2], seed=1)
        X = np.array([[1e-39, 1e-81], [1.0, 1e-39]])
        net.fit(X, [0, 1], epochs=300, learning_rate=0.5, backend=backend)
        assert net.evaluate(X, [0, 1]).accuracy == 1


def chi_square(orders):
    """How far the counts of the 24 orders of 4 rows are from being equal; 23 on average where each is as likely."""
    counts = np.unique(np.array(orders) @ [64, 16, 4, 1], return_counts=True)[1]
    expected = len(orders) / 24
    return ((counts - expected) ** 2).sum() / expected + (24 - counts.size) * expected


class TestShuffle:
    """One system sorted by a comparison that is drawn at random, two did not shuffle, or once."""

    EPOCHS = 2400

    def test_all_orders_are_as_likely(self, numpy_backend):
        X, y = np.eye(4, dtype=np.float32), np.array([0, 1, 0, 1])
        fastnn.MLP([4, 2], seed=1).fit(X, y, epochs=self.EPOCHS, batch_size=4)
        assert chi_square(numpy_backend.instances[0].rows) < 60  # one in 20,000 is above

    def test_a_biased_shuffle_would_be_seen(self):
        rng = random.Random(1)

        def by_a_random_comparison():
            order = [0, 1, 2, 3]
            for i in range(1, 4):  # insertion, as JavaScript sorts short arrays
                while i > 0 and rng.random() < 0.5:
                    order[i - 1], order[i] = order[i], order[i - 1]
                    i -= 1
            return order

        assert chi_square([by_a_random_comparison() for _ in range(self.EPOCHS)]) > 600


class TestSeed:
    """One system made 0 of every whole number that was given as its seed."""

    SEEDS = (0, 1, 2, 3, 2**32, 2**32 + 1, 2**64)

    @staticmethod
    def train(seed, weights=None, **settings):
        net = fastnn.MLP([16, 10, 3], seed=seed, init=weights or "he_normal")
        X = np.random.default_rng(0).random((40, 16))
        net.fit(X, np.arange(40) % 3, epochs=2, batch_size=16, **settings)
        return net

    def test_initial_weights(self):
        nets = [fastnn.MLP([16, 10, 3], seed=seed).arena.tobytes() for seed in self.SEEDS]
        assert len(set(nets)) == len(self.SEEDS)
        assert nets[1] == fastnn.MLP([16, 10, 3], seed=1).arena.tobytes()

    @pytest.mark.parametrize(
        "settings",
        [{}, {"shuffle": False, "dropout": 0.5}, {"shuffle": False, "augment": Augment(shape=(4, 4))}],
        ids=["shuffle", "dropout", "augment"],
    )
    def test_what_is_drawn_in_training(self, settings):
        weights = list(fastnn.MLP([16, 10, 3]).weights)
        nets = [self.train(seed, weights, **settings).arena.tobytes() for seed in self.SEEDS]
        assert len(set(nets)) == len(self.SEEDS)
        assert nets[1] == self.train(1, weights, **settings).arena.tobytes()


class TestColumns:
    """One system's columns for FN, FP and TN showed FP, TN and FN, and so precision and recall were exchanged."""

    TRUE = (0, 0, 0, 0, 0, 0, 1, 1, 1, 2)
    PREDICTED = (0, 0, 0, 1, 1, 2, 1, 1, 0, 1)
    COUNTS = ((3, 1, 3, 3), (2, 3, 1, 4), (0, 1, 1, 8))  # TP, FP, FN, TN of each class, counted by hand

    def report(self):
        return classification_report(np.array(self.TRUE), np.array(self.PREDICTED))

    @pytest.mark.parametrize("label", range(3))
    def test_by_hand(self, label):
        report = self.report()
        tp, fp, fn, tn = self.COUNTS[label]
        found = [column[label] for column in (report.tp, report.fp, report.fn, report.tn)]
        assert found == [tp, fp, fn, tn]
        assert report.precision[label] == pytest.approx(tp / (tp + fp))
        assert report.recall[label] == pytest.approx(tp / (tp + fn))
        assert report.specificity[label] == pytest.approx(tn / (tn + fp))

    def test_in_the_printed_table(self):
        head, *lines = [line.split() for line in str(self.report()).splitlines() if line.strip()]
        row = next(line for line in lines if line[0] == "0")
        cells = dict(zip([word.lower() for word in head], row[-len(head) :], strict=True))
        assert float(cells["precision"]) == pytest.approx(3 / 4, abs=0.006)
        assert float(cells["recall"]) == pytest.approx(3 / 6, abs=0.006)
        assert float(cells["specificity"]) == pytest.approx(3 / 4, abs=0.006)


def test_an_encoder_learns():
    """One system's autoencoder took the code out of the graph, so that its encoder never trained."""
    X = np.random.default_rng(2).random((30, 6))
    net = fastnn.MLP([6, 3, 6], "tanh", loss="mean_squared_error")
    before = net.weights[0].copy()
    seen = []
    net.fit(
        X,
        X,
        epochs=1,
        callbacks=[callbacks.FunctionCallback(lambda net, _: seen.append(net.weights[0].copy()))],
    )
    assert (seen[0] != before).all()
