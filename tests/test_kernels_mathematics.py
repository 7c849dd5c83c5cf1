"""What holds of the kernels by mathematics alone, without a reference."""

import math

import bounds
import numpy as np
import pytest
from case import EDGES
from hypothesis import given, settings
from hypothesis import strategies as st

import fastnn
from fastnn import kernels
from fastnn.kernels.product_plan import REST, plan_product

reproducible = settings(derandomize=True, max_examples=25)
rngs = st.integers(0, 2**32 - 1).map(np.random.default_rng)
sizes = st.sampled_from(EDGES)
dtypes = st.sampled_from([np.float32, np.float64])


def random(rng, dtype, *shape):
    return rng.standard_normal(shape).astype(dtype)


def whole(rng, dtype, *shape):
    """Small whole numbers: their products and sums are exact, whatever the order."""
    return rng.integers(-8, 9, shape).astype(dtype)


@reproducible
@given(rngs, sizes, sizes, sizes, dtypes)
def test_product_of_whole_numbers_is_exact(rng, m, n, k, dtype):
    a, b = whole(rng, dtype, m, k), whole(rng, dtype, k, n)
    expected = a.astype(np.int64) @ b.astype(np.int64)
    assert np.array_equal(kernels.matmul(a, b), expected)
    assert np.array_equal(kernels.matmul(a.T.copy(), b, transpose_a=True), expected)
    assert np.array_equal(kernels.matmul(a, b.T.copy(), transpose_b=True), expected)
    assert np.array_equal(kernels.matmul(a.T.copy(), b.T.copy(), True, True), expected)


@reproducible
@given(rngs, sizes, sizes, sizes, dtypes)
def test_product_is_associative(rng, m, n, k, dtype):
    a, b, t = random(rng, dtype, m, k), random(rng, dtype, k, n), random(rng, dtype, n, 1)
    product = kernels.matmul(kernels.matmul(a, b), t)
    difference = np.abs(kernels.matmul(a, kernels.matmul(b, t)) - product)
    allowed = (n + k) * (np.abs(a).astype(float) @ np.abs(b) @ np.abs(t))
    assert (difference <= np.finfo(dtype).eps * allowed).all()


@reproducible
@given(rngs, sizes, sizes, sizes, dtypes)
def test_transposed_product(rng, m, n, k, dtype):
    """(A B)^T = B^T A^T: the same bits, unless the last columns of A B are added up in another order."""
    a, b = random(rng, dtype, m, k), random(rng, dtype, k, n)
    product, turned = kernels.matmul(a, b).T, kernels.matmul(b, a, transpose_a=True, transpose_b=True)
    if plan_product(m, n, k, False, False, np.dtype(dtype).itemsize, 1).numbers[REST] == 0:
        assert np.array_equal(product, turned)
    allowed = 2 * k * (np.abs(a).astype(float) @ np.abs(b)).T
    assert (np.abs(product - turned) <= np.finfo(dtype).eps * allowed).all()


@reproducible
@given(rngs, sizes, sizes, dtypes)
def test_identity_changes_nothing(rng, m, k, dtype):
    a = random(rng, dtype, m, k)
    assert np.array_equal(kernels.matmul(a, np.eye(k, dtype=dtype)), a)
    assert np.array_equal(kernels.matmul(np.eye(m, dtype=dtype), a), a)


@reproducible
@given(rngs, sizes, sizes, sizes, dtypes)
def test_rows_of_a_product_do_not_depend_on_each_other(rng, m, n, k, dtype):
    a, b = random(rng, dtype, m, k), random(rng, dtype, k, n)
    alone = np.concatenate([kernels.matmul(a[i : i + 1], b) for i in range(m)])
    assert np.array_equal(kernels.matmul(a, b), alone)


@reproducible
@given(rngs, sizes, sizes, dtypes)
def test_relu_parts(rng, m, n, dtype):
    x = random(rng, dtype, m, n)
    assert np.array_equal(kernels.relu(x) - kernels.relu(-x), x)
    assert np.array_equal(kernels.relu(x) + kernels.relu(-x), np.abs(x))
    assert np.array_equal(kernels.relu(kernels.relu(x)), kernels.relu(x))


@reproducible
@given(rngs, sizes, sizes, dtypes)
def test_softmax_rows_sum_to_one(rng, m, n, dtype):
    p = kernels.softmax(10 * random(rng, dtype, m, n))
    assert (p >= 0).all()
    assert (np.abs(p.astype(float).sum(axis=1) - 1) <= n * np.finfo(dtype).eps).all()


@reproducible
@given(rngs, sizes, sizes, st.integers(-1000, 1000), dtypes)
def test_softmax_does_not_see_a_shift(rng, m, n, shift, dtype):
    # Whole numbers, so that the shift itself rounds nothing: then the bits are the same.
    x = whole(rng, dtype, m, n)
    assert np.array_equal(kernels.softmax(x + dtype(shift)), kernels.softmax(x))


@reproducible
@given(rngs, sizes, sizes, dtypes)
def test_rows_of_softmax_do_not_depend_on_each_other(rng, m, n, dtype):
    x = random(rng, dtype, m, n)
    order = rng.permutation(m)
    assert np.array_equal(kernels.softmax(x[order]), kernels.softmax(x)[order])


@reproducible
@given(rngs, sizes, sizes, dtypes)
def test_cross_entropy_and_softmax_agree(rng, m, n, dtype):
    x, labels = random(rng, dtype, m, n), rng.integers(0, n, m)
    losses, gradient = kernels.softmax_cross_entropy(x, labels)
    p = kernels.softmax(x)
    eps = np.finfo(dtype).eps
    assert (np.abs(gradient.astype(float).sum(axis=1)) <= (n + 4) * eps / m).all()
    assert (np.abs(m * gradient - (p - np.eye(n, dtype=dtype)[labels])) <= 4 * eps).all()
    limit = bounds.losses(x.astype(float), np.zeros((m, 1)), labels)
    assert (np.abs(losses + np.log(p[np.arange(m), labels].astype(float))) <= 4 * eps * limit).all()


@reproducible
@given(rngs, sizes, st.sampled_from(EDGES[1:]))
def test_gradient_is_the_slope_of_the_mean_loss(rng, m, n):
    x, labels, direction = random(rng, float, m, n), rng.integers(0, n, m), random(rng, float, m, n)
    _, gradient = kernels.softmax_cross_entropy(x, labels)

    def mean_loss(step):
        return math.fsum(kernels.softmax_cross_entropy(x + step * direction, labels)[0]) / m

    h = 1e-4  # the central difference is off by h^2 times the third derivative, which is below |direction|^3
    slope = (mean_loss(h) - mean_loss(-h)) / (2 * h)
    limit = h**2 * np.abs(direction).max() ** 3 + 1e-11
    assert abs(slope - (gradient * direction).sum()) <= limit


@pytest.mark.parametrize("hidden", [1, 7, 17, 40])
def test_hidden_layer_seen_through_the_softmax(hidden):
    """With weights (I | 0) behind it, log p_j - log p_last are the layer's outputs, bias and ReLU and all."""
    rng = np.random.default_rng(hidden)
    net = fastnn.MLP([5, hidden, hidden + 1], dtype="float64", seed=1)
    net.weights[1] = np.eye(hidden, hidden + 1)
    net.biases[0] = rng.standard_normal(hidden)
    X = rng.standard_normal((23, 5))
    log_p = np.log(net.predict_proba(X))
    expected = np.maximum(X @ net.weights[0] + net.biases[0], 0)
    assert np.abs(log_p[:, :-1] - log_p[:, -1:] - expected).max() < 1e-13 * hidden
