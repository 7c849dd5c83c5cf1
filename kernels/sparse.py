"""A first layer whose inputs are mostly zeros: its two products over the non-zeros alone, in vector IR.

Rows are compressed as in CSR, with two changes for speed. The columns are cut into blocks, so that a block's rows of a panel
of W stay in the first-level cache while all rows of the batch pass over them; and each row's part in a block is padded with
zeros to a multiple of UNROLL entries, so that the loop runs UNROLL independent sums without a remainder.

values, indices      one entry a non-zero (or padding): its value and its column
pointers             int64 (n, blocks + 1): row r's entries in block k are pointers[r, k] ... pointers[r, k + 1] - 1
bounds               int64 (blocks + 1): block k holds columns bounds[k] ... bounds[k + 1] - 1
"""

from llvmlite import ir
from numba import types
from numba.core.extending import intrinsic

from ._jit import inlined
from .host import host
from .layers import bias_gradient, panels
from .layout import BIAS, FAN_IN, OUTPUT, PADDED_OUT, RELU, STRIDE, WEIGHTS
from .sync import share
from .tile import VECTORS, address
from .update import SGD, update
from .vectors import INT32, INT64, fused_multiply_add, load_vector, splat, store_vector, vector_type

# With two vectors a row, four entries at a time keep eight sums in flight, as many as two pipes of latency 4 can use.
UNROLL = 4

_VECTOR_BYTES = host().vector_bits // 8


class _Rows:
    """Emits: for each row of the batch, its range of entries; and for each group of UNROLL entries, their W rows."""

    def __init__(self, function, vectors):
        self.function = function
        self.rows, self.batch, self.pointers, self.pointer_stride, self.indices, self.values, self.w = (
            function.args[:7]
        )
        element = self.w.type.pointee
        self.vector, _ = vector_type(element)
        self.vectors = vectors
        self.width = vectors * self.vector.count
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
        row = builder.load(builder.gep(self.batch, [self.number]))
        pointer = builder.gep(self.pointers, [builder.mul(row, self.pointer_stride)])
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
        """Yield (u, value in every lane, address of W's row) for the entries of a group."""
        builder = self.builder
        for u in range(UNROLL):
            t = builder.add(self.t, ir.Constant(INT64, u))
            index = builder.sext(builder.load(builder.gep(self.indices, [t])), INT64)
            value = splat(builder, builder.load(builder.gep(self.values, [t])), self.vector)
            yield u, value, builder.gep(self.w, [builder.mul(index, ir.Constant(INT64, self.width))])

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
    arguments = [INT64, word, word, INT64, index, number, number, *extra]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), arguments), name)
    function.linkage = "linkonce_odr"
    function.attributes.add("noinline")
    function.attributes.add("nounwind")
    return function


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
    starts = [[load_vector(builder, rows.place(init, ldi, v), vector) for v in range(vectors)]]
    starts += [[zero] * vectors] * (UNROLL - 1)
    rows.open_groups()
    sums = [[builder.phi(vector) for _ in range(vectors)] for _ in range(UNROLL)]
    following = []
    for u, value, w in rows.entries():
        following.append([])
        for v in range(vectors):
            weights = load_vector(builder, builder.gep(w, [ir.Constant(INT64, v * vector.count)]), vector)
            following[u].append(fused_multiply_add(builder, value, weights, sums[u][v]))
    for u in range(UNROLL):
        for v in range(vectors):
            sums[u][v].add_incoming(starts[u][v], rows.before)
            sums[u][v].add_incoming(following[u][v], rows.group)
    rows.close_groups()
    ends = [[builder.phi(vector) for _ in range(vectors)] for _ in range(UNROLL)]
    for u in range(UNROLL):
        for v in range(vectors):
            ends[u][v].add_incoming(starts[u][v], rows.before)
            ends[u][v].add_incoming(following[u][v], rows.group)
    least = splat(builder, s, vector)
    for v in range(vectors):
        total = builder.fadd(builder.fadd(ends[0][v], ends[1][v]), builder.fadd(ends[2][v], ends[3][v]))
        total = builder.select(builder.fcmp_ordered(">", least, total), least, total)
        store_vector(builder, total, rows.place(z, ldz, v))
    rows.close_rows()
    return function


def _update_function(module, element, vectors):
    """W[index] += s * value * dZ for every entry of every row, in this order."""
    _, bits = vector_type(element)
    name = f"fastnn_sparse_update_f{bits}_{vectors}"
    function = _function(module, element, name, [element.as_pointer(), INT64, element])
    if function is None:
        return module.globals[name]
    dz, ldz, s = function.args[7:]
    rows = _Rows(function, vectors)
    builder, vector = rows.builder, rows.vector
    factor = splat(builder, s, vector)
    steps = [
        builder.fmul(factor, load_vector(builder, rows.place(dz, ldz, v), vector)) for v in range(vectors)
    ]
    rows.open_groups()
    for _, value, w in rows.entries():
        for v in range(vectors):
            place = builder.gep(w, [ir.Constant(INT64, v * vector.count)])
            weights = load_vector(builder, place, vector)
            store_vector(builder, fused_multiply_add(builder, value, steps[v], weights), place)
    rows.close_groups()
    rows.close_rows()
    return function


def _call_by_width(context, builder, make, element, vectors, arguments):
    """Call the function for one vector or for two."""
    one = builder.icmp_signed("==", vectors, ir.Constant(INT64, 1))
    with builder.if_else(one) as (then, otherwise):
        with then:
            builder.call(make(builder.module, element, 1), arguments)
        with otherwise:
            builder.call(make(builder.module, element, 2), arguments)
    return context.get_dummy_value()


def _pointers(builder, element, addresses):
    kinds = [INT64, INT64, None, INT32, element, element]
    return [
        address if kind is None else builder.inttoptr(address, kind.as_pointer())
        for kind, address in zip(kinds, addresses, strict=True)
    ]


@intrinsic
def _sparse_forward(
    typingctx, vectors, rows, batch, pointers, pointer_stride, indices, values, w, z, ldz, init, ldi, s
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
def _sparse_update(typingctx, vectors, rows, batch, pointers, pointer_stride, indices, values, w, dz, ldz, s):
    def codegen(context, builder, signature, arguments):
        vectors, rows, *addresses = arguments[:8]
        dz, ldz, s = arguments[8:]
        operands = [
            rows,
            *_pointers(builder, s.type, addresses),
            builder.inttoptr(dz, s.type.as_pointer()),
            ldz,
            s,
        ]
        return _call_by_width(context, builder, _update_function, s.type, vectors, operands)

    return types.void(*([types.intp] * 10), s), codegen


@inlined
def sparse_forward(thread, threads, layer, parameters, batch, values, indices, pointers, y):
    """Y = f(X W + b) for the rows `batch` of the compressed X, this thread's share; Y as in layers.forward."""
    vector = _VECTOR_BYTES // y.itemsize
    panel = VECTORS * vector
    rows = batch.size
    stride = layer[STRIDE]
    blocks = pointers.shape[1] - 1
    everything = y.dtype.type(-float("inf"))
    low = y.dtype.type(0) if layer[-1] == RELU else everything
    # Each panel's rows in as many parts as there are threads: whole panels to each thread, where there are enough.
    first, last = share(panels(layer[PADDED_OUT], y.itemsize) * threads, thread, threads)
    for part in range(first, last):
        column = part // threads * panel
        width = min(panel, layer[PADDED_OUT] - column)
        start, stop = share(rows, part % threads, threads)
        z = address(y, layer[OUTPUT] + start * stride + column)
        for block in range(blocks):
            _sparse_forward(
                width // vector,
                stop - start,
                address(batch, start),
                address(pointers, block),
                blocks + 1,
                address(indices, 0),
                address(values, 0),
                address(parameters, layer[WEIGHTS] + column * layer[FAN_IN]),
                z,
                stride,
                z if block else address(parameters, layer[BIAS] + column),
                stride if block else 0,
                low if block == blocks - 1 else everything,
            )


@inlined
def sparse_update(
    thread, threads, layer, optimizer, settings, parameters, first, second, batch, values, indices, pointers, bounds,
    gradients, scratch,
):  # fmt: skip
    """DW = X^T dZ for the rows `batch` of the compressed X and its update, this thread's share of panels and blocks."""
    vector = _VECTOR_BYTES // parameters.itemsize
    panel = VECTORS * vector
    blocks = bounds.size - 1
    begin, end = share(panels(layer[PADDED_OUT], parameters.itemsize) * blocks, thread, threads)
    for part in range(begin, end):
        column = part // blocks * panel
        block = part % blocks
        width = min(panel, layer[PADDED_OUT] - column)
        place = layer[WEIGHTS] + column * layer[FAN_IN]
        start, stop = place + bounds[block] * width, place + bounds[block + 1] * width
        direct = optimizer == SGD
        if not direct:
            for i in range(stop - start):
                scratch[i] = 0
        _sparse_update(
            width // vector,
            batch.size,
            address(batch, 0),
            address(pointers, block),
            blocks + 1,
            address(indices, 0),
            address(values, 0),
            address(parameters, place) if direct else address(scratch, -bounds[block] * width),
            address(gradients, layer[OUTPUT] + column),
            layer[STRIDE],
            -settings[0] if direct else parameters.dtype.type(1),
        )
        if not direct:
            update(
                optimizer, settings, parameters[start:stop], first[start:stop], second[start:stop], scratch[: stop - start]
            )  # fmt: skip
        if block == 0:
            sums = scratch[:width]
            bias_gradient(batch.size, layer, column, width, gradients, sums)
            start, stop = layer[BIAS] + column, layer[BIAS] + column + width
            update(optimizer, settings, parameters[start:stop], first[start:stop], second[start:stop], sums)
