"""The distributions of the initial weights, and how they follow from the seed."""

import numpy as np
import pytest

import fastnn
from fastnn.initializers import generator

SIZES = [400, 300, 200]
NORMAL = {
    "he_normal": lambda m, n: 2 / m,
    "glorot_normal": lambda m, n: 2 / (m + n),
    "lecun_normal": lambda m, n: 1 / m,
}
UNIFORM = {"he_uniform": lambda m, n: 2 / m, "glorot_uniform": lambda m, n: 2 / (m + n)}


def first_weights(init, dtype="float64", seed=0):
    return fastnn.MLP(SIZES, init=init, dtype=dtype, seed=seed).weights


@pytest.mark.parametrize("init", [*NORMAL, *UNIFORM])
def test_mean_and_variance(init):
    variance = (NORMAL | UNIFORM)[init]
    for W in first_weights(init):
        expected = variance(*W.shape)
        # Five standard errors of the mean and of the variance, whose own is at most √(2 / count) of it.
        assert abs(W.mean()) < 5 * np.sqrt(expected / W.size)
        assert W.var() == pytest.approx(expected, rel=5 * np.sqrt(2 / W.size))


@pytest.mark.parametrize("init", UNIFORM)
def test_uniform_fills_its_interval_and_no_more(init):
    for W in first_weights(init):
        bound = np.sqrt(3 * UNIFORM[init](*W.shape))  # U(-a, a) has the variance a² / 3
        assert 0.999 * bound < np.abs(W).max() <= bound


@pytest.mark.parametrize("init", NORMAL)
def test_normal_has_the_tails_of_a_normal(init):
    for W in first_weights(init):
        beyond_two = np.mean(np.abs(W) > 2 * np.sqrt(NORMAL[init](*W.shape)))
        assert beyond_two == pytest.approx(0.0455, abs=0.005)


def test_zeros():
    assert not any(W.any() for W in first_weights("zeros"))


@pytest.mark.parametrize("init", [*NORMAL, *UNIFORM])
def test_biases_start_at_zero(init):
    assert not any(b.any() for b in fastnn.MLP(SIZES, init=init).biases)


@pytest.mark.parametrize("init", [*NORMAL, *UNIFORM])
def test_float32_are_the_float64_draws_rounded(init):
    for single, double in zip(first_weights(init, "float32"), first_weights(init), strict=True):
        assert single.dtype == np.float32
        np.testing.assert_array_equal(single, double.astype(np.float32))


def test_layers_and_seeds_differ():
    square = fastnn.MLP([50, 50, 50], seed=1).weights
    assert (square[0] != square[1]).mean() > 0.99
    assert (square[0] != fastnn.MLP([50, 50, 50], seed=2).weights[0]).mean() > 0.99


@pytest.mark.parametrize("seed", [0, 1, 2**32, 2**64 + 1, 10**100, np.int64(7), np.uint8(255)])
def test_any_seed_is_honoured(seed):
    one, two = first_weights("he_normal", seed=seed), first_weights("he_normal", seed=int(seed))
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)
    assert (one[0] != first_weights("he_normal", seed=int(seed) + 1)[0]).mean() > 0.99


def test_wide_layer_is_drawn_in_blocks_of_one_stream():
    W = fastnn.MLP([3, 70_000], dtype="float64", seed=4).weights[0]  # wider than a block
    expected = np.sqrt(2 / 3) * generator(4, 0).standard_normal((3, 70_000))
    np.testing.assert_array_equal(W, expected)


def test_arrays_of_the_users():
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal((4, 5)), rng.standard_normal((5, 3)).tolist()]
    net = fastnn.MLP([4, 5, 3], init=arrays)
    np.testing.assert_array_equal(net.weights[0], arrays[0].astype(np.float32))
    np.testing.assert_array_equal(net.weights[1], np.array(arrays[1], np.float32))
    assert net.init == "given"
    assert not np.shares_memory(net.weights[0], arrays[0])
