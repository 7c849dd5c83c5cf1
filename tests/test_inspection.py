"""fastnn.inspection: weights as images, and the outputs of every layer."""

import math

import numpy as np
import pytest

import fastnn
from fastnn import activations
from fastnn.backends.jit import JitBackend
from fastnn.backends.reference import ReferenceBackend
from fastnn.inspection import layer_outputs, weight_images


def test_a_pixel_of_an_image_is_the_weight_of_its_input():
    net = fastnn.MLP([6, 4, 3])
    images = weight_images(net, shape=(2, 3))
    assert images.shape == (4, 2, 3)
    for unit, row, column in np.ndindex(images.shape):
        assert images[unit, row, column] == net.weights[0][3 * row + column, unit]


@pytest.mark.parametrize("sizes", [[4, 1, 4, 2], [1, 4, 2, 3]])
def test_images_are_a_copy(sizes):
    net = fastnn.MLP(sizes)
    for layer, W in enumerate(net.weights):
        before = W.copy()
        weight_images(net, layer, (len(W), 1))[...] = 9
        assert np.array_equal(W, before)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (("net",), TypeError, "net is 'net'"),
        ((fastnn.MLP([6, 3]), 1), ValueError, "layer is 1"),
        ((fastnn.MLP([6, 3]), -1), ValueError, "layer is -1"),
        ((fastnn.MLP([6, 3]),), ValueError, "shape is (28, 28), 784 pixels; layer 0 has 6 inputs"),
        ((fastnn.MLP([6, 3]), 0, 6), TypeError, "shape is 6"),
        ((fastnn.MLP([6, 3]), 0, (2, 3, 1)), TypeError, "a pair"),
        ((fastnn.MLP([6, 3]), 0, (2, 0)), ValueError, "shape[1] is 0"),
    ],
)
def test_errors_name_what_came(arguments, error, words):
    with pytest.raises(error) as caught:
        weight_images(*arguments)
    assert words in str(caught.value)


def mixed(dtype, loss="cross_entropy"):
    """A network of several activations, and rows for it."""
    kinds = [
        "tanh",
        activations.LeakyReLU(0.2),
        "gelu",
        activations.Custom(lambda x: math.sin(x), lambda x: math.cos(x)),
    ]
    net = fastnn.MLP([7, 9, 17, 5, 3, 4], kinds, dtype=dtype, seed=3, loss=loss)
    rng = np.random.default_rng(1)
    net.biases = [rng.standard_normal(b.shape) for b in net.biases]
    return net, rng.standard_normal((300, 7)).astype(dtype) * (rng.random((300, 7)) < 0.7)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_outputs_and_slopes_are_the_references(dtype):
    net, X = mixed(dtype)
    for ours, right in zip(JitBackend.inspect(net, X), ReferenceBackend.inspect(net, X), strict=True):
        for array, expected in zip(ours, right, strict=True):
            assert array.dtype == dtype
            np.testing.assert_allclose(array, expected, atol=100 * np.finfo(dtype).eps, rtol=0)
    assert [array.shape for array in layer_outputs(net, X)] == [(300, units) for units in net.sizes[1:]]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_last_outputs_are_what_predictions_are_made_of(dtype):
    net, X = mixed(dtype, "mean_squared_error")
    np.testing.assert_array_equal(
        layer_outputs(net, X[:5])[-1], net.predict_proba(X[:5])
    )  # few rows: the same kernel


def test_sparse_rows_give_the_same_bits():
    sparse = pytest.importorskip("scipy.sparse")
    net, X = mixed("float32")
    for ours, right in zip(layer_outputs(net, sparse.csr_matrix(X)), layer_outputs(net, X), strict=True):
        np.testing.assert_array_equal(ours, right)


def test_the_inputs_and_the_network_stay_as_they_are():
    net, X = mixed("float32")
    before, kept = net.arena.copy(), X.copy()
    layer_outputs(net, X)
    assert np.array_equal(net.arena, before) and np.array_equal(X, kept)


@pytest.mark.parametrize(
    ("net", "X", "words"), [("net", [[1.0]], "net is"), (None, [[1.0]], "X has 1 columns")]
)
def test_layer_outputs_name_what_came(net, X, words):
    with pytest.raises((TypeError, ValueError), match=words):
        layer_outputs(net or fastnn.MLP([2, 3]), X)
