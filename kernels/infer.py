"""Forward passes: over many rows, as probabilities or as losses where labels are given, and quickly over a few."""

import numpy as np

from ._jit import helper, jit
from .denormals import flush_denormals, restore_denormals
from .exp_log import fma
from .layers import PLAN_WORDS, forward, forward_tiles
from .layout import FAN_OUT, OUTPUT, PADDED_OUT, STRIDE
from .processor import VECTOR_BYTES
from .softmax import softmax_cross_entropy_row, softmax_row
from .sparse import sparse_forward
from .sync import announce, farewell, share
from .tile import address


@jit
def infer_rows(
    thread,
    threads,
    sync,
    table,
    parameters,
    outputs,
    block,
    X,
    values,
    indices,
    pointers,
    labels,
    probabilities,
    row_losses,
    row_correct,
):
    """Run the network on this thread's share of the rows of X (n, d), `block` rows at a time.

    With labels, int64 (n,), row_losses and row_correct (n,) are written; with an empty one, probabilities (n, classes).
    Where the rows are compressed (pointers is not empty, see sparse.py), X is not read.
    outputs (threads, activations) holds each thread's activations of one block.
    """
    state = flush_denormals()
    announce(thread, threads, address(sync, 0))
    own = outputs[thread]
    layers = table.shape[0]
    nothing = np.zeros(PLAN_WORDS, dtype=np.int64)
    output = table[layers - 1]
    classes = output[FAN_OUT]
    compressed = pointers.shape[0] > 0
    begin, end = share(pointers.shape[0] if compressed else X.shape[0], thread, threads)
    numbers = np.arange(begin, end if compressed else begin)
    for start in range(begin, end, block):
        rows = min(block, end - start)
        for index in range(layers):
            layer = table[index]
            tiles = forward_tiles(rows, layer, own.itemsize)
            if index == 0 and compressed:
                batch = numbers[start - begin : start - begin + rows]
                sparse_forward(0, 1, layer, parameters, batch, values, indices, pointers, own)
            elif index == 0:
                forward(0, tiles, rows, layer, parameters, X, start * X.shape[1], X.shape[1], own, nothing)
            else:
                below = table[index - 1]
                forward(0, tiles, rows, layer, parameters, own, below[OUTPUT], below[STRIDE], own, nothing)
        for i in range(rows):
            place = output[OUTPUT] + i * output[STRIDE]
            row = own[place : place + output[PADDED_OUT]]
            if labels.size > 0:
                loss, correct = softmax_cross_entropy_row(row, classes, labels[start + i], own.dtype.type(1))
                row_losses[start + i] = loss
                row_correct[start + i] = correct
            else:
                softmax_row(row, classes)
                for j in range(classes):
                    probabilities[start + i, j] = row[j]
    farewell(thread, threads, address(sync, 0))
    restore_denormals(state)


@jit
def infer_few(sizes, rectified, arena, X, units, numbers, probabilities):
    """Probabilities (n, classes) of a few rows X (n, d), straight from the parameters as a user sees them.

    Packing the parameters, as infer_rows needs them, costs as much as 10 to 50 rows. The bits are the same: every sum adds the
    same products in the same order.
    arena holds weights (fan_in, fan_out) and biases in turn, each from a multiple of 64 bytes on; `rectified` tells whether
    hidden layers are; units (2, largest layer in whole vectors) and numbers, int64 (largest layer,), are overwritten.
    """
    state = flush_denormals()
    aligned = 64 // arena.itemsize
    classes = probabilities.shape[1]
    zero = arena.dtype.type(0)
    for row in range(X.shape[0]):
        inputs = X[row]
        place = 0
        for layer in range(sizes.size - 1):
            fan_in, fan_out = sizes[layer], sizes[layer + 1]
            z = units[layer % 2]
            for j in range(fan_out):
                z[j] = zero
            # Of an image's pixels and of a ReLU's outputs most are 0. The others go four at a time: z is read and written once
            # for four rows of W, in the same order of additions.
            used = 0
            for i in range(fan_in):
                if inputs[i] != 0:
                    numbers[used] = i
                    used += 1
            for group in range(0, used - 3, 4):
                i0, i1, i2, i3 = numbers[group], numbers[group + 1], numbers[group + 2], numbers[group + 3]
                x0, x1, x2, x3 = inputs[i0], inputs[i1], inputs[i2], inputs[i3]
                w0 = arena[place + i0 * fan_out : place + (i0 + 1) * fan_out]
                w1 = arena[place + i1 * fan_out : place + (i1 + 1) * fan_out]
                w2 = arena[place + i2 * fan_out : place + (i2 + 1) * fan_out]
                w3 = arena[place + i3 * fan_out : place + (i3 + 1) * fan_out]
                for j in range(fan_out):
                    z[j] = fma(x3, w3[j], fma(x2, w2[j], fma(x1, w1[j], fma(x0, w0[j], z[j]))))
            for index in range(used // 4 * 4, used):
                i = numbers[index]
                w0 = arena[place + i * fan_out : place + (i + 1) * fan_out]
                for j in range(fan_out):
                    z[j] = fma(inputs[i], w0[j], z[j])
            place += (fan_in * fan_out + aligned - 1) // aligned * aligned
            last = layer == sizes.size - 2
            for j in range(fan_out):
                total = z[j] + arena[place + j]
                z[j] = zero if rectified and not last and total < zero else total
            place += (fan_out + aligned - 1) // aligned * aligned
            inputs = z
        output = units[(sizes.size - 2) % 2, : padded_classes(classes, units.itemsize)]
        softmax_row(output, classes)
        for j in range(classes):
            probabilities[row, j] = output[j]
    restore_denormals(state)


@helper
def padded_classes(classes, itemsize):
    """Classes in whole vectors."""
    lanes = VECTOR_BYTES // itemsize
    return (classes + lanes - 1) // lanes * lanes
