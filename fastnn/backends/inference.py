"""Forward passes on the kernels: probabilities and losses of many rows, and probabilities of a few quickly."""

from functools import lru_cache
from itertools import pairwise

import numpy as np

from ..checks import first_not_finite
from ..csr import CSR
from ..kernels.arrays import aligned_zeros, plain
from ..kernels.compress import no_entries
from ..kernels.infer import infer_few, infer_rows
from ..kernels.layout import IDENTITY, pack_parameters
from ..kernels.thread_count import get_num_threads
from ..kernels.threads import team_of
from .inputs import gathers, room_for, stored_rows
from .network import activation_of, network_layout, objective, transform_address

# Rows that a forward pass takes through all layers at once: their activations stay in the second-level cache.
_BLOCK_ROWS = 96

# Up to so many rows, reading the parameters as they are is quicker than packing them first.
_FEW_ROWS = 8

# Waking a thread costs as much as so many operations.
_OPERATIONS_PER_THREAD = 10_000_000


def probabilities(net, X, threads):
    """The outputs (n, outputs), after the loss's softmax or sigmoid, and whether X and they are finite."""
    if len(X) <= _FEW_ROWS and not isinstance(X, CSR):
        return _few(net, X)
    outputs = np.empty((len(X), net.sizes[-1]), net.dtype)
    finite = _infer(net, X, np.empty(0, np.int64), np.zeros(2, net.dtype), outputs, threads)[2]
    return outputs, finite and first_not_finite(outputs) is None


def losses(net, X, targets, threads):
    """Each row's loss, float64, and whether its outputs are right, int64."""
    targets = plain(targets)
    words, numbers = objective(net, targets)
    return _infer(net, X, words, numbers, np.empty((0, net.sizes[-1]), net.dtype), threads)[:2]


def _infer(net, X, words, numbers, outputs, threads):
    rows = len(X)
    block = min(_BLOCK_ROWS, rows)
    layout = network_layout(net, block, not isinstance(X, CSR) and gathers(net.sizes, net.dtype.itemsize))
    parameters = aligned_zeros(layout.parameters, net.dtype)
    pack_parameters(layout, net.weights, net.biases, parameters)
    work = 2 * rows * sum(a * b for a, b in pairwise(net.sizes))
    losses = np.empty(rows if words.size else 0)
    correct = np.empty(losses.size, dtype=np.int64)
    dense, stored = stored_rows(X, net.dtype)
    with team_of(max(1, min(get_num_threads(threads), work // _OPERATIONS_PER_THREAD))) as team:
        entries = room_for(X, block, net.sizes[1]) if isinstance(X, CSR) else no_entries(net.dtype)
        finite = np.ones(team.threads, np.int64)
        team.run(
            infer_rows,
            layout.table,
            layout.constants,
            words,
            numbers,
            transform_address(net.loss.probabilities, net.dtype),
            parameters,
            aligned_zeros(team.threads * layout.activations, net.dtype).reshape(team.threads, -1),
            block,
            layout.inputs,
            layout.input_stride,
            dense,
            *stored,
            entries.bounds,
            *(
                np.empty((team.threads, *array.shape), array.dtype)
                for array in (entries.values, entries.indices, entries.pointers)
            ),
            outputs,
            losses,
            correct,
            finite,
        )
    return losses, correct, bool(finite.all())


@lru_cache
def _network(sizes, activations, transform, dtype):
    """What infer_few takes beside the parameters, made once for a kind of network: it costs as much as a row."""
    rows = [activation_of(activation, dtype) for activation in activations]
    layers = np.array([(0, 0), *((row.code, row.function) for row in rows), (IDENTITY, 0)])
    constants = np.array([(row.a, row.b, 1.0) for row in rows] + [(0, 0, 1.0)], dtype)
    return np.column_stack([sizes, layers]), constants, transform_address(transform, dtype)


def _few(net, X):
    network, constants, transform = _network(net.sizes, net.activations, net.loss.probabilities, net.dtype)
    outputs = np.empty((len(X), net.sizes[-1]), net.dtype)
    # The kernel looks for NaN itself: of one row, NumPy's look would take as long as all else.
    finite = infer_few(network, constants, transform, net.arena, plain(X), outputs)
    return outputs, finite != 0
