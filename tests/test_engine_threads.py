"""The same bits with any number of threads, any length of chunks, and any number of networks trained side by side."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest
from problems import OPTIMIZERS, for_problems, train

import fastnn
from fastnn import kernels
from fastnn.backends import inference, jit
from fastnn.backends.jit import JitBackend
from fastnn.checks import check_X
from fastnn.kernels import thread_count
from fastnn.kernels import threads as kernel_threads

dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])
every_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)


@contextmanager
def team_of(threads):
    """However small the work, and however few the processors, let `threads` threads do it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jit, "Team", lambda _: kernel_threads.Team(threads))
        patch.setattr(inference, "team_of", lambda _: kernel_threads.team_of(threads))
        yield


@dtypes
@every_optimizer
def test_any_number_of_threads(optimizer, dtype):
    @for_problems(dtype, 20)
    def check(problem):
        with team_of(1):
            expected = train(JitBackend, problem, optimizer)
        for threads in (2, 3, 4):
            with team_of(threads):
                assert train(JitBackend, problem, optimizer) == expected

    check()


@dtypes
def test_a_team_that_loses_its_patience_computes_the_same_bits(dtype, monkeypatch):
    """From the second step on one thread goes on alone, in every chunk of more than two steps."""
    optimizer = OPTIMIZERS["momentum"]
    gone_alone = []

    class Impatient(jit.Pace):
        def patience(self):
            return 0.0, 0.0

        def record(self, seconds, steps, alone_steps=0, alone_seconds=0.0):
            assert 0 <= alone_steps < steps and 0 <= alone_seconds < seconds
            gone_alone.append(alone_steps > 0)

    @for_problems(dtype, 20)
    def check(problem):
        with team_of(1):
            expected = train(JitBackend, problem, optimizer)
        with monkeypatch.context() as patch:
            patch.setattr(jit, "Pace", Impatient)
            for threads in (2, 3):
                with team_of(threads):
                    assert train(JitBackend, problem, optimizer) == expected

    check()
    assert any(gone_alone)


@dtypes
@every_optimizer
def test_any_length_of_chunks(optimizer, dtype):
    @for_problems(dtype, 20)
    def check(problem):
        expected = train(JitBackend, problem, optimizer, [problem.steps])
        assert train(JitBackend, problem, optimizer) == expected
        assert train(JitBackend, problem, optimizer, [1] * problem.steps) == expected

    check()


@dtypes
def test_gradients_and_inference(dtype):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((211, 37)).astype(dtype), rng.integers(0, 11, 211)
    net = fastnn.MLP([37, 45, 11], dtype=dtype)

    def everything():
        dW, db = JitBackend.gradients(net, X, y)
        proba = JitBackend.predict_proba(net, X, None)
        losses, correct = JitBackend.losses(net, X, y, None)
        return [array.tobytes() for array in (*dW, *db, proba, losses, correct)]

    with team_of(1):
        expected = everything()
    for threads in (2, 3, 4):
        with team_of(threads):
            assert everything() == expected


@pytest.fixture
def many_processors(monkeypatch):
    monkeypatch.setattr(thread_count, "available_threads", lambda: 4)
    monkeypatch.setattr(
        thread_count, "_chosen", None
    )  # whatever set_num_threads says here ends with the test


@pytest.mark.usefixtures("many_processors")
@pytest.mark.parametrize("rows", [95, 97, 1000])
@pytest.mark.parametrize("compressed", [False, True])
def test_inference_shares_out_blocks_of_rows(rows, compressed, monkeypatch):
    """However many threads take blocks from each other: each block is computed once, with the same bits."""
    sparse = pytest.importorskip("scipy.sparse")
    monkeypatch.setattr(inference, "_OPERATIONS_PER_THREAD", 1)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((rows, 37), np.float32) * (rng.random((rows, 37)) < 0.3)
    X = check_X(sparse.csr_matrix(X) if compressed else X.astype(np.float32), 37, np.dtype(np.float32))
    y = rng.integers(0, 11, rows)
    net = fastnn.MLP([37, 45, 11])
    expected = JitBackend.predict_proba(net, X, 1), *JitBackend.losses(net, X, y, 1)
    for threads in (2, 3, 4) * 10:
        seen = JitBackend.predict_proba(net, X, threads), *JitBackend.losses(net, X, y, threads)
        for one, other in zip(seen, expected, strict=True):
            np.testing.assert_array_equal(one, other)


def bits(net):
    return [p.tobytes() for p in (*net.weights, *net.biases)]


def test_fit_with_more_threads_than_processors(many_processors, monkeypatch):
    """By the public door: `threads` decides, and a network of this size gets them all."""
    rng = np.random.default_rng(1)
    X, y = rng.standard_normal((700, 64)).astype("f4"), rng.integers(0, 10, 700)
    teams, results = [], []

    class Recorded(kernel_threads.Team):
        def __init__(self, threads):
            teams.append(threads)
            super().__init__(threads)

    monkeypatch.setattr(jit, "Team", Recorded)
    for threads in (1, 2, 3, 4):
        net = fastnn.MLP([64, 96, 10], seed=3)
        teams.clear()
        history = net.fit(X, y, epochs=2, batch_size=128, threads=threads, norms=True)
        assert teams[0] == max(teams) == threads  # training first; what looks on takes no more
        results.append((history.loss, history.accuracy, history.gradient_norms, bits(net)))
    assert results[1:] == results[:1] * 3


@pytest.mark.parametrize("size", [(331, 257, 401), (97, 1009, 389), (1001, 10, 2203), (5, 2003, 2203)])
@dtypes
def test_matmul_with_any_number_of_threads(many_processors, size, dtype):
    m, n, k = size
    rng = np.random.default_rng(2)
    a, b = rng.standard_normal((m, k)).astype(dtype), rng.standard_normal((k, n)).astype(dtype)
    results = []
    for threads in (1, 2, 3, 4):
        kernels.set_num_threads(threads)
        results.append(kernels.matmul(a, b))
    assert all(np.array_equal(results[0], other) for other in results[1:])


def test_networks_side_by_side():
    """Four Python threads, each with a network, an optimiser and data of its own, get what they get alone."""

    def fit(seed, optimizer):
        rng = np.random.default_rng(seed)
        net = fastnn.MLP(
            [20 + seed, 60 + 10 * seed, 5 + seed], dtype=["float32", "float64"][seed % 2], seed=seed
        )
        X, y = rng.standard_normal((400, net.sizes[0])), rng.integers(0, net.sizes[-1], 400)
        history = net.fit(X, y, epochs=4, batch_size=50, optimizer=optimizer)
        return history.loss, bits(net), net.predict_proba(X).tobytes()

    alone = [fit(*each) for each in enumerate(OPTIMIZERS.values())]
    with ThreadPoolExecutor(len(alone)) as pool:
        together = list(pool.map(fit, range(len(alone)), OPTIMIZERS.values()))
    assert together == alone


def test_products_side_by_side():
    rng = np.random.default_rng(7)
    pairs = [(rng.standard_normal((150, 200)), rng.standard_normal((200, 150 + i))) for i in range(8)]
    alone = [kernels.matmul(a, b) for a, b in pairs]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda pair: kernels.matmul(*pair), pairs))
    assert all(np.array_equal(one, two) for one, two in zip(alone, together, strict=True))
