"""The compiled backend: lays a network out for the kernels and calls them. The one module that imports fastnn.kernels."""

import time
from functools import cache
from itertools import pairwise

import numpy as np

from .. import kernels, optimizers
from ..csr import CSR
from ..kernels._jit import require_jit
from ..kernels.arrays import aligned_zeros, plain
from ..kernels.compress import compress_csr, compress_dense, no_rows
from ..kernels.infer import infer_few, infer_rows
from ..kernels.layout import IDENTITY, RELU, make_layout, pack_parameters, unpack_parameters
from ..kernels.threads import Team
from ..kernels.threads import get_num_threads as get_num_threads
from ..kernels.threads import set_num_threads as set_num_threads
from ..kernels.train import train_steps
from ..kernels.update import (
    ADAM,
    DECAY,
    DECAY_SQUARED,
    EPSILON,
    GAIN,
    GAIN_SQUARED,
    GRADIENT,
    MOMENTUM,
    NESTEROV,
    RATE,
    SCALE,
    SETTINGS,
    SGD,
)
from .pace import Pace

_ACTIVATIONS = {"identity": IDENTITY, "relu": RELU}

# A chunk lasts about this long, so that Ctrl-C, callbacks and progress are served in time.
_CHUNK_SECONDS = 0.03

# Below this much work a step gains nothing from another thread: its five barriers cost 0.5 to 1 us.
_OPERATIONS_PER_THREAD = 200_000

# A dense array is trained through its non-zeros where at most this part of it is not zero.
_SPARSE_DENSITY = 0.4
# And only where the first layer has so many units: with 32 of them, MNIST gains 0.2 us a row and epoch, and compressing
# takes 0.7.
_SPARSE_UNITS = 64
_DENSITY_ROWS = 256  # that are looked at to tell

# Rows that a forward pass takes through all layers at once: their activations stay in the second-level cache.
_INFERENCE_ROWS = 96

# Up to so many rows, reading the parameters as they are is quicker than packing them first.
_FEW_ROWS = 8


def needs_compiling():
    """True if the first training in this process will have to compile the kernels, which takes seconds."""
    if train_steps.signatures:
        return False
    try:
        return not any(kernels.kernel_folder().glob(f"{train_steps.__name__}-*"))
    except OSError:
        return True


def warm_up():
    """Compile every kernel, or load it from the cache, for both dtypes."""
    from ..mlp import MLP

    for dtype in (np.float32, np.float64):
        net = MLP([2, 2], dtype=dtype)
        X, y = np.eye(2, dtype=dtype), np.arange(2)
        JitBackend.gradients(net, X, y)
        JitBackend.predict_proba(net, X, None)
        JitBackend.predict_proba(net, np.zeros((_FEW_ROWS + 1, 2), dtype), None)
        JitBackend.evaluate(net, X, y, None)
        kernels.matmul(X, X)
        kernels.relu(X)
        kernels.softmax(X)
        kernels.softmax_cross_entropy(X, y)


def _layout(net, rows, gathers=False, block=0):
    hidden = len(net.sizes) - 2
    activations = [_ACTIVATIONS[net.activation]] * hidden + [IDENTITY]
    return make_layout(net.sizes, activations, net.dtype, rows, gathers, block)


def _compress(X, sparse, fan_out, team):
    """The rows of X compressed for the first layer's products, or no rows where it is trained dense."""
    if isinstance(X, CSR):
        if sparse is False:
            return None
        return compress_csr(X.row_starts, X.columns, X.data, X.shape[1], fan_out, team)
    if sparse is False or (sparse is None and fan_out < _SPARSE_UNITS):
        return None
    sample = X[:: -(-len(X) // _DENSITY_ROWS)]
    density = np.count_nonzero(sample) / sample.size
    if sparse is None and density > _SPARSE_DENSITY:
        return None
    return compress_dense(plain(X), fan_out, team)


def _optimizer_code(optimizer):
    if isinstance(optimizer, optimizers.Adam):
        return ADAM
    if optimizer.momentum == 0:
        return SGD
    return NESTEROV if optimizer.nesterov else MOMENTUM


def _settings(optimizer, learning_rates, first_step, dtype):
    """One row a step of what the update needs; see kernels/update.py."""
    settings = np.zeros((learning_rates.size, SETTINGS))
    settings[:, RATE] = learning_rates
    if isinstance(optimizer, optimizers.Adam):
        t = np.arange(first_step + 1, first_step + 1 + learning_rates.size)
        settings[:, RATE] /= 1 - optimizer.beta1**t
        settings[:, DECAY], settings[:, GAIN] = optimizer.beta1, 1 - optimizer.beta1
        settings[:, DECAY_SQUARED], settings[:, GAIN_SQUARED] = optimizer.beta2, 1 - optimizer.beta2
        settings[:, SCALE] = 1 / np.sqrt(1 - optimizer.beta2**t)
        settings[:, EPSILON] = optimizer.epsilon
    elif optimizer is not None:
        settings[:, DECAY] = optimizer.momentum
    return settings.astype(dtype)


class JitBackend:
    """One training run on the compiled kernels; see backends.Backend for the protocol."""

    def __init__(self, net, optimizer, X, y, batch_size, threads, sparse=None):
        require_jit()
        self._net, self._optimizer = net, optimizer
        self._y = plain(y)
        self._batch = min(batch_size, X.shape[0])
        self._code = GRADIENT if optimizer is None else _optimizer_code(optimizer)
        work = 6 * self._batch * sum(a * b for a, b in pairwise(net.sizes))
        self._team = Team(max(1, min(get_num_threads(threads), work // _OPERATIONS_PER_THREAD)))
        self._pace = Pace(self._team.threads)
        self.steps_per_chunk = 1
        dtype = net.dtype
        rows = _compress(X, sparse, net.sizes[1], self._team)
        self.inputs = "dense" if rows is None else "sparse"
        gathers = rows is None
        # SGD changes the weights as it goes; the other optimisers need a block's gradient first.
        block = 0 if gathers or self._code == SGD else rows.largest_block
        self._layout = layout = _layout(net, self._batch, gathers, block)
        if gathers:
            rows = no_rows(dtype)
            self._X = plain(X.toarray() if isinstance(X, CSR) else X)
        else:
            self._X = np.empty((0, X.shape[1]), dtype)
        self._rows = rows
        self._parameters = aligned_zeros(layout.parameters, dtype)
        # Moments that the optimiser does not have are empty: slices of them are, too, and are never written.
        self._first = aligned_zeros(layout.parameters if self._code != SGD else 0, dtype)
        self._second = aligned_zeros(layout.parameters if self._code == ADAM else 0, dtype)
        self._outputs = aligned_zeros(layout.activations, dtype)
        self._gradients = aligned_zeros(layout.outputs, dtype)
        self._scratches = aligned_zeros(self._team.threads * layout.scratch, dtype).reshape(
            self._team.threads, -1
        )
        self._row_losses = np.zeros(self._batch)
        self._row_correct = np.zeros(self._batch, dtype=np.int64)
        self.push()
        # No steps, in this thread: compiles the kernel, or loads it, so that the first epoch's time is training's.
        train_steps(0, 1, *self._arguments(np.empty(0, dtype=np.int64), np.zeros(0), 0))

    def push(self):
        """Read the network's parameters."""
        pack_parameters(self._layout, self._net.weights, self._net.biases, self._parameters)

    def pull(self):
        """Write the trained parameters into the network."""
        unpack_parameters(self._layout, self._parameters, self._net.weights, self._net.biases)

    def close(self):
        """End the other threads."""
        self._team.close()

    def run(self, rows, learning_rates, first_step):
        """Make the steps over `rows`; return each step's mean loss and number of rows classified right."""
        start = time.perf_counter()
        arguments = self._arguments(rows, learning_rates, first_step)
        if self._pace.threads == 1:
            train_steps(0, 1, *arguments)
        else:
            self._team.run(train_steps, *arguments)
        losses, correct = arguments[-4:-2]
        seconds = time.perf_counter() - start
        steps = learning_rates.size
        self._pace.record(seconds, steps)
        # At most four times more than last time: one run may have met an idle machine, or a busy one.
        self.steps_per_chunk = max(1, min(4 * steps, int(steps * _CHUNK_SECONDS / seconds)))
        most = self._pace.most_steps()
        if most is not None:
            self.steps_per_chunk = min(self.steps_per_chunk, most)
        return losses, correct

    def _arguments(self, rows, learning_rates, first_step):
        """What train_steps takes after the threads' numbers."""
        losses = np.zeros(learning_rates.size)
        correct = np.zeros(learning_rates.size, dtype=np.int64)
        return (
            self._team.sync,
            self._layout.table,
            self._code,
            _settings(self._optimizer, learning_rates, first_step, self._net.dtype),
            self._parameters,
            self._first,
            self._second,
            self._outputs,
            self._gradients,
            self._scratches,
            self._layout.inputs,
            self._layout.input_stride,
            self._X,
            self._rows.values,
            self._rows.indices,
            self._rows.pointers,
            self._rows.bounds,
            self._y,
            rows,
            self._batch,
            losses,
            correct,
            self._row_losses,
            self._row_correct,
        )

    @staticmethod
    def gradients(net, X, y):
        """Return dL/dW and dL/db of the mean loss over the rows of X, y, lists of arrays shaped as the parameters."""
        backend = JitBackend(net, None, X, y, X.shape[0], None, sparse=isinstance(X, CSR))
        try:
            backend.run(np.arange(X.shape[0]), np.zeros(1), 0)
        finally:
            backend.close()
        weights = [np.empty_like(W) for W in net.weights]
        biases = [np.empty_like(b) for b in net.biases]
        unpack_parameters(backend._layout, backend._first, weights, biases)
        return weights, biases

    @staticmethod
    def predict_proba(net, X, threads):
        """Return the probabilities (n, classes)."""
        require_jit()
        if len(X) <= _FEW_ROWS and not isinstance(X, CSR):
            return _infer_few(net, X)
        return _infer(net, X, np.empty(0, dtype=np.int64), threads)[0]

    @staticmethod
    def evaluate(net, X, y, threads):
        """Return the mean loss and how many rows are classified right."""
        require_jit()
        _, losses, correct = _infer(net, X, y, threads)
        return float(losses.mean()), int(correct.sum())


@cache
def _sizes_array(sizes):
    return np.array(sizes)


def _infer_few(net, X):
    lane = 64 // net.dtype.itemsize
    largest = -(-max(net.sizes) // lane) * lane
    units, numbers = np.empty((2, largest), net.dtype), np.empty(largest, np.int64)
    probabilities = np.empty((len(X), net.sizes[-1]), net.dtype)
    rectified = net.activation == "relu"
    infer_few(_sizes_array(net.sizes), rectified, net.arena, plain(X), units, numbers, probabilities)
    return probabilities


def _infer(net, X, y, threads):
    """Return probabilities (without labels), losses and correct (with labels) of every row."""
    rows = X.shape[0]
    block = min(_INFERENCE_ROWS, rows)
    layout = _layout(net, block)
    parameters = aligned_zeros(layout.parameters, net.dtype)
    pack_parameters(layout, net.weights, net.biases, parameters)
    work = 2 * rows * sum(a * b for a, b in pairwise(net.sizes))
    probabilities = np.empty((0 if y.size else rows, net.sizes[-1]), dtype=net.dtype)
    losses = np.empty(y.size)
    correct = np.empty(y.size, dtype=np.int64)
    # Starting a thread costs about 50 us, as much as 10 million operations.
    with Team(max(1, min(get_num_threads(threads), work // 10_000_000))) as team:
        compressed = no_rows(net.dtype)
        if isinstance(X, CSR):
            compressed = compress_csr(X.row_starts, X.columns, X.data, X.shape[1], net.sizes[1], team)
            X = np.empty((0, X.shape[1]), net.dtype)
        outputs = aligned_zeros(team.threads * layout.outputs, net.dtype).reshape(team.threads, -1)
        team.run(
            infer_rows,
            team.sync,
            layout.table,
            parameters,
            outputs,
            block,
            plain(X),
            compressed.values,
            compressed.indices,
            compressed.pointers,
            plain(y),
            probabilities,
            losses,
            correct,
        )
    return probabilities, losses, correct
