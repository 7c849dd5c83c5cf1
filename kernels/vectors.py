"""Small pieces of vector IR that the tile and the row kernels share."""

from llvmlite import ir

from .processor import host

INT64, INT32 = ir.IntType(64), ir.IntType(32)


def vector_type(element):
    """The vector of LLVM type `element` (float or double) that fills a register, and the element's bits."""
    bits = 32 if isinstance(element, ir.FloatType) else 64
    return ir.VectorType(element, host().vector_bits // bits), bits


def declare(module, name, result, arguments):
    """The function `name` of the module, declared if it is not there yet."""
    if name not in module.globals:
        ir.Function(module, ir.FunctionType(result, arguments), name)
    return module.globals[name]


def shared_function(module, signature, name):
    """A new function that is not inlined: one copy serves all callers, and register allocation is not disturbed by theirs."""
    function = ir.Function(module, signature, name)
    function.linkage = "linkonce_odr"
    function.attributes.add("noinline")
    function.attributes.add("nounwind")
    return function


def fused_multiply_add(builder, a, b, c):
    """a * b + c on vectors: one rounding where the processor has FMA, two (and no library call) where it has not."""
    vector = a.type
    bits = 32 if isinstance(vector.element, ir.FloatType) else 64
    function = declare(builder.module, f"llvm.fmuladd.v{vector.count}f{bits}", vector, [vector] * 3)
    return builder.call(function, [a, b, c])


def splat(builder, scalar, vector):
    """A vector with `scalar` in every lane."""
    undefined = ir.Constant(vector, ir.Undefined)
    one = builder.insert_element(undefined, scalar, ir.Constant(INT32, 0))
    return builder.shuffle_vector(one, undefined, ir.Constant(ir.VectorType(INT32, vector.count), None))


def shuffle(builder, a, b, lanes):
    """The lanes of a, then of b, that have these numbers."""
    lanes = list(lanes)
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(INT32, len(lanes)), lanes))


def interleave(builder, a, b, size, side):
    """Runs of `size` lanes of a and b in turn, within each 128 bits: of the lower half of those, or of the upper (`side` 1)."""
    together = 16 // _itemsize(a.type.element)
    lanes = []
    for start in range(0, a.type.count, together):
        for run in range(start + side * together // 2, start + (side + 1) * together // 2, size):
            lanes += [*range(run, run + size), *range(a.type.count + run, a.type.count + run + size)]
    return shuffle(builder, a, b, lanes)


def _itemsize(element):
    return 4 if element in (ir.FloatType(), INT32) else 8


def load_vector(builder, pointer, vector):
    """The vector at `pointer` to an element, which need not be aligned."""
    return builder.load(builder.bitcast(pointer, vector.as_pointer()), align=_itemsize(vector.element))


def store_vector(builder, value, pointer):
    """Write a vector at `pointer` to an element, which need not be aligned."""
    place = builder.bitcast(pointer, value.type.as_pointer())
    builder.store(value, place, align=_itemsize(value.type.element))


def lanes_below(builder, count, vector):
    """A mask with the lanes 0 ... count - 1 set; `count` is an i64, perhaps negative or large."""
    numbers = ir.VectorType(INT64, vector.count)
    return builder.icmp_signed(
        "<", ir.Constant(numbers, list(range(vector.count))), splat(builder, count, numbers)
    )


def _masked(builder, vector, operation):
    bits = 32 if isinstance(vector.element, ir.FloatType) else 64
    pointer, mask = vector.as_pointer(), ir.VectorType(ir.IntType(1), vector.count)
    name = f"llvm.masked.{operation}.v{vector.count}f{bits}.p0"
    if operation == "load":
        return declare(builder.module, name, vector, [pointer, INT32, mask, vector]), bits // 8
    return declare(builder.module, name, ir.VoidType(), [vector, pointer, INT32, mask]), bits // 8


def load_lanes(builder, pointer, vector, mask):
    """Load the lanes of `mask`; the others are not read and come as 0."""
    function, align = _masked(builder, vector, "load")
    place = builder.bitcast(pointer, vector.as_pointer())
    return builder.call(function, [place, ir.Constant(INT32, align), mask, ir.Constant(vector, None)])


def store_lanes(builder, value, pointer, mask):
    """Store the lanes of `mask`; the others are not touched."""
    function, align = _masked(builder, value.type, "store")
    place = builder.bitcast(pointer, value.type.as_pointer())
    builder.call(function, [value, place, ir.Constant(INT32, align), mask])


def prefetch(builder, pointer, write=False, near=3):
    """Ask for the cache line of `pointer`, to be read (or written) soon; near: 3 the first-level cache, 2 the second."""
    byte_pointer = ir.IntType(8).as_pointer()
    function = declare(builder.module, "llvm.prefetch.p0", ir.VoidType(), [byte_pointer, INT32, INT32, INT32])
    near, data = ir.Constant(INT32, near), ir.Constant(INT32, 1)
    builder.call(
        function, [builder.bitcast(pointer, byte_pointer), ir.Constant(INT32, int(write)), near, data]
    )


def reduce_vector(builder, value, combine):
    """Combine all lanes of a vector in a fixed order: halves, quarters, ...; `combine` takes two vectors."""
    count = value.type.count
    undefined = ir.Constant(value.type, ir.Undefined)
    half = count // 2
    while half:
        lanes = [lane + half if lane < half else lane for lane in range(count)]
        mask = ir.Constant(ir.VectorType(INT32, count), lanes)
        value = combine(value, builder.shuffle_vector(value, undefined, mask))
        half //= 2
    return builder.extract_element(value, ir.Constant(INT32, 0))


def counted_loop(builder, start, stop, step, carried, body):
    """Write `for t in range(start, stop, step): carried = body(t, *carried)`; return what is carried at its end.

    start, stop and step are i64, carried and what body returns lists of values; the builder goes on behind the loop.
    """
    before = builder.block
    loop, after = builder.append_basic_block("loop"), builder.append_basic_block("after")
    builder.cbranch(builder.icmp_signed("<", start, stop), loop, after)
    builder.position_at_end(loop)
    t = builder.phi(INT64, "t")
    values = [builder.phi(value.type) for value in carried]
    found = body(t, *values)
    following = builder.add(t, step)
    for phi, first, later in zip((t, *values), (start, *carried), (following, *found), strict=True):
        phi.add_incoming(first, before)
        phi.add_incoming(later, builder.block)
    end = builder.block
    builder.cbranch(builder.icmp_signed("<", following, stop), loop, after)
    builder.position_at_end(after)
    results = []
    for first, later in zip(carried, found, strict=True):
        result = builder.phi(first.type)
        result.add_incoming(first, before)
        result.add_incoming(later, end)
        results.append(result)
    return results


def call_by_count(builder, count, most, function_of, arguments):
    """Call function_of(n) with the arguments, n being the one from 1 to `most` that the i64 `count` is; nothing for others."""
    end = builder.append_basic_block("end")
    switch = builder.switch(count, end)
    for n in range(1, most + 1):
        block = builder.append_basic_block(f"count{n}")
        switch.add_case(ir.Constant(INT64, n), block)
        builder.position_at_end(block)
        builder.call(function_of(n), arguments)
        builder.branch(end)
    builder.position_at_end(end)
