"""LLVM's code of the register tiles that tile.py describes: a loop over k, and after it what each mode does with the sums.

Each (rows, vectors) has a function of its own in the library (_library.py); a switch calls the right one.
"""

from llvmlite import ir

from .processor import host
from .side_work import FetchAhead, Nothing, TransposeAhead
from .vectors import (
    INT64,
    declare,
    fused_multiply_add,
    lanes_below,
    load_lanes,
    load_vector,
    prefetch,
    shared_function,
    splat,
    store_lanes,
    store_vector,
    vector_type,
)

STORE, UPDATE, RECTIFY, MASK, SCALE, STORE_PART, UPDATE_PART = range(7)

ROWS_AHEAD = 16
"""Of the rows of X in `multiply_columns`, whose table of places must be so much longer: what stands there is only asked for."""

VECTORS = 2
ROWS = host().tile_rows

TURNS = 2
"""Of a round of the loop, a turn being one k: it reloads the pointers that the registers have no room for. (Rounds of one turn,
on an Intel Xeon of 2023: the update of 784-32-32-10, batch 500, 8 % slower, of 784-1000-1000-10 4 %.)"""


def _int64(number):
    return ir.Constant(INT64, number)


class ByStrides:
    """A[i, k] at a + i si + k sk. Every third row has a pointer; x86 reaches the two after it as pointer + si and + 2 si."""

    name = "strides"
    modes = (STORE, UPDATE, STORE_PART, UPDATE_PART)
    side_work = side_work_of_small = FetchAhead

    def __init__(self, builder, rows, a, si, sk):
        self.rows, self.si, self.sk = rows, si, sk
        self.twice = builder.add(si, si)
        self.carried = [builder.gep(a, [builder.mul(si, _int64(row))]) for row in range(0, rows, 3)]

    def elements(self, builder, k, pointers):
        """Pointers to column k of A."""
        steps = (None, self.si, self.twice)
        found = []
        for row in range(self.rows):
            pointer = pointers[row // 3]
            found.append(builder.gep(pointer, [steps[row % 3]]) if row % 3 else pointer)
        return found

    def advanced(self, builder, pointers):
        """What is carried, for the next k."""
        return [builder.gep(pointer, [self.sk]) for pointer in pointers]


class ByRows:
    """Row i of A at the address places[i]; `a` points to the places."""

    name = "rows"
    modes = (RECTIFY,)
    side_work = side_work_of_small = FetchAhead
    carried = ()

    def __init__(self, builder, rows, a, unused, unused_too):
        places = builder.bitcast(a, INT64.as_pointer())
        self.starts = [
            builder.inttoptr(builder.load(builder.gep(places, [_int64(row)])), a.type) for row in range(rows)
        ]

    def elements(self, builder, k, _):
        """Pointers to column k of A."""
        return [builder.gep(start, [k]) for start in self.starts]

    def advanced(self, builder, _):
        """Nothing is carried."""
        return []


class ByRowsTransposing(ByRows):
    """The same, which meanwhile transposes the panel of W that is multiplied with next."""

    name = "rows_transposing"
    modes = (STORE, MASK, SCALE)
    side_work = TransposeAhead
    # After a narrow panel no other comes, and strips of so few rows come alone: who uses the panel does what is left.
    side_work_of_small = Nothing


class ByColumns:
    """A = X^T, row k of X at the address places[k], from column `first` on; `a` points to the places."""

    name = "columns"
    modes = (STORE, UPDATE)
    side_work = side_work_of_small = FetchAhead
    carried = ()

    def __init__(self, builder, rows, a, first, unused):
        self.rows, self.first, self.type = rows, first, a.type
        self.places = builder.bitcast(a, INT64.as_pointer())

    def elements(self, builder, k, _):
        """Pointers to column k of A."""
        place = builder.load(builder.gep(self.places, [k]))
        # No stride tells the processor where the row after next is. (784-32-32-10, batch 500: 5 % faster, 784-100-10, 256: 4 %;
        # asked for 8 rows before: 2 and 4.) The columns lie in one line or two. (An Intel Xeon of 2023, the update of batch 500:
        # first line alone 150 GFLOP/s, both 164.)
        later = builder.inttoptr(
            builder.load(builder.gep(self.places, [builder.add(k, _int64(ROWS_AHEAD))])), self.type
        )
        for column in {0, self.rows - 1}:
            prefetch(builder, builder.gep(later, [builder.add(self.first, _int64(column))]))
        start = builder.gep(builder.inttoptr(place, self.type), [self.first])
        return [builder.gep(start, [_int64(row)]) for row in range(self.rows)]

    def advanced(self, builder, _):
        """Nothing is carried."""
        return []


def tile_arguments(element):
    """The types of a tile's arguments."""
    pointer = element.as_pointer()
    sizes = [INT64] * 3  # rows, vectors, depth
    #               a and two numbers      b      ldb    c        ldc    extra    s        mode   ahead
    return [*sizes, pointer, INT64, INT64, pointer, INT64, pointer, INT64, pointer, element, INT64, INT64]


def _merge(phis, values):
    """Complete the phis with the values that come from each block; return them."""
    for block, incoming in values.items():
        for phi, value in zip(phis, incoming, strict=True):
            phi.add_incoming(value, block)
    return phis


class _Tile:
    """Writes the function for one tile size."""

    def __init__(self, function, reader, element, rows, vectors):
        self.function, self.rows, self.vectors = function, rows, vectors
        self.vector, self.bits = vector_type(element)
        self.zero = ir.Constant(self.vector, None)
        depth, a, first, second, self.b, self.ldb, c, ldc, self.extra, self.s, self.mode, ahead = (
            function.args[2:]
        )
        self.depth, self.c, self.ldc = depth, c, ldc
        self.builder = builder = ir.IRBuilder(function.append_basic_block("entry"))
        self.reader = reader(builder, rows, a, first, second)
        # C is needed only after the loop: fetch it meanwhile. Weights come from the third-level cache: without this a step of
        # 784-1000-1000-10 takes 1.5 times as long. (Gradients were read by another thread: 784-2500-...-10 1.5 % longer.)
        for mode in reader.modes:
            if mode in (UPDATE, MASK, SCALE):
                with builder.if_then(builder.icmp_signed("==", self.mode, _int64(mode))):
                    self._fetch_c()
        large = vectors == VECTORS and 2 * rows >= ROWS
        side_work = reader.side_work if large else reader.side_work_of_small
        self.side_work = side_work(builder, ahead, element, a, depth)
        self.results = self._loop()
        self._endings(reader.modes)

    def _fetch_c(self):
        for row in self._c_rows():
            for offset in range(0, self.vectors * self.vector.count, 64 * 8 // self.bits):
                prefetch(self.builder, self.builder.gep(row, [_int64(offset)]), write=True)

    def _c_rows(self):
        """Where C's rows begin: computed where they are needed, as the loop has no registers to keep them in."""
        places = (self.builder.mul(self.ldc, _int64(row)) for row in range(self.rows))
        return [self.builder.gep(self.c, [place]) for place in places]

    def _load(self, base, index):
        return load_vector(
            self.builder, self.builder.gep(base, [_int64(index * self.vector.count)]), self.vector
        )

    def _store(self, value, base, index):
        store_vector(self.builder, value, self.builder.gep(base, [_int64(index * self.vector.count)]))

    def _turn(self, carried, k, b_row, *rest):
        """Add the products of one k; what a turn takes and returns: k, the row of B, what the reader carries, the sums."""
        builder, pointers, sums = self.builder, rest[:carried], rest[carried:]
        b_vectors = [self._load(b_row, v) for v in range(self.vectors)]
        results = []
        for row, pointer in enumerate(self.reader.elements(builder, k, pointers)):
            value = splat(builder, builder.load(pointer), self.vector)
            for v, b_vector in enumerate(b_vectors):
                total = sums[row * self.vectors + v]
                results.append(fused_multiply_add(builder, value, b_vector, total))
        following = builder.add(k, _int64(1)), builder.gep(b_row, [self.ldb])
        return [*following, *self.reader.advanced(builder, pointers), *results]

    def _loop(self):
        """The sums, as vectors [row][vector]: rounds of two turns, and a last turn where `depth` is odd."""
        builder, side, carried = self.builder, self.side_work, len(self.reader.carried)
        loop, more, due, rest, last, done = (
            self.function.append_basic_block(name) for name in ("loop", "more", "due", "rest", "last", "done")
        )
        begin = builder.block
        start = [_int64(0), self.b, *self.reader.carried, *[self.zero] * (self.rows * self.vectors)]
        even = builder.and_(self.depth, _int64(-TURNS))
        builder.cbranch(builder.icmp_signed(">", even, _int64(0)), loop, rest)
        builder.position_at_end(loop)
        phis = [builder.phi(value.type) for value in (*side.carried, *start)]
        beside, state = phis[: len(side.carried)], phis[len(side.carried) :]
        side.begin_round(builder, *beside)
        for _ in range(TURNS):
            state = self._turn(carried, *state)
        beside, is_due = side.end_round(builder, *beside)
        builder.cbranch(builder.icmp_signed("<", state[0], even), more, rest)
        builder.position_at_end(more)
        builder.cbranch(is_due, due, loop)
        builder.position_at_end(due)
        after_due = side.due(builder, *beside)
        builder.branch(loop)
        _merge(phis, {begin: [*side.carried, *start], more: [*beside, *state], due: [*after_due, *state]})
        builder.position_at_end(rest)
        phis = [builder.phi(value.type) for value in (*side.carried, *start)]
        _merge(phis, {begin: [*side.carried, *start], loop: [*beside, *state]})
        beside, state = phis[: len(side.carried)], phis[len(side.carried) :]
        side.leave(builder, *beside)
        builder.cbranch(builder.icmp_signed("<", state[0], self.depth), last, done)
        builder.position_at_end(last)
        final = self._turn(carried, *state)
        builder.branch(done)
        builder.position_at_end(done)
        state = _merge([builder.phi(value.type) for value in start], {rest: state, last: final})
        sums = state[2 + carried :]
        return [sums[row * self.vectors : (row + 1) * self.vectors] for row in range(self.rows)]

    def _endings(self, modes):
        """A block for each mode, of which the first is what an unknown mode would do."""
        builder = self.builder
        write = {
            STORE: self._write_stored,
            RECTIFY: self._write_rectified,
            UPDATE: self._write_update,
            MASK: self._write_scaled,
            SCALE: self._write_scaled,
            STORE_PART: self._write_part,
            UPDATE_PART: self._write_part,
        }
        self.s_vector = splat(builder, self.s, self.vector)
        blocks = [self.function.append_basic_block(f"mode_{mode}") for mode in modes]
        switch = builder.switch(self.mode, blocks[0])
        for mode, block in list(zip(modes, blocks, strict=True))[1:]:
            switch.add_case(_int64(mode), block)
        for mode, block in zip(modes, blocks, strict=True):
            builder.position_at_end(block)
            self.c_rows = self._c_rows()
            write[mode](mode)
            builder.ret_void()

    def _write_stored(self, mode):
        for row in range(self.rows):
            for v in range(self.vectors):
                self._store(self.results[row][v], self.c_rows[row], v)

    def _write_rectified(self, mode):
        builder = self.builder
        bias = [self._load(self.extra, v) for v in range(self.vectors)]
        for row in range(self.rows):
            for v in range(self.vectors):
                value = builder.fadd(self.results[row][v], bias[v])
                # Ordered "s > value" is false for NaN, which so stays visible in what follows.
                below = builder.fcmp_ordered(">", self.s_vector, value)
                self._store(builder.select(below, self.s_vector, value), self.c_rows[row], v)

    def _write_update(self, mode):
        for row in range(self.rows):
            for v in range(self.vectors):
                old = self._load(self.c_rows[row], v)
                new = fused_multiply_add(self.builder, self.s_vector, self.results[row][v], old)
                self._store(new, self.c_rows[row], v)

    def _write_part(self, mode):
        builder, lane_count = self.builder, self.vector.count
        columns = builder.ptrtoint(self.extra, INT64)
        for v in range(self.vectors):
            inside = lanes_below(builder, builder.sub(columns, _int64(v * lane_count)), self.vector)
            for row in range(self.rows):
                place = builder.gep(self.c_rows[row], [_int64(v * lane_count)])
                value = self.results[row][v]
                if mode == UPDATE_PART:
                    value = builder.fadd(value, load_lanes(builder, place, self.vector, inside))
                store_lanes(builder, value, place, inside)

    def _write_scaled(self, mode):
        builder = self.builder
        for row in range(self.rows):
            extra_row = builder.gep(self.extra, [builder.mul(self.ldc, _int64(row))])
            for v in range(self.vectors):
                factor, value = self._load(extra_row, v), self.results[row][v]
                if mode == SCALE:
                    value = builder.fmul(value, factor)
                else:
                    value = builder.select(builder.fcmp_ordered(">", factor, self.zero), value, self.zero)
                self._store(value, self.c_rows[row], v)


def dispatch_name(reader, bits):
    """The name of the function that calls the tile of (rows, vectors)."""
    return f"fastnn_tile_f{bits}_{reader.name}"


def write_tiles(reader, element, module):
    """Write the tiles of all sizes and the function that calls them."""
    _, bits = vector_type(element)
    name = dispatch_name(reader, bits)
    tile_type = ir.FunctionType(ir.VoidType(), tile_arguments(element))
    function = declare(module, name, ir.VoidType(), tile_arguments(element))
    rows, vectors, *_ = function.args
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    last = function.append_basic_block("impossible")
    choice = builder.add(builder.mul(rows, _int64(VECTORS)), builder.sub(vectors, _int64(1)))
    switch = builder.switch(choice, last)
    builder.position_at_end(last)
    builder.ret_void()
    for r in range(1, ROWS + 1):
        for v in range(1, VECTORS + 1):
            tile = shared_function(module, tile_type, f"{name}_{r}x{v}")
            _Tile(tile, reader, element, r, v)
            block = function.append_basic_block(f"tile_{r}x{v}")
            switch.add_case(_int64(r * VECTORS + v - 1), block)
            builder.position_at_end(block)
            # It takes the same arguments, which stay where they are: the call is a jump.
            builder.call(tile, function.args).tail = "tail"
            builder.ret_void()
