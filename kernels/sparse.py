"""A first layer whose inputs are mostly zeros: its two products over the non-zeros alone.

The batch's rows are compressed (compress.py) as in CSR, with two changes. Each row is padded with zeros to a multiple of UNROLL
entries, so that the loop runs independent sums without a remainder. And where a layer is so narrow that its panels are too few
to share among threads, the columns are cut into blocks, each row's part of which is contiguous. (Blocks small enough for a
panel's rows of W to stay in the first-level cache were tried on Zen 5: 200 KB, that is none, beats 48, 24 and 12 KB by 5, 17
and 108 % at 784-512-10.)

values, indices      one entry a non-zero (or padding): its value and its column
pointers             int64 (rows, blocks + 1): row i's entries in block k are pointers[i, k] ... pointers[i, k + 1] - 1
bounds               int64 (blocks + 1): block k holds columns bounds[k] ... bounds[k + 1] - 1
"""

from ._jit import helper
from .layers import activate
from .layout import ACTIVATION, BIAS, CALLED, FAN_IN, OUTPUT, PADDED_OUT, RELU, STRIDE, WEIGHTS
from .optimize import DIRECT, MODE, apply_gradient
from .processor import VECTOR_BYTES
from .shares import FIRST, LAST, LONG, THREAD, next_tiles, queue_of
from .sparse_code import LINE_BYTES, PANELS, multiply_entries, update_entries
from .sum_rows import sum_rows
from .sync import share
from .tile import VECTORS, address
from .update import RATE

# Of a pass's rows at least, with several threads: 784-32-32-10 has one pass.
_PIECES = 4


@helper
def plan_fetching(part, parts, X, following, ahead):
    """ahead[i] = addresses of the first and last line to fetch with the update of row i, in one of its `parts`.

    All parts together fetch the rows `following` of X. Where there is nothing to fetch, the addresses are ahead's own.
    """
    rows = ahead.shape[0]
    row_bytes = X.shape[1] * X.itemsize
    row_lines = (row_bytes + LINE_BYTES - 1) // LINE_BYTES
    lines = following.size * row_lines
    updates = rows * parts
    begin = part * lines // parts
    row, first = begin // row_lines, begin % row_lines
    each, more = lines // updates, lines % updates
    rest = 0
    for i in range(rows):
        ahead[i, 0] = ahead[i, 1] = address(ahead, 0)
        rest += more
        last = first + each + (1 if rest >= updates else 0)
        rest -= updates if rest >= updates else 0
        if row < following.size and last > first:
            start = address(X, following[row] * X.shape[1])
            ahead[i, 0] = start + LINE_BYTES * first
            ahead[i, 1] = start + LINE_BYTES * (min(last, row_lines) - 1)
        first = last
        while first >= row_lines:  # what is left of a row when the next begins is left out
            first -= row_lines
            row += 1


@helper
def _passes(layer, itemsize):
    """How many passes over the entries serve all columns of the layer."""
    wide = PANELS * VECTORS * (VECTOR_BYTES // itemsize)
    return (layer[PADDED_OUT] + wide - 1) // wide


@helper
def _pieces(threads):
    """In how many pieces a pass's rows are cut, for threads to help each other."""
    return 1 if threads == 1 else max(threads, _PIECES)


@helper
def sparse_forward(
    queues, thread, threads, rows, layer, constants, parameters, values, indices, pointers, y, slopes, key
):
    """Y = f(X W + b) for the first `rows` compressed rows, shared out by `queues`; the others as in layers.forward."""
    vector = VECTOR_BYTES // y.itemsize
    panel = VECTORS * vector
    stride = layer[STRIDE]
    blocks = pointers.shape[1] - 1
    everything = y.dtype.type(-float("inf"))
    low = y.dtype.type(0) if layer[ACTIVATION] == RELU else everything
    # Whole passes to each thread, where there are enough.
    pieces = _pieces(threads)
    parts = _passes(layer, y.itemsize) * pieces
    queue = queue_of(queues, 0, 1, parts, thread, threads)
    whose = queue[THREAD]
    while True:
        begin, end, whose = next_tiles(queue, whose, LONG)
        if begin == end:
            break
        for part in range(begin, end):
            column = part // pieces * PANELS * panel
            width = min(PANELS * panel, layer[PADDED_OUT] - column)
            start, stop = share(rows, part % pieces, pieces)
            w = address(parameters, layer[WEIGHTS] + column * layer[FAN_IN])
            z = address(y, layer[OUTPUT] + start * stride + column)
            for block in range(blocks):
                multiply_entries(
                    width // vector,
                    stop - start,
                    address(pointers, start * (blocks + 1) + block),
                    blocks + 1,
                    address(indices, 0),
                    address(values, 0),
                    w,
                    w + panel * layer[FAN_IN] * y.itemsize,
                    z,
                    stride,
                    z if block else address(parameters, layer[BIAS] + column),
                    stride if block else 0,
                    low if block == blocks - 1 else everything,
                )
            if layer[ACTIVATION] == CALLED:
                activate(start, stop - start, column, width, layer, constants, y, slopes, key)


@helper
def sparse_update(
    queues, thread, threads, rows, layer, how, settings, parameters, moments, values, indices, pointers, bounds, gradients,
    scratch, X, following, ahead,
):  # fmt: skip
    """dW = X^T dZ for the first `rows` compressed rows and its update, passes and blocks shared out by `queues`.

    The rows `following` of X (n, d) are fetched meanwhile; ahead (rows or more, 2) is overwritten.
    """
    itemsize = parameters.itemsize
    vector = VECTOR_BYTES // itemsize
    panel = VECTORS * vector
    fan_in = layer[FAN_IN]
    blocks = bounds.size - 1
    direct = how[MODE] == DIRECT
    parts = _passes(layer, itemsize) * blocks
    queue = queue_of(queues, 1, 1, parts, thread, threads)
    whose, first, last = queue[THREAD], queue[FIRST], queue[LAST]
    while True:
        begin, end, whose = next_tiles(queue, whose, LONG)
        if begin == end:
            break
        for part in range(begin, end):
            column = part // blocks * PANELS * panel
            block = part % blocks
            width = min(PANELS * panel, layer[PADDED_OUT] - column)
            columns = bounds[block + 1] - bounds[block]
            own = following if first <= part < last else following[:0]
            plan_fetching(part - first, last - first, X, own, ahead[:rows])
            if direct:
                w = address(parameters, layer[WEIGHTS] + column * fan_in)
                w2 = w + panel * fan_in * itemsize
            else:
                for i in range(columns * width):
                    scratch[i] = 0
                # The block's gradient, panel after panel; its column numbers count from the first of all columns.
                w = address(scratch, -bounds[block] * min(width, panel))
                w2 = address(scratch, columns * panel - bounds[block] * (width - panel))
            update_entries(
                width // vector,
                rows,
                address(pointers, block),
                blocks + 1,
                address(indices, 0),
                address(values, 0),
                w,
                w2,
                address(gradients, layer[OUTPUT] + column),
                layer[STRIDE],
                -settings[0, RATE] if direct else parameters.dtype.type(1),
                address(ahead, 0),
            )
            for inner in range(0, width, panel):
                used = min(panel, width - inner)
                if not direct:
                    start = layer[WEIGHTS] + (column + inner) * fan_in + bounds[block] * used
                    gradient = scratch[columns * inner : columns * (inner + used)]
                    apply_gradient(how, settings[0], parameters, moments, start, gradient, gradient.size)
            if block == 0:
                for inner in range(0, width, panel):
                    used = min(panel, width - inner)
                    sums = scratch[:used]
                    dz = address(gradients, layer[OUTPUT] + column + inner)
                    sum_rows(
                        dz, layer[STRIDE], rows, used // vector, address(sums, 0), parameters.dtype.type(0)
                    )
                    place = layer[BIAS] + column + inner
                    apply_gradient(how, settings[1], parameters, moments, place, sums, used)
