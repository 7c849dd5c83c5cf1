"""Where a network's numbers lie while kernels work on it: one table, read by compiled code and by NumPy.

A weight matrix (fan_in, fan_out) is stored as column panels, two vectors wide (the last may be one): panel p holds columns
p * 2 * lanes and on, for all fan_in rows, row after row. The forward product reads a panel from start to end, and the
update writes back the same tiles. For training, a few columns beyond whole panels are kept behind them as rows, see rest_code.py.
Activations and their gradients are row-major, with rows padded to whole vectors.
"""

import threading
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from .arrays import ALIGNMENT
from .rest_code import TOGETHER
from .shares import strip_cost
from .tile import ROWS, VECTORS, lanes

# Columns of the table, one row a layer.
FAN_IN, FAN_OUT, PADDED_OUT, WEIGHTS, BIAS, OUTPUT, STRIDE, ACTIVATION, FUNCTION, DROPPER, THRESHOLD = range(
    11
)
BATCH_ROW = 11  # which row of the batch OUTPUT is, where a thread works on some of its rows alone
# How many columns of W are in panels, the padding included; how many are kept as rows, where those begin, and numbers from one to
# the next. What a strip of a product that is as wide as the outputs costs, and of one with W, see shares.py.
WHOLE, REST, REST_PLACE, REST_STRIDE, OUTPUT_COST, PRODUCT_COST = range(12, 18)
COLUMNS = 18

# What the register tile does by itself, and what it leaves to the functions whose addresses are FUNCTION and, where outputs are
# dropped, DROPPER.
IDENTITY, RELU, CALLED = range(3)

# Columns of the constants, one row a layer, in the parameters' dtype: the activation's two, and what dropout scales by.
A, B, SCALE = range(3)


def _round_up(number, multiple):
    return -(-number // multiple) * multiple


def row_stride(columns, itemsize):
    """Elements from one row of an activation to the next: whole vectors, and no power-of-two distance in memory.

    Rows 512, 1,024, ... bytes apart fall into few sets of the first-level cache and evict each other.
    """
    stride = _round_up(columns, lanes(itemsize))
    if stride * itemsize % 512 == 0:
        stride += lanes(itemsize)
    return stride


@dataclass(frozen=True)
class Layout:
    """Offsets of a network's arrays, in elements of `dtype`."""

    dtype: np.dtype
    table: np.ndarray  # int64 (layers, COLUMNS), columns as above
    constants: (
        np.ndarray
    )  # (layers + 1, 3), columns as above; the last row is of the inputs, which may be dropped out
    input_stride: int
    parameters: int  # elements of the parameters' arena
    rows: int  # rows that the activations hold
    outputs: int  # elements of the activations' arena (and of the gradients'); gathered rows are behind them
    scratch: int  # elements of each thread's own scratch

    @property
    def inputs(self):
        """Offset of the gathered rows in the activations' arena."""
        return self.outputs

    @property
    def activations(self):
        """Elements of the activations' arena, the gathered rows included."""
        return self.outputs + self.rows * self.input_stride


@dataclass(frozen=True)
class Activation:
    """What follows a layer's product: a code; where that is CALLED, the addresses of functions and their numbers."""

    code: int
    function: int = 0
    a: float = 0.0
    b: float = 0.0
    dropper: int = 0
    threshold: int = 0
    scale: float = 1.0


# A layer of fewer vectors of inputs gains nothing by rows.
_LEAST_VECTORS = 4


def _columns_as_rows(fan_in, fan_out, vector):
    """How many columns beyond whole panels are kept as rows, multiples of what is done together; 0 if they fill half a vector."""
    panel = VECTORS * vector
    beyond = fan_out % panel
    if fan_out < panel or fan_in < _LEAST_VECTORS * vector or 2 * beyond > vector:
        return 0
    rest = _round_up(beyond, TOGETHER)
    return rest if rest <= vector else 0


def make_layout(sizes, activations, dtype, rows, gathers=False, block=0, rest_from=None):
    """Lay out a network of layer `sizes` with one Activation per layer, for batches of up to `rows` rows.

    Layers from `rest_from` on may keep some columns as rows.

    `gathers` says whether batches are gathered into the activations' arena, which they are where dense inputs are dropped out;
    where the inputs are compressed, see sparse.py, `block` is how many of their columns' gradients are held at once.
    """
    dtype = np.dtype(dtype)
    itemsize = dtype.itemsize
    vector = lanes(itemsize)
    table = np.zeros((len(sizes) - 1, COLUMNS), dtype=np.int64)
    constants = np.zeros((len(sizes), 3), dtype=dtype)
    panel = VECTORS * vector
    parameters = outputs = 0
    for layer, (fan_in, fan_out) in enumerate(pairwise(sizes)):
        padded = _round_up(fan_out, vector)
        stride = row_stride(fan_out, itemsize)
        whole, rest = padded, 0
        if rest_from is not None and layer >= rest_from:
            rest = _columns_as_rows(fan_in, fan_out, vector)
            whole = fan_out // panel * panel if rest else padded
        rest_place, rest_stride = parameters + fan_in * whole, _round_up(fan_in, vector)
        bias = rest_place + rest_stride * rest
        follows = activations[layer]
        table[layer] = (
            fan_in, fan_out, padded, parameters, bias, outputs, stride, follows.code,
            follows.function, follows.dropper, follows.threshold, 0, whole, rest,
            rest_place, rest_stride, strip_cost(padded // vector), strip_cost(padded // vector, rest > 0),
        )  # fmt: skip
        constants[layer] = follows.a, follows.b, follows.scale
        parameters = _round_up(bias + padded, ALIGNMENT // itemsize)
        outputs += _round_up(rows * stride, ALIGNMENT // itemsize)
    # Two transposed panels of W are one thread's second operands in dX = dZ W^T, the one in use and the next; a tile of dW, or a
    # compressed block's part of a panel, waits there for its update, and behind the tile is a panel of dZ.
    scratch = _round_up(
        panel * max(2 * _round_up(max(sizes[1:]), vector), ROWS + rows, 2 * block), ALIGNMENT // itemsize
    )
    input_stride = row_stride(sizes[0], itemsize) if gathers else 0
    return Layout(dtype, table, constants, input_stride, parameters, rows, outputs, scratch)


# Numbers that are worth a thread of their own, which takes 0.1 ms to start: they take 0.4 ms.
_EACH = 2**19


def _views(layout, arena, weights, biases):
    """Pairs of views of what a user sees and of the arena, which hold the same numbers, shaped alike.

    All whole panels of a layer are one pair: NumPy copies 2500 x 2000 numbers in 2.1 ms, and panel by panel in 4.7.
    """
    panel = VECTORS * lanes(layout.dtype.itemsize)
    for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        fan_in, fan_out, _, start, bias_start = (int(value) for value in layout.table[layer, :5])
        count = fan_out // panel
        whole = count * panel
        stored = arena[start:bias_start]
        yield (
            weight[:, :whole].reshape(fan_in, count, panel).transpose(1, 0, 2),
            stored[: fan_in * whole].reshape(count, fan_in, panel),
        )
        if whole < fan_out:
            beyond, rest = stored[fan_in * whole :], int(layout.table[layer, REST])
            if rest:
                yield weight[:, whole:].T, beyond.reshape(rest, -1)[: fan_out - whole, :fan_in]
            else:
                yield weight[:, whole:], beyond.reshape(fan_in, -1)[:, : fan_out - whole]
        yield bias, arena[bias_start : bias_start + fan_out]


def _copy(pairs, count, threads):
    """target[...] = source for pairs of them, `count` numbers together, by so many threads at most.

    NumPy copies without Python's lock: 12 million parameters in 2.4 ms on two threads, and in 5 to 8 on one, from fresh memory
    in 16. (An Intel Xeon of 2023.)
    """
    threads = max(1, min(threads, count // _EACH))

    def copy(thread):
        for target, source in pairs:
            first, last = (len(target) * end // threads for end in (thread, thread + 1))
            target[first:last] = source[first:last]

    others = [threading.Thread(target=copy, args=(thread,)) for thread in range(1, threads)]
    for other in others:
        other.start()
    try:
        copy(0)
    finally:  # Ctrl-C
        for other in others:
            other.join()


def pack_parameters(layout, weights, biases, arena, threads=1):
    """Copy weights (fan_in, fan_out) and biases (fan_out,) into the arena; its padding must be zero and stays so."""
    pairs = [(stored, seen) for seen, stored in _views(layout, arena, weights, biases)]
    _copy(pairs, layout.parameters, threads)


def unpack_parameters(layout, arena, weights, biases, threads=1):
    """Copy the arena's parameters back into weights and biases, in place."""
    _copy(list(_views(layout, arena, weights, biases)), layout.parameters, threads)
