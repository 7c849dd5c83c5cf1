"""A chunk of whole training steps in one kernel, executed side by side by every thread of a team.

One step: forward, loss, backward, update. Work is cut into tiles by the problem's size and shared out in contiguous runs;
threads meet at a barrier where one phase reads what others wrote in the phase before. Or the batch is cut into slices, and a
thread makes all phases of some of them alone, see slices.py. The batch's rows are read where they lie.
"""

import numpy as np

from ._jit import helper, team_kernel
from .clock import clock
from .compress import compress_batch, fetch_entries
from .denormals import flush_denormals, restore_denormals
from .fetch_ahead import PLAN_WORDS
from .functions import call, stack_words
from .jobs import LEAVE
from .layers import (
    backward,
    copy_row,
    count_up,
    forward,
    panels,
    strips,
    update_layer,
)
from .layout import (
    BATCH_ROW,
    COLUMNS,
    FAN_IN,
    FAN_OUT,
    OUTPUT,
    OUTPUT_COST,
    PADDED_OUT,
    PRODUCT_COST,
    SCALE,
    STRIDE,
)
from .optimize import APPLY_KEPT, APPLY_PARTIALS, LIMIT_NORMS
from .random import subkey
from .shares import (
    LONG,
    QUEUES_WORDS,
    THREAD,
    next_tiles,
    open_queues,
    own_queue,
    queue_of,
    share_tiles,
)
from .slices import count_slices
from .sparse import sparse_forward, sparse_update
from .sync import atomic_load, atomic_store, barrier, share
from .tile import ROWS_AHEAD, address, fetch_line
from .transpose_ahead import JOB_WORDS

# Words of the array `objective`: the address of the loss, what it is called with (see losses.py), and bytes a row of the targets.
LOSS, TARGETS, TARGET_STRIDE, ROW_WEIGHTS, TARGET_BYTES = range(5)

# Words of the array `patience`: the seconds that a step may take, and so many more all together, before thread 0 goes on alone;
# then the step it did so from, 1 or later, and the seconds of those steps.
STEP_SECONDS, MORE_SECONDS, ALONE_FROM, ALONE_SECONDS = range(4)

# Words of the array `inputs`: how X is dropped out, as in layout.py: the address of a function, or 0, and its threshold.
DROPPER, THRESHOLD = range(2)


@helper
def _gather(thread, threads, batch, batch_row, X, x, x_start, x_stride, inputs, scale, key):
    """Copy rows of X (n, d) to x[x_start:], each thread its share, and drop out some of their elements if asked.

    batch_row: which row of the whole batch batch[0] is.
    """
    first, last = share(batch.size, thread, threads)
    columns = X.shape[1]
    for i in range(first, last):
        start = x_start + i * x_stride
        copy_row(X, batch[i], x, start)
        if inputs[DROPPER] != 0:
            counter = (batch_row + i) * columns
            call(
                inputs[DROPPER],
                (address(x, start), 0, 1, columns, x_stride, counter, columns, inputs[THRESHOLD], scale, key),
            )


@helper
def _drop_entries(thread, threads, rows, columns, values, indices, pointers, inputs, scale, key):
    """Drop out some of the compressed elements of X (rows, columns), each thread in those rows that it compressed itself."""
    first, last = share(rows, thread, threads)
    for i in range(first, last):
        place, stop = pointers[i, 0], pointers[i, pointers.shape[1] - 1]
        call(
            inputs[DROPPER],
            (
                address(values, place), address(indices, place), stop - place, i * columns, inputs[THRESHOLD], scale, key,
            ),
        )  # fmt: skip


@helper
def _output_rows(thread, threads, rows, layer, itemsize):
    """The rows whose loss this thread computes: where one panel holds all classes, those whose logits it computed."""
    if panels(layer[PADDED_OUT], itemsize) == 1:
        count = strips(rows)
        first, last = share_tiles(layer[PRODUCT_COST], count, thread, threads)
        return first * rows // count, last * rows // count
    return share(rows, thread, threads)


@helper
def _fetch_targets(first, last, batch, objective):
    """Ask for the targets of rows [first, last): they lie all over memory, and 784-32-32-10 waits for labels 4 % of its time."""
    for i in range(first, last):
        fetch_line(objective[TARGETS] + objective[TARGET_BYTES] * batch[i])


@helper
def _loss(first, last, layer, outputs, gradients, batch, objective, numbers, total, row_losses, row_correct):
    """dZ of the loss for rows [first, last) of the output layer, with their losses; `total` is the sum of the rows' weights."""
    # Where all rows of a batch weigh nothing, there is nothing to learn from it.
    scale = outputs.dtype.type(1.0 / total if total > 0 else 0.0)
    call(
        objective[LOSS],
        (
            address(outputs, layer[OUTPUT]), address(gradients, layer[OUTPUT]), layer[STRIDE], layer[PADDED_OUT],
            layer[FAN_OUT], first, last, address(batch, 0), objective[TARGETS], objective[TARGET_STRIDE],
            objective[ROW_WEIGHTS], scale, numbers[0], numbers[1], address(row_losses, 0), address(row_correct, 0),
        ),
    )  # fmt: skip


@helper
def _propagate(
    thread, threads, sync, table, constants, inputs, objective, how, settings, key, parameters, moments, outputs, gradients,
    scratch, x_start, x_stride, data, batch, following, plan, job, places, queues, results, partial,
):  # fmt: skip
    """Forward, loss, backward and update of a batch, or the gradient of a slice; False if the team was told to give up.

    In tuples (of more than 30 arguments Python makes a tuple of its own):
    objective    as in train_steps, with its numbers and this batch's sum of weights
    data         X, row_starts, columns, data, bounds, values, indices, pointers, ahead
    results      row_losses, row_correct
    partial      where the gradient goes, see slices.py
    queues       as in shares.py
    places       int64 (2 * layers + 1, rows and more): where the rows of each layer's inputs and of the outputs are, then of
                 each dZ
    """
    X, row_starts, columns, stored, bounds, values, indices, pointers, ahead = data
    words, numbers, total = objective
    row_losses, row_correct = results
    itemsize = outputs.itemsize
    rows = batch.size
    layers = table.shape[0]
    compressed = bounds.size > 0
    scale = constants[layers, SCALE]
    output = table[layers - 1]
    first_row, last_row = _output_rows(thread, threads, rows, output, itemsize)
    _fetch_targets(first_row, last_row, batch, words)
    if compressed:
        compress_batch(
            thread, threads, batch, X, row_starts, columns, stored, bounds, values, indices, pointers
        )
        if inputs[DROPPER] != 0:
            _drop_entries(
                thread, threads, rows, X.shape[1], values, indices, pointers, inputs, scale, subkey(key, 0)
            )
    elif x_stride > 0:
        before = output[BATCH_ROW]
        _gather(thread, threads, batch, before, X, outputs, x_start, x_stride, inputs, scale, subkey(key, 0))
        count_up(address(outputs, x_start), x_stride * itemsize, places[0])
    else:
        for i in range(rows):
            places[0, i] = address(X, batch[i] * X.shape[1])
    if (compressed or x_stride > 0) and not barrier(sync, threads):
        return False
    first_ahead, last_ahead = share(following.size, thread, threads)
    if row_starts.size > 0:
        fetch_entries(first_ahead, last_ahead, following, row_starts, columns, stored)
    for index in range(layers):
        layer = table[index]
        layer_key = subkey(key, index + 1)
        in_one_panel = False
        if index == 0 and compressed:
            sparse_forward(
                queues, thread, threads, rows, layer, constants[0], parameters, values, indices, pointers, outputs, gradients,
                layer_key,
            )  # fmt: skip
        else:
            strip, count = layer[PRODUCT_COST], strips(rows)
            in_one_panel = index == layers - 1 and panels(layer[PADDED_OUT], itemsize) == 1
            if in_one_panel:
                first, last = share_tiles(strip, count, thread, threads)
                queue = own_queue(queues, strip, count, first, last)
            else:
                queue = queue_of(queues, 0, strip, count, thread, threads)
            forward(
                queue, rows, layer, constants[index], parameters, address(places, index * places.shape[1]), outputs,
                gradients, layer_key, plan,
            )  # fmt: skip
        if not in_one_panel and not barrier(sync, threads):
            return False
    _loss(
        first_row, last_row, output, outputs, gradients, batch, words, numbers, total, row_losses, row_correct
    )
    if not barrier(sync, threads):
        return False
    # dX of a layer needs its weights from before the update, so the update of the layer above shares a phase with dX below, and
    # that of the second layer with that of the first.
    for index in range(layers - 1, -1, -1):
        layer = table[index]
        if index > 0:
            below = table[index - 1]
            queue = queue_of(queues, 1, below[OUTPUT_COST], strips(rows), thread, threads)
            dz = address(places, (layers + 1 + index) * places.shape[1])
            backward(queue, rows, layer, below, parameters, dz, outputs, gradients, scratch, job)
            if not barrier(sync, threads):
                return False
        elif compressed:
            own_following = following[first_ahead : last_ahead if row_starts.size == 0 else first_ahead]
            sparse_update(
                queues, thread, threads, rows, layer, how, settings, parameters, moments, values, indices, pointers, bounds,
                gradients, scratch, X, own_following, ahead,
            )  # fmt: skip
            continue
        strip, count = layer[PRODUCT_COST], strips(layer[FAN_IN])
        update_layer(
            queue_of(queues, 0 if index > 0 else 1, strip, count, thread, threads), rows, layer, how, settings,
            parameters, moments, address(places, index * places.shape[1]), gradients, scratch, partial,
        )  # fmt: skip
    return True


@helper
def _step(
    thread, threads, sync, table, constants, inputs, objective, how, settings, key, parameters, moments, outputs, gradients,
    scratch, sums, x_start, x_stride, data, batch, following, plan, job, places, queues, results, slice_rows, partials,
):  # fmt: skip
    """One training step; False if the team was told to give up. As `_propagate` and train_steps.

    queues: two of them, for what the team shares and for what this thread does alone.
    """
    if not barrier(sync, threads):  # others may still change the parameters
        return False
    if threads > 1 and atomic_load(sync + 8 * LEAVE) != 0:
        if thread > 0:
            return False
        threads = 1
    shared, alone = queues
    row_losses, row_correct = results
    cut = slice_rows > 0
    slices, parts = count_slices(batch.size, slice_rows, partials.shape[0])
    # A batch that is not cut is one part, to which all threads go.
    queue = queue_of(shared, 0, 1, parts, thread, threads) if cut else own_queue(alone, 1, 1, 0, 1)
    member, members = (0, 1) if cut else (thread, threads)
    whose = queue[THREAD]
    while True:
        begin, end, whose = next_tiles(queue, whose, LONG)
        if begin == end:
            break
        for part in range(begin, end):
            first_slice, last_slice = share(slices, part, parts)
            for number in range(first_slice, last_slice):
                first, last = share(batch.size, number, slices)
                for index in range(table.shape[0]):
                    table[index, BATCH_ROW] = first
                place = address(partials, part * parameters.size) if cut else 0
                if not _propagate(
                    member, members, sync, table, constants, inputs, objective, how, settings, key, parameters, moments, outputs,
                    gradients, scratch, x_start, x_stride, data, batch[first:last], following, plan, job, places,
                    shared if not cut else alone, (row_losses[first:last], row_correct[first:last]),
                    (place, number > first_slice),
                ):  # fmt: skip
                    return False
    if cut:
        if not barrier(sync, threads):
            return False
        call(
            how[APPLY_PARTIALS],
            (thread, threads, parts, partials, table, how, settings, parameters, moments, scratch),
        )
    if how[APPLY_KEPT] != 0:
        if not barrier(sync, threads):
            return False
        call(how[APPLY_KEPT], (thread, threads, sync, table, how, settings, parameters, moments, sums))
    if how[LIMIT_NORMS] != 0:
        if not barrier(sync, threads):
            return False
        call(how[LIMIT_NORMS], (thread, threads, table, how, settings, parameters, moments, scratch))
    return True


@team_kernel
def train_steps(
    thread, threads, sync, table, constants, inputs, objective, numbers, how, settings, stream, first_step, parameters, moments,
    outputs, gradients, scratches, sums, x_start, x_stride, X, row_starts, columns, stored, bounds, values, indices, pointers,
    order, batch_size, totals, losses, correct, row_losses, row_correct, patience, slice_rows, partials,
):  # fmt: skip
    """Make settings.shape[0] training steps over the rows `order` of X.

    thread, threads, sync        of the team, see jobs.py
    table, constants     int64 (layers, COLUMNS) and (layers + 1, 3): the network, see layout.py; the last row is of the inputs
    inputs               int64 (2,): the inputs' dropout, see above
    objective, numbers   int64 (5,) and (2,): the loss, its targets and weights, see above, and its two constants
    how, settings        int64 (WORDS,), see optimize.py, and (steps, 2, SETTINGS), see update.py: for weights and for biases
    stream, first_step   uint64: the run's stream of random numbers; the number of the first step in it
    parameters, moments  arenas of the parameters, (size,), and of what else the optimiser keeps, (rows, size)
    outputs, gradients   arenas of the activations (behind them, at x_start, rows whose inputs are dropped out) and of the dZ
    scratches, sums      (threads, scratch); float64, one for each run of gradients that are kept
    X                    (n, d) C-contiguous; where row_starts is not empty it is not read, and is (0, d)
    row_starts, columns, stored    X as a CSR matrix with sorted columns (int64, int32, floats), or empty
    bounds, values, indices, pointers    room for compressed rows, see sparse.py; bounds is empty where none are to be compressed
    order, batch_size    int64 row numbers; every batch has batch_size of them but the last, which may be shorter
    totals               float64 (steps,): the sum of each batch's weights
    losses, correct      float64 and int64 (steps,): mean loss before the update and rows classified right; written
    row_losses, row_correct      the same for each row of a batch; overwritten
    patience             float64 (4,), see above; the last two are written where thread 0 loses it
    slice_rows           0, or the most rows in a slice, see slices.py; the arenas hold as many for each thread then
    partials             (most parts, size): the gradients of parts of a batch; (0, 0) where batches are not cut
    """
    state = flush_denormals()
    address_of_sync = address(sync, 0)
    scratch = scratches[thread]
    queues = stack_words(QUEUES_WORDS), stack_words(QUEUES_WORDS)
    for some in queues:
        open_queues(sync, thread, some)
    plan, job = stack_words(PLAN_WORDS), stack_words(JOB_WORDS)
    own = np.empty(table.shape, dtype=np.int64)  # of slices, the rows behind those of the threads before
    rows_before = thread * slice_rows
    for index in range(table.shape[0]):
        layer = own[index]
        for column in range(COLUMNS):  # not layer[:] =, see copy_row
            layer[column] = table[index, column]
        layer[OUTPUT] += rows_before * layer[STRIDE]
    ahead = np.empty((batch_size if bounds.size > 0 else 0, 2), dtype=np.int64)
    data = (X, row_starts, columns, stored, bounds, values, indices, pointers, ahead)
    layers, itemsize = table.shape[0], outputs.itemsize
    most_rows = batch_size if slice_rows == 0 else slice_rows
    places = np.empty((2 * layers + 1, most_rows + ROWS_AHEAD), dtype=np.int64)
    for index in range(layers):
        stride = own[index, STRIDE] * itemsize
        count_up(address(outputs, own[index, OUTPUT]), stride, places[index + 1])
        count_up(address(gradients, own[index, OUTPUT]), stride, places[layers + 1 + index])
    began, alone_since = -1.0, -1.0
    for step in range(settings.shape[0]):
        if threads > 1 and thread == 0 and step > 0:
            # From the end of the first step, before which the others may have had to be woken.
            now = clock()
            if began < 0:
                began = now
            elif now - began > (step - 1) * patience[STEP_SECONDS] + patience[MORE_SECONDS]:
                # A thread was away for longer than it helps. The others leave when they have met here, and no bits change.
                atomic_store(address_of_sync + 8 * LEAVE, 1)
                patience[ALONE_FROM], alone_since = step, now
        batch = order[step * batch_size : (step + 1) * batch_size]
        following = order[(step + 1) * batch_size : (step + 2) * batch_size]
        if not _step(
            thread, threads, address_of_sync, own, constants, inputs, (objective, numbers, totals[step]), how, settings[step],
            subkey(stream, first_step + step), parameters, moments, outputs, gradients, scratch, sums,
            x_start + rows_before * x_stride, x_stride, data,
            batch, following, plan, job, places, queues, (row_losses, row_correct),
            slice_rows, partials,
        ):  # fmt: skip
            break
        if alone_since > 0:
            threads = 1
        if thread == 0:
            # After the step's last barrier nobody writes row losses until the next step's first one.
            total = 0.0
            hits = 0
            for i in range(batch.size):
                total += row_losses[i]
                hits += row_correct[i]
            losses[step] = total / totals[step] if totals[step] > 0 else 0.0
            correct[step] = hits
    if alone_since > 0:
        patience[ALONE_SECONDS] = clock() - alone_since
    restore_denormals(state)
