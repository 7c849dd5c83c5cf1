"""Forward passes: over many rows, as probabilities or as losses where targets are given, and quickly over a few."""

import numpy as np

from ._jit import helper, jit, team_kernel
from .compress import compress_batch
from .denormals import flush_denormals, restore_denormals
from .fetch_ahead import PLAN_WORDS
from .finite import all_finite
from .functions import call, stack_words
from .layers import copy_row, count_up, forward, strips
from .layout import CALLED, FAN_OUT, OUTPUT, PADDED_OUT, PRODUCT_COST, RELU, STRIDE, A, B
from .processor import VECTOR_BYTES
from .row_product import columns_at_once, pack_row, packed_row_product, room_for_row, row_product
from .shares import LONG, QUEUES_WORDS, THREAD, next_tiles, open_queues, queue_of
from .sparse import sparse_forward
from .sync import barrier, share
from .tile import address
from .train import LOSS, ROW_WEIGHTS, TARGET_STRIDE, TARGETS

_ROWS_AT_ONCE = 16  # in layer_rows


@helper
def _forward_layers(alone, rows, table, constants, parameters, compressed, entries, outputs, places, plan):
    """All layers of a block of rows, whose inputs lie at places[0] or are the compressed `entries`; in this thread alone."""
    no_slopes, no_key = outputs[:0], np.uint64(1)
    for index in range(table.shape[0]):
        layer = table[index]
        if index == 0 and compressed:
            sparse_forward(
                alone, 0, 1, rows, layer, constants[0], parameters, *entries, outputs, no_slopes, no_key
            )
        else:
            forward(
                queue_of(alone, 0, layer[PRODUCT_COST], strips(rows), 0, 1), rows, layer, constants[index], parameters,
                address(places, index * places.shape[1]), outputs, no_slopes, no_key, plan,
            )  # fmt: skip


@team_kernel
def infer_rows(
    thread, threads, sync, table, constants, objective, numbers, transform, parameters, outputs, block, x_start, x_stride, X,
    row_starts, columns, stored, bounds, values, indices, pointers, probabilities, row_losses, row_correct, finite,
):  # fmt: skip
    """Run the network on the rows of X (n, d), `block` rows at a time; threads that are done take blocks from others.

    With an objective (see train.py) row_losses and row_correct (n,) are written. Where that is empty, the outputs are, after
    the function at address `transform` (see losses.py), as `probabilities` (n, outputs).
    Where row_starts is not empty, X is a CSR matrix, as in train.py, and the others are each thread's room for a block's rows.
    outputs (threads, activations) holds each thread's activations of one block, and where x_stride is not 0, from x_start on, a
    copy of the block's rows, so far apart.
    finite (threads,), 1 at first, becomes 0 where a thread met an element of X that is not finite.
    """
    state = flush_denormals()
    own = outputs[thread]
    layers = table.shape[0]
    # One for the blocks of rows, which threads share, and one for the tiles of a block, which is one thread's.
    queues, alone = stack_words(QUEUES_WORDS), stack_words(QUEUES_WORDS)
    plan = stack_words(PLAN_WORDS)
    entries = (values[thread], indices[thread], pointers[thread])
    output = table[layers - 1]
    classes = output[FAN_OUT]
    compressed = row_starts.size > 0
    total = row_starts.size - 1 if compressed else X.shape[0]
    numbers_of_rows = np.empty(block, dtype=np.int64)
    one = own.dtype.type(1)
    places = np.empty((layers, block), dtype=np.int64)  # of the rows of each layer's inputs
    for index in range(1, layers):
        below = table[index - 1]
        count_up(address(own, below[OUTPUT]), below[STRIDE] * own.itemsize, places[index])
    open_queues(sync, thread, queues)
    open_queues(sync, thread, alone)
    if not barrier(address(sync, 0), threads):
        restore_denormals(state)
        return
    queue = queue_of(queues, 0, 1, (total + block - 1) // block, thread, threads)
    begin, end, whose = next_tiles(queue, queue[THREAD], LONG)
    while begin < end:
        for number in range(begin, end):
            start = number * block
            batch = numbers_of_rows[: min(block, total - start)]
            count_up(start, 1, batch)
            if compressed:
                compress_batch(0, 1, batch, X, row_starts, columns, stored, bounds, *entries)
            else:
                # The look also brings the block's rows into the second-level cache in one stream.
                finite[thread] &= all_finite(address(X, start * X.shape[1]), batch.size * X.shape[1], one)
                if x_stride > 0:
                    for i in range(batch.size):
                        copy_row(X, start + i, own, x_start + i * x_stride)
                    count_up(address(own, x_start), x_stride * own.itemsize, places[0])
                else:
                    count_up(address(X, start * X.shape[1]), X.shape[1] * X.itemsize, places[0])
            _forward_layers(
                alone, batch.size, table, constants, parameters, compressed, entries, own, places, plan
            )
            z = address(own, output[OUTPUT])
            if objective.size > 0:
                call(
                    objective[LOSS],
                    (
                        z, 0, output[STRIDE], output[PADDED_OUT], classes, 0, batch.size, address(batch, 0), objective[TARGETS],
                        objective[TARGET_STRIDE], objective[ROW_WEIGHTS], one, numbers[0], numbers[1], address(row_losses, start),
                        address(row_correct, start),
                    ),
                )  # fmt: skip
            else:
                call(transform, (z, batch.size, classes, output[PADDED_OUT], output[STRIDE], one))
                for i in range(batch.size):
                    place = output[OUTPUT] + i * output[STRIDE]
                    for j in range(classes):
                        probabilities[start + i, j] = own[place + j]
        begin, end, whose = next_tiles(queue, whose, LONG)
    restore_denormals(state)


@team_kernel
def layer_rows(thread, threads, sync, X, weights, b, Z):
    """Z = X W + b with infer_few's bits; X (n, fan_in), Z (n, fan_out), weights W's rows in one dimension.

    Some columns for a few rows, then the next ones: W comes from far away once for all of them, not once for each.
    """
    state = flush_denormals()
    room = room_for_row(X.shape[1], X.itemsize)
    values, indices = (
        np.empty((_ROWS_AT_ONCE, room), dtype=X.dtype),
        np.empty((_ROWS_AT_ONCE, room), dtype=np.int32),
    )
    counts = stack_words(_ROWS_AT_ONCE)
    step = columns_at_once(X.itemsize)
    first, last = share((b.size + step - 1) // step, thread, threads)
    for start in range(0, X.shape[0], _ROWS_AT_ONCE):
        rows = min(_ROWS_AT_ONCE, X.shape[0] - start)
        for row in range(rows):
            counts[row] = pack_row(X[start + row], values[row], indices[row])
        for column in range(first * step, last * step, step):
            for row in range(rows):
                packed_row_product(counts[row], values[row], indices[row], weights, Z[start + row], column)
        for row in range(start, start + rows):
            for j in range(first * step, min(last * step, b.size)):
                Z[row, j] += b[j]
    restore_denormals(state)


@jit
def infer_few(network, constants, transform, arena, X, probabilities):
    """Probabilities (n, classes) of a few rows X (n, d), straight from the parameters as a user sees them.

    Returns whether X and they are finite.

    Packing the parameters, as infer_rows needs them, costs as much as 10 to 50 rows. The bits are the same: every sum adds the
    same products in the same order.
    network int64 (layers + 1, 3): for the inputs and each layer how many they are, then code and function of the activation that
    follows, see layout.py, which has `constants`. arena holds weights (fan_in, fan_out) and biases in turn, each from a multiple
    of 64 bytes on; `transform` as in infer_rows.
    """
    state = flush_denormals()
    aligned, vector = 64 // arena.itemsize, VECTOR_BYTES // arena.itemsize
    classes = probabilities.shape[1]
    zero = arena.dtype.type(0)
    finite = all_finite(address(X, 0), X.size, zero)
    largest = 0
    for layer in network:
        largest = max(largest, layer[0])
    room = room_for_row(largest, arena.itemsize)
    units, indices = np.empty((3, room), dtype=arena.dtype), np.empty(room, dtype=np.int32)
    for row in range(X.shape[0]):
        inputs = X[row]
        place = 0
        for layer in range(1, network.shape[0]):
            fan_in, fan_out = network[layer - 1, 0], network[layer, 0]
            code = network[layer, 1]
            z = units[layer % 2]
            row_product(
                inputs[:fan_in], arena[place : place + fan_in * fan_out], z[:fan_out], units[2], indices
            )
            place += (fan_in * fan_out + aligned - 1) // aligned * aligned
            for j in range(fan_out):
                z[j] += arena[place + j]
            if code == RELU:
                for j in range(fan_out):
                    z[j] = zero if z[j] < zero else z[j]
            elif code == CALLED:
                a, b = constants[layer - 1, A], constants[layer - 1, B]
                call(network[layer, 2], (address(z, 0), 0, 1, fan_out, fan_out, a, b))
            place += (fan_out + aligned - 1) // aligned * aligned
            inputs = z
        width = (classes + vector - 1) // vector * vector
        call(transform, (address(inputs, 0), 1, classes, width, width, zero))
        for j in range(classes):
            probabilities[row, j] = inputs[j]
    restore_denormals(state)
    return finite & all_finite(address(probabilities, 0), probabilities.size, zero)
