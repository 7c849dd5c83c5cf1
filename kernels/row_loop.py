"""Loops over the vectors of rows, and sums and maxima of several rows at once, in vector IR."""

from llvmlite import ir

from .vectors import INT32, INT64, reduce_vector, splat


class RowLoop:
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
        """End the body; return what is carried, at the loop's end."""
        builder = self.builder
        following = builder.add(self.index, ir.Constant(INT64, self.lanes))
        self.index.add_incoming(following, builder.block)
        for phi, value in zip(self.values, results, strict=True):
            phi.add_incoming(value, builder.block)
        builder.cbranch(builder.icmp_signed("<", following, self.width), self.body, self.after)
        builder.position_at_end(self.after)
        return results


def in_all_lanes(builder, number, count):
    """int32 vector of a column's number, or of how many there are."""
    return splat(builder, builder.trunc(number, INT32), ir.VectorType(INT32, count))


def counting_columns(builder, index, class_count, count):
    """The numbers of the columns that a vector at column `index` holds, and which of them are below `class_count`, a vector."""
    first = in_all_lanes(builder, index, count)
    columns = builder.add(first, ir.Constant(first.type, list(range(count))))
    return columns, builder.icmp_signed("<", columns, class_count)


def larger(builder, a, b):
    """The larger of two numbers or vectors; a where one is NaN."""
    return builder.select(builder.fcmp_ordered(">", b, a), b, a)


def reduce_rows(builder, vectors, combine):
    """Combine the lanes of each vector, in the order of `reduce_vector`: halves, quarters, ...; a list of numbers.

    The halves of two vectors share one, then the quarters of four: of four rows of 16 this takes 13 operations instead of 32.
    """
    count = vectors[0].type.count
    if len(vectors) == 1 or len(vectors) > count:
        return [reduce_vector(builder, vector, combine) for vector in vectors]
    mask_type = ir.VectorType(INT32, count)
    width = count  # lanes that belong to one row, of the rows that share a vector
    shared = vectors
    while width > 1:
        half = width // 2
        starts = range(0, count, width)
        low = [lane for start in starts for lane in range(start, start + half)]
        high = [lane + half for lane in low]
        if len(shared) > 1:
            low, high = ([*lanes, *(lane + count for lane in lanes)] for lanes in (low, high))
            pairs = list(zip(shared[::2], shared[1::2], strict=True))
        else:
            # Alone: the lanes stay where they are, so that a row's result is in its first lane.
            low = list(range(count))
            high = [start + (lane + half) % width for start in starts for lane in range(width)]
            pairs = [(shared[0], shared[0])]
        shared = [
            combine(*(builder.shuffle_vector(a, b, ir.Constant(mask_type, lanes)) for lanes in (low, high)))
            for a, b in pairs
        ]
        width = half
    step = count // len(vectors)
    return [builder.extract_element(shared[0], ir.Constant(INT32, row * step)) for row in range(len(vectors))]
