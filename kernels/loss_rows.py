"""One row of a loss as vector IR: its loss, whether the output was right, and the gradient, in one pass or three.

A row is `width` elements long, whole vectors, of which the first `classes` count. Its targets end with the classes: what lies
behind them belongs to another row, or to nobody, and is not read. `place` is the address of the outputs and `out` that of the
gradient, which is 0 behind the classes; they may be the same.
"""

from functools import partial

from llvmlite import ir
from numba import types
from numba.core.extending import intrinsic

from .exp_log import Emitter, emit_exp, emit_log1p_unit
from .row_loop import RowLoop, counting_columns, in_all_lanes, larger
from .vectors import INT32, INT64, load_lanes, load_vector, reduce_vector, splat, store_vector, vector_type


def _magnitude(builder, x, zero):
    return builder.select(builder.fcmp_ordered("<", x, zero), builder.fsub(zero, x), x)


def _squared(builder, emit, z, t, a):
    """(z - t)^2."""
    d = builder.fsub(z, t)
    return builder.fmul(d, d), builder.fadd(d, d), None


def _absolute(builder, emit, z, t, a):
    """|z - t|, with the slope 0 at 0."""
    zero = emit.constant(0.0)
    d = builder.fsub(z, t)
    # Of NaN it is NaN, as of 0 it is 0.
    slope = builder.select(builder.fcmp_ordered("<", d, zero), emit.constant(-1.0), d)
    slope = builder.select(builder.fcmp_ordered(">", d, zero), emit.constant(1.0), slope)
    return _magnitude(builder, d, zero), slope, None


def _huber(builder, emit, z, t, a):
    """d^2 / 2 where |d| <= a, else a (|d| - a / 2); d = z - t."""
    zero, half = emit.constant(0.0), emit.constant(0.5)
    d = builder.fsub(z, t)
    size = _magnitude(builder, d, zero)
    far = builder.fcmp_ordered(">", size, a)
    linear = builder.fmul(a, builder.fsub(size, builder.fmul(half, a)))
    loss = builder.select(far, linear, builder.fmul(half, builder.fmul(d, d)))
    end = builder.select(builder.fcmp_ordered("<", d, zero), builder.fsub(zero, a), a)
    return loss, builder.select(far, end, d), None


def _logistic(builder, emit, z, t, a):
    """-t log p - (1 - t) log(1 - p), p = 1 / (1 + e^-z), and its slope p - t.

    With u = e^-|z| and t from 0 to 1, the loss is a sum of parts that are not negative, (1 - t) z or -t z, and log(1 + u).
    Where z > 0, p - t is (1 - t) - u / (1 + u): a confident row that is right has a small gradient, not 0.
    """
    zero, one = emit.constant(0.0), emit.constant(1.0)
    positive = builder.fcmp_ordered(">", z, zero)
    size = builder.select(positive, z, builder.fsub(zero, z))
    u = emit_exp(builder, builder.fsub(zero, size))
    q = builder.fdiv(u, builder.fadd(one, u))
    missing = builder.select(positive, builder.fsub(one, t), t)
    loss = emit.fma(missing, size, emit_log1p_unit(builder, u))
    away = builder.fsub(missing, q)
    slope = builder.select(positive, away, builder.fsub(zero, away))
    right = builder.select(
        builder.fcmp_ordered(">", t, emit.constant(0.5)), positive, builder.fcmp_ordered("<=", z, zero)
    )
    return loss, slope, right


def _element_row(element):
    """The row whose loss is the sum of `element` over the columns: an intrinsic that returns the sum and 1 where all are right.

    row(place, out, width, classes, target, factor, a): out[j] = factor * element'(z[j], target[j]), `target` an address.
    """

    def row(typingctx, place, out, width, classes, target, factor, a):
        def codegen(context, builder, signature, arguments):
            place, out, width, classes, target, factor, a = arguments
            vector, _ = vector_type(factor.type)
            count = vector.count
            pointer = factor.type.as_pointer()
            z_row, out_row, t_row = (builder.inttoptr(value, pointer) for value in (place, out, target))
            class_count = in_all_lanes(builder, classes, count)
            factors, parameter = splat(builder, factor, vector), splat(builder, a, vector)
            emit = Emitter(builder, factors)
            zero = emit.constant(0.0)
            flags = ir.VectorType(INT32, count)
            none_wrong = ir.Constant(flags, [0] * count)

            loop = RowLoop(builder, width, count, [zero, none_wrong])
            _, counts = counting_columns(builder, loop.index, class_count, count)
            z = builder.select(counts, load_vector(builder, builder.gep(z_row, [loop.index]), vector), zero)
            t = load_lanes(builder, builder.gep(t_row, [loop.index]), vector, counts)
            loss, slope, right = element(builder, emit, z, t, parameter)
            gradient = builder.select(counts, builder.fmul(slope, factors), zero)
            store_vector(builder, gradient, builder.gep(out_row, [loop.index]))
            total = builder.fadd(loop.values[0], builder.select(counts, loss, zero))
            wrong = loop.values[1]
            if right is not None:
                wrong = builder.or_(wrong, builder.zext(builder.and_(counts, builder.not_(right)), flags))
            total, wrong = loop.close([total, wrong])
            total = reduce_vector(builder, total, builder.fadd)
            correct = ir.Constant(INT64, 0)  # of a number, nobody says that it is right
            if right is not None:
                wrong = reduce_vector(builder, wrong, builder.or_)
                correct = builder.zext(builder.icmp_signed("==", wrong, ir.Constant(INT32, 0)), INT64)
            return context.make_tuple(builder, signature.return_type, [total, correct])

        result = types.Tuple((factor, types.int64))
        return result(*[types.intp] * 5, factor, factor), codegen

    row.__doc__ = element.__doc__
    return intrinsic(row)


squared_row = _element_row(_squared)
absolute_row = _element_row(_absolute)
huber_row = _element_row(_huber)
logistic_row = _element_row(_logistic)


def _one_hot(builder, target, one, count):
    """Targets from a label: 1 in its column."""
    label = in_all_lanes(builder, target, count)
    ones = splat(builder, one, ir.VectorType(one.type, count))
    zeros = ir.Constant(ones.type, None)

    def load(index, counts, columns):
        return builder.select(builder.icmp_signed("==", columns, label), ones, zeros)

    return load


def _from_memory(builder, target, one, count):
    """Targets from the row at an address."""
    vector = ir.VectorType(one.type, count)
    row = builder.inttoptr(target, one.type.as_pointer())

    def load(index, counts, columns):
        return load_lanes(builder, builder.gep(row, [index]), vector, counts)

    return load


def _cross_entropy_sums(targets):
    """Cross-entropy's sums over a row with targets t'_j = keep t_j + spread, t given by `targets`.

    sums(place, out, width, classes, target, keep, spread) -> sum_j t'_j, sum_j t'_j (m - z_j), sum_j e^(z_j - m) and 1 where
    the first largest z stands in the column of the first largest t; m = max_j z_j. out[j] = e^(z_j - m), 0 behind the classes.
    """

    @intrinsic
    def sums(typingctx, place, out, width, classes, target, keep, spread):
        def codegen(context, builder, signature, arguments):
            place, out, width, classes, target, keep, spread = arguments
            vector, _ = vector_type(keep.type)
            count = vector.count
            z_row, out_row = (builder.inttoptr(value, keep.type.as_pointer()) for value in (place, out))
            class_count = in_all_lanes(builder, classes, count)
            kept, spreads = splat(builder, keep, vector), splat(builder, spread, vector)
            emit = Emitter(builder, kept)
            zero = emit.constant(0.0)
            load_targets = targets(builder, target, ir.Constant(keep.type, 1.0), count)
            first = splat(builder, builder.load(z_row), vector)

            def least(a, b):
                return builder.select(builder.icmp_signed("<", a, b), a, b)

            loop = RowLoop(builder, width, count, [first, zero])
            columns, counts = counting_columns(builder, loop.index, class_count, count)
            z = builder.select(counts, load_vector(builder, builder.gep(z_row, [loop.index]), vector), first)
            t = builder.select(counts, load_targets(loop.index, counts, columns), zero)
            tops = loop.close([larger(builder, loop.values[0], z), larger(builder, loop.values[1], t)])
            top, top_target = (
                splat(builder, reduce_vector(builder, value, partial(larger, builder)), vector)
                for value in tops
            )

            nowhere = ir.Constant(ir.VectorType(INT32, count), [2**31 - 1] * count)
            loop = RowLoop(builder, width, count, [zero, zero, zero, nowhere, nowhere])
            columns, counts = counting_columns(builder, loop.index, class_count, count)
            z = builder.select(counts, load_vector(builder, builder.gep(z_row, [loop.index]), vector), top)
            raw = load_targets(loop.index, counts, columns)
            t = builder.select(counts, emit.fma(raw, kept, spreads), zero)
            below = builder.fsub(top, z)
            term = builder.select(counts, emit_exp(builder, builder.fsub(z, top)), zero)
            store_vector(builder, term, builder.gep(out_row, [loop.index]))
            # A class that cannot be, with a logit of minus infinity, costs nothing where its target is 0.
            cost = builder.select(builder.fcmp_ordered("==", t, zero), zero, builder.fmul(t, below))
            found = builder.and_(counts, builder.fcmp_ordered("==", z, top))
            wanted = builder.and_(counts, builder.fcmp_ordered("==", raw, top_target))
            target_sum, distance, total, best, goal = loop.close(
                [
                    builder.fadd(loop.values[0], t),
                    builder.fadd(loop.values[1], cost),
                    builder.fadd(loop.values[2], term),
                    least(loop.values[3], builder.select(found, columns, nowhere)),
                    least(loop.values[4], builder.select(wanted, columns, nowhere)),
                ]
            )
            numbers = [reduce_vector(builder, value, builder.fadd) for value in (target_sum, distance, total)]
            best, goal = (reduce_vector(builder, value, least) for value in (best, goal))
            correct = builder.zext(builder.icmp_signed("==", best, goal), INT64)
            return context.make_tuple(builder, signature.return_type, [*numbers, correct])

        return types.Tuple((keep, keep, keep, types.int64))(*[types.intp] * 5, keep, keep), codegen

    return sums


def _cross_entropy_gradient(targets):
    """The gradient from the terms e that `_cross_entropy_sums` left in the row: row[j] = scale (e_j / total T - t'_j).

    gradient(out, width, classes, target, keep, spread, target_sum, total, scale), T = target_sum = sum_j t'_j, total = sum_j e_j
    """

    @intrinsic
    def gradient(typingctx, out, width, classes, target, keep, spread, target_sum, total, scale):
        def codegen(context, builder, signature, arguments):
            out, width, classes, target, keep, spread, target_sum, total, scale = arguments
            vector, _ = vector_type(keep.type)
            count = vector.count
            row = builder.inttoptr(out, keep.type.as_pointer())
            class_count = in_all_lanes(builder, classes, count)
            kept, spreads, target_sums, totals, scales = (
                splat(builder, value, vector) for value in (keep, spread, target_sum, total, scale)
            )
            emit = Emitter(builder, kept)
            load_targets = targets(builder, target, ir.Constant(keep.type, 1.0), count)
            loop = RowLoop(builder, width, count, [])
            columns, counts = counting_columns(builder, loop.index, class_count, count)
            t = emit.fma(load_targets(loop.index, counts, columns), kept, spreads)
            pointer = builder.gep(row, [loop.index])
            p = builder.fdiv(load_vector(builder, pointer, vector), totals)
            difference = builder.fsub(builder.fmul(p, target_sums), t)
            value = builder.select(counts, builder.fmul(difference, scales), emit.constant(0.0))
            store_vector(builder, value, pointer)
            loop.close([])
            return context.get_dummy_value()

        return types.void(*[types.intp] * 4, *[keep] * 5), codegen

    return gradient


label_sums, label_gradient = _cross_entropy_sums(_one_hot), _cross_entropy_gradient(_one_hot)
target_sums, target_gradient = _cross_entropy_sums(_from_memory), _cross_entropy_gradient(_from_memory)


@intrinsic
def sigmoid_row(typingctx, place, width, kind):
    """row[j] = 1 / (1 + e^-row[j]) for all `width` elements; `kind` any number of the row's type."""

    def codegen(context, builder, signature, arguments):
        place, width, kind = arguments
        vector, _ = vector_type(kind.type)
        row = builder.inttoptr(place, kind.type.as_pointer())
        zero, one = (ir.Constant(vector, [value] * vector.count) for value in (0.0, 1.0))
        loop = RowLoop(builder, width, vector.count, [])
        pointer = builder.gep(row, [loop.index])
        z = load_vector(builder, pointer, vector)
        positive = builder.fcmp_ordered(">", z, zero)
        u = emit_exp(builder, builder.select(positive, builder.fsub(zero, z), z))
        p = builder.fdiv(builder.select(positive, one, u), builder.fadd(one, u))
        store_vector(builder, p, pointer)
        loop.close([])
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, kind), codegen
