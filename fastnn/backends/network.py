"""A network as the kernels read it: addresses of its activations and of its loss, and the layout of its parameters."""

from functools import cache

import numba
import numpy as np
from numba import types

from ..kernels.dropout import drop, drop_entries
from ..kernels.functions import function_address
from ..kernels.layout import CALLED, IDENTITY, RELU, Activation, make_layout
from ..kernels.losses import LOSSES, PROBABILITIES, loss_arguments, probabilities_arguments
from .functions import activation_kernel

_CODES = {"identity": IDENTITY, "relu": RELU}


def _kind(dtype):
    return numba.from_dtype(dtype)


@cache
def _activation_address(activation, dtype):
    kind = _kind(dtype)
    return function_address(activation_kernel(activation), *[types.intp] * 5, kind, kind)


@cache
def dropper_address(dtype, compressed=False):
    """The address of the function that drops out: numbers in rows, or compressed entries."""
    kind = _kind(dtype)
    if compressed:
        return function_address(drop_entries, *[types.intp] * 5, kind, types.uint64)
    return function_address(drop, *[types.intp] * 8, kind, types.uint64)


@cache
def loss_address(name, dtype):
    """The address of a loss of kernels/losses.py."""
    return function_address(LOSSES[name], *loss_arguments(_kind(dtype)))


@cache
def transform_address(name, dtype):
    """The address of what makes probabilities of outputs."""
    return function_address(PROBABILITIES[name], *probabilities_arguments(_kind(dtype)))


def drop_settings(rate):
    """The threshold of 32 random bits below which a number is dropped, and what the others are scaled by."""
    return min(round(rate * 2**32), 2**32 - 1), 1 / (1 - rate)  # a rate just below 1 would round to 33 bits


def activation_of(activation, dtype, dropout=0.0):
    """What follows a hidden layer's product."""
    if dropout == 0 and activation.name in _CODES:
        return Activation(_CODES[activation.name])
    a, b = activation.parameters
    address = _activation_address(activation, dtype)
    if dropout == 0:
        return Activation(CALLED, address, a, b)
    threshold, scale = drop_settings(dropout)
    return Activation(CALLED, address, a, b, dropper_address(dtype), threshold, scale)


def network_layout(net, rows, gathers=False, block=0, dropout=(), rest_from=None):
    """The layout of `net` for batches of up to `rows` rows; `dropout` as in `Task`, the others as in make_layout."""
    rates = dropout[1:] if dropout else [0.0] * len(net.activations)
    hidden = [
        activation_of(activation, net.dtype, rate)
        for activation, rate in zip(net.activations, rates, strict=True)
    ]
    layout = make_layout(
        net.sizes, [*hidden, Activation(IDENTITY)], net.dtype, rows, gathers, block, rest_from
    )
    if dropout:
        layout.constants[-1, -1] = drop_settings(dropout[0])[1]
    return layout


def objective(net, targets, row_weights=None):
    """The words and numbers of a loss and its targets that kernels/train.py asks for; the arrays must be kept by the caller."""
    words = np.array(
        [
            loss_address(net.loss.kernel(targets), net.dtype),
            targets.ctypes.data,
            targets.shape[1] if targets.ndim == 2 else 1,
            0 if row_weights is None else row_weights.ctypes.data,
            targets.strides[0],
        ]
    )
    return words, np.array(net.loss.parameters, net.dtype)
