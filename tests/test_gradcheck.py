"""The gradient check accepts right gradients, kinks or not, shows wrong ones, and changes no network."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastnn
from fastnn import gradcheck
from fastnn.backends.jit import JitBackend


def samples(sizes, n=12, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, sizes[0])), rng.integers(0, sizes[-1], n)


def parameters(net):
    return [array.tobytes() for array in (*net.weights, *net.biases)]


@settings(max_examples=25)
@given(
    st.lists(st.integers(1, 7), min_size=1, max_size=3),
    st.integers(2, 5),
    st.sampled_from(["relu", "identity"]),
    st.sampled_from(["float32", "float64"]),
    st.integers(1, 20),
    st.integers(0, 1000),
)
def test_right_gradients_pass(units, classes, activation, dtype, n, seed):
    net = fastnn.MLP([*units, classes], activation, dtype=dtype, seed=seed)
    before = parameters(net)
    errors = fastnn.gradient_check(net, *samples(net.sizes, n, seed))
    names = [f"{kind}[{layer}]" for layer in range(len(units)) for kind in ("weights", "biases")]
    assert list(errors) == names
    assert all(type(error) is float and 0 <= error < 1e-6 for error in errors.values()), errors
    assert parameters(net) == before


@pytest.mark.parametrize("scale", [0.0, 1e-2, 100.0])
def test_right_gradients_pass_at_any_scale_of_the_inputs(scale):
    net = fastnn.MLP([4, 6, 3], dtype="float64")
    X, y = samples(net.sizes)
    assert max(fastnn.gradient_check(net, X * scale, y).values()) < 1e-6


def test_right_gradients_pass_on_a_kink():
    net = fastnn.MLP([3, 5, 4, 2], dtype="float64", seed=2)
    X, y = samples(net.sizes)
    X[::2] = 0  # and all biases are 0: every unit of those samples stands on its kink
    assert max(fastnn.gradient_check(net, X, y).values()) < 1e-6


@pytest.mark.parametrize("distance", [1e-3, 1e-4, 1e-5])
def test_right_gradients_pass_near_kinks_on_both_sides(distance):
    net = fastnn.MLP([1, 1, 2], init=[np.ones((1, 1)), np.array([[1.0, -2.0]])], dtype="float64")
    X, y = np.array([[distance], [-distance], [0.5 * distance], [1.0]]), np.array([0, 1, 0, 1])
    assert max(fastnn.gradient_check(net, X, y).values()) < 1e-6


def test_dead_units_have_an_error_of_0():
    net = fastnn.MLP([3, 4, 2], dtype="float64")
    net.biases[0] = np.full(4, -100.0)
    errors = fastnn.gradient_check(net, *samples(net.sizes))
    assert errors["weights[0]"] == errors["biases[0]"] == errors["weights[1]"] == 0.0


def test_a_network_of_zeros_passes():
    net = fastnn.MLP([3, 4, 2], init="zeros")
    assert max(fastnn.gradient_check(net, *samples(net.sizes)).values()) < 1e-6


def corrupted(monkeypatch, change):
    """Let the backend's gradients be wrong: change(dW, db) changes them in place."""
    right = JitBackend.gradients

    def gradients(net, X, y):
        dW, db = right(net, X, y)
        change(dW, db)
        return dW, db

    monkeypatch.setattr(JitBackend, "gradients", staticmethod(gradients))


def scaled(dW, db):
    dW[1] *= 1 + 1e-4


def without_mean(dW, db):
    db[0] *= 12


def of_another_entry(dW, db):
    dW[0][0, 0], dW[0][1, 1] = dW[0][1, 1], dW[0][0, 0]


def zeroed(dW, db):
    db[1][:] = 0


def missing(dW, db):
    dW[1][2, 0] = np.nan


@pytest.mark.parametrize(
    ("change", "name", "least"),
    [
        (scaled, "weights[1]", 0.9e-4),
        (without_mean, "biases[0]", 0.9),
        (of_another_entry, "weights[0]", 0.1),
        (zeroed, "biases[1]", 1.0),
        (missing, "weights[1]", np.inf),
    ],
)
def test_a_wrong_gradient_shows_in_its_array_only(monkeypatch, change, name, least):
    net = fastnn.MLP([3, 4, 2], dtype="float64", seed=1)
    corrupted(monkeypatch, change)
    errors = fastnn.gradient_check(net, *samples(net.sizes))
    assert errors.pop(name) >= least
    assert max(errors.values()) < 1e-6


def test_a_wrong_gradient_shows_in_a_large_network(monkeypatch):
    net = fastnn.MLP([60, 40, 10])

    def change(dW, db):
        dW[0][17, 23] = 100.0  # the largest is always looked at

    corrupted(monkeypatch, change)
    errors = fastnn.gradient_check(net, *samples(net.sizes))
    assert errors.pop("weights[0]") == pytest.approx(1.0, abs=0.01)
    assert max(errors.values()) < 1e-6


def test_a_large_network_is_checked_in_part(monkeypatch):
    looked_at = []
    error = gradcheck._error

    def recorded(loss, level, array, i, gradient):
        looked_at.append((array.size, i))
        return error(loss, level, array, i, gradient)

    monkeypatch.setattr(gradcheck, "_error", recorded)
    net = fastnn.MLP([60, 40, 10])
    X, y = samples(net.sizes, n=150)
    assert max(fastnn.gradient_check(net, X, y).values()) < 1e-6
    first = list(looked_at)
    assert sorted(set(size for size, _ in first)) == [10, 40, 400, 2400]
    assert [sum(size == array for array, _ in first) for size in (10, 40)] == [10, 40]
    assert all(49 <= sum(size == array for array, _ in first) <= 50 for size in (400, 2400))
    fastnn.gradient_check(net, X, y)
    assert looked_at == first * 2
    fastnn.gradient_check(net, X, y, seed=1)
    assert looked_at[-len(first) :] != first


def test_of_many_samples_a_hundred_are_drawn(monkeypatch):
    right, batches = JitBackend.gradients, []

    def gradients(net, X, y):
        batches.append((X, y))
        return right(net, X, y)

    monkeypatch.setattr(JitBackend, "gradients", staticmethod(gradients))
    net = fastnn.MLP([1, 3])
    X = np.arange(150.0).reshape(150, 1) / 150
    fastnn.gradient_check(net, X, np.arange(150) % 3)
    fastnn.gradient_check(net, X[:100], np.arange(100) % 3)
    (drawn, labels), (all_rows, _) = batches
    assert len(np.unique(drawn)) == 100
    assert (np.rint(drawn[:, 0] * 150) % 3 == labels).all()
    assert (all_rows == X[:100]).all()


def test_the_network_is_unchanged_after_an_error(monkeypatch):
    net = fastnn.MLP([3, 4, 2], dtype="float64")
    before = parameters(net)
    calls = []

    def losses(net, X, y, threads):
        calls.append(net)
        if len(calls) == 8:
            raise KeyboardInterrupt
        return np.ones(len(X)), np.zeros(len(X), np.int64)

    monkeypatch.setattr(JitBackend, "losses", staticmethod(losses))
    with pytest.raises(KeyboardInterrupt):
        fastnn.gradient_check(net, *samples(net.sizes))
    assert parameters(net) == before


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (dict(net=None), TypeError, "net is None"),
        (dict(X=np.zeros((2, 4))), ValueError, "X has 4 columns"),
        (dict(X=[[np.nan] * 3] * 2), ValueError, "X"),
        (dict(y=[0, 2]), ValueError, r"y\[1\] is 2"),
        (dict(seed=-1), ValueError, "seed"),
    ],
)
def test_bad_arguments_are_named(arguments, error, words):
    right = dict(net=fastnn.MLP([3, 2]), X=np.zeros((2, 3)), y=[0, 1])
    with pytest.raises(error, match=words):
        fastnn.gradient_check(**right | arguments)


def test_a_network_with_nan_in_it_is_refused():
    net = fastnn.MLP([3, 2])
    net.weights[0][1, 1] = np.nan
    with pytest.raises(ValueError, match=r"weights\[0\]\[1, 1\] is nan"):
        fastnn.gradient_check(net, np.zeros((2, 3)), [0, 1])
