"""A first layer whose inputs are mostly zeros: its two products over the non-zeros alone, in vector IR.

The batch's rows are compressed (compress.py) as in CSR, with two changes. Each row is padded with zeros to a multiple of UNROLL
entries, so that the loop runs independent sums without a remainder. And where a layer is so narrow that its panels are too few
to share among threads, the columns are cut into blocks, each row's part of which is contiguous. (Blocks small enough for a
panel's rows of W to stay in the first-level cache were tried on Zen 5: 200 KB, that is none, beats 48, 24 and 12 KB by 5, 17
and 108 % at 784-512-10.)

values, indices      one entry a non-zero (or padding): its value and its column
pointers             int64 (rows, blocks + 1): row i's entries in block k are pointers[i, k] ... pointers[i, k + 1] - 1
bounds               int64 (blocks + 1): block k holds columns bounds[k] ... bounds[k + 1] - 1
"""

from llvmlite import ir
from numba import types
from numba.core.extending import intrinsic

from ._jit import helper
from .layers import activate, bias_gradient
from .layout import ACTIVATION, BIAS, CALLED, FAN_IN, OUTPUT, PADDED_OUT, RELU, STRIDE, WEIGHTS
from .optimize import DIRECT, MODE, apply_gradient
from .processor import VECTOR_BYTES
from .shares import LONG, next_tiles, queue_of, share_tiles
from .sync import share
from .tile import VECTORS, address
from .update import RATE
from .vectors import (
    INT32,
    INT64,
    fused_multiply_add,
    load_vector,
    prefetch,
    shared_function,
    splat,
    store_vector,
    vector_type,
)

UNROLL = 4

# A pass over a row's entries serves this many panels: their values and columns are read once for both.
PANELS = 2

# Of a pass's rows at least, with several threads: 784-32-32-10 has one pass.
_PIECES = 4

LINE_BYTES = 64


class _Rows:
    """Emits: for each row of the batch, its range of entries; and for each group of UNROLL entries, their W rows."""

    def __init__(self, function, vectors):
        self.function = function
        self.rows, self.pointers, self.pointer_stride, self.indices, self.values = function.args[:5]
        self.panels = function.args[5:7]
        self.vector, _ = vector_type(self.values.type.pointee)
        self.vectors = vectors
        self.entry = function.append_basic_block("entry")
        self.row = function.append_basic_block("row")
        self.group = function.append_basic_block("group")
        self.row_end = function.append_basic_block("row_end")
        self.done = function.append_basic_block("done")
        builder = self.builder = ir.IRBuilder(self.entry)
        builder.cbranch(builder.icmp_signed(">", self.rows, ir.Constant(INT64, 0)), self.row, self.done)
        builder.position_at_end(self.done)
        builder.ret_void()
        builder.position_at_end(self.row)
        self.number = builder.phi(INT64, "i")
        self.number.add_incoming(ir.Constant(INT64, 0), self.entry)
        pointer = builder.gep(self.pointers, [builder.mul(self.number, self.pointer_stride)])
        self.first = builder.load(pointer)
        self.last = builder.load(builder.gep(pointer, [ir.Constant(INT64, 1)]))

    def place(self, base, stride, v):
        """The address of vector v in row `number` of an array with this stride."""
        builder = self.builder
        offset = builder.add(builder.mul(self.number, stride), ir.Constant(INT64, v * self.vector.count))
        return builder.gep(base, [offset])

    def open_groups(self):
        builder = self.builder
        builder.cbranch(builder.icmp_signed("<", self.first, self.last), self.group, self.row_end)
        self.before = builder.block
        builder.position_at_end(self.group)
        self.t = builder.phi(INT64, "t")
        self.t.add_incoming(self.first, self.before)

    def entries(self):
        """Yield (u, value in every lane, addresses of the vectors of W's row) for the entries of a group."""
        builder = self.builder
        for u in range(UNROLL):
            t = builder.add(self.t, ir.Constant(INT64, u))
            index = builder.sext(builder.load(builder.gep(self.indices, [t])), INT64)
            value = splat(builder, builder.load(builder.gep(self.values, [t])), self.vector)
            places = []
            for number, panel in enumerate(self.panels):
                vectors = min(max(self.vectors - number * VECTORS, 0), VECTORS)
                row = builder.gep(
                    panel, [builder.mul(index, ir.Constant(INT64, vectors * self.vector.count))]
                )
                places += [
                    builder.gep(row, [ir.Constant(INT64, v * self.vector.count)]) for v in range(vectors)
                ]
            yield u, value, places

    def close_groups(self):
        builder = self.builder
        following = builder.add(self.t, ir.Constant(INT64, UNROLL))
        self.t.add_incoming(following, builder.block)
        builder.cbranch(builder.icmp_signed("<", following, self.last), self.group, self.row_end)
        builder.position_at_end(self.row_end)

    def close_rows(self):
        builder = self.builder
        following = builder.add(self.number, ir.Constant(INT64, 1))
        self.number.add_incoming(following, builder.block)
        builder.cbranch(builder.icmp_signed("<", following, self.rows), self.row, self.done)


def _function(module, element, name, extra):
    """A new function of the module with the arguments that _Rows reads and `extra` ones; None if it is there already."""
    if name in module.globals:
        return None
    word, index, number = INT64.as_pointer(), INT32.as_pointer(), element.as_pointer()
    arguments = [INT64, word, INT64, index, number, number, number, *extra]
    return shared_function(module, ir.FunctionType(ir.VoidType(), arguments), name)


def _forward_function(module, element, vectors):
    """Z = max(s, init + sum over the entries), init a bias (stride 0) or what the blocks before summed up."""
    _, bits = vector_type(element)
    name = f"fastnn_sparse_forward_f{bits}_{vectors}"
    pointer = element.as_pointer()
    #                                                z        ldz    init     ldi    s
    function = _function(module, element, name, [pointer, INT64, pointer, INT64, element])
    if function is None:
        return module.globals[name]
    z, ldz, init, ldi, s = function.args[7:]
    rows = _Rows(function, vectors)
    builder, vector = rows.builder, rows.vector
    zero = ir.Constant(vector, None)
    # Eight sums in flight are what two pipes of latency 4 can use.
    ways = min(UNROLL, 8 // vectors)
    starts = [[load_vector(builder, rows.place(init, ldi, v), vector) for v in range(vectors)]]
    starts += [[zero] * vectors] * (ways - 1)
    rows.open_groups()
    sums = [[builder.phi(vector) for _ in range(vectors)] for _ in range(ways)]
    following = [list(way) for way in sums]
    for u, value, places in rows.entries():
        way = following[u % ways]
        for v in range(vectors):
            way[v] = fused_multiply_add(builder, value, load_vector(builder, places[v], vector), way[v])
    for way in range(ways):
        for v in range(vectors):
            sums[way][v].add_incoming(starts[way][v], rows.before)
            sums[way][v].add_incoming(following[way][v], rows.group)
    rows.close_groups()
    ends = [[builder.phi(vector) for _ in range(vectors)] for _ in range(ways)]
    for way in range(ways):
        for v in range(vectors):
            ends[way][v].add_incoming(starts[way][v], rows.before)
            ends[way][v].add_incoming(following[way][v], rows.group)
    least = splat(builder, s, vector)
    for v in range(vectors):
        total = ends[0][v]
        for way in range(1, ways):
            total = builder.fadd(total, ends[way][v])
        total = builder.select(builder.fcmp_ordered(">", least, total), least, total)
        store_vector(builder, total, rows.place(z, ldz, v))
    rows.close_rows()
    return function


def _update_function(module, element, vectors):
    """W[index] += s * value * dZ for every entry of every row, in this order, fetching lines from ahead[i, 0] to ahead[i, 1]."""
    _, bits = vector_type(element)
    name = f"fastnn_sparse_update_f{bits}_{vectors}"
    function = _function(module, element, name, [element.as_pointer(), INT64, element, INT64.as_pointer()])
    if function is None:
        return module.globals[name]
    dz, ldz, s, ahead = function.args[7:]
    rows = _Rows(function, vectors)
    builder, vector = rows.builder, rows.vector
    factor = splat(builder, s, vector)
    steps = [
        builder.fmul(factor, load_vector(builder, rows.place(dz, ldz, v), vector)) for v in range(vectors)
    ]
    lines = builder.gep(ahead, [builder.mul(rows.number, ir.Constant(INT64, 2))])
    line, last = builder.load(lines), builder.load(builder.gep(lines, [ir.Constant(INT64, 1)]))
    rows.open_groups()
    fetched = builder.phi(INT64, "ahead")
    fetched.add_incoming(line, rows.before)
    prefetch(builder, builder.inttoptr(fetched, ir.IntType(8).as_pointer()))
    following = builder.add(fetched, ir.Constant(INT64, LINE_BYTES))
    following = builder.select(builder.icmp_unsigned("<", following, last), following, last)
    fetched.add_incoming(following, rows.group)
    for _, value, places in rows.entries():
        for step, place in zip(steps, places, strict=True):
            weights = load_vector(builder, place, vector)
            store_vector(builder, fused_multiply_add(builder, value, step, weights), place)
    rows.close_groups()
    rows.close_rows()
    return function


def _call_by_width(context, builder, make, element, vectors, arguments):
    """Call the function for so many vectors, from 1 to PANELS * VECTORS."""
    end = builder.append_basic_block("end")
    switch = builder.switch(vectors, end)
    for count in range(1, PANELS * VECTORS + 1):
        block = builder.append_basic_block(f"vectors{count}")
        switch.add_case(ir.Constant(INT64, count), block)
        builder.position_at_end(block)
        builder.call(make(builder.module, element, count), arguments)
        builder.branch(end)
    builder.position_at_end(end)
    return context.get_dummy_value()


def _pointers(builder, element, addresses):
    kinds = [INT64, None, INT32, element, element, element]
    return [
        address if kind is None else builder.inttoptr(address, kind.as_pointer())
        for kind, address in zip(kinds, addresses, strict=True)
    ]


@intrinsic
def _sparse_forward(
    typingctx, vectors, rows, pointers, pointer_stride, indices, values, w, w2, z, ldz, init, ldi, s
):  # fmt: skip
    def codegen(context, builder, signature, arguments):
        vectors, rows, *addresses = arguments[:8]
        z, ldz, init, ldi, s = arguments[8:]
        pointer = s.type.as_pointer()
        z, init = builder.inttoptr(z, pointer), builder.inttoptr(init, pointer)
        operands = [rows, *_pointers(builder, s.type, addresses), z, ldz, init, ldi, s]
        return _call_by_width(context, builder, _forward_function, s.type, vectors, operands)

    return types.void(*([types.intp] * 12), s), codegen


@intrinsic
def _sparse_update(
    typingctx, vectors, rows, pointers, pointer_stride, indices, values, w, w2, dz, ldz, s, ahead
):
    def codegen(context, builder, signature, arguments):
        vectors, rows, *addresses = arguments[:8]
        dz, ldz, s, ahead = arguments[8:]
        operands = [
            rows,
            *_pointers(builder, s.type, addresses),
            builder.inttoptr(dz, s.type.as_pointer()),
            ldz,
            s,
            builder.inttoptr(ahead, INT64.as_pointer()),
        ]
        return _call_by_width(context, builder, _update_function, s.type, vectors, operands)

    return types.void(*([types.intp] * 10), s, types.intp), codegen


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
    first, last = share_tiles(1, parts, thread, threads)
    queue = queue_of(queues, 0, thread, threads, first, last)
    whose = queue[2]
    while True:
        begin, end, whose = next_tiles(queue, whose, 1, parts, LONG)
        if begin == end:
            break
        for part in range(begin, end):
            column = part // pieces * PANELS * panel
            width = min(PANELS * panel, layer[PADDED_OUT] - column)
            start, stop = share(rows, part % pieces, pieces)
            w = address(parameters, layer[WEIGHTS] + column * layer[FAN_IN])
            z = address(y, layer[OUTPUT] + start * stride + column)
            for block in range(blocks):
                _sparse_forward(
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
    first, last = share_tiles(1, parts, thread, threads)
    queue = queue_of(queues, 1, thread, threads, first, last)
    whose = queue[2]
    while True:
        begin, end, whose = next_tiles(queue, whose, 1, parts, LONG)
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
            _sparse_update(
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
                    bias_gradient(rows, layer, column + inner, used, gradients, sums)
                    place = layer[BIAS] + column + inner
                    apply_gradient(how, settings[1], parameters, moments, place, sums, used)
