"""Every layer's outputs on the kernels, with the activations' slopes where they are wanted."""

import numba
import numpy as np
from numba import types

from ..csr import CSR
from ..kernels.arrays import plain
from ..kernels.functions import function_address
from ..kernels.infer import layer_rows
from ..kernels.thread_count import get_num_threads
from ..kernels.threads import team_of
from .functions import activation_kernel

_BLOCK_NUMBERS = 2**18  # of sparse inputs, that are made dense together

# Weights that are worth a thread of their own, which may have to be woken: they take 0.2 ms.
_WEIGHTS_EACH = 2**18


def layer_outputs(net, X, threads):
    """The outputs of every layer, (n, units) each, and of each hidden one f'(Z), its activation's slopes; by so many threads.

    Hidden layers' after their activation, the last layer's as the loss gets them; nothing is dropped out.
    """
    outputs, slopes = [], []
    below = X
    with team_of(max(1, min(get_num_threads(threads), net.arena.size // _WEIGHTS_EACH))) as team:
        for layer, (W, b) in enumerate(zip(net.weights, net.biases, strict=True)):
            Z = np.empty((len(X), b.size), net.dtype)
            for rows in _blocks(below):
                team.run(layer_rows, plain(below[rows]), W.reshape(-1), b, Z[rows])
            if layer < len(net.activations):
                slopes.append(_activate(net.activations[layer], Z))
            outputs.append(Z)
            below = Z
    return outputs, slopes


def _blocks(X):
    step = max(1, _BLOCK_NUMBERS // X.shape[1]) if isinstance(X, CSR) else len(X)
    return [slice(start, start + step) for start in range(0, len(X), step)]


def _activate(activation, Z):
    """Z becomes f(Z); return f'(Z)."""
    kernel, kind = activation_kernel(activation), numba.from_dtype(Z.dtype)
    function_address(kernel, *[types.intp] * 5, kind, kind)  # compiled for these types alone
    slopes = np.empty_like(Z)
    a, b = (Z.dtype.type(number) for number in activation.parameters)
    kernel(Z.ctypes.data, slopes.ctypes.data, *Z.shape, Z.shape[1], a, b)
    return slopes
