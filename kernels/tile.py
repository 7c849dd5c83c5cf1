"""The register tile: a small block of a matrix product held in vector registers.

LLVM does not tile registers by itself: plain loops reach a fifth of what the processor can do. One tile computes

    acc[i, j] = sum_k A[i, k] B[k, j]        i < rows, j < vectors * lanes, k = 0, 1, ... in this order

with one fused multiply-add per element and k, whatever the tile's size: so an element's bits do not depend on how a
product was cut into tiles. B is read as rows of whole vectors, A element by element. There are four tiles, by where A lies
and what is done beside:

    multiply_tile       A[i, k] at a + i si + k sk: with free strides the same code reads A transposed
    multiply_rows       row i of A at the address places[i]: rows of X lie all over memory, and need not be gathered
    multiply_rows_transposing    as multiply_rows, and meanwhile transposes what is needed next, see transpose_ahead.py
    multiply_columns    A = X^T, row k of X at places[k], from column `first` on: A[i, k] = X[k, first + i]

What happens to acc is the `mode`; not every tile has every mode, see tile_code.py, which writes the code:

    STORE     C[i, j]  = acc
    UPDATE    C[i, j] += s * acc                  s = 1 adds a further block of k, s = -rate is a step of gradient descent
    RECTIFY   C[i, j]  = max(s, acc + bias[j])    s = 0 is ReLU, s = -inf keeps everything; E is the bias, a row
    MASK      C[i, j]  = acc if E[i, j] > 0 else 0    the derivative of ReLU; E is laid out as C
    SCALE     C[i, j]  = acc E[i, j]                  any other derivative; E is laid out as C, and may be C
    STORE_PART, UPDATE_PART    C[i, j] = acc, or += acc, for the first `extra` columns only: the others are not touched

A tile can ask for memory that is needed later to come to the second-level cache, one line a round, TURNS of k, of its loop:
`ahead` is 0, or the address of five int64,

    where numbers of rows stand, where row 0 is, bytes from row to row, bytes from one line to the next, rounds a row

Source for the shape: BLIS' micro-kernels (Van Zee and van de Geijn, 2015, section 4), here without packing A.
"""

from functools import partial

from llvmlite import ir
from numba import types
from numba.core.extending import intrinsic

from ._library import offer
from .processor import VECTOR_BYTES
from .tile_code import MASK as MASK
from .tile_code import RECTIFY as RECTIFY
from .tile_code import ROWS as ROWS
from .tile_code import ROWS_AHEAD as ROWS_AHEAD
from .tile_code import SCALE as SCALE
from .tile_code import STORE as STORE
from .tile_code import STORE_PART as STORE_PART
from .tile_code import TURNS as TURNS
from .tile_code import UPDATE as UPDATE
from .tile_code import UPDATE_PART as UPDATE_PART
from .tile_code import VECTORS as VECTORS
from .tile_code import (
    ByColumns,
    ByRows,
    ByRowsTransposing,
    ByStrides,
    dispatch_name,
    tile_arguments,
    write_tiles,
)
from .vectors import INT64, declare, prefetch, vector_type

for _reader in (ByStrides, ByRows, ByRowsTransposing, ByColumns):
    for _element in (ir.FloatType(), ir.DoubleType()):
        offer(dispatch_name(_reader, vector_type(_element)[1]), partial(write_tiles, _reader, _element))


def training_tiles(dtype):
    """The names of the libraries with the tiles that training uses."""
    return [dispatch_name(reader, 8 * dtype.itemsize) for reader in (ByRows, ByRowsTransposing, ByColumns)]


def lanes(itemsize):
    """Elements of `itemsize` bytes in one vector register."""
    return VECTOR_BYTES // itemsize


def _call(reader, integers, s):
    """Signature and code of a call of a tile with so many integers before `s`; those after `depth` begin with A's."""
    if s not in (types.float32, types.float64):
        raise TypeError(f"s is {s}; a tile works on float32 or float64")

    def codegen(context, builder, signature, arguments):
        rows, vectors, depth = arguments[:3]
        where, (b, ldb, c, ldc, extra, s, mode, ahead) = arguments[3:-8], arguments[-8:]
        pointer = s.type.as_pointer()
        a, b, c, extra = (builder.inttoptr(address, pointer) for address in (where[0], b, c, extra))
        first, second = [*where[1:], *[ir.Constant(INT64, 0)] * 2][:2]
        name = dispatch_name(reader, vector_type(s.type)[1])
        function = declare(builder.module, name, ir.VoidType(), tile_arguments(s.type))
        builder.call(
            function, [rows, vectors, depth, a, first, second, b, ldb, c, ldc, extra, s, mode, ahead]
        )
        return context.get_dummy_value()

    return types.void(*[types.intp] * integers, s, types.intp, types.intp), codegen


@intrinsic
def multiply_tile(typingctx, rows, vectors, depth, a, si, sk, b, ldb, c, ldc, extra, s, mode, ahead):
    """Run one tile. Addresses are integers, strides and `ldb`, `ldc` count elements; `s` decides the element type."""
    return _call(ByStrides, 11, s)


@intrinsic
def multiply_rows(typingctx, rows, vectors, depth, places, b, ldb, c, ldc, extra, s, mode, ahead):
    """Run one tile on rows of A that lie anywhere: `places` is the address of their addresses, int64."""
    return _call(ByRows, 9, s)


@intrinsic
def multiply_rows_transposing(typingctx, rows, vectors, depth, places, b, ldb, c, ldc, extra, s, mode, job):
    """The same with other modes, which goes on with the transposition `job`, see transpose_ahead.py."""
    return _call(ByRowsTransposing, 9, s)


@intrinsic
def multiply_columns(typingctx, rows, vectors, depth, places, first, b, ldb, c, ldc, extra, s, mode, ahead):
    """Run one tile on columns of X, from `first` on, whose rows lie anywhere: `places` is the address of their addresses."""
    return _call(ByColumns, 10, s)


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
