"""The register tile: a small block of a matrix product held in vector registers, written in LLVM's vector IR.

LLVM does not tile registers by itself: plain loops reach a fifth of what the processor can do. One tile computes

    acc[i, j] = sum_k A[i, k] B[k, j]        i < rows, j < vectors * lanes, k = 0, 1, ... in this order

with one fused multiply-add per element and k, whatever the tile's size: so an element's bits do not depend on how a
product was cut into tiles. A is read element-wise with free strides (so the same code reads it transposed), B as rows
of whole vectors. What happens to acc is the `mode`:

    STORE     C[i, j]  = max(s, acc + bias[j])    s = -inf keeps everything, s = 0 is ReLU; bias may be absent (address 0)
    UPDATE    C[i, j] += s * acc                  s = 1 adds a further block of k, s = -rate is a step of gradient descent
    MASK      C[i, j]  = acc if E[i, j] > 0 else 0    the derivative of ReLU; E is laid out as C
    SCALE     C[i, j]  = acc E[i, j]                  any other derivative; E is laid out as C, and may be C
    STORE_PART, UPDATE_PART    C[i, j] = acc, or += acc, for the first `extra` columns only: the others are not touched

A tile can ask for memory that is needed later, one cache line a turn of its loop: `ahead` is 0, or the address of five int64,

    where numbers of rows stand, where row 0 is, bytes from row to row, bytes from one line to the next, turns a row

Each (rows, vectors) has a function of its own in the module; a switch calls the right one.
Source for the shape: BLIS' micro-kernels (Van Zee and van de Geijn, 2015, section 4), here without packing A.
"""

from llvmlite import ir
from numba import types
from numba.core.extending import intrinsic

from .processor import VECTOR_BYTES, host
from .vectors import (
    INT64,
    fused_multiply_add,
    lanes_below,
    load_lanes,
    load_vector,
    prefetch,
    splat,
    store_lanes,
    store_vector,
    vector_type,
)

STORE, UPDATE, MASK, SCALE, STORE_PART, UPDATE_PART = range(6)

VECTORS = 2
ROWS = host().tile_rows


def lanes(itemsize):
    """Elements of `itemsize` bytes in one vector register."""
    return VECTOR_BYTES // itemsize


def _signature(element):
    pointer = element.as_pointer()
    #            k      a        si     sk     b        ldb    c        ldc    extra    s        mode   ahead
    arguments = [INT64, pointer, INT64, INT64, pointer, INT64, pointer, INT64, pointer, element, INT64, INT64]
    return ir.FunctionType(ir.VoidType(), arguments)


def _tile_function(module, element, rows, vectors):
    """The function for one tile size, built once per module."""
    vector, bits = vector_type(element)
    name = f"fastnn_tile_f{bits}_{rows}x{vectors}"
    if name in module.globals:
        return module.globals[name]
    function = ir.Function(module, _signature(element), name)
    function.linkage = "linkonce_odr"
    # Not inlined: one copy serves all callers, and register allocation is not disturbed by theirs.
    function.attributes.add("noinline")
    function.attributes.add("nounwind")
    depth, a, si, sk, b, ldb, c, ldc, extra, s, mode, ahead = function.args
    lane_count = vector.count
    zero = ir.Constant(vector, None)

    def load(builder, base, index):
        return load_vector(builder, builder.gep(base, [ir.Constant(INT64, index * lane_count)]), vector)

    def store(builder, value, base, index):
        store_vector(builder, value, builder.gep(base, [ir.Constant(INT64, index * lane_count)]))

    entry = function.append_basic_block("entry")
    loop = function.append_basic_block("loop")
    done = function.append_basic_block("done")
    builder = ir.IRBuilder(entry)
    # Every third row has a pointer; the two after it are reached as pointer + si and pointer + 2 si, which x86 can
    # address without further registers.
    groups = [builder.gep(a, [builder.mul(si, ir.Constant(INT64, row))]) for row in range(0, rows, 3)]
    twice = builder.add(si, si)
    # C is needed only after the loop: fetch it meanwhile. Weights come from the third-level cache: without this a step of
    # 784-1000-1000-10 takes 1.5 times as long.
    c_rows = [builder.gep(c, [builder.mul(ldc, ir.Constant(INT64, row))]) for row in range(rows)]
    fetch = function.append_basic_block("fetch")
    start = function.append_basic_block("start")
    builder.cbranch(builder.icmp_signed("==", mode, ir.Constant(INT64, UPDATE)), fetch, start)
    builder.position_at_end(fetch)
    for row in c_rows:
        for offset in range(0, vectors * lane_count, 64 * 8 // bits):
            prefetch(builder, builder.gep(row, [ir.Constant(INT64, offset)]), write=True)
    builder.branch(start)
    builder.position_at_end(start)
    # Without rows to fetch ahead the loop asks again and again for a line of A that is there.
    nothing = [builder.ptrtoint(a, INT64), ir.Constant(INT64, 0), depth, ir.Constant(INT64, 0)]
    planned = function.append_basic_block("planned")
    begin = function.append_basic_block("begin")
    builder.cbranch(builder.icmp_signed("!=", ahead, ir.Constant(INT64, 0)), planned, begin)
    builder.position_at_end(planned)
    plan = builder.inttoptr(ahead, INT64.as_pointer())
    fields = [builder.load(builder.gep(plan, [ir.Constant(INT64, field)])) for field in range(5)]
    numbers, base, stride, line_step, segment = fields

    def next_row(builder, numbers):
        row = builder.load(builder.inttoptr(numbers, INT64.as_pointer()))
        return builder.add(base, builder.mul(row, stride)), builder.add(numbers, ir.Constant(INT64, 8))

    first_line, second = next_row(builder, numbers)
    builder.branch(begin)
    builder.position_at_end(begin)
    merged = []
    for otherwise, value in zip(nothing, (first_line, line_step, segment, second), strict=True):
        phi = builder.phi(INT64)
        phi.add_incoming(otherwise, start)
        phi.add_incoming(value, planned)
        merged.append(phi)
    first_line, line_step, segment, second = merged
    undefined = ir.Constant(INT64, ir.Undefined)
    plan_fields = []
    for value in (base, stride):
        phi = builder.phi(INT64)
        phi.add_incoming(undefined, start)
        phi.add_incoming(value, planned)
        plan_fields.append(phi)
    base, stride = plan_fields
    builder.cbranch(builder.icmp_signed(">", depth, ir.Constant(INT64, 0)), loop, done)

    # What changes from one k to the next: phis at the loop's head, with the values before it and after each turn.
    carried = []

    def carry(value):
        phi = builder.phi(value.type)
        phi.add_incoming(value, begin)
        carried.append(phi)
        return phi

    builder.position_at_end(loop)
    k = carry(ir.Constant(INT64, 0))
    line, left, numbers = carry(first_line), carry(segment), carry(second)
    pointers = [carry(group) for group in groups]
    b_row = carry(b)
    accumulators = [[carry(zero) for _ in range(vectors)] for _ in range(rows)]
    prefetch(builder, builder.inttoptr(line, ir.IntType(8).as_pointer()))
    b_vectors = [load(builder, b_row, v) for v in range(vectors)]
    sums = []
    for row in range(rows):
        pointer = pointers[row // 3]
        if row % 3:
            pointer = builder.gep(pointer, [si if row % 3 == 1 else twice])
        value = splat(builder, builder.load(pointer), vector)
        sums.append(
            [fused_multiply_add(builder, value, b_vectors[v], accumulators[row][v]) for v in range(vectors)]
        )
    following = builder.add(k, ir.Constant(INT64, 1))
    remaining = builder.sub(left, ir.Constant(INT64, 1))
    advanced = [builder.gep(pointer, [sk]) for pointer in pointers]
    advanced += [builder.gep(b_row, [ldb]), *(value for row in sums for value in row)]
    same_row = [following, builder.add(line, line_step), remaining, numbers, *advanced]
    more = function.append_basic_block("more")
    other_row = function.append_basic_block("other_row")
    builder.cbranch(builder.icmp_signed("<", following, depth), more, done)
    builder.position_at_end(more)
    builder.cbranch(builder.icmp_signed("==", remaining, ir.Constant(INT64, 0)), other_row, loop)
    builder.position_at_end(other_row)
    new_line, new_numbers = next_row(builder, numbers)
    builder.branch(loop)
    for phi, same, other in zip(
        carried, same_row, [following, new_line, segment, new_numbers, *advanced], strict=True
    ):
        phi.add_incoming(same, more)
        phi.add_incoming(other, other_row)

    builder.position_at_end(done)
    results = []
    for row in range(rows):
        results.append([])
        for v in range(vectors):
            result = builder.phi(vector)
            result.add_incoming(zero, begin)
            result.add_incoming(sums[row][v], loop)
            results[row].append(result)
    s_vector = splat(builder, s, vector)
    names = ("store", "biased", "stored", "update", "mask", "scale", "store_part", "update_part")
    blocks = {name: function.append_basic_block(name) for name in names}
    switch = builder.switch(mode, blocks["store"])
    for number, name in (
        (UPDATE, "update"),
        (MASK, "mask"),
        (SCALE, "scale"),
        (STORE_PART, "store_part"),
        (UPDATE_PART, "update_part"),
    ):
        switch.add_case(ir.Constant(INT64, number), blocks[name])

    builder.position_at_end(blocks["store"])
    has_bias = builder.icmp_unsigned("!=", builder.ptrtoint(extra, INT64), ir.Constant(INT64, 0))
    builder.cbranch(has_bias, blocks["biased"], blocks["stored"])
    builder.position_at_end(blocks["biased"])
    loaded = [load(builder, extra, v) for v in range(vectors)]
    builder.branch(blocks["stored"])
    builder.position_at_end(blocks["stored"])
    bias = []
    for v in range(vectors):
        value = builder.phi(vector)
        # -0.0, the neutral element of addition: 0.0 would turn a sum of -0.0 into 0.0.
        value.add_incoming(ir.Constant(vector, [-0.0] * lane_count), blocks["store"])
        value.add_incoming(loaded[v], blocks["biased"])
        bias.append(value)
    for row in range(rows):
        for v in range(vectors):
            value = builder.fadd(results[row][v], bias[v])
            # Ordered "s > value" is false for NaN, which so stays visible in what follows.
            value = builder.select(builder.fcmp_ordered(">", s_vector, value), s_vector, value)
            store(builder, value, c_rows[row], v)
    builder.ret_void()

    builder.position_at_end(blocks["update"])
    for row in range(rows):
        for v in range(vectors):
            old = load(builder, c_rows[row], v)
            store(builder, fused_multiply_add(builder, s_vector, results[row][v], old), c_rows[row], v)
    builder.ret_void()

    for part in ("store_part", "update_part"):
        builder.position_at_end(blocks[part])
        columns = builder.ptrtoint(extra, INT64)
        for v in range(vectors):
            inside = lanes_below(builder, builder.sub(columns, ir.Constant(INT64, v * lane_count)), vector)
            for row in range(rows):
                place = builder.gep(c_rows[row], [ir.Constant(INT64, v * lane_count)])
                value = results[row][v]
                if part == "update_part":
                    value = builder.fadd(value, load_lanes(builder, place, vector, inside))
                store_lanes(builder, value, place, inside)
        builder.ret_void()

    for mode in ("mask", "scale"):
        builder.position_at_end(blocks[mode])
        for row in range(rows):
            extra_row = builder.gep(extra, [builder.mul(ldc, ir.Constant(INT64, row))])
            for v in range(vectors):
                factor = load(builder, extra_row, v)
                if mode == "scale":
                    value = builder.fmul(results[row][v], factor)
                else:
                    value = builder.select(builder.fcmp_ordered(">", factor, zero), results[row][v], zero)
                store(builder, value, c_rows[row], v)
        builder.ret_void()
    return function


def _dispatch_function(module, element):
    """One function that calls the tile of (rows, vectors); rows and vectors come first among its arguments."""
    _, bits = vector_type(element)
    name = f"fastnn_tile_f{bits}"
    if name in module.globals:
        return module.globals[name]
    tile_type = _signature(element)
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [INT64, INT64, *tile_type.args]), name)
    function.linkage = "linkonce_odr"
    function.attributes.add("noinline")
    function.attributes.add("nounwind")
    rows, vectors, *arguments = function.args
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    last = function.append_basic_block("impossible")
    choice = builder.add(
        builder.mul(rows, ir.Constant(INT64, VECTORS)), builder.sub(vectors, ir.Constant(INT64, 1))
    )
    switch = builder.switch(choice, last)
    builder.position_at_end(last)
    builder.ret_void()
    for r in range(1, ROWS + 1):
        for v in range(1, VECTORS + 1):
            block = function.append_basic_block(f"tile_{r}x{v}")
            switch.add_case(ir.Constant(INT64, r * VECTORS + v - 1), block)
            builder.position_at_end(block)
            call = builder.call(_tile_function(module, element, r, v), arguments)
            call.tail = "tail"
            builder.ret_void()
    return function


@intrinsic
def multiply_tile(typingctx, rows, vectors, depth, a, si, sk, b, ldb, c, ldc, extra, s, mode, ahead):
    """Run one tile. Addresses are integers, strides and `ldb`, `ldc` count elements; `s` decides the element type."""
    if s not in (types.float32, types.float64):
        raise TypeError(f"s is {s}; a tile works on float32 or float64")
    signature = types.void(*([types.intp] * 11), s, types.intp, types.intp)

    def codegen(context, builder, signature, arguments):
        rows, vectors, depth, a, si, sk, b, ldb, c, ldc, extra, s, mode, ahead = arguments
        pointer = s.type.as_pointer()
        a, b, c, extra = (builder.inttoptr(address, pointer) for address in (a, b, c, extra))
        function = _dispatch_function(builder.module, s.type)
        builder.call(function, [rows, vectors, depth, a, si, sk, b, ldb, c, ldc, extra, s, mode, ahead])
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def address(typingctx, array, offset):
    """The address of element `offset` of a contiguous array, counted from its first, as an integer."""
    signature = types.intp(array, types.intp)

    def codegen(context, builder, signature, arguments):
        array_type = signature.args[0]
        data = context.make_array(array_type)(context, builder, arguments[0]).data
        return builder.ptrtoint(builder.gep(data, [arguments[1]]), INT64)

    return signature, codegen


@intrinsic
def fetch_line(typingctx, place):
    """Ask for the cache line at the address `place`, to be read soon."""

    def codegen(context, builder, signature, arguments):
        prefetch(builder, builder.inttoptr(arguments[0], ir.IntType(8).as_pointer()))
        return context.get_dummy_value()

    return types.void(types.intp), codegen
