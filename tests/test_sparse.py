"""Sparse inputs: SciPy's CSR, and dense arrays that are mostly zeros, against the dense path and the reference."""

import tracemalloc

import numpy as np
import pytest

import fastnn
from fastnn.kernels import thread_count
from fastnn.optimizers import SGD, Adam

sparse = pytest.importorskip("scipy.sparse")

OPTIMIZERS = [SGD(0.1), SGD(0.1, 0.9), SGD(0.1, 0.9, nesterov=True), Adam(0.01)]


def samples(rows, columns, classes, density, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((rows, columns)) * (rng.random((rows, columns)) < density)
    return X.astype(dtype), rng.integers(0, classes, rows)


def trained(X, y, sizes, dtype="float64", **settings):
    net = fastnn.MLP(sizes, dtype=dtype, seed=1)
    history = net.fit(X, y, epochs=3, batch_size=7, **settings)
    return net, history


def arrays(net):
    return [*net.weights, *net.biases]


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
@pytest.mark.parametrize("sizes", [(1, 2), (9, 3, 2), (300, 17, 40), (784, 33, 10), (784, 10)], ids=str)
@pytest.mark.parametrize("density", [0.0, 0.02, 0.2, 1.0])
def test_sparse_training_is_dense_training(optimizer, sizes, density):
    X, y = samples(31, sizes[0], sizes[-1], density)
    dense, history = trained(X, y, sizes, optimizer=optimizer, sparse=False)
    assert history.inputs == "dense"
    for given in (X, sparse.csr_matrix(X)):
        net, other = trained(given, y, sizes, optimizer=optimizer, sparse=True)
        assert other.inputs == "sparse"
        np.testing.assert_allclose(other.loss, history.loss, rtol=1e-10)
        # Adam divides by the gradient's size: where that is rounding alone, so is the step.
        tolerance = 1e-7 if isinstance(optimizer, Adam) else 1e-12
        for a, b in zip(arrays(net), arrays(dense), strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=tolerance)


def test_float32_agrees_within_its_precision():
    X, y = samples(40, 784, 10, 0.2, np.float32)
    dense, _ = trained(X, y, (784, 33, 10), "float32", sparse=False)
    net, _ = trained(X, y, (784, 33, 10), "float32", sparse=True)
    for a, b in zip(arrays(net), arrays(dense), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=784 * np.finfo(np.float32).eps)


def test_the_reference_trains_on_sparse_rows():
    X, y = samples(20, 30, 4, 0.2)
    one, first = trained(sparse.csr_matrix(X), y, (30, 6, 4))
    two, second = trained(sparse.csr_matrix(X), y, (30, 6, 4), backend="reference")
    np.testing.assert_allclose(first.loss, second.loss, rtol=1e-12)
    for a, b in zip(arrays(one), arrays(two), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-13)


def test_predictions_and_gradients():
    X, y = samples(50, 200, 5, 0.1)
    net = fastnn.MLP([200, 20, 5], dtype="float64")
    csr = sparse.csr_matrix(X)
    np.testing.assert_allclose(net.predict_proba(csr), net.predict_proba(X), rtol=1e-12)
    np.testing.assert_array_equal(net.predict(csr), net.predict(X))
    assert net.evaluate(csr, y).loss == pytest.approx(net.evaluate(X, y).loss, rel=1e-12)
    assert max(fastnn.gradient_check(net, csr, y).values()) < 1e-6


@pytest.mark.parametrize("optimizer", [SGD(0.1), Adam(0.01)], ids=repr)
def test_same_bits_at_any_number_of_threads(monkeypatch, optimizer):
    monkeypatch.setattr(thread_count, "available_threads", lambda: 4)
    X, y = samples(300, 500, 10, 0.1, np.float32)
    reference = None
    for threads in (1, 2, 3, 4):
        net = fastnn.MLP([500, 100, 50, 10])
        net.fit(X, y, epochs=2, batch_size=64, optimizer=optimizer, threads=threads, sparse=True)
        bits = [array.tobytes() for array in arrays(net)]
        reference = reference or bits
        assert bits == reference


def test_any_scipy_format_unsorted_and_with_duplicates():
    X, y = samples(30, 40, 3, 0.2)
    expected = trained(sparse.csr_matrix(X), y, (40, 5, 3))[0]
    coo = sparse.coo_matrix(X)
    halves = sparse.coo_matrix(
        (np.tile(coo.data / 2, 2), (np.tile(coo.row, 2), np.tile(coo.col, 2))), shape=X.shape
    )
    shuffled = sparse.csr_matrix(X)
    shuffled.indices = shuffled.indices[::-1].copy()
    shuffled = sparse.csr_matrix((shuffled.data, np.flip(shuffled.indices), shuffled.indptr), shape=X.shape)
    for given in (sparse.csc_matrix(X), sparse.csr_array(X), coo, halves, shuffled, sparse.lil_matrix(X)):
        net = trained(given, y, (40, 5, 3))[0]
        for a, b in zip(arrays(net), arrays(expected), strict=True):
            np.testing.assert_array_equal(a, b)


def test_the_callers_matrix_is_not_changed():
    X, y = samples(30, 40, 3, 0.2)
    csr = sparse.csr_matrix(X)
    csr.indices[csr.indptr[0] : csr.indptr[1]] = csr.indices[csr.indptr[0] : csr.indptr[1]][::-1]
    csr.has_sorted_indices = False
    before = csr.indices.copy(), csr.data.copy()
    trained(csr, y, (40, 5, 3))
    np.testing.assert_array_equal(csr.indices, before[0])
    np.testing.assert_array_equal(csr.data, before[1])


def test_mostly_zeros_are_noticed():
    X, y = samples(500, 784, 10, 0.1, np.float32)
    assert trained(X, y, (784, 64, 10), "float32")[1].inputs == "sparse"
    assert trained(X, y, (784, 32, 10), "float32")[1].inputs == "dense", "too narrow to gain"
    assert trained(X + 1, y, (784, 64, 10), "float32")[1].inputs == "dense"


# A look at the layers' health has copies of the parameters, and gradients; a dense copy of X would take 800 MB.
@pytest.mark.parametrize("anomalies, limit", [("ignore", 10), ("warn", 20)])
def test_memory_is_that_of_the_non_zeros(anomalies, limit):
    rows, columns = 2_000, 100_000
    X = sparse.random(rows, columns, density=1e-4, format="csr", dtype=np.float32, random_state=0)
    y = np.random.default_rng(0).integers(0, 3, rows)
    net = fastnn.MLP([columns, 8, 3])
    settings = {"epochs": 1, "batch_size": 64, "anomalies": anomalies}
    net.fit(X[:64], y[:64], **settings)  # compiles, outside of the measurement
    net.predict(X[:1])
    tracemalloc.start()
    net.fit(X, y, **settings)
    net.predict(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    parameters = sum(array.nbytes for array in arrays(net))
    assert peak < limit * parameters


def test_nothing_of_the_size_of_the_data_is_made():
    X, y = samples(8_000, 784, 10, 0.2, np.float32)
    for given, held in ((X, X.nbytes), (sparse.csr_matrix(X), 8 * np.count_nonzero(X))):
        net = fastnn.MLP([784, 64, 10])
        net.fit(given[:64], y[:64], epochs=1, batch_size=32)  # compiles, outside of the measurement
        tracemalloc.start()
        history = net.fit(given, y, epochs=1, batch_size=32)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert history.inputs == "sparse"
        # Of a dense X nothing is copied, of SciPy's the column numbers.
        assert peak < (0.2 if given is X else 0.7) * held


def test_one_row_is_much_longer_than_the_others():
    X, y = samples(40, 300, 3, 0.01)
    X[17] = 1
    one, _ = trained(X, y, (300, 20, 3), sparse=False)
    two, _ = trained(sparse.csr_matrix(X), y, (300, 20, 3))
    for a, b in zip(arrays(one), arrays(two), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-12)
    np.testing.assert_allclose(two.predict_proba(sparse.csr_matrix(X)), one.predict_proba(X), rtol=1e-9)


def test_bad_sparse_matrices():
    X, y = samples(10, 4, 3, 0.5)
    net = fastnn.MLP([4, 3])
    with pytest.raises(ValueError, match="X has 4 columns; the network needs 5"):
        fastnn.MLP([5, 3]).fit(sparse.csr_matrix(X), y)
    with pytest.raises(ValueError, match="X has no rows"):
        net.fit(sparse.csr_matrix((0, 4)), y[:0])
    with pytest.raises(TypeError, match=r"X\.data holds complex numbers"):
        net.fit(sparse.csr_matrix(X.astype(complex)), y)
    with pytest.raises(ValueError, match=r"X\.data\[0\] is nan"):
        net.fit(sparse.csr_matrix(np.where(X == 0, 0, np.nan)), y)
    with pytest.raises(TypeError, match="y is a SciPy sparse matrix"):
        net.fit(X, sparse.csr_matrix(y))
    with pytest.raises(TypeError, match="sparse is 'yes'; it must be True or False"):
        net.fit(X, y, sparse="yes")
    broken = sparse.csr_matrix(X)
    broken.indices[0] = 1000
    with pytest.raises(ValueError, match="X is a damaged SciPy sparse matrix"):
        net.fit(broken, y)


def test_rows_taken_out_of_a_sparse_matrix():
    X, _ = samples(30, 40, 3, 0.2)
    X[[3, 29]] = 0
    csr = fastnn.MLP([40, 3], dtype="float64").check_samples(sparse.csr_matrix(X), np.zeros(30))[0]
    for rows in ([29, 3, 0, 3], range(30), []):
        rows = np.array(rows, np.int64)
        np.testing.assert_array_equal(csr.take(rows).toarray(), X[rows])
