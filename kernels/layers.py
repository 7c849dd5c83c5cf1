"""The three matrix products of a dense layer, cut into register tiles: forward, gradient of the inputs, update.

A product's tiles are numbered panel by panel, and within a panel strip by strip; a thread computes those that it finds in its
queue. Each element is computed by one thread, in one order: whoever computes it, the bits are the same.
"""

from ._jit import helper
from .copy_block import copy_block
from .fetch_ahead import plan_piece
from .functions import call
from .layout import (
    ACTIVATION,
    BATCH_ROW,
    BIAS,
    CALLED,
    DROPPER,
    FAN_IN,
    FAN_OUT,
    FUNCTION,
    IDENTITY,
    OUTPUT,
    PADDED_OUT,
    RELU,
    STRIDE,
    THRESHOLD,
    WEIGHTS,
    WHOLE,
    A,
    B,
)
from .layout import SCALE as DROPOUT_SCALE
from .optimize import DIRECT, MODE, apply_gradient
from .processor import VECTOR_BYTES
from .rest import forward_rest, update_rest
from .shares import LAST, THREAD, next_tiles
from .slices import put
from .sum_rows import sum_rows
from .tile import (
    MASK,
    RECTIFY,
    ROWS,
    SCALE,
    STORE,
    UPDATE,
    VECTORS,
    address,
    multiply_columns,
    multiply_rows,
    multiply_rows_transposing,
)
from .transpose_ahead import finish_job, no_job, plan_job, transpose_panel
from .update import RATE


@helper
def strips(rows):
    """How many strips of at most ROWS rows cover `rows`; strip s is rows [s * rows // strips, (s + 1) * rows // strips)."""
    return (rows + ROWS - 1) // ROWS


@helper
def panels(columns, itemsize):
    """How many panels cover `columns`."""
    panel = VECTORS * (VECTOR_BYTES // itemsize)
    return (columns + panel - 1) // panel


# Weights of so many bytes are in a second-level cache when their turn comes. The first tile of a panel of larger ones would wait
# for it, so the tiles of the one before ask for it. (An Intel Xeon of 2023: E 1.07 times as fast, D 1.02; the others the same,
# but for B20, which the planning would cost 1 %.)
_NEAR_WEIGHTS = 1_000_000


@helper
def _goes_on(queue, whose, column, columns, count, itemsize):
    """Whether the panel after the one at `column`, of so many columns and `count` tiles each, is this thread's, too."""
    following = column + VECTORS * (VECTOR_BYTES // itemsize)
    return (
        whose == queue[THREAD] and following < columns and panels(following, itemsize) * count < queue[LAST]
    )


@helper
def activate(first_row, rows, column, width, layer, constants, y, slopes, key):
    """Y = f(Y), S = f'(Y) in rows and columns of a layer whose activation is CALLED, then dropout where there is any.

    Y is in y, S in slopes, at the same place; an empty `slopes` asks for Y alone. `key` is the layer's stream of random numbers.
    """
    place = layer[OUTPUT] + first_row * layer[STRIDE] + column
    columns = min(width, layer[FAN_OUT] - column)  # the padding stays 0
    values = address(y, place)
    slope_place = address(slopes, place) if slopes.size > 0 else 0
    call(
        layer[FUNCTION],
        (values, slope_place, rows, columns, layer[STRIDE], constants[A], constants[B]),
    )
    if layer[DROPPER] != 0:
        counter = (layer[BATCH_ROW] + first_row) * layer[FAN_OUT] + column
        call(
            layer[DROPPER],
            (
                values, slope_place, rows, columns, layer[STRIDE], counter, layer[FAN_OUT], layer[THRESHOLD],
                constants[DROPOUT_SCALE], key,
            ),
        )  # fmt: skip


@helper
def forward(queue, rows, layer, constants, parameters, x, y, slopes, key, plan):
    """Y = f(X W + b), the tiles of a queue: X (rows, fan_in), Y (rows, fan_out) in y at the layer's place.

    x: the address of X's rows' addresses. slopes, key: see `activate`. plan: PLAN_WORDS int64, overwritten.
    """
    itemsize = y.itemsize
    vector = VECTOR_BYTES // itemsize
    panel = VECTORS * vector
    fan_in, stride = layer[FAN_IN], layer[STRIDE]
    count = strips(rows)
    low = y.dtype.type(0) if layer[ACTIVATION] == RELU else y.dtype.type(-float("inf"))
    far = fan_in * layer[PADDED_OUT] * itemsize > _NEAR_WEIGHTS
    whose = queue[THREAD]
    while True:
        begin, end, whose = next_tiles(queue, whose, fan_in)
        if begin == end:
            break
        column = begin // count * panel
        width = min(panel, layer[PADDED_OUT] - column)
        following = column + panel
        next_panel, piece = address(parameters, layer[WEIGHTS] + following * fan_in), 0
        if far and _goes_on(queue, whose, column, layer[PADDED_OUT], count, itemsize):
            piece = fan_in * min(panel, layer[PADDED_OUT] - following) * itemsize // count
        start = begin % count * rows // count
        for tile in range(begin, end):
            stop = (tile % count + 1) * rows // count
            if column == layer[WHOLE]:
                forward_rest(start, stop, layer, parameters, x, y, low)
            else:
                multiply_rows(
                    stop - start,
                    width // vector,
                    fan_in,
                    x + 8 * start,
                    address(parameters, layer[WEIGHTS] + column * fan_in),
                    width,
                    address(y, layer[OUTPUT] + start * stride + column),
                    stride,
                    address(parameters, layer[BIAS] + column),
                    low,
                    RECTIFY,
                    plan_piece(plan, next_panel + tile % count * piece, piece, fan_in) if piece > 0 else 0,
                )
            if layer[ACTIVATION] == CALLED:
                activate(start, stop - start, column, width, layer, constants, y, slopes, key)
            start = stop


@helper
def backward(queue, rows, layer, below, parameters, dz, outputs, gradients, scratch, job):
    """dX = (dZ W^T) * f'(X), the tiles of a queue: X from outputs and dX to gradients at `below`.

    dz: the address of dZ's rows' addresses. Where f is CALLED, f'(X) lies where dX goes. scratch: room for two panels of W^T.
    job: int64, overwritten.
    """
    itemsize = outputs.itemsize
    vector = VECTOR_BYTES // itemsize
    panel = VECTORS * vector
    stride = below[STRIDE]
    count = strips(rows)
    activation = below[ACTIVATION]
    mode = MASK if activation == RELU else (STORE if activation == IDENTITY else SCALE)
    half = panel * layer[PADDED_OUT]
    here, there = scratch[:half], scratch[half : 2 * half]
    whose = queue[THREAD]
    transposed = coming = -1
    while True:
        begin, end, whose = next_tiles(queue, whose, layer[FAN_OUT])
        if begin == end:
            break
        column = begin // count * panel
        width = min(panel, below[PADDED_OUT] - column)
        if column != transposed:
            if column == coming:
                here, there = there, here
                finish_job(job, layer, parameters, column, here)
            else:
                transpose_panel(layer, parameters, column, width, 0, here)
            transposed, coming = column, -1
            following = column + panel
            if following + panel <= layer[FAN_IN] and _goes_on(
                queue, whose, column, below[PADDED_OUT], count, itemsize
            ):
                coming = following
                plan_job(job, layer, parameters, following, there, count - begin % count)
            else:
                no_job(job)
        start = begin % count * rows // count
        for tile in range(begin, end):
            stop = (tile % count + 1) * rows // count
            place = below[OUTPUT] + start * stride + column
            multiply_rows_transposing(
                stop - start,
                width // vector,
                layer[FAN_OUT],
                dz + 8 * start,
                address(here, 0),
                width,
                address(gradients, place),
                stride,
                0 if mode == STORE else address(outputs if mode == MASK else gradients, place),
                outputs.dtype.type(0),
                mode,
                address(job, 0),
            )
            start = stop


@helper
def copy_row(X, row, x, start):
    """x[start + j] = X[row, j] for all columns of X."""
    source, target = X[row], x[start : start + X.shape[1]]
    for j in range(X.shape[1]):  # not target[:] = source: Numba compiles its error message for 2.5 s
        target[j] = source[j]


@helper
def count_up(start, step, out):
    """out[i] = start + step i: whole numbers, or the addresses of rows that lie `step` bytes apart.

    For np.arange Numba takes 0.3 s longer.
    """
    for i in range(out.size):
        out[i] = start + step * i


# Of more bytes than these dZ's columns are copied together, if so many tiles use them. Rows of 1,000 numbers lie in a page each,
# as do those of X, more than the processor's first table of pages holds. (An Intel Xeon of 2023, 100 rows: a tile takes 475 ns
# instead of 513, C and D are 1.02 times as fast; of 24 KB, A, 0.95.)
_NEAR_GRADIENTS, _TILES_FOR_COPY = 128 * 1024, 4


@helper
def update_layer(queue, rows, layer, how, settings, parameters, moments, x, gradients, scratch, partial):
    """dW = X^T dZ and db = sum of dZ's rows, the tiles of a queue, each applied to its weights while it is in the first cache.

    x: the address of X's rows' addresses. partial: words as in slices.py; where there is a place, the gradient goes there.
    scratch: room for a tile, then for a panel of dZ.
    """
    itemsize = parameters.itemsize
    vector = VECTOR_BYTES // itemsize
    panel = VECTORS * vector
    fan_in = layer[FAN_IN]
    count = strips(fan_in)
    kept, adds = partial
    # Where a tile's dW goes, times what it is added there; 0: it waits in `scratch` for the optimiser.
    target, factor, mode = 0, parameters.dtype.type(1), STORE
    if kept != 0:
        target, mode = kept, UPDATE if adds else STORE
    elif how[MODE] == DIRECT:
        target, factor, mode = address(parameters, 0), -settings[0, RATE], UPDATE
    far = rows * layer[STRIDE] * itemsize > _NEAR_GRADIENTS
    behind_tile = address(scratch, ROWS * panel)
    whose = queue[THREAD]
    copied = -1
    while True:
        begin, end, whose = next_tiles(queue, whose, rows)
        if begin == end:
            break
        column = begin // count * panel
        width = min(panel, layer[PADDED_OUT] - column)
        dz, step = address(gradients, layer[OUTPUT] + column), layer[STRIDE]
        if far and column != copied and end - begin >= _TILES_FOR_COPY:
            copy_block(dz, step, behind_tile, width, rows, width, factor)
            copied = column
        if column == copied:
            dz, step = behind_tile, width
        if begin % count == 0:
            sums, place = scratch[:width], layer[BIAS] + column
            sum_rows(dz, step, rows, width // vector, address(sums, 0), factor)
            if kept != 0:
                put(sums, kept + itemsize * place, adds)
            else:
                apply_gradient(how, settings[1], parameters, moments, place, sums, width)
        if column == layer[WHOLE]:
            update_rest(
                begin % count, (end - 1) % count + 1, count, rows, layer, how, settings[0], parameters, moments, x, dz, step,
                target, factor, mode, scratch,
            )  # fmt: skip
            continue
        start = begin % count * fan_in // count
        for tile in range(begin, end):
            stop = (tile % count + 1) * fan_in // count
            place = layer[WEIGHTS] + column * fan_in + start * width
            multiply_columns(
                stop - start,
                width // vector,
                rows,
                x,
                start,
                dz,
                step,
                target + itemsize * place if target != 0 else address(scratch, 0),
                width,
                0,
                factor,
                mode,
                0,
            )
            if target == 0:
                apply_gradient(how, settings[0], parameters, moments, place, scratch, (stop - start) * width)
            start = stop
