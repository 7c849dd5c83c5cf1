"""A few columns of W beyond whole panels, kept as rows: their two products, and training with them."""

import numpy as np
import pytest
from runs import a_training, train
from test_slices import TRAININGS

import fastnn
from fastnn.backends import jit
from fastnn.backends.jit import JitBackend
from fastnn.backends.network import network_layout
from fastnn.backends.reference import ReferenceBackend
from fastnn.kernels import layout
from fastnn.kernels import threads as kernel_threads
from fastnn.kernels._jit import jit as compile_kernel
from fastnn.kernels.layout import REST, WHOLE
from fastnn.kernels.rest_code import AT_ONCE, TOGETHER, multiply_rest, update_vectors
from fastnn.kernels.tile import address, lanes


@compile_kernel
def _multiply(rows, places, depth, rest, y, bias, low):
    multiply_rest(
        rows, address(places, 0), depth, address(rest, 0), rest.shape[1], address(y, 0), y.shape[1], address(bias, 0), low
    )  # fmt: skip


@compile_kernel
def _update(vectors, places, rows, first, inside, dz, rest, s, adds):
    update_vectors(
        vectors, address(places, 0), rows, first, inside, address(dz, 0), dz.shape[1], address(rest, first), rest.shape[1],
        s, adds,
    )  # fmt: skip


def whole(dtype, rng, *shape):
    """Whole numbers, whose products and sums are exact."""
    return rng.integers(-9, 9, shape).astype(dtype)


def scattered(dtype, rng, rows, columns):
    """Rows that end where a page does that is NaN: what is read beyond them shows. And their addresses."""
    X = np.full((rows, 2 * columns + 3), np.nan, dtype)
    X[:, :columns] = whole(dtype, rng, rows, columns)
    return X[:, :columns], X.ctypes.data + X.strides[0] * np.arange(rows)


@pytest.mark.parametrize("depth", [1, 7, 16, 31, 64, 100])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_products_with_rows(dtype, depth):
    rng = np.random.default_rng(0)
    kind, vector = np.dtype(dtype).type, lanes(np.dtype(dtype).itemsize)
    for rows in range(1, AT_ONCE + 1):
        X, places = scattered(dtype, rng, rows, depth)
        rest = np.zeros((TOGETHER, -(-depth // vector) * vector), dtype)
        rest[:, :depth] = whole(dtype, rng, TOGETHER, depth)
        bias = whole(dtype, rng, TOGETHER)
        for low in (-np.inf, 0):
            y = np.full((rows + 1, TOGETHER + 1), 77, dtype)
            _multiply(rows, places, depth, rest, y, bias, kind(low))
            expected = np.full_like(y, 77)
            expected[:rows, :TOGETHER] = np.maximum(low, X @ rest[:, :depth].T + bias)
            np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize("rows", [1, 2, 13])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_updates_of_rows(dtype, rows):
    rng = np.random.default_rng(0)
    kind, vector = np.dtype(dtype).type, lanes(np.dtype(dtype).itemsize)
    for vectors in range(1, AT_ONCE + 1):
        for depth in {1, (vectors - 1) * vector + 1, vectors * vector}:
            if depth <= (vectors - 1) * vector:
                continue
            first = vector
            X, places = scattered(dtype, rng, rows, first + depth)
            dz = whole(dtype, rng, rows, TOGETHER + 2)
            for adds in (0, 1):
                before = whole(dtype, rng, TOGETHER, (vectors + 2) * vector)
                after = before.copy()
                _update(vectors, places, rows, first, depth, dz, after, kind(-2), adds)
                change = np.zeros((TOGETHER, vectors * vector))
                change[:, :depth] = -2 * (dz[:, :TOGETHER].T @ X[:, first:])
                expected = before.copy()
                expected[:, first:-vector] = adds * before[:, first:-vector] + change
                np.testing.assert_array_equal(after, expected)


def test_which_columns_are_kept_as_rows():
    vector = lanes(4)
    panel = 2 * vector
    for columns, rest in [(2 * panel + 1, 4), (panel - 1, 0), (panel, 0), (2 * panel + vector // 2 + 1, 0)]:
        net = fastnn.MLP([8 * vector, columns, panel + 1])
        layers = network_layout(net, 5, rest_from=0).table
        expected = rest if rest <= vector else 0
        assert layers[0, REST] == expected
        assert layers[0, WHOLE] == (columns // panel * panel if expected else -(-columns // vector) * vector)
        assert network_layout(net, 5, rest_from=1).table[0, REST] == 0
        assert not network_layout(net, 5).table[:, REST].any()


@pytest.fixture
def rows_everywhere(monkeypatch):
    """Keep columns as rows however few inputs there are."""
    monkeypatch.setattr(layout, "_LEAST_VECTORS", 0)


def sizes_of(seed, dtype):
    """Two or three layers with such columns, and one without."""
    rng = np.random.default_rng(seed)
    panel = 2 * lanes(np.dtype(dtype).itemsize)
    some = [panel + 1, panel + panel // 4, 2 * panel + 3, panel]
    return [int(rng.integers(1, 40)), *rng.permutation(some)[:2].tolist(), some[seed % 3]]


@pytest.mark.skipif(lanes(8) < TOGETHER, reason="two float64 fill a vector")
@pytest.mark.parametrize("settings", TRAININGS.values(), ids=TRAININGS)
@pytest.mark.parametrize("cut", [False, True])
def test_the_steps_of_the_reference(settings, cut, rows_everywhere, monkeypatch):
    if cut:
        monkeypatch.setattr(jit, "parts_of_batch", lambda sizes, batch, itemsize: 3)
        monkeypatch.setattr(jit, "rows_of_slice", lambda inputs, itemsize: 4)
        monkeypatch.setattr(jit, "SLICE_ROWS", 4)
        monkeypatch.setattr(jit, "LEAST_CUT", 3)
    for seed in range(3):
        training = a_training(seed, sizes=sizes_of(seed, "float64"), sparse=False, **settings)
        assert network_layout(training.net, 5, rest_from=0).table[:, REST].any()
        one, other = train(JitBackend, training), train(ReferenceBackend, training)
        for name in one:
            assert np.abs(one[name] - other[name]).max() <= 1e-12 * max(1, np.abs(other[name]).max()), name
        assert (one["parameters"] != training.net.arena).any()


@pytest.mark.parametrize("settings", TRAININGS.values(), ids=TRAININGS)
def test_the_same_bits_with_any_number_of_threads(settings, rows_everywhere, monkeypatch):
    for seed in range(3):
        training = a_training(
            seed, dtype="float32", sizes=sizes_of(seed, "float32"), sparse=False, **settings
        )
        found = []
        for threads in (1, 2, 3, 4):
            monkeypatch.setattr(jit, "Team", lambda _, threads=threads: kernel_threads.Team(threads))
            found.append(train(JitBackend, training))
        for other in found[1:]:
            assert all(found[0][name].tobytes() == other[name].tobytes() for name in other)


def test_a_state_goes_from_one_layout_to_another(rows_everywhere, monkeypatch):
    training = a_training(0, sizes=sizes_of(0, "float64"), sparse=False)
    backend = JitBackend(training.net, training.task)
    state = backend.state()
    backend.close()
    monkeypatch.setattr(layout, "_LEAST_VECTORS", 1000)
    backend = JitBackend(training.net, training.task)
    backend.load_state(state)
    assert np.array_equal(backend.state()["parameters"], state["parameters"])
    assert np.array_equal(state["parameters"], training.net.arena)
    backend.close()
