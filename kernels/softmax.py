"""Row-stable softmax, alone and fused with its cross-entropy loss and gradient, in vector IR.

The maximum is taken over each row, starting from the row's first element, and subtracted before exp: no row can overflow,
and at least one term is 1. A maximum over the whole batch lets rows far below it vanish, and divides 0 by 0.
A row is `width` elements long, whole vectors, of which the first `classes` count; what lies behind them is overwritten.
"""

from functools import partial

from llvmlite import ir
from numba import types
from numba.core.extending import intrinsic

from ._jit import helper
from .exp_log import emit_exp, emit_log
from .row_loop import RowLoop, counting_columns, in_all_lanes, larger, reduce_rows
from .tile import address
from .vectors import INT32, INT64, load_vector, splat, store_vector, vector_type


class _Rows:
    """Writes the code for some rows side by side, from the addresses of the first and of its result, perhaps the same."""

    def __init__(self, builder, kind, place, out, stride, size, width, classes):
        self.builder, self.width = builder, width
        self.vector, _ = vector_type(kind)
        self.count = self.vector.count
        self.rows, self.outs = (
            [builder.gep(start, [builder.mul(stride, ir.Constant(INT64, number))]) for number in range(size)]
            for start in (builder.inttoptr(where, kind.as_pointer()) for where in (place, out))
        )
        self.zero = ir.Constant(self.vector, None)
        self.class_count = in_all_lanes(builder, classes, self.count)

    def _spread(self, numbers):
        return [splat(self.builder, number, self.vector) for number in numbers]

    def _columns(self, loop):
        return counting_columns(self.builder, loop.index, self.class_count, self.count)

    def _labels(self, labels):
        return [in_all_lanes(self.builder, label, self.count) for label in labels]

    def _load(self, row, loop):
        return load_vector(self.builder, self.builder.gep(row, [loop.index]), self.vector)

    def _store(self, value, row, loop):
        store_vector(self.builder, value, self.builder.gep(row, [loop.index]))

    def maxima(self):
        """m = max_j row[j] of each row."""
        builder = self.builder
        firsts = self._spread(builder.load(row) for row in self.rows)
        loop = RowLoop(builder, self.width, self.count, firsts)
        _, counts = self._columns(loop)
        tops = loop.close(
            [
                larger(builder, top, builder.select(counts, self._load(row, loop), first))
                for row, first, top in zip(self.rows, firsts, loop.values, strict=True)
            ]
        )
        return reduce_rows(builder, tops, partial(larger, builder))

    def exponentials(self, tops, labels):
        """out[j] = exp(row[j] - m); return their sums, and whether a column before the label holds m."""
        builder, rows = self.builder, len(self.rows)
        tops, labels = self._spread(tops), self._labels(labels)
        nowhere = ir.Constant(ir.VectorType(ir.IntType(1), self.count), None)
        loop = RowLoop(builder, self.width, self.count, [self.zero] * rows + [nowhere] * rows)
        columns, counts = self._columns(loop)
        sums, earlier = [], []
        for i, (row, out, top, label) in enumerate(zip(self.rows, self.outs, tops, labels, strict=True)):
            z = builder.select(counts, self._load(row, loop), top)
            term = builder.select(counts, emit_exp(builder, builder.fsub(z, top)), self.zero)
            self._store(term, out, loop)
            sums.append(builder.fadd(loop.values[i], term))
            holds = builder.fcmp_ordered("==", z, top)
            holds = builder.and_(holds, builder.icmp_signed("<", columns, label))
            earlier.append(builder.or_(loop.values[rows + i], holds))
        results = loop.close([*sums, *earlier])
        mask = ir.IntType(self.count)
        found = [
            builder.icmp_unsigned("!=", builder.bitcast(value, mask), ir.Constant(mask, 0))
            for value in results[rows:]
        ]
        return reduce_rows(builder, results[:rows], builder.fadd), found

    def scale(self, totals, labels, factors):
        """out[j] = factor * (out[j] / total - (j == label)), 0 behind the classes; label -1 for none."""
        builder = self.builder
        totals, factors = self._spread(totals), self._spread(factors)
        labels = self._labels(labels)
        one = ir.Constant(self.vector, [1.0] * self.count)
        loop = RowLoop(builder, self.width, self.count, [])
        columns, counts = self._columns(loop)
        for out, total, label, factor in zip(self.outs, totals, labels, factors, strict=True):
            p = builder.fdiv(self._load(out, loop), total)
            p = builder.select(builder.icmp_signed("==", columns, label), builder.fsub(p, one), p)
            # Of NaN, 0 / total would be NaN there, too.
            self._store(builder.select(counts, builder.fmul(p, factor), self.zero), out, loop)
        loop.close([])


@intrinsic
def _softmax_row(typingctx, place, width, classes, kind):
    """row[j] = exp(row[j] - m) / sum_l exp(row[l] - m); `place` is the row's address, `kind` any value of its type."""

    def codegen(context, builder, signature, arguments):
        place, width, classes, kind = arguments
        rows = _Rows(builder, kind.type, place, place, width, 1, width, classes)
        none = [ir.Constant(INT64, -1)]
        totals, _ = rows.exponentials(rows.maxima(), none)
        rows.scale(totals, none, [ir.Constant(kind.type, 1.0)])
        return context.get_dummy_value()

    return types.void(*[types.intp] * 3, kind), codegen


@intrinsic
def cross_entropy_rows(typingctx, place, out, stride, width, classes, labels, weights, scale, losses, right):
    """Losses -w log softmax(z)_y of a few rows, by log-sum-exp; out = w scale (softmax(z) - onehot(y)), 0 behind the classes.

    labels, weights: tuples of y, int64, and w, a power of two of them. Addresses: of the first row z and its result, which may be
    the same, the next `stride` numbers behind; of the losses, float64; and of `right`, int64, whether y is the first column that
    holds the largest logit.
    """
    size = len(labels)

    def codegen(context, builder, signature, arguments):
        place, out, stride, width, classes, labels, weights, scale, losses, right = arguments
        labels, weights = (
            [builder.extract_value(values, number) for number in range(size)] for values in (labels, weights)
        )
        rows = _Rows(builder, scale.type, place, out, stride, size, width, classes)
        logits = [
            builder.load(builder.gep(row, [label])) for row, label in zip(rows.rows, labels, strict=True)
        ]
        tops = rows.maxima()
        totals, earlier = rows.exponentials(tops, labels)
        rows.scale(totals, labels, [builder.fmul(weight, scale) for weight in weights])
        logs = _logarithms(builder, totals)
        double = ir.DoubleType()
        wide = (lambda x: x) if scale.type == double else (lambda x: builder.fpext(x, double))
        losses, right = (
            builder.inttoptr(where, kind.as_pointer()) for where, kind in ((losses, double), (right, INT64))
        )
        for number in range(size):
            here = [ir.Constant(INT64, number)]
            # The sum is from 1 to `classes`, its logarithm from 0 up, and top - logit from 0 up: nothing cancels, and nothing
            # needs an epsilon.
            loss = builder.fadd(logs[number], builder.fsub(tops[number], logits[number]))
            builder.store(builder.fmul(wide(weights[number]), wide(loss)), builder.gep(losses, here))
            holds = builder.fcmp_ordered("==", tops[number], logits[number])
            first = builder.and_(holds, builder.not_(earlier[number]))
            builder.store(builder.zext(first, INT64), builder.gep(right, here))
        return context.get_dummy_value()

    kinds = [*[types.intp] * 5, labels, weights, scale, types.intp, types.intp]
    return types.void(*kinds), codegen


def _logarithms(builder, numbers):
    """The logarithms of numbers >= 1, of several as one vector."""
    if len(numbers) == 1:
        return [emit_log(builder, numbers[0])]
    together = ir.Constant(ir.VectorType(numbers[0].type, len(numbers)), ir.Undefined)
    for place, number in enumerate(numbers):
        together = builder.insert_element(together, number, ir.Constant(INT32, place))
    logs = emit_log(builder, together)
    return [builder.extract_element(logs, ir.Constant(INT32, place)) for place in range(len(numbers))]


@helper
def softmax_row(row, classes):
    """row[j] = exp(row[j] - m) / sum_l exp(row[l] - m), m = max_l row[l]; 0 behind the classes."""
    _softmax_row(address(row, 0), row.size, classes, row[0])
