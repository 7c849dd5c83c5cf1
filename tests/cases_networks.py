"""Whole networks in the table of kernels: the layers' kernels as the backend calls them."""

import copy

import bounds
import numpy as np
from case import EDGES, Case, numpy_softmax

import fastnn
from fastnn import optimizers, reference
from fastnn.backends import Chunk, Task
from fastnn.backends.jit import JitBackend

_RATE = 0.05


def _network(rng, size, dtype):
    batch, *sizes = size
    net = fastnn.MLP(sizes, dtype=dtype, seed=int(rng.integers(1000)))
    net.biases = [rng.standard_normal(b.shape) for b in net.biases]
    X = rng.standard_normal((batch, sizes[0])).astype(dtype)
    return net, X, rng.integers(0, sizes[-1], batch)


def _lists(net):
    return [W.tolist() for W in net.weights], [b.tolist() for b in net.biases]


def _forward_reference(net, X, y):
    Z, _ = reference.forward(*_lists(net), X.tolist(), net.activation)
    return reference.softmax(Z[-1])


def _backward_kernel(net, X, y):
    dW, db = JitBackend.gradients(net, X, y)
    return (*dW, *db)


def _backward_reference(net, X, y):
    _, _, dW, db = reference.loss_and_gradients(*_lists(net), X.tolist(), y.tolist(), net.activation)
    return (*dW, *db)


def _backward_bound(dtype, net, X, y):
    network = bounds.Network(net, X, y)
    return (*network.dW_errors, *network.db_errors)


def _gathered(rng, size, dtype):
    net, X, y = _network(rng, size, dtype)
    return net, X, y, rng.integers(0, len(X), len(X))  # some rows twice, some not at all


def _step_kernel(net, X, y, rows):
    net = copy.deepcopy(net)
    backend = JitBackend(net, Task(X, y, len(rows), optimizers.SGD()))
    losses, _, _ = backend.run(Chunk(rows, np.array([_RATE]), 0, len(rows)))
    backend.pull()
    backend.close()
    return (losses, *net.weights, *net.biases)


def _step_reference(net, X, y, rows):
    weights, biases = _lists(net)
    batch = X[rows].tolist(), y[rows].tolist()
    loss, _ = reference.train_step(weights, biases, *batch, _RATE, None, net.activation)
    return ([loss], *weights, *biases)


def _step_bound(dtype, net, X, y, rows):
    network = bounds.Network(net, X[rows], y[rows])
    parameters = [
        np.abs(p) + _RATE * (error + 2 * np.abs(g))
        for p, g, error in [
            *zip(network.weights, network.dW, network.dW_errors, strict=True),
            *zip(network.biases, network.db, network.db_errors, strict=True),
        ]
    ]
    losses = bounds.losses(network.logits, network.logits_error, network.y)
    return (losses.mean(keepdims=True), *parameters)


_NETWORK_AXES = (EDGES, EDGES, EDGES, EDGES[1:])
_NETWORK_SIZES = ((128, 784, 512, 10), (256, 784, 100, 10))

NETWORK_CASES = [
    Case(
        name="forward",  # bias and ReLU in every layer but the last, softmax there
        kernel=lambda net, X, y: JitBackend.predict_proba(net, X, None),
        reference=_forward_reference,
        make_inputs=_network,
        bound=lambda dtype, net, X, y: (bounds.Network(net, X, y).p_error,),
        axes=_NETWORK_AXES,
        bench_sizes=_NETWORK_SIZES,
        flops=lambda n, d, h, c: 2 * n * (d * h + h * c),
        elements=lambda n, d, h, c: n * (d + c) + (d + 1) * h + (h + 1) * c,
        numpy=lambda net, X, y: numpy_softmax(
            np.maximum(X @ net.weights[0] + net.biases[0], 0) @ net.weights[1] + net.biases[1]
        ),
    ),
    Case(
        name="backward",  # dW, db, and dX through ReLU
        kernel=_backward_kernel,
        reference=_backward_reference,
        make_inputs=_network,
        bound=_backward_bound,
        axes=_NETWORK_AXES,
        bench_sizes=_NETWORK_SIZES,
        flops=lambda n, d, h, c: 2 * n * (2 * d * h + 3 * h * c),
        elements=lambda n, d, h, c: n * d + 2 * ((d + 1) * h + (h + 1) * c),
    ),
    Case(
        name="training_step",  # rows gathered, forward, loss, backward, update
        kernel=_step_kernel,
        reference=_step_reference,
        make_inputs=_gathered,
        bound=_step_bound,
        axes=_NETWORK_AXES,
        bench_sizes=_NETWORK_SIZES,
        flops=lambda n, d, h, c: 2 * n * (2 * d * h + 3 * h * c),
        elements=lambda n, d, h, c: n * d + 2 * ((d + 1) * h + (h + 1) * c),
    ),
]
