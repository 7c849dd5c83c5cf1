"""Small products like one before, which compiled code looks at: the same bits, and whatever else comes goes the long way."""

import threading

import numpy as np
import pytest

from fastnn import kernels
from fastnn.kernels import operations, repeated_product

LAYOUTS = [(False, False), (True, False), (False, True), (True, True)]


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch):
    monkeypatch.setattr(operations, "_repeated", {})


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
    operations._spare.clear()  # as if another caller had it
    kernels.matmul(a, b, out=out)
    kernels.matmul(a[::-1], b, out=out)
    assert len(operations._repeated[np.dtype(np.float32)].plans) == 1


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
    a, b, out = operands((False, False))
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
    for size in range(1, 40):
        a, b, out = operands((False, False), shape=(size, 3, 2))
        assert np.allclose(kernels.matmul(a, b, out=out), a @ b, atol=1e-5)
    known = operations._repeated[np.dtype(np.float32)]
    assert len(known.entries) == len(known.plans) == repeated_product._MOST
    assert known.entries[:, 0].tolist() == list(range(39, 39 - repeated_product._MOST, -1))


def test_larger_products_are_not_among_them():
    a, b, out = operands((False, False), shape=(100, 100, 100))
    kernels.matmul(a, b, out=out)
    assert not operations._repeated


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
