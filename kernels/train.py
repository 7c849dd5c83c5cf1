"""A chunk of whole training steps in one kernel, executed side by side by every thread of a team.

One step: gather the batch's rows, forward, softmax and loss, backward, update. Work is cut into tiles by the problem's size
and shared out in contiguous runs; threads meet at a barrier where one phase reads what others wrote in the phase before.
"""

import numpy as np

from ._jit import helper, inlined, jit
from .denormals import flush_denormals, restore_denormals
from .layers import (
    PLAN_WORDS,
    backward,
    backward_tiles,
    bias_gradient,
    forward,
    forward_tiles,
    panels,
    plan_rows,
    plan_tile,
    run_of_strips,
    strips,
    weight_tiles,
)
from .layout import BIAS, FAN_IN, FAN_OUT, OUTPUT, PADDED_OUT, STRIDE, WEIGHTS
from .processor import VECTOR_BYTES
from .softmax import softmax_cross_entropy_row
from .sparse import fetch_entries, sparse_forward, sparse_update
from .sync import announce, barrier, farewell, share
from .tile import STORE, UPDATE, VECTORS, address, multiply_tile
from .update import RATE, SGD, update


@helper
def _gather(thread, threads, batch, X, x, x_start, x_stride):
    """Copy the batch's rows of X (n, d) to x[x_start:], each thread its share."""
    first, last = share(batch.size, thread, threads)
    columns = X.shape[1]
    for i in range(first, last):
        start = x_start + i * x_stride
        target = x[start : start + columns]
        source = X[batch[i]]
        for j in range(columns):  # not target[:] = source: Numba compiles its error message for 2.5 s
            target[j] = source[j]


@helper
def _output_rows(thread, threads, rows, layer, itemsize):
    """The rows whose loss this thread computes: where one panel holds all classes, those whose logits it computed."""
    if panels(layer[PADDED_OUT], itemsize) == 1:
        count = strips(rows)
        first, last = share(count, thread, threads)
        return first * rows // count, last * rows // count
    return share(rows, thread, threads)


@helper
def _loss(first, last, rows, layer, outputs, gradients, batch, y, row_losses, row_correct):
    """dZ = (softmax(Z) - onehot(y)) / rows for rows [first, last) of the output layer, with their losses."""
    scale = outputs.dtype.type(1) / outputs.dtype.type(rows)
    for i in range(first, last):
        start = layer[OUTPUT] + i * layer[STRIDE]
        row = gradients[start : start + layer[PADDED_OUT]]
        logits = outputs[start : start + layer[PADDED_OUT]]
        for j in range(row.size):
            row[j] = logits[j]
        row_losses[i], row_correct[i] = softmax_cross_entropy_row(row, layer[FAN_OUT], y[batch[i]], scale)


@inlined
def _update_layer(
    thread,
    threads,
    rows,
    layer,
    optimizer,
    settings,
    parameters,
    first,
    second,
    x,
    x_start,
    x_stride,
    gradients,
    scratch,
    plan,
):
    """dW = X^T dZ and db = sum of dZ's rows, each tile applied to its weights while it is in the first-level cache."""
    vector = VECTOR_BYTES // x.itemsize
    panel = VECTORS * vector
    fan_in = layer[FAN_IN]
    count = strips(fan_in)
    begin, end = share(weight_tiles(layer, x.itemsize), thread, threads)
    direct = optimizer == SGD
    s = -settings[RATE] if direct else x.dtype.type(-float("inf"))
    tile = begin
    while tile < end:
        column = tile // count * panel
        width = min(panel, layer[PADDED_OUT] - column)
        first_strip, end_strip = run_of_strips(tile, end, count)
        if first_strip == 0:
            sums = scratch[:width]
            bias_gradient(rows, layer, column, width, gradients, sums)
            place, stop = layer[BIAS] + column, layer[BIAS] + column + width
            update(optimizer, settings, parameters[place:stop], first[place:stop], second[place:stop], sums)
        start = first_strip * fan_in // count
        for strip in range(first_strip, end_strip):
            stop = (strip + 1) * fan_in // count
            place = layer[WEIGHTS] + column * fan_in + start * width
            size = (stop - start) * width
            multiply_tile(
                stop - start,
                width // vector,
                rows,
                address(x, x_start + start),
                1,
                x_stride,
                address(gradients, layer[OUTPUT] + column),
                layer[STRIDE],
                address(parameters, place) if direct else address(scratch, 0),
                width,
                0,
                s,
                UPDATE if direct else STORE,
                plan_tile(plan, tile - begin, end - begin, rows),
            )
            if not direct:
                last = place + size
                update(
                    optimizer, settings, parameters[place:last], first[place:last], second[place:last], scratch[:size]
                )  # fmt: skip
            start = stop
            tile += 1


@inlined
def _step(
    thread, threads, sync, table, optimizer, settings, parameters, first, second, outputs, gradients, scratch,
    x_start, x_stride, X, values, indices, pointers, bounds, y, batch, following, plans, numbers, row_losses, row_correct,
):  # fmt: skip
    """One training step; False if the team was told to give up."""
    itemsize = outputs.itemsize
    rows = batch.size
    layers = table.shape[0]
    compressed = bounds.size > 0
    if not compressed:
        _gather(thread, threads, batch, X, outputs, x_start, x_stride)
    if not barrier(sync, threads):
        return False
    # The next batch lies all over memory. Its rows are asked for little by little while this one computes, half of them in the
    # first layer's forward product, half in its update; otherwise they would be waited for, 200 ns a row of MNIST, a quarter of
    # a step of 784-32-32-10. (Asking for all of them at once gains nothing: the processor cannot keep track of so many.)
    ahead, last_ahead = share(following.size, thread, threads)
    half = (ahead + last_ahead) // 2
    plan, nothing = plans[0], plans[1]
    row_bytes = X.shape[1] * X.itemsize
    if compressed:
        fetch_entries(ahead, last_ahead, following, values, indices, pointers)
    else:
        plan_rows(plan, ahead, half, following, address(X, 0), row_bytes, row_bytes)
    for index in range(layers):
        layer = table[index]
        begin, end = share(forward_tiles(rows, layer, itemsize), thread, threads)
        if index == 0 and compressed:
            sparse_forward(thread, threads, layer, parameters, batch, values, indices, pointers, outputs)
        elif index == 0:
            forward(begin, end, rows, layer, parameters, outputs, x_start, x_stride, outputs, plan)
        else:
            below = table[index - 1]
            forward(
                begin, end, rows, layer, parameters, outputs, below[OUTPUT], below[STRIDE], outputs, nothing
            )
        in_one_panel = (
            index == layers - 1
            and panels(layer[PADDED_OUT], itemsize) == 1
            and not (compressed and index == 0)
        )
        if not in_one_panel and not barrier(sync, threads):
            return False
    output = table[layers - 1]
    begin, end = _output_rows(thread, threads, rows, output, itemsize)
    _loss(begin, end, rows, output, outputs, gradients, batch, y, row_losses, row_correct)
    if not barrier(sync, threads):
        return False
    # dX of a layer needs its weights from before the update, so the update of the layer above shares a phase with dX below.
    for index in range(layers - 1, -1, -1):
        layer = table[index]
        if index > 0:
            below = table[index - 1]
            begin, end = share(backward_tiles(rows, below, itemsize), thread, threads)
            backward(begin, end, rows, layer, below, parameters, outputs, gradients, scratch, plan, numbers)
            if not barrier(sync, threads):
                return False
            _update_layer(
                thread, threads, rows, layer, optimizer, settings, parameters, first, second,
                outputs, below[OUTPUT], below[STRIDE], gradients, scratch, nothing,
            )  # fmt: skip
        elif compressed:
            sparse_update(
                thread, threads, layer, optimizer, settings, parameters, first, second, batch, values, indices, pointers, bounds,
                gradients, scratch,
            )  # fmt: skip
        else:
            plan_rows(plan, half, last_ahead, following, address(X, 0), row_bytes, row_bytes)
            _update_layer(
                thread, threads, rows, layer, optimizer, settings, parameters, first, second,
                outputs, x_start, x_stride, gradients, scratch, plan,
            )  # fmt: skip
    return True


@jit
def train_steps(
    thread, threads, sync, table, optimizer, settings, parameters, first, second, outputs, gradients, scratches,
    x_start, x_stride, X, values, indices, pointers, bounds, y, order, batch_size, losses, correct, row_losses, row_correct,
):  # fmt: skip
    """Make settings.shape[0] training steps over the rows `order` of X, y; every thread of the team calls this.

    thread, threads      this thread's number and how many there are
    sync                 int64 (SYNC_WORDS,), zeros at the start
    table                int64 (layers, 8): the network, see layout.py
    optimizer, settings  code and (steps, SETTINGS), see update.py
    parameters, first, second    arenas of the parameters and of their first and second moment (GRADIENT: gradient to `first`)
    outputs, gradients   arenas of the activations (the gathered batches at x_start behind them) and of the dZ
    scratches            (threads, scratch)
    X, y                 (n, d) C-contiguous, int64 (n,); X is not read where the rows are compressed:
    values, indices, pointers, bounds    compressed rows, see sparse.py; bounds is empty where X is dense
    order, batch_size    int64 row numbers; every batch has batch_size of them but the last, which may be shorter
    losses, correct      float64 and int64 (steps,): mean loss before the update and rows classified right; written
    row_losses, row_correct      the same for each row of a batch; overwritten
    """
    state = flush_denormals()
    address_of_sync = address(sync, 0)
    announce(thread, threads, address_of_sync)
    scratch = scratches[thread]
    plans = np.zeros((2, PLAN_WORDS), dtype=np.int64)
    numbers = np.arange(table[:, PADDED_OUT].max())
    for step in range(settings.shape[0]):
        batch = order[step * batch_size : (step + 1) * batch_size]
        following = order[(step + 1) * batch_size : (step + 2) * batch_size]
        # Two places in turn for the gathered batch: the last phase of a step still reads one while the next fills the other.
        x_place = x_start + step % 2 * batch_size * x_stride
        if not _step(
            thread, threads, address_of_sync, table, optimizer, settings[step], parameters, first, second, outputs, gradients,
            scratch, x_place, x_stride, X, values, indices, pointers, bounds, y, batch, following, plans, numbers,
            row_losses, row_correct,
        ):  # fmt: skip
            break
        if thread == 0:
            # After the step's last barrier nobody writes row losses until the next step's first one.
            total = 0.0
            hits = 0
            for i in range(batch.size):
                total += row_losses[i]
                hits += row_correct[i]
            losses[step] = total / batch.size
            correct[step] = hits
    # Nobody returns before all are done: the caller reads the parameters.
    barrier(address_of_sync, threads)
    farewell(thread, threads, address_of_sync)
    restore_denormals(state)
