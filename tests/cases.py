"""The table of kernels: one row each, read by tests/ and by bench/. A new kernel is a new row.

`size` says how large the inputs are: (m, n, k) of a matrix product, (rows, columns) of an operation on rows,
(elements,) of an update, (batch, inputs, hidden units, classes) of a network.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import bounds
import numpy as np

import fastnn
from fastnn import kernels, optimizers, reference
from fastnn.backends.jit import JitBackend
from fastnn.kernels import update
from fastnn.kernels.matmul import DEPTH
from fastnn.kernels.tile import ROWS, lanes

# Around the register tile's edges, and primes.
_TILE = (ROWS, lanes(4), lanes(8), 2 * lanes(4), 2 * lanes(8))
EDGES = tuple(sorted({1, 2, 3, 5, 7, 13, *(n + d for n in _TILE for d in (-1, 0, 1) if n + d > 0)}))
DEPTHS = (*EDGES, DEPTH - 1, DEPTH, DEPTH + 1)

RATE = 0.05  # of every training step here


@dataclass(frozen=True)
class Case:
    """A kernel, what it is compared with, and how much work it is."""

    name: str
    kernel: Callable[..., Any]  # of the inputs: an array, or a tuple of arrays
    reference: Callable[..., Any]  # the same in plain lists and float64
    make_inputs: Callable[..., tuple]  # of (rng, size, dtype)
    bound: Callable[..., tuple]  # of (dtype, *inputs): how far each result may be off, in units of eps
    axes: tuple[tuple[int, ...], ...]  # for each number in a size, the values worth testing
    bench_sizes: tuple[tuple[int, ...], ...]
    flops: Callable[..., int]  # additions, multiplications, divisions, roots and exponentials of a size
    elements: Callable[..., int]  # read or written at least once; times the item size: bytes
    numpy: Callable[..., Any] | None = None  # what a NumPy user would write
    overwrites: bool = False  # whether the kernel changes its inputs

    def bytes(self, size, dtype):
        return self.elements(*size) * np.dtype(dtype).itemsize


def results(value):
    """The results of a kernel or reference as a list of arrays."""
    return [np.asarray(part) for part in value] if isinstance(value, tuple) else [np.asarray(value)]


def assert_within(actual, expected, bound, dtype):
    """|actual - expected| <= eps * bound, element by element; NaN equals NaN."""
    for one, other, limit in zip(results(actual), results(expected), bound, strict=True):
        if one.size == other.size == 0:  # a list of no rows does not show its columns
            continue
        assert one.shape == other.shape
        allowed = np.broadcast_to(np.finfo(dtype).eps * limit, one.shape)
        with np.errstate(invalid="ignore"):
            right = (np.abs(one - other) <= allowed) | (one == other) | (np.isnan(one) & np.isnan(other))
        for place in map(tuple, np.argwhere(~right)):
            raise AssertionError(f"at {place}: {one[place]}, not {other[place]} +- {allowed[place]:.1e}")


def _double(*arrays):
    return [array.astype(np.float64) for array in arrays]


def _matmul(a_is_transposed, b_is_transposed):
    def make_inputs(rng, size, dtype):
        m, n, k = size
        a = rng.standard_normal((k, m) if a_is_transposed else (m, k)).astype(dtype)
        return a, rng.standard_normal((n, k) if b_is_transposed else (k, n)).astype(dtype)

    def oriented(a, b):
        return a.T if a_is_transposed else a, b.T if b_is_transposed else b

    flags = {"transpose_a": a_is_transposed, "transpose_b": b_is_transposed}
    return Case(
        name="matmul_" + "nt"[a_is_transposed] + "nt"[b_is_transposed],
        kernel=partial(kernels.matmul, **flags),
        reference=partial(reference.matmul, **flags),
        make_inputs=make_inputs,
        bound=lambda dtype, a, b: (bounds.matmul(*oriented(*_double(a, b))),),
        axes=((0, *EDGES), (0, *EDGES), (0, *DEPTHS)),
        bench_sizes=((128, 512, 784), (500, 32, 784), (128, 10, 512), (1000, 1000, 1000)),
        flops=lambda m, n, k: 2 * m * n * k,
        elements=lambda m, n, k: m * k + k * n + m * n,
        numpy=lambda a, b: np.matmul(*oriented(a, b)),
    )


def _rows(rng, size, dtype):
    return (3 * rng.standard_normal(size)).astype(dtype)


def _tiny(dtype):
    return np.finfo(dtype).tiny / np.finfo(dtype).eps


def _softmax_bound(dtype, x):
    return (bounds.softmax(*_double(x), np.zeros((len(x), 1)), _tiny(dtype))[1],)


def _numpy_softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    e /= e.sum(axis=1, keepdims=True)
    return e


def _labelled(rng, size, dtype):
    return _rows(rng, size, dtype), rng.integers(0, size[1], size[0])


def _cross_entropy_bound(dtype, logits, labels):
    (logits,) = _double(logits)
    exact = np.zeros((len(logits), 1))
    p, error = bounds.softmax(logits, exact, _tiny(dtype))
    scale = 1 / max(len(logits), 1)
    return bounds.losses(logits, exact, labels), scale * (error + 2 * (p + np.eye(p.shape[1])[labels]))


def _numpy_cross_entropy(logits, labels):
    each = np.arange(len(labels))
    shifted = logits - logits.max(axis=1, keepdims=True)
    gradient = np.exp(shifted)
    total = gradient.sum(axis=1, keepdims=True)
    losses = np.log(total[:, 0]) - shifted[each, labels]
    gradient /= total
    gradient[each, labels] -= 1
    gradient /= len(labels)
    return losses, gradient


_ROW_CASES = [
    Case(
        name="relu",
        kernel=kernels.relu,
        reference=reference.relu,
        make_inputs=lambda rng, size, dtype: (_rows(rng, size, dtype),),
        bound=lambda dtype, x: (0,),
        axes=((0, *EDGES), (0, *EDGES)),
        bench_sizes=((128, 512), (1000, 1000)),
        flops=lambda rows, columns: rows * columns,
        elements=lambda rows, columns: 2 * rows * columns,
        numpy=lambda x: np.maximum(x, 0),
    ),
    Case(
        name="softmax",
        kernel=kernels.softmax,
        reference=reference.softmax,
        make_inputs=lambda rng, size, dtype: (_rows(rng, size, dtype),),
        bound=_softmax_bound,
        axes=((0, *EDGES), EDGES),
        bench_sizes=((500, 10), (1000, 1000)),
        flops=lambda rows, columns: 4 * rows * columns,
        elements=lambda rows, columns: 2 * rows * columns,
        numpy=_numpy_softmax,
    ),
    Case(
        name="softmax_cross_entropy",
        kernel=kernels.softmax_cross_entropy,
        reference=reference.softmax_cross_entropy,
        make_inputs=_labelled,
        bound=_cross_entropy_bound,
        axes=((0, *EDGES), EDGES),
        bench_sizes=((500, 10), (1000, 1000)),
        flops=lambda rows, columns: 5 * rows * columns,
        elements=lambda rows, columns: 2 * rows * columns,
        numpy=_numpy_cross_entropy,
    ),
]

# The optimisers' updates, in the third step of a run: the moments are not 0, nor Adam's corrections 1.
_MOMENTUM, _BETA1, _BETA2, _EPSILON, _STEP = 0.9, 0.9, 0.99, 1e-8, 3


def _update_inputs(rng, size, dtype):
    parameters, first, gradient = rng.standard_normal((3, *size))
    return tuple(array.astype(dtype) for array in (parameters, first, rng.random(size), gradient))


def _update_kernel(code, parameters, first, second, gradient):
    settings = np.zeros(update.SETTINGS)
    settings[update.RATE] = RATE
    if code == update.ADAM:
        settings[update.RATE] /= 1 - _BETA1**_STEP
        settings[update.DECAY], settings[update.GAIN] = _BETA1, 1 - _BETA1
        settings[update.DECAY_SQUARED], settings[update.GAIN_SQUARED] = _BETA2, 1 - _BETA2
        settings[update.SCALE], settings[update.EPSILON] = 1 / np.sqrt(1 - _BETA2**_STEP), _EPSILON
    elif code != update.SGD:
        settings[update.DECAY] = _MOMENTUM
    update.update(code, settings.astype(gradient.dtype), parameters, first, second, gradient)
    return parameters, first, second


def _update_reference(make_optimizer, parameters, first, second, gradient):
    parameters, first, second = parameters.tolist(), first.tolist(), second.tolist()
    optimizer = make_optimizer()
    if isinstance(optimizer, reference.Adam):
        optimizer.first_moments, optimizer.second_moments, optimizer.t = [first], [second], _STEP - 1
    elif optimizer.momentum:
        optimizer.velocities = [first]
    optimizer.update([parameters], [gradient.tolist()], RATE)
    return parameters, first, second


def _update_bound(dtype, parameters, first, second, gradient):
    p, m, v, g = map(np.abs, _double(parameters, first, second, gradient))
    return p + 4 * RATE * (g + 2 * (g + m)), 2 * (m + g), 0 * v


def _adam_bound(dtype, parameters, first, second, gradient):
    p, m, v, g = map(np.abs, _double(parameters, first, second, gradient))
    m, v = _BETA1 * m + (1 - _BETA1) * g, _BETA2 * v + (1 - _BETA2) * g * g
    step = RATE / (1 - _BETA1**_STEP) * m / np.sqrt(v / (1 - _BETA2**_STEP))
    return p + 16 * step, 4 * m, 4 * v


def _numpy_sgd(parameters, first, second, gradient):
    parameters -= parameters.dtype.type(RATE) * gradient


def _numpy_momentum(parameters, first, second, gradient):
    first *= first.dtype.type(_MOMENTUM)
    first += gradient
    parameters -= parameters.dtype.type(RATE) * first


def _update(name, code, make_optimizer, flops, arrays, numpy=None):
    return Case(
        name=name,
        kernel=partial(_update_kernel, code),
        reference=partial(_update_reference, make_optimizer),
        make_inputs=_update_inputs,
        bound=_adam_bound if code == update.ADAM else _update_bound,
        axes=((0, *EDGES),),
        bench_sizes=((407_050,),),
        flops=lambda n: flops * n,
        elements=lambda n: arrays * n,
        numpy=numpy,
        overwrites=True,
    )


_UPDATE_CASES = [
    _update("sgd", update.SGD, reference.SGD, 2, 3, _numpy_sgd),
    _update("momentum", update.MOMENTUM, partial(reference.SGD, _MOMENTUM), 4, 5, _numpy_momentum),
    _update("nesterov", update.NESTEROV, partial(reference.SGD, _MOMENTUM, nesterov=True), 6, 5),
    _update("adam", update.ADAM, partial(reference.Adam, _BETA1, _BETA2, _EPSILON), 13, 7),
]


# Whole networks: the layers' kernels as the backend calls them.
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
    backend = JitBackend(net, optimizers.SGD(), X, y, len(rows), None)
    losses, _ = backend.run(rows, np.array([RATE]), 0)
    backend.pull()
    backend.close()
    return (losses, *net.weights, *net.biases)


def _step_reference(net, X, y, rows):
    weights, biases = _lists(net)
    batch = X[rows].tolist(), y[rows].tolist()
    loss, _ = reference.train_step(weights, biases, *batch, RATE, None, net.activation)
    return ([loss], *weights, *biases)


def _step_bound(dtype, net, X, y, rows):
    network = bounds.Network(net, X[rows], y[rows])
    parameters = [
        np.abs(p) + RATE * (error + 2 * np.abs(g))
        for p, g, error in [
            *zip(network.weights, network.dW, network.dW_errors, strict=True),
            *zip(network.biases, network.db, network.db_errors, strict=True),
        ]
    ]
    losses = bounds.losses(network.logits, network.logits_error, network.y)
    return (losses.mean(keepdims=True), *parameters)


_NETWORK_AXES = (EDGES, EDGES, EDGES, EDGES[1:])
_NETWORK_SIZES = ((128, 784, 512, 10), (256, 784, 100, 10))

_NETWORK_CASES = [
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
        numpy=lambda net, X, y: _numpy_softmax(
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

MATMUL_CASES = [_matmul(a, b) for a in (False, True) for b in (False, True)]
CASES = [*MATMUL_CASES, *_ROW_CASES, *_UPDATE_CASES, *_NETWORK_CASES]
