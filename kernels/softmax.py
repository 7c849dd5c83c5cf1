"""Row-stable softmax, alone and fused with its cross-entropy loss and gradient, in vector IR.

The maximum is taken over each row, starting from the row's first element, and subtracted before exp: no row can overflow,
and at least one term is 1. A maximum over the whole batch lets rows far below it vanish, and divides 0 by 0.
A row is `width` elements long, whole vectors, of which the first `classes` count; what lies behind them is overwritten.
"""

from llvmlite import ir
from numba import types
from numba.core.extending import intrinsic

from ._jit import helper
from .exp_log import emit_exp, log_positive
from .tile import address
from .vectors import INT32, INT64, load_vector, reduce_vector, splat, store_vector, vector_type


class _RowLoop:
    """for v in range(0, width, lanes): emits the loop's head and foot around a body, with values carried along."""

    def __init__(self, builder, width, lanes, carried):
        self.builder = builder
        before = builder.block
        self.body = builder.append_basic_block("row")
        self.after = builder.append_basic_block("row_end")
        builder.branch(self.body)  # a row has at least one vector
        builder.position_at_end(self.body)
        self.index = builder.phi(INT64)
        self.index.add_incoming(ir.Constant(INT64, 0), before)
        self.values = [builder.phi(value.type) for value in carried]
        for phi, value in zip(self.values, carried, strict=True):
            phi.add_incoming(value, before)
        self.width, self.lanes = width, lanes

    def close(self, results):
        builder = self.builder
        following = builder.add(self.index, ir.Constant(INT64, self.lanes))
        self.index.add_incoming(following, builder.block)
        for phi, value in zip(self.values, results, strict=True):
            phi.add_incoming(value, builder.block)
        builder.cbranch(builder.icmp_signed("<", following, self.width), self.body, self.after)
        builder.position_at_end(self.after)
        return results


def _lane_numbers(builder, index, count):
    """int32 vector: the columns that a vector at column `index` holds."""
    vector = ir.VectorType(INT32, count)
    return builder.add(
        splat(builder, builder.trunc(index, INT32), vector), ir.Constant(vector, list(range(count)))
    )


@intrinsic
def _exp_row(typingctx, place, out, width, classes, kind):
    """out[j] = exp(row[j] - m), m the maximum; return m, the sum of the terms and the first column that holds m.

    `place` is the row's address and `out` that of another, or the same; `kind` any value of their type.
    """

    def codegen(context, builder, signature, arguments):
        place, out, width, classes, kind = arguments
        vector, _ = vector_type(kind.type)
        count = vector.count
        row, out_row = (builder.inttoptr(address, kind.type.as_pointer()) for address in (place, out))
        lane_vector = ir.VectorType(INT32, count)
        class_count = splat(builder, builder.trunc(classes, INT32), lane_vector)
        first = splat(builder, builder.load(row), vector)

        def largest(a, b):
            return builder.select(builder.fcmp_ordered(">", b, a), b, a)

        loop = _RowLoop(builder, width, count, [first])
        columns = _lane_numbers(builder, loop.index, count)
        counts = builder.icmp_signed("<", columns, class_count)
        z = builder.select(counts, load_vector(builder, builder.gep(row, [loop.index]), vector), first)
        (top,) = loop.close([largest(loop.values[0], z)])
        maximum = reduce_vector(builder, top, largest)
        top = splat(builder, maximum, vector)

        nowhere = ir.Constant(lane_vector, [2**31 - 1] * count)
        loop = _RowLoop(builder, width, count, [ir.Constant(vector, [0.0] * count), nowhere])
        columns = _lane_numbers(builder, loop.index, count)
        counts = builder.icmp_signed("<", columns, class_count)
        z = builder.select(counts, load_vector(builder, builder.gep(row, [loop.index]), vector), top)
        term = emit_exp(builder, builder.fsub(z, top))
        term = builder.select(counts, term, ir.Constant(vector, [0.0] * count))
        store_vector(builder, term, builder.gep(out_row, [loop.index]))
        holds = builder.and_(counts, builder.fcmp_ordered("==", z, top))
        found = builder.select(holds, columns, nowhere)
        earlier = builder.icmp_signed("<", found, loop.values[1])
        total, where = loop.close(
            [builder.fadd(loop.values[0], term), builder.select(earlier, found, loop.values[1])]
        )
        total = reduce_vector(builder, total, builder.fadd)
        where = reduce_vector(
            builder, where, lambda a, b: builder.select(builder.icmp_signed("<", a, b), a, b)
        )
        return context.make_tuple(
            builder, signature.return_type, [maximum, total, builder.sext(where, INT64)]
        )

    return types.Tuple((kind, kind, types.int64))(*[types.intp] * 4, kind), codegen


@intrinsic
def _scale_row(typingctx, place, width, classes, total, label, scale):
    """row[j] = scale * (row[j] / total - (j == label)), 0 behind the classes; label -1 for none."""

    def codegen(context, builder, signature, arguments):
        place, width, classes, total, label, scale = arguments
        vector, _ = vector_type(scale.type)
        count = vector.count
        row = builder.inttoptr(place, scale.type.as_pointer())
        divisor, factor = splat(builder, total, vector), splat(builder, scale, vector)
        lane_vector = ir.VectorType(INT32, count)
        class_count, target = (
            splat(builder, builder.trunc(number, INT32), lane_vector) for number in (classes, label)
        )
        loop = _RowLoop(builder, width, count, [])
        pointer = builder.gep(row, [loop.index])
        p = builder.fdiv(load_vector(builder, pointer, vector), divisor)
        columns = _lane_numbers(builder, loop.index, count)
        is_target = builder.icmp_signed("==", columns, target)
        p = builder.select(is_target, builder.fsub(p, ir.Constant(vector, [1.0] * count)), p)
        # Of NaN, 0 / total would be NaN there, too.
        counts = builder.icmp_signed("<", columns, class_count)
        p = builder.select(counts, builder.fmul(p, factor), ir.Constant(vector, [0.0] * count))
        store_vector(builder, p, pointer)
        loop.close([])
        return context.get_dummy_value()

    return types.void(*[types.intp] * 3, scale, types.intp, scale), codegen


@helper
def softmax_row(row, classes):
    """row[j] = exp(row[j] - m) / sum_l exp(row[l] - m), m = max_l row[l]; 0 behind the classes."""
    place = address(row, 0)
    _, total, _ = _exp_row(place, place, row.size, classes, row[0])
    _scale_row(place, row.size, classes, total, -1, row.dtype.type(1))


@helper
def softmax_cross_entropy_row(row, out, classes, label, scale):
    """Loss -log softmax(row)[label], by log-sum-exp; out = scale * (softmax(row) - onehot(label)), 0 behind the classes.

    `out` may be `row`. Returns the loss and whether `label` is the first column that holds the largest logit.
    """
    place = address(out, 0)
    logit = row[label]
    top, total, best = _exp_row(address(row, 0), place, row.size, classes, logit)
    _scale_row(place, row.size, classes, total, label, scale)
    # The sum is from 1 to `classes`, its logarithm from 0 up, and top - logit from 0 up: nothing cancels, and nothing
    # needs an epsilon.
    return log_positive(total) + (top - logit), best == label
