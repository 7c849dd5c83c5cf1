"""Forward passes over many rows: probabilities, or losses where labels are given."""

import numpy as np

from ._jit import jit
from .denormals import flush_denormals, restore_denormals
from .layers import PLAN_WORDS, forward, forward_tiles
from .layout import FAN_OUT, OUTPUT, PADDED_OUT, STRIDE
from .softmax import softmax_cross_entropy_row, softmax_row
from .sparse import sparse_forward
from .sync import share


@jit
def infer_rows(
    thread,
    threads,
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
    restore_denormals(state)
