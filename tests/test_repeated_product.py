"""Products like one before, which compiled code looks at: the same bits, and whatever else comes goes the long way."""

import math
import os
import threading
import time

import numpy as np
import programs
import pytest

from fastnn import kernels
from fastnn.kernels import array_object, operations, product_threads, repeated_product, thread_count
from fastnn.kernels import threads as kernel_threads
from fastnn.kernels.jobs import EXPECTED, ROOM, STATES, THREAD_WORDS, UNKNOWN

LAYOUTS = [(False, False), (True, False), (False, True), (True, True)]


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch):
    monkeypatch.setattr(operations, "_known", None)


@pytest.fixture
def no_long_way(monkeypatch):
    """Has every other way of a product fail from now on."""

    def fail(*_):
        raise AssertionError("the long way")

    return lambda: monkeypatch.setattr(operations, "_product", fail)


def operands(layout, dtype=np.float32, shape=(50, 32, 20)):
    rng = np.random.default_rng(0)
    m, k, n = shape
    a, b = rng.standard_normal((m, k)).astype(dtype), rng.standard_normal((k, n)).astype(dtype)
    return (a.T.copy() if layout[0] else a), (b.T.copy() if layout[1] else b), np.empty((m, n), dtype)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(50, 32, 20), (500, 32, 32), (1, 1, 1), (128, 100, 10)])
def test_again(layout, dtype, shape, no_long_way):
    a, b, out = operands(layout, dtype, shape)
    first = kernels.matmul(a, b, *layout, out=out).copy()
    a2, b2 = a.copy(), b.copy()
    no_long_way()
    out[...] = 7
    assert kernels.matmul(a2, b2, *layout, out=out) is out
    assert np.array_equal(out, first)
    a2 *= 2
    assert np.array_equal(kernels.matmul(a2, b2, *layout, out=out), 2 * first)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_again_without_a_place_for_it(layout, no_long_way):
    a, b, _ = operands(layout)
    first = kernels.matmul(a, b, *layout)
    no_long_way()
    second = kernels.matmul(a, b, *layout)
    assert np.array_equal(first, second)
    assert not np.shares_memory(first, second)


def test_a_product_is_known_once():
    a, b, out = operands((False, False))
    for same in (a, np.asfortranarray(a).copy(order="C"), a[::1], a.astype(np.float32)):
        kernels.matmul(same, b, out=out)
        kernels.matmul(same, b)
    kernels.matmul(a, b, out=out)
    kernels.matmul(a[::-1], b, out=out)
    assert len(operations._known.keys) == 1


def test_shapes_that_do_not_fit_are_refused():
    a, b, _ = operands((False, False))
    kernels.matmul(a, b)
    with pytest.raises(ValueError, match="must be equal"):
        kernels.matmul(a, b.T.copy())
    with pytest.raises(ValueError, match="2 dimensions"):
        kernels.matmul(a[0], b)
    assert kernels.matmul(a[:0], b).shape == (0, 20)


def test_read_only_operands(no_long_way):
    a, b, out = operands((False, False))
    first = kernels.matmul(a, b, out=out).copy()
    a.flags.writeable = False
    no_long_way()
    assert np.array_equal(kernels.matmul(a, b, out=out), first)


def test_two_layouts_of_square_matrices():
    a, b, out = operands((False, False), shape=(30, 30, 30))
    for layout in 3 * LAYOUTS:
        expected = (a.T if layout[0] else a) @ (b.T if layout[1] else b)
        assert np.allclose(kernels.matmul(a, b, *layout, out=out), expected, atol=1e-4)


def test_arrays_that_are_not_as_they_were():
    """They go the long way, or none at all: products of A and of A^T^T have the same bits where vectors are whole."""
    a, b, out = operands((False, False), shape=(50, 32, 16))
    expected = kernels.matmul(a, b, out=out).copy()
    wide = np.zeros((50, 64), np.float32)
    wide[:, ::2] = a
    shifted = np.frombuffer(b"." + a.tobytes(), np.uint8)[1:].view(np.float32).reshape(a.shape)
    for same in (
        np.asfortranarray(a),
        wide[:, ::2],
        np.ascontiguousarray(a[::-1])[::-1],
        shifted,
        a.tolist(),
    ):
        same = np.array(same, np.float32) if isinstance(same, list) else same
        out[...] = 7
        assert np.array_equal(kernels.matmul(same, b, out=out), expected)
    big_endian = a.astype(">f4")
    with pytest.raises(TypeError):
        kernels.matmul(big_endian.view(">i4"), b, out=out)


def test_dtypes_that_are_only_equal(no_long_way):
    """They go the long way, and do not become known themselves: their place in memory may be another's later."""
    a, b, out = operands((False, False))
    noted = np.dtype(np.float32, metadata={"unit": "m"})
    first = kernels.matmul(a.view(noted), b, out=out).copy()
    no_long_way()
    assert np.array_equal(kernels.matmul(a, b), first)
    with pytest.raises(AssertionError, match="long way"):
        kernels.matmul(a.view(noted), b)


MATRIX = np.ones((32, 20), np.float32)


@pytest.mark.parametrize(
    "other", [None, 1, "a", [], (), np.float32(1), np.ma.array(MATRIX), MATRIX.astype(int), MATRIX[0]]
)
def test_objects_of_any_kind(other):
    """What is no array of its kind is not read as one."""
    a, b, out = operands((False, False))
    kernels.matmul(a, b, out=out)
    known = operations._known
    team = operations._alone.address
    for arguments in ((other, b), (a, other)):
        assert known.run(team, *arguments, False, False, out) == UNKNOWN
    assert known.run(team, a, b, False, False, other) == UNKNOWN
    assert known.run(team, a, b, other, False, out) == UNKNOWN
    assert known.run(team, a, b, False, other, out) == UNKNOWN


def test_arrays_lie_in_memory_as_compiled_code_reads_them(monkeypatch):
    array_object.require_known_layout()
    for field in ("_TYPE", "_DATA", "_DIMENSIONS", "_SHAPE", "_DTYPE", "_FLAGS"):
        with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="lays out arrays"):
            patch.setattr(array_object, field, array_object._HEADER + 24)  # where its strides are
            array_object.require_known_layout()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_transposes_of_what_is_stored(layout, no_long_way):
    """They are known as what is stored is, without a copy."""
    a, b, out = operands(layout)
    first = kernels.matmul(a, b, *layout, out=out).copy()
    no_long_way()
    for flip_a, flip_b in LAYOUTS:
        turned = (a.T if flip_a else a), (b.T if flip_b else b), layout[0] ^ flip_a, layout[1] ^ flip_b
        out[...] = 7
        assert np.array_equal(kernels.matmul(*turned, out=out), first)
    with pytest.raises(AssertionError, match="long way"):
        kernels.matmul(a, b, *layout, out=np.empty(out.shape[::-1], out.dtype).T)


def test_who_computes_a_large_product_does_not_keep_pythons_lock():
    """Another thread goes on meanwhile, though no lock is taken away by force."""
    programs.run(
        """
        import sys, threading, time
        import numpy as np
        from fastnn import kernels

        kernels.set_num_threads(1)
        a = np.ones((1500, 1500), np.float32)
        for _ in range(2):
            kernels.matmul(a, a)
        turns = [0]

        def count():
            while turns[0] >= 0:
                turns[0] += 1
                time.sleep(0.0001)

        other = threading.Thread(target=count)
        other.start()
        sys.setswitchinterval(1000)
        before = turns[0]
        kernels.matmul(a, a)
        assert turns[0] > before + 3, turns[0] - before
        turns[0] = -1
        """,
        timeout=60,
    )


def test_memory_for_what_is_packed(threads_in_use, monkeypatch):
    """It is kept for the next product, unless it is large."""
    a, b, _ = operands((False, False), shape=(300, 250, 201))
    threads_in_use(1)
    for most in (8_000_000, 10_000):
        monkeypatch.setattr(operations, "_known", None)
        monkeypatch.setattr(product_threads, "_singles", [])
        monkeypatch.setattr(kernel_threads, "_MOST_KEPT", most)
        products = [kernels.matmul(a, b) for _ in range(3)]
        assert all(np.array_equal(product, products[0]) for product in products)
        (team,) = product_threads._singles
        assert (team.sync[ROOM] > 10_000) == (most > 10_000)


def test_refusals_are_as_before():
    a, b, out = operands((False, False), shape=(20, 20, 20))
    kernels.matmul(a, b, out=out)
    with pytest.raises(ValueError, match="shares memory"):
        kernels.matmul(a, b, out=a)
    space = np.zeros(600, np.float32)
    first, second = space[:400].reshape(20, 20), space[200:].reshape(20, 20)
    with pytest.raises(ValueError, match="shares memory"):
        kernels.matmul(first, b, out=second)
    with pytest.raises(ValueError, match="it must be"):
        kernels.matmul(a, b, out=np.empty((20, 19), np.float32))
    with pytest.raises(ValueError, match="C-contiguous and writeable"):
        kernels.matmul(a, b, out=out.T)
    with pytest.raises(TypeError, match="out is float64"):
        kernels.matmul(a, b, out=np.empty((20, 20)))
    with pytest.raises(ValueError, match="2 dimensions"):
        kernels.matmul(a.ravel(), b, out=out)
    with pytest.raises(TypeError, match="transpose_a"):
        kernels.matmul(a, b, 1, out=out)
    out.flags.writeable = False
    with pytest.raises(ValueError, match="C-contiguous and writeable"):
        kernels.matmul(a, b, out=out)


def test_the_oldest_are_forgotten():
    for size in range(1, 80):
        a, b, out = operands((False, False), shape=(size, 3, 2))
        assert np.allclose(kernels.matmul(a, b, out=out), a @ b, atol=1e-5)
    known = operations._known
    assert [key[0] for key in known.keys] == list(range(79, 79 - repeated_product._MOST, -1))
    entries = known.table[repeated_product._HEADER :].reshape(-1, repeated_product._WORDS)
    assert [tuple(entry[: len(key)]) for entry, key in zip(entries, known.keys, strict=True)] == list(
        known.keys
    )


@pytest.fixture
def threads_in_use(monkeypatch):
    """A function that sets how many threads products use, whatever there are of processors."""
    monkeypatch.setattr(thread_count, "_chosen", None)
    monkeypatch.setattr(thread_count, "available_threads", lambda: 4)
    yield kernels.set_num_threads
    thread_count._asked = -math.inf


def threads_known():
    """The numbers of threads of what is known."""
    return {key[repeated_product._THREADS] for key in operations._known.keys}


def by_team(threads, product):
    """product() once all threads look out for work, however slow they were before."""
    team = kernel_threads.keep(threads)
    for attempt in range(10):
        product_threads._Products.alone_until = -math.inf
        team.sync[EXPECTED] = 1  # nobody falls asleep any more, but for those who just do
        time.sleep(0.002)
        team.wake()
        while not all(team.sync[STATES + THREAD_WORDS * thread] for thread in range(1, team.threads)):
            time.sleep(0.001)
        try:
            return product()
        except AssertionError:
            assert attempt < 9


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_larger_products(threads, layout, threads_in_use, no_long_way):
    a, b, out = operands(layout, shape=(300, 250, 201))
    threads_in_use(threads)
    first = kernels.matmul(a, b, *layout, out=out).copy()
    assert np.allclose(first, (a.T if layout[0] else a) @ (b.T if layout[1] else b), atol=1e-3)
    no_long_way()
    for _ in range(3):
        out[...] = 7
        if threads > 1:
            by_team(threads, lambda: kernels.matmul(a, b, *layout, out=out))
        else:
            kernels.matmul(a, b, *layout, out=out)
        assert np.array_equal(out, first)
    assert threads_known() == {1, threads}


def test_other_threads_than_before(threads_in_use):
    """Each number has a plan of its own, and the same bits."""
    a, b, _ = operands((False, False), shape=(300, 250, 201))
    products = []
    for threads in (1, 2, 3, 1, 3, 2):
        threads_in_use(threads)
        product_threads._Products.alone_until = -math.inf
        products += [kernels.matmul(a, b) for _ in range(3)]
    assert all(np.array_equal(product, products[0]) for product in products)
    assert threads_known() == {1, 2, 3}


def test_who_fell_asleep_is_woken(threads_in_use):
    a, b, _ = operands((False, False), shape=(300, 250, 201))
    threads_in_use(2)
    first = kernels.matmul(a, b)
    for _ in range(3):
        time.sleep(0.02)
        assert np.array_equal(kernels.matmul(a, b), first)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_has_threads_of_its_own():
    """Those that look out for work when it is forked are not in the child."""
    programs.run(
        """
        import os
        import numpy as np
        from fastnn import kernels
        from fastnn.kernels import thread_count, threads
        from fastnn.kernels.jobs import EXPECTED

        thread_count.available_threads = lambda: 2
        a = np.random.default_rng(0).standard_normal((300, 300)).astype("f4")
        first = kernels.matmul(a, a)
        for _ in range(20):
            kernels.matmul(a, a)
            threads._kept.sync[EXPECTED] = 1
            threads._kept.wake()
            child = os.fork()
            if child == 0:
                os._exit(0 if np.array_equal(kernels.matmul(a, a), first) else 1)
            assert os.waitpid(child, 0)[1] == 0
        """,
        timeout=60,
    )


def test_many_callers_at_once():
    shapes = [(40, 30, 20), (64, 64, 64), (10, 100, 7), (33, 5, 60)]
    problems = [operands((True, True), shape=shape) for shape in shapes]
    expected = [kernels.matmul(a, b, True, True) for a, b, _ in problems]
    wrong = []

    def work(number):
        a, b, out = problems[number]
        for _ in range(2000):
            out[...] = 0
            if not np.array_equal(kernels.matmul(a, b, True, True, out=out), expected[number]):
                wrong.append(number)

    callers = [threading.Thread(target=work, args=(number,)) for number in range(len(problems))]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not wrong
