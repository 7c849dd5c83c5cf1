"""LLVM's code of the products that sparse.py describes: for each compressed row, its entries times rows of W's panels."""

from functools import partial

from llvmlite import ir
from numba import types
from numba.core.extending import intrinsic

from .tile import VECTORS
from .vectors import (
    INT32,
    INT64,
    call_by_count,
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


def _pointers(builder, element, addresses):
    kinds = [INT64, None, INT32, element, element, element]
    return [
        address if kind is None else builder.inttoptr(address, kind.as_pointer())
        for kind, address in zip(kinds, addresses, strict=True)
    ]


@intrinsic
def multiply_entries(
    typingctx, vectors, rows, pointers, pointer_stride, indices, values, w, w2, z, ldz, init, ldi, s
):  # fmt: skip
    """Call `_forward_function`'s code for so many vectors; what are pointers there are addresses here."""

    def codegen(context, builder, signature, arguments):
        vectors, rows, *addresses = arguments[:8]
        z, ldz, init, ldi, s = arguments[8:]
        pointer = s.type.as_pointer()
        z, init = builder.inttoptr(z, pointer), builder.inttoptr(init, pointer)
        operands = [rows, *_pointers(builder, s.type, addresses), z, ldz, init, ldi, s]
        write = partial(_forward_function, builder.module, s.type)
        call_by_count(builder, vectors, PANELS * VECTORS, write, operands)
        return context.get_dummy_value()

    return types.void(*([types.intp] * 12), s), codegen


@intrinsic
def update_entries(
    typingctx, vectors, rows, pointers, pointer_stride, indices, values, w, w2, dz, ldz, s, ahead
):
    """Call `_update_function`'s code for so many vectors; what are pointers there are addresses here."""

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
        write = partial(_update_function, builder.module, s.type)
        call_by_count(builder, vectors, PANELS * VECTORS, write, operands)
        return context.get_dummy_value()

    return types.void(*([types.intp] * 10), s, types.intp), codegen
