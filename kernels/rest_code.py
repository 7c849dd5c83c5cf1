"""The rest of a layer's columns, beyond whole panels, as rows of W^T: so few that a vector of them would be mostly padding.

784-100-10 has 100 columns, three panels of two vectors and four columns more. As a vector of their own those would take 20 % of
the time of the others, for 4 % of the products. Kept as rows, R (columns, fan_in), they fill vectors along the other side:

    multiply_rest    Y[i, c] = max(low, sum_k X[i, k] R[c, k] + bias[c])        a vector of k at once, its lanes added up last
    update_vectors   R[c, k] = s sum_i dZ[i, c] X[i, k], added to what is there if asked      vectors of k for all columns

Four columns are done together (those beyond fan_out are 0), by as many rows or vectors as the registers hold. X is given by its
rows' addresses, as in tile.py; of the last vector of a row only what there is is read, where R's rows are filled up with zeros.
"""

from functools import partial

from llvmlite import ir
from numba import types
from numba.core.extending import intrinsic

from ._library import offer
from .processor import host
from .vectors import (
    INT64,
    call_by_count,
    counted_loop,
    declare,
    fused_multiply_add,
    interleave,
    lanes_below,
    load_lanes,
    load_vector,
    shared_function,
    shuffle,
    splat,
    store_vector,
    vector_type,
)

TOGETHER = 4
"""Columns."""

AT_ONCE = host().tile_rows // 2
"""The most rows in `multiply_rest`, and vectors in `update_vectors`: there are as many sums as in a tile."""


def _int64(number):
    return ir.Constant(INT64, number)


class _Rest:
    """What the code of both has: where rows begin, and vectors in them."""

    def __init__(self, module, name, element, arguments):
        self.function = shared_function(module, ir.FunctionType(ir.VoidType(), arguments), name)
        self.builder = ir.IRBuilder(self.function.append_basic_block("entry"))
        self.vector, _ = vector_type(element)
        self.lanes = self.vector.count
        self.zero = ir.Constant(self.vector, None)

    def row(self, places, number):
        """The row of X whose address is the one of that number at the address `places`."""
        table = self.builder.inttoptr(places, INT64.as_pointer())
        place = self.builder.load(self.builder.gep(table, [number]))
        return self.builder.inttoptr(place, self.vector.element.as_pointer())

    def rows(self, base, stride):
        """The columns' rows, of R or of a scratch."""
        return [self.builder.gep(base, [self.builder.mul(stride, _int64(c))]) for c in range(TOGETHER)]

    def load(self, row, index, mask=None):
        """The vector at row[index], or its lanes of the mask, the others 0."""
        place = self.builder.gep(row, [index])
        if mask is None:
            return load_vector(self.builder, place, self.vector)
        return load_lanes(self.builder, place, self.vector, mask)

    def products(self, left, right, sums):
        """sums[a, b] + left[a] * right[b], row after row."""
        pairs = ((a, b) for a in left for b in right)
        return [
            fused_multiply_add(self.builder, a, b, total) for (a, b), total in zip(pairs, sums, strict=True)
        ]

    def lane_sums(self, vectors):
        """One vector of each vector's sum of lanes, for TOGETHER of them."""
        builder = self.builder
        together = 128 // (32 if isinstance(self.vector.element, ir.FloatType) else 64)
        size = 1
        while size < together:  # within 128 bits: of two vectors each, neighbours' sums side by side
            pairs = zip(vectors[::2], vectors[1::2], strict=True)
            vectors = [
                builder.fadd(*(interleave(builder, a, b, size, side) for side in (0, 1))) for a, b in pairs
            ]
            size *= 2
        found = []
        for value in vectors:
            while value.type.count > together:
                half = value.type.count // 2
                value = builder.fadd(
                    *(shuffle(builder, value, value, range(at, at + half)) for at in (0, half))
                )
            found.append(value)
        while len(found) > 1:
            pairs = zip(found[::2], found[1::2], strict=True)
            found = [shuffle(builder, a, b, range(2 * a.type.count)) for a, b in pairs]
        return found[0]


def _multiply_arguments(element):
    pointer = element.as_pointer()
    #       places depth  R        stride Y        stride bias     low
    return [INT64, INT64, pointer, INT64, pointer, INT64, pointer, element]


def _write_multiply(module, element, rows):
    code = _Rest(module, f"fastnn_rest_multiply_{element}_{rows}", element, _multiply_arguments(element))
    builder = code.builder
    places, depth, rest, stride, y, y_stride, bias, low = code.function.args
    x_rows, rest_rows = [code.row(places, _int64(i)) for i in range(rows)], code.rows(rest, stride)
    whole = builder.and_(depth, _int64(-code.lanes))
    mask = lanes_below(builder, builder.sub(depth, whole), code.vector)

    def turn(k, *sums, mask=None):
        return code.products(
            [code.load(row, k, mask) for row in x_rows], [code.load(row, k) for row in rest_rows], sums
        )

    sums = [code.zero] * (rows * TOGETHER)
    sums = counted_loop(builder, _int64(0), whole, _int64(code.lanes), sums, turn)
    sums = counted_loop(builder, whole, depth, _int64(code.lanes), sums, partial(turn, mask=mask))
    few = ir.VectorType(element, TOGETHER)
    bias, low = load_vector(builder, bias, few), splat(builder, low, few)
    for i in range(rows):
        total = builder.fadd(code.lane_sums(sums[i * TOGETHER : (i + 1) * TOGETHER]), bias)
        # As in tile_code.py: NaN stays.
        value = builder.select(builder.fcmp_ordered(">", low, total), low, total)
        store_vector(builder, value, builder.gep(y, [builder.mul(y_stride, _int64(i))]))
    builder.ret_void()
    return code.function


def _update_arguments(element):
    pointer = element.as_pointer()
    #       places rows   first  inside dZ       stride R or other stride s        adds
    return [INT64, INT64, INT64, INT64, pointer, INT64, pointer, INT64, element, INT64]


def _write_update(module, element, vectors):
    code = _Rest(module, f"fastnn_rest_update_{element}_{vectors}", element, _update_arguments(element))
    builder, lanes = code.builder, code.lanes
    places, rows, first, inside, dz, dz_stride, target, stride, s, adds = code.function.args
    mask = lanes_below(builder, builder.sub(inside, _int64((vectors - 1) * lanes)), code.vector)

    def turn(i, *sums):
        x, dz_row = code.row(places, i), builder.gep(dz, [builder.mul(dz_stride, i)])
        values = [builder.load(builder.gep(dz_row, [_int64(c)])) for c in range(TOGETHER)]
        numbers = [builder.add(first, _int64(v * lanes)) for v in range(vectors)]
        loaded = [code.load(x, number, mask if number is numbers[-1] else None) for number in numbers]
        return code.products([splat(builder, value, code.vector) for value in values], loaded, sums)

    sums = counted_loop(builder, _int64(0), rows, _int64(1), [code.zero] * (TOGETHER * vectors), turn)
    rate = splat(builder, s, code.vector)
    for c, row in enumerate(code.rows(target, stride)):
        for v in range(vectors):
            place = builder.gep(row, [_int64(v * lanes)])
            before = builder.select(
                builder.icmp_signed("!=", adds, _int64(0)),
                load_vector(builder, place, code.vector),
                code.zero,
            )
            store_vector(builder, fused_multiply_add(builder, rate, sums[c * vectors + v], before), place)
    builder.ret_void()
    return code.function


def _write(kind, element, module):
    """Write the functions for all counts, and the one that calls them: its first argument is the count."""
    write, arguments = _KINDS[kind]
    function = declare(module, _name(kind, element), ir.VoidType(), [INT64, *arguments(element)])
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    count, *others = function.args
    call_by_count(builder, count, AT_ONCE, partial(write, module, element), others)
    builder.ret_void()


def _name(kind, element):
    return f"fastnn_rest_{kind}_{element}"


def rest_names(dtype):
    """The names of the libraries for numbers of this dtype."""
    element = ir.FloatType() if dtype.itemsize == 4 else ir.DoubleType()
    return [_name(kind, element) for kind in _KINDS]


_KINDS = {
    "multiply": (_write_multiply, _multiply_arguments),
    "update": (_write_update, _update_arguments),
}

for _kind in _KINDS:
    for _element in (ir.FloatType(), ir.DoubleType()):
        offer(_name(_kind, _element), partial(_write, _kind, _element))


def _call(kind, integers, s, after):
    """Signature and code of a call with so many integers before `s`, and `after` behind it."""

    def codegen(context, builder, signature, values):
        element = signature.args[integers]
        element = ir.FloatType() if element == types.float32 else ir.DoubleType()
        name, kinds = _name(kind, element), [INT64, *_KINDS[kind][1](element)]
        function = declare(builder.module, name, ir.VoidType(), kinds)
        values = [
            builder.inttoptr(value, wanted) if isinstance(wanted, ir.PointerType) else value
            for value, wanted in zip(values, kinds, strict=True)
        ]
        builder.call(function, values)
        return context.get_dummy_value()

    return types.void(*[types.intp] * integers, s, *[types.intp] * after), codegen


@intrinsic
def multiply_rest(typingctx, rows, places, depth, rest, stride, y, y_stride, bias, low):
    """Multiply 1 to AT_ONCE rows of X with TOGETHER rows of R; addresses are integers, strides count elements."""
    return _call("multiply", 8, low, 0)


@intrinsic
def update_vectors(typingctx, vectors, places, rows, first, inside, dz, dz_stride, target, stride, s, adds):
    """Update 1 to AT_ONCE vectors of TOGETHER rows at `target`, those of X's columns from `first` on, of which `inside` exist.

    Any other target will do as well; where `adds` is 0 it is overwritten.
    """
    return _call("update", 9, s, 1)
