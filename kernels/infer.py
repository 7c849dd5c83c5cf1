"""Forward passes: over many rows, as probabilities or as losses where targets are given, and quickly over a few."""

import numpy as np

from ._jit import helper, jit, team_kernel
from .compress import compress_batch
from .denormals import flush_denormals, restore_denormals
from .exp_log import fma
from .functions import call
from .layers import PLAN_WORDS, forward, panels, row_places, strips
from .layout import CALLED, FAN_OUT, OUTPUT, PADDED_OUT, RELU, STRIDE, A, B
from .processor import VECTOR_BYTES
from .sparse import sparse_forward
from .sync import share
from .tile import address
from .train import LOSS, ROW_WEIGHTS, TARGET_STRIDE, TARGETS


@team_kernel
def infer_rows(
    thread, threads, sync, table, constants, objective, numbers, transform, parameters, outputs, block, X, row_starts, columns,
    stored, bounds, values, indices, pointers, probabilities, row_losses, row_correct,
):  # fmt: skip
    """Run the network on this thread's share of the rows of X (n, d), `block` rows at a time.

    With an objective (see train.py) row_losses and row_correct (n,) are written. Where that is empty, the outputs are, after
    the function at address `transform` (see losses.py), as `probabilities` (n, outputs).
    Where row_starts is not empty, X is a CSR matrix, as in train.py, and the others are each thread's room for a block's rows.
    outputs (threads, activations) holds each thread's activations of one block.
    """
    state = flush_denormals()
    own = outputs[thread]
    layers = table.shape[0]
    nothing = np.zeros(PLAN_WORDS, dtype=np.int64)
    no_slopes = own[:0]
    no_key = np.uint64(1)
    output = table[layers - 1]
    classes = output[FAN_OUT]
    compressed = row_starts.size > 0
    begin, end = share(row_starts.size - 1 if compressed else X.shape[0], thread, threads)
    counting = np.arange(begin, end)
    one = own.dtype.type(1)
    places = np.empty((layers, block), dtype=np.int64)  # of the rows of each layer's inputs
    for index in range(1, layers):
        below = table[index - 1]
        row_places(address(own, below[OUTPUT]), below[STRIDE] * own.itemsize, places[index])
    for start in range(begin, end, block):
        rows = min(block, end - start)
        batch = counting[start - begin : start - begin + rows]
        if compressed:
            compress_batch(
                0,
                1,
                batch,
                X,
                row_starts,
                columns,
                stored,
                bounds,
                values[thread],
                indices[thread],
                pointers[thread],
            )
        else:
            row_places(address(X, start * X.shape[1]), X.shape[1] * X.itemsize, places[0])
        for index in range(layers):
            layer = table[index]
            tiles = panels(layer[PADDED_OUT], own.itemsize) * strips(rows)
            if index == 0 and compressed:
                sparse_forward(
                    0, 1, rows, layer, constants[0], parameters, values[thread], indices[thread], pointers[thread], own,
                    no_slopes, no_key,
                )  # fmt: skip
            else:
                forward(
                    0, tiles, rows, layer, constants[index], parameters, address(places, index * block), own,
                    no_slopes, no_key, nothing,
                )  # fmt: skip
        z = address(own, output[OUTPUT])
        if objective.size > 0:
            call(
                objective[LOSS],
                (
                    z, 0, output[STRIDE], output[PADDED_OUT], classes, 0, rows, address(batch, 0), objective[TARGETS],
                    objective[TARGET_STRIDE], objective[ROW_WEIGHTS], one, numbers[0], numbers[1], address(row_losses, start),
                    address(row_correct, start),
                ),
            )  # fmt: skip
        else:
            call(transform, (z, rows, classes, output[PADDED_OUT], output[STRIDE], one))
            for i in range(rows):
                place = output[OUTPUT] + i * output[STRIDE]
                for j in range(classes):
                    probabilities[start + i, j] = own[place + j]
    restore_denormals(state)


@helper
def row_product(inputs, weights, z, numbers):
    """z = inputs W, W (inputs.size, z.size) row after row in the 1-D array `weights`; `numbers` is overwritten."""
    fan_out = z.size
    for j in range(fan_out):
        z[j] = 0
    # Of an image's pixels and of a ReLU's outputs most are 0. The others go four at a time: z is read and written once
    # for four rows of W, in the same order of additions.
    used = 0
    for i in range(inputs.size):
        if inputs[i] != 0:
            numbers[used] = i
            used += 1
    for group in range(0, used - 3, 4):
        i0, i1, i2, i3 = numbers[group], numbers[group + 1], numbers[group + 2], numbers[group + 3]
        x0, x1, x2, x3 = inputs[i0], inputs[i1], inputs[i2], inputs[i3]
        w0 = weights[i0 * fan_out : (i0 + 1) * fan_out]
        w1 = weights[i1 * fan_out : (i1 + 1) * fan_out]
        w2 = weights[i2 * fan_out : (i2 + 1) * fan_out]
        w3 = weights[i3 * fan_out : (i3 + 1) * fan_out]
        for j in range(fan_out):
            z[j] = fma(x3, w3[j], fma(x2, w2[j], fma(x1, w1[j], fma(x0, w0[j], z[j]))))
    for index in range(used // 4 * 4, used):
        i = numbers[index]
        w0 = weights[i * fan_out : (i + 1) * fan_out]
        for j in range(fan_out):
            z[j] = fma(inputs[i], w0[j], z[j])


@jit
def layer_rows(X, weights, b, Z):
    """Z = X W + b, a row at a time, with infer_few's bits; X (n, fan_in), Z (n, fan_out), weights W's rows in one dimension."""
    state = flush_denormals()
    numbers = np.empty(X.shape[1], dtype=np.int64)
    for row in range(X.shape[0]):
        row_product(X[row], weights, Z[row], numbers)
        for j in range(b.size):
            Z[row, j] += b[j]
    restore_denormals(state)


@jit
def infer_few(sizes, activations, constants, transform, arena, X, units, numbers, probabilities):
    """Probabilities (n, classes) of a few rows X (n, d), straight from the parameters as a user sees them.

    Returns whether X and they are finite.

    Packing the parameters, as infer_rows needs them, costs as much as 10 to 50 rows. The bits are the same: every sum adds the
    same products in the same order.
    sizes int64 (layers + 1,); activations int64 (layers, 2): code and function of each, see layout.py, which has `constants`.
    arena holds weights (fan_in, fan_out) and biases in turn, each from a multiple of 64 bytes on; `transform` as in infer_rows;
    units (2, largest layer in whole vectors) and numbers, int64 (largest layer,), are overwritten.
    """
    state = flush_denormals()
    aligned = 64 // arena.itemsize
    classes = probabilities.shape[1]
    zero = arena.dtype.type(0)
    nothing = zero  # a sum of x - x: 0 where all are finite, NaN otherwise
    for row in range(X.shape[0]):
        inputs = X[row]
        for i in range(inputs.size):
            nothing += inputs[i] - inputs[i]
        place = 0
        for layer in range(sizes.size - 1):
            fan_in, fan_out = sizes[layer], sizes[layer + 1]
            z = units[layer % 2]
            row_product(inputs[:fan_in], arena[place : place + fan_in * fan_out], z[:fan_out], numbers)
            place += (fan_in * fan_out + aligned - 1) // aligned * aligned
            rectified = activations[layer, 0] == RELU
            for j in range(fan_out):
                total = z[j] + arena[place + j]
                z[j] = zero if rectified and total < zero else total
            if activations[layer, 0] == CALLED:
                a, b = constants[layer, A], constants[layer, B]
                call(activations[layer, 1], (address(z, 0), 0, 1, fan_out, fan_out, a, b))
            place += (fan_out + aligned - 1) // aligned * aligned
            inputs = z
        output = units[(sizes.size - 2) % 2]
        width = padded_classes(classes, units.itemsize)
        call(transform, (address(output, 0), 1, classes, width, width, zero))
        for j in range(classes):
            probabilities[row, j] = output[j]
            nothing += output[j] - output[j]
    restore_denormals(state)
    return nothing == 0


@helper
def padded_classes(classes, itemsize):
    """Classes in whole vectors."""
    lanes = VECTOR_BYTES // itemsize
    return (classes + lanes - 1) // lanes * lanes
