"""What a register tile does beside its product: it asks for memory that is needed later, or transposes what is needed next.

A tile's loop keeps the units that multiply busy and leaves those that load, store and count with time to spare. Side work is done
between its rounds, and the processor, which looks some hundred instructions ahead, hides it behind the products.

Each kind has what the loop carries for it, what it does in every round and in rounds when something is due, and what it leaves
for the next tile.
"""

from llvmlite import ir

from .vectors import INT64, interleave, load_vector, prefetch, shuffle, store_vector, vector_type

_BYTE_POINTER = ir.IntType(8).as_pointer()
_NEVER = 1 << 62  # rounds

# Pieces of a block are asked for so many pieces before it is transposed, 0.6 us. (An Intel Xeon of 2023, dX of 2,500 x 2,000:
# 91 % of peak; by 4 pieces 89; a whole panel before, into the second-level cache, which has no room for it, 84; not at all 82.)
_PIECES_AHEAD = 8


def _int64(number):
    return ir.Constant(INT64, number)


class Nothing:
    """No side work."""

    carried = ()

    def __init__(self, builder, ahead, element, a, depth):
        pass

    def begin_round(self, builder):
        """Nothing."""

    def end_round(self, builder):
        """Nothing is carried, and never is anything due."""
        return [], ir.Constant(ir.IntType(1), 0)

    def due(self, builder):
        """Nothing."""
        return []

    def leave(self, builder):
        """Nothing."""


class FetchAhead:
    """Asks for rows of memory, a line a round; `plan` is 0, or the address of the numbers that tile.py describes.

    Carried: the line, how many rounds are left in its row, and where the next row's number stands.
    """

    def __init__(self, builder, plan, element, a, depth):
        function, start = builder.function, builder.block
        planned, begin = (function.append_basic_block(name) for name in ("planned", "begin"))
        builder.cbranch(builder.icmp_signed("!=", plan, _int64(0)), planned, begin)
        builder.position_at_end(planned)
        plan = builder.inttoptr(plan, INT64.as_pointer())
        numbers, base, stride, line_step, rounds = (
            builder.load(builder.gep(plan, [_int64(field)])) for field in range(5)
        )
        self._base, self._stride = base, stride
        first_line, second = self._next_row(builder, numbers)
        builder.branch(begin)
        builder.position_at_end(begin)

        def merged(otherwise, value):
            phi = builder.phi(INT64)
            phi.add_incoming(otherwise, start)
            phi.add_incoming(value, planned)
            return phi

        undefined = ir.Constant(INT64, ir.Undefined)
        # Without rows to fetch ahead the loop asks again and again for a line that is there.
        line = merged(builder.ptrtoint(a, INT64), first_line)
        self._line_step = merged(_int64(0), line_step)
        self._rounds = merged(depth, rounds)
        following = merged(_int64(0), second)
        self._base, self._stride = merged(undefined, base), merged(undefined, stride)
        self.carried = [line, self._rounds, following]

    def _next_row(self, builder, numbers):
        """Where the row begins whose number stands at `numbers`, and where the number after it stands."""
        row = builder.load(builder.inttoptr(numbers, INT64.as_pointer()))
        place = builder.add(self._base, builder.mul(row, self._stride))
        return place, builder.add(numbers, _int64(8))

    def begin_round(self, builder, line, left, numbers):
        """Ask for the line."""
        prefetch(builder, builder.inttoptr(line, _BYTE_POINTER), near=2)

    def end_round(self, builder, line, left, numbers):
        """What is carried on within a row, and whether that ends."""
        left = builder.sub(left, _int64(1))
        return [builder.add(line, self._line_step), left, numbers], builder.icmp_signed("==", left, _int64(0))

    def due(self, builder, line, left, numbers):
        """Go on to another row; return what is carried."""
        line, following = self._next_row(builder, numbers)
        return [line, self._rounds, following]

    def leave(self, builder, line, left, numbers):
        """Nothing is left for the next tile."""


class TransposeAhead:
    """Transposes the numbers of some rows of W, a piece every few rounds; `job` is the address of the words named below.

    W is stored in panels of P = 2 L columns, L numbers a vector, panel_step bytes from one to the next. Of P rows, the first of
    which is at `source` in the first panel,

        target[o, i] = W[first + i, o]      i < P, o < P * panels

    with P numbers in each row of target, too. L x L blocks are transposed one after the other, the upper one of two first, each
    in L / E pieces of E columns, as many as 128 bits hold: E vectors are put together of 128 bits of every E-th row, and then
    transposed within their 128 bits. For a block of AVX-512 and float32 that takes 80 instructions of the units that multiply,
    where all at once would take 64, but no more registers than the sums leave free. A piece also asks for E rows of a later
    block.
    """

    COUNTDOWN, DONE, PIECES, INTERVAL, SOURCE, PANEL_STEP, TARGET = range(7)
    WORDS = 7

    def __init__(self, builder, job, element, a, depth):
        self._vector, bits = vector_type(element)
        self._job = builder.inttoptr(job, INT64.as_pointer())
        self.carried = [self._word(builder, self.COUNTDOWN), self._word(builder, self.DONE)]
        self._together = 128 // bits  # E
        self._size = bits // 8
        self._row = 2 * self._vector.count * self._size  # bytes of a row of a panel and of the target

    def _place(self, builder, field):
        return builder.gep(self._job, [_int64(field)])

    def _word(self, builder, field):
        return builder.load(self._place(builder, field))

    def begin_round(self, builder, countdown, done):
        """Nothing is done in every round."""

    def end_round(self, builder, countdown, done):
        """Count down; say whether a piece is due."""
        countdown = builder.sub(countdown, _int64(1))
        return [countdown, done], builder.icmp_signed("<=", countdown, _int64(0))

    def leave(self, builder, countdown, done):
        """The next tile goes on here."""
        builder.store(countdown, self._place(builder, self.COUNTDOWN))
        builder.store(done, self._place(builder, self.DONE))

    def due(self, builder, countdown, done):
        """Transpose piece `done`; return what is carried."""
        source, target, piece = self._block(builder, done)
        later, _, _ = self._block(builder, builder.add(done, _int64(_PIECES_AHEAD)))
        rows_of_piece = builder.mul(_int64(self._together * self._row), piece)
        for row in range(self._together):
            line = builder.add(builder.add(later, rows_of_piece), _int64(row * self._row))
            prefetch(builder, builder.inttoptr(line, _BYTE_POINTER))
        columns = builder.add(source, builder.mul(_int64(16), piece))
        gathered = [self._gather(builder, columns, first) for first in range(self._together)]
        for number, value in enumerate(self._transposed(builder, gathered)):
            place = builder.add(builder.add(target, rows_of_piece), _int64(number * self._row))
            store_vector(builder, value, builder.inttoptr(place, self._vector.element.as_pointer()))
        done = builder.add(done, _int64(1))
        more = builder.icmp_signed("<", done, self._word(builder, self.PIECES))
        return [builder.select(more, self._word(builder, self.INTERVAL), _int64(_NEVER)), done]

    def _block(self, builder, number):
        """Where the block of a piece is read and written, and which of its pieces this is."""
        pieces = _int64(self._vector.count // self._together)
        block = builder.udiv(number, pieces)
        lower = builder.and_(block, _int64(1))
        right = builder.and_(builder.lshr(block, _int64(1)), _int64(1))
        panel = builder.lshr(block, _int64(2))
        beside, below = _int64(self._row // 2), _int64(self._vector.count * self._row)

        def place(start, panel_step, down, across):
            terms = ((panel_step, panel), (below, down), (beside, across))
            total = self._word(builder, start)
            for step, count in terms:
                total = builder.add(total, builder.mul(step, count))
            return total

        source = place(self.SOURCE, self._word(builder, self.PANEL_STEP), lower, right)
        target = place(self.TARGET, _int64(2 * self._vector.count * self._row), right, lower)
        return source, target, builder.urem(number, pieces)

    def _gather(self, builder, columns, first):
        """A vector of 128 bits of each E-th row, from row `first` on."""
        part = ir.VectorType(self._vector.element, self._together)
        pointer = part.element.as_pointer()
        places = (
            builder.add(columns, _int64(row * self._row))
            for row in range(first, self._vector.count, self._together)
        )
        parts = [load_vector(builder, builder.inttoptr(place, pointer), part) for place in places]
        while len(parts) > 1:
            pairs = zip(parts[::2], parts[1::2], strict=True)
            parts = [shuffle(builder, a, b, range(2 * a.type.count)) for a, b in pairs]
        return parts[0]

    def _transposed(self, builder, vectors, size=1):
        """Vectors of rows within each 128 bits, as vectors of columns: runs of `size` numbers of two rows are interleaved."""
        if len(vectors) == 1:
            return vectors
        pairs = list(zip(vectors[::2], vectors[1::2], strict=True))
        return [
            column
            for side in (0, 1)
            for column in self._transposed(
                builder, [interleave(builder, a, b, size, side) for a, b in pairs], 2 * size
            )
        ]
