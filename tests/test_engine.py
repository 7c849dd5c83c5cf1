"""The compiled engine against the reference: gradients, twenty steps of training, probabilities, evaluation."""

import bounds
import numpy as np
import pytest
from problems import OPTIMIZERS, Problem, for_problems, train

import fastnn
from fastnn.backends import Chunk, Task, jit
from fastnn.backends.jit import JitBackend
from fastnn.backends.reference import ReferenceBackend
from fastnn.csr import CSR
from fastnn.kernels import layers
from fastnn.kernels import threads as kernel_threads

every_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)


@for_problems("float64", 100)
def test_gradients_float64(problem):
    expected = ReferenceBackend.gradients(problem.net, problem.X, problem.y)
    actual = JitBackend.gradients(problem.net, problem.X, problem.y)
    for g, r in zip((*actual[0], *actual[1]), (*expected[0], *expected[1]), strict=True):
        assert np.abs(g - r).max() <= 1e-12 * np.abs(r).max()


@for_problems("float32", 100)
def test_gradients_float32(problem):
    network = bounds.Network(problem.net, problem.X, problem.y)
    expected = ReferenceBackend.gradients(problem.net, problem.X, problem.y)
    actual = JitBackend.gradients(problem.net, problem.X, problem.y)
    limits = (*network.dW_errors, *network.db_errors)
    for g, r, limit in zip((*actual[0], *actual[1]), (*expected[0], *expected[1]), limits, strict=True):
        assert g.dtype == np.float32
        assert (np.abs(g - r) <= network.eps * limit).all()


@every_optimizer
def test_training_float64(optimizer):
    @for_problems("float64", 40)
    def check(problem):
        expected = train(ReferenceBackend, problem, optimizer)
        actual = train(JitBackend, problem, optimizer)
        assert np.abs(actual.losses - expected.losses).max() <= 1e-10
        assert np.array_equal(actual.correct, expected.correct)
        for p, q in zip(actual.parameters, expected.parameters, strict=True):
            assert np.abs(p - q).max() <= 1e-10

    check()


@every_optimizer
def test_training_float32(optimizer):
    @for_problems("float32", 40)
    def check(problem):
        expected = train(ReferenceBackend, problem, optimizer)
        actual = train(JitBackend, problem, optimizer)
        # Each step adds the rounding of its longest sums to what the steps before it brought along.
        length = sum(problem.net.sizes) + problem.batch
        limit = np.finfo(np.float32).eps * length * np.arange(1, problem.steps + 1)
        assert (np.abs(actual.losses - expected.losses) <= limit * np.maximum(1, expected.losses)).all()

    check()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_probabilities_and_evaluation(dtype):
    @for_problems(dtype, 40)
    def check(problem):
        net, X, y = problem.net, problem.X, problem.y
        network = bounds.Network(net, X, y)
        expected = ReferenceBackend.predict_proba(net, X, None)
        actual = JitBackend.predict_proba(net, X, None)
        assert actual.dtype == dtype and actual.shape == expected.shape
        assert (np.abs(actual - expected) <= network.eps * (network.p_error + network.p)).all()
        losses, correct = ReferenceBackend.losses(net, X, y, None)
        jit_losses, jit_correct = JitBackend.losses(net, X, y, None)
        assert jit_losses.dtype == np.float64 and jit_correct.dtype == np.int64
        limit = bounds.losses(network.logits, network.logits_error, y)
        assert (np.abs(jit_losses - losses) <= network.eps * limit).all()
        assert np.array_equal(jit_correct, correct)

    check()


def test_many_rows_and_classes():
    """More rows than an inference block, more classes than a panel; against NumPy's arithmetic."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((523, 61)), rng.integers(0, 131, 523)
    net = fastnn.MLP([61, 150, 131], dtype="float64", seed=1)
    network = bounds.Network(net, X, y)
    dW, db = JitBackend.gradients(net, X, y)
    for g, expected, limit in zip(
        (*dW, *db, JitBackend.predict_proba(net, X, None)),
        (*network.dW, *network.db, network.p),
        (*network.dW_errors, *network.db_errors, network.p_error),
        strict=True,
    ):
        assert (np.abs(g - expected) <= 2 * network.eps * limit).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_weights_and_gradients_that_are_far_away(dtype, momentum, monkeypatch):
    """Panels of W are asked for ahead, those of dZ are copied; one step of descent, against NumPy's arithmetic."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((70, 301)).astype(dtype), rng.integers(0, 40, 70)
    net = fastnn.MLP([301, 901, 40], dtype=dtype, seed=1)
    assert net.weights[0].nbytes > layers._NEAR_WEIGHTS and 70 * 901 * X.itemsize > layers._NEAR_GRADIENTS
    network = bounds.Network(net, X, y)
    before = [p.copy() for p in (*net.weights, *net.biases)]
    rate, trained = 0.125, set()
    for threads in (1, 2, 3):
        monkeypatch.setattr(jit, "Team", lambda _, threads=threads: kernel_threads.Team(threads))
        net.weights, net.biases = before[:2], before[2:]
        backend = JitBackend(net, Task(X, y, 70, optimizer=fastnn.optimizers.SGD(rate, momentum)))
        backend.run(Chunk(np.arange(70), np.array([rate]), 0, 70))
        backend.pull()
        backend.close()
        after = [*net.weights, *net.biases]
        trained.add(b"".join(p.tobytes() for p in after))
        for p, q, g, limit in zip(
            before, after, (*network.dW, *network.db), (*network.dW_errors, *network.db_errors), strict=True
        ):
            limit = network.eps * (2 * limit + np.abs(p) / rate)
            assert (np.abs((p.astype(np.float64) - q) / rate - g) <= limit).all()
    assert len(trained) == 1


def compressed(X):
    rows, columns = np.nonzero(X)
    row_starts = np.searchsorted(rows, np.arange(len(X) + 1)).astype(np.int64)
    return CSR(row_starts, columns.astype(np.int32), X[rows, columns], X.shape)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", [(784, 10), (784, 37, 10), (1500, 3, 8, 5)])
def test_sparse_inputs(sizes, dtype):
    """Rows of several blocks of columns, some of them empty."""
    rng = np.random.default_rng(0)
    X = (rng.standard_normal((29, sizes[0])) * (rng.random((29, sizes[0])) < 0.2)).astype(dtype)
    X[::7] = 0
    y = rng.integers(0, sizes[-1], 29)
    net = fastnn.MLP(sizes, dtype=dtype, seed=1)
    network = bounds.Network(net, X, y)
    X = compressed(X)
    dW, db = JitBackend.gradients(net, X, y)
    for g, expected, limit in zip(
        (*dW, *db, JitBackend.predict_proba(net, X, None)),
        (*network.dW, *network.db, network.p),
        (*network.dW_errors, *network.db_errors, network.p_error),
        strict=True,
    ):
        assert (np.abs(g - expected) <= 2 * network.eps * limit).all()


@every_optimizer
def test_sparse_and_dense_training_agree(optimizer):
    rng = np.random.default_rng(1)
    X = rng.standard_normal((50, 784)) * (rng.random((50, 784)) < 0.2)
    net = fastnn.MLP([784, 21, 10], dtype="float64")
    order = rng.integers(0, 50, 20 * 13 - 4)
    problem = Problem(net, X, rng.integers(0, 10, 50), 13, order, [1, 9, 10])
    dense, sparse = (train(JitBackend, problem, optimizer, sparse=way) for way in (False, True))
    for one, two in zip(sparse.arrays, dense.arrays, strict=True):
        assert np.abs(one - two).max() <= 1e-10


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_fit_on_both_backends(optimizer):
    """The same seed gives the same batches, so the whole history agrees."""
    rng = np.random.default_rng(3)
    X, y = rng.standard_normal((53, 7)), rng.integers(0, 4, 53)
    histories, nets = [], []
    for backend in ("reference", "jit"):
        net = fastnn.MLP([7, 9, 4], dtype="float64", seed=6)
        keywords = {"epochs": 3, "batch_size": 10, "optimizer": optimizer, "validation": (X[:20], y[:20])}
        histories.append(net.fit(X, y, backend=backend, **keywords))
        nets.append(net)
    for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
        expected, actual = (getattr(history, name) for history in histories)
        assert len(actual) == 3
        assert np.abs(np.array(actual) - expected).max() <= 1e-12
    assert max(np.abs(p - q).max() for p, q in zip(nets[0].weights, nets[1].weights, strict=True)) <= 1e-12


def test_gathering_is_indexing():
    """Training on rows out of order is training, in order, on the rows put together by NumPy: bit by bit."""
    rng = np.random.default_rng(4)
    X, y = rng.standard_normal((31, 19)).astype("f4"), rng.integers(0, 3, 31)
    net = fastnn.MLP([19, 8, 3], seed=2)
    order = rng.integers(0, 31, 100)
    gathered = train(JitBackend, Problem(net, X, y, 9, order, [4, 8]), OPTIMIZERS["sgd"])
    in_order = Problem(net, X[order], y[order], 9, np.arange(100), [4, 8])
    assert gathered == train(JitBackend, in_order, OPTIMIZERS["sgd"])


def test_push_and_pull():
    rng = np.random.default_rng(5)
    X, y = rng.standard_normal((10, 6)), rng.integers(0, 3, 10)
    net = fastnn.MLP([6, 5, 3], dtype="float64")
    backend = JitBackend(net, Task(X, y, 10, OPTIMIZERS["sgd"]))
    before = [W.copy() for W in net.weights]
    first, _, _ = backend.run(Chunk(np.arange(10), np.array([0.1]), 0, 10))
    assert all(np.array_equal(W, old) for W, old in zip(net.weights, before, strict=True))
    backend.pull()
    assert not any(np.array_equal(W, old) for W, old in zip(net.weights, before, strict=True))
    net.weights = before
    net.biases = [np.zeros(5), np.zeros(3)]
    backend.push()
    again, _, _ = backend.run(Chunk(np.arange(10), np.array([0.1]), 1, 10))
    assert np.array_equal(again, first)
    backend.close()
    backend.close()
