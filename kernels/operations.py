"""The kernels as functions of arrays: every argument is checked here, once, and nothing behind this door checks again."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ._jit import require_jit
from .arrays import aligned_zeros, plain
from .elementwise import relu_elements, softmax_cross_entropy_rows, softmax_rows
from .jobs import COUNT, DONE, FAILED
from .product import multiply
from .product_plan import Plan, plan_product
from .product_threads import run_product
from .repeated_product import ALWAYS_ALONE, LARGER, nothing_known, with_product
from .thread_count import threads_for_product
from .threads import ALONE, Team, compiled
from .tile import lanes

_known = None  # products that came last, once there was one

# Below so many multiply-adds a second thread, where it looks out for work, costs as much as it saves. (An Intel Xeon of 2023:
# 500 x 32 x 32 takes 13 us on one thread and 11 to 17 on two, 128 x 512 x 10 21 and 17, 1000 x 32 x 32 20 and 15 to 20.)
_SERIAL_WORK = 600_000

# Their workspace: 600,000 multiply-adds of twelve rows or more pack no more bytes than that.
_ROOM = 1 << 20

_alone = Team(1)
"""For products that are always the caller's alone: who runs one has Python's lock, and nobody else can run another meanwhile."""
_alone.sync[COUNT] = ALWAYS_ALONE
_alone.reserve(_ROOM)

# Of those that are equal, as one with metadata is, the one that NumPy makes.
_DTYPES = {kind: kind for kind in map(np.dtype, (np.float32, np.float64))}


def _checked(array, name, dimensions=None):
    """`array` as an ndarray of float32 or float64, of so many dimensions."""
    if type(array) is not np.ndarray:
        try:
            array = np.asarray(array)
        except ValueError as error:  # rows of unequal length
            raise ValueError(f"{name} cannot be made an array: {error}") from None
    if array.dtype not in _DTYPES:
        raise TypeError(f"{name} has dtype {array.dtype}; it must be float32 or float64")
    if dimensions is not None and array.ndim != dimensions:
        raise ValueError(f"{name} has shape {array.shape}; it must have {dimensions} dimensions")
    return array


def _flag(value, name):
    if value is True or value is False:
        return value
    if not isinstance(value, np.bool_):
        raise TypeError(f"{name} is {value!r}; it must be True or False")
    return bool(value)


def _stored(array, transpose):
    """An array as compiled code wants it: C-contiguous, aligned, its dtype NumPy's own object; and whether it is transposed."""
    if array.flags.f_contiguous and not array.flags.c_contiguous:
        array, transpose = array.T, not transpose
    array = np.require(array, requirements=["C", "A"])
    kind = _DTYPES[array.dtype]
    return array if array.dtype is kind else array.view(kind), transpose


def _room_for(a, b, transpose_a, transpose_b):
    """A new array for the product of what a user passed; None where that takes a closer look."""
    if (
        type(a) is type(b) is np.ndarray
        and type(transpose_a) is type(transpose_b) is bool
        and a.ndim == b.ndim == 2
    ):
        shape_a, shape_b = a.shape, b.shape
        if shape_a[not transpose_a] == shape_b[transpose_b]:
            return np.empty((shape_a[transpose_a], shape_b[not transpose_b]), a.dtype)
    return None


def matmul(a, b, transpose_a=False, transpose_b=False, out=None):
    """C = op(A) op(B), C[i, j] = sum_k op(A)[i, k] op(B)[k, j], op(M) = M or its transpose.

    Parameters
    ----------
    a, b : 2-D arrays, both float32 or both float64. op(a) is (m, k), op(b) is (k, n); any of them may be 0.
    out : C-contiguous array (m, n) of the same dtype to write to, sharing no memory with a or b.

    Returns the product (m, n): `out`, or a new array. The bits do not depend on the number of threads.
    Raises TypeError for other dtypes, ValueError for shapes that do not fit.

    """
    known, product = _known, out
    if known is not None:
        if out is None:
            product = _room_for(a, b, transpose_a, transpose_b)
        # A product like one before, of which nothing more has to be found out.
        outcome = known.run(_alone.address, a, b, transpose_a, transpose_b, product)
        if outcome == LARGER:
            threads = threads_for_product()
            outcome = run_product(
                threads, a.size * product.shape[1], known.run, a, b, transpose_a, transpose_b, product
            )
        if outcome == DONE:
            return product
    a, transpose_a = _stored(_checked(a, "a", 2), _flag(transpose_a, "transpose_a"))
    b, transpose_b = _stored(_checked(b, "b", 2), _flag(transpose_b, "transpose_b"))
    how = _product(a.shape, b.shape, transpose_a, transpose_b, a.dtype, b.dtype)
    if out is None:
        out = product = np.empty(how.shape, a.dtype)
    else:
        _check_out(out, how.shape, a, b)
        product, _ = _stored(np.asarray(out), False)  # a copy, where it is not aligned
    if how.work == 0:
        product[...] = 0  # an empty sum
    elif _compute(how, a, b, transpose_a, transpose_b, product) == FAILED:
        raise MemoryError("a kernel ran out of memory")
    if not out.flags.aligned:
        out[...] = product
    return out


def _compute(how, a, b, transpose_a, transpose_b, product):
    """The product of arrays that were looked at, which is known from now on; returns what multiply_again does."""
    global _known
    known = _known or nothing_known()
    matrix = np.empty((1, 1), a.dtype)
    kernel = compiled(multiply, ALONE.sync, 0, matrix, matrix, matrix, 0)
    operands = a, b, transpose_a, transpose_b
    if how.work < _SERIAL_WORK and how.planned(1).room(1) * a.itemsize <= _ROOM:
        _known = known = with_product(known, kernel, ALWAYS_ALONE, *operands, how.planned(1))
        return known.run(_alone.address, *operands, product)
    threads = threads_for_product()
    for count in (1, threads):
        known = with_product(known, kernel, count, *operands, how.planned(count))
    _known = known
    return run_product(threads, how.work, known.run, *operands, product)


class _Product(NamedTuple):
    shape: tuple[int, int]
    work: int  # multiply-adds
    settings: tuple
    plans: dict[int, Plan]  # by number of threads

    def planned(self, threads):
        if threads not in self.plans:
            self.plans[threads] = plan_product(*self.settings, threads)
        return self.plans[threads]


@lru_cache(maxsize=512)
def _product(shape_a, shape_b, transpose_a, transpose_b, dtype, dtype_b):
    """What is to be done for C-contiguous arrays of such shapes, which are checked here, once."""
    require_jit()
    for name, shape, kind in (("a", shape_a, dtype), ("b", shape_b, dtype_b)):
        if kind not in _DTYPES:
            raise TypeError(f"{name} has dtype {kind}; it must be float32 or float64")
        if len(shape) != 2:
            raise ValueError(f"{name} has shape {shape}; it must have 2 dimensions")
    if dtype != dtype_b:
        raise TypeError(f"a has dtype {dtype} and b {dtype_b}; they must be the same")
    k, m = shape_a if transpose_a else shape_a[::-1]
    n, k_of_b = shape_b if transpose_b else shape_b[::-1]
    if k != k_of_b:
        raise ValueError(f"op(a) has {k} columns and op(b) {k_of_b} rows; they must be equal")
    return _Product((m, n), m * n * k, (m, n, k, transpose_a, transpose_b, dtype.itemsize), {})


def _check_out(out, shape, a, b):
    if not isinstance(out, np.ndarray) or out.dtype != a.dtype:
        raise TypeError(
            f"out is {getattr(out, 'dtype', type(out).__name__)}; it must be an array of {a.dtype}"
        )
    if out.shape != shape:
        raise ValueError(f"out has shape {out.shape}; it must be {shape}")
    flags = out.flags
    if not (flags.c_contiguous and flags.writeable):
        raise ValueError("out must be C-contiguous and writeable")
    # To ask NumPy takes 0.2 us for each.
    apart = flags.owndata and a.flags.owndata and b.flags.owndata and out is not a and out is not b
    if not apart and (np.may_share_memory(out, a) or np.may_share_memory(out, b)):
        raise ValueError("out shares memory with a or b; it must be a separate array")


def relu(x):
    """max(x, 0), element by element; x float32 or float64 of any shape. NaN stays NaN. Raises TypeError for other dtypes."""
    require_jit()
    x = _checked(x, "x")
    out = np.empty(x.shape, x.dtype)
    relu_elements(plain(x).reshape(-1), out.reshape(-1))
    return out


def _padded_row(columns, dtype):
    vector = lanes(dtype.itemsize)
    return aligned_zeros(-(-columns // vector) * vector, dtype)


def softmax(x):
    """exp(x[i, j] - m_i) / sum_l exp(x[i, l] - m_i), m_i = max_j x[i, j]: softmax of each row, which sums to 1.

    x is (n, classes), float32 or float64, n may be 0. Raises TypeError for other dtypes, ValueError for other shapes.
    """
    require_jit()
    x = plain(_checked(x, "x", 2))
    out = np.empty_like(x)
    if x.shape[1] == 0:
        raise ValueError(f"x has shape {x.shape}; it needs at least one column")
    softmax_rows(x, _padded_row(x.shape[1], x.dtype), out)
    return out


def softmax_cross_entropy(logits, labels):
    """L_i = -log softmax(logits[i])[labels[i]] and G = d mean(L) / d logits = (softmax(logits) - onehot(labels)) / n.

    Parameters
    ----------
    logits : (n, classes), float32 or float64.
    labels : (n,) whole numbers from 0 to classes - 1.

    Returns losses (n,) in nats and the gradient (n, classes), of the logits' dtype. The loss is log(sum_j exp(z_j - m)) + m
    - z_label with the row's maximum m: finite for logits up to half the largest number, without an epsilon.
    Raises TypeError and ValueError for other dtypes, shapes and labels.

    """
    require_jit()
    logits = plain(_checked(logits, "logits", 2))
    rows, classes = logits.shape
    if classes == 0:
        raise ValueError(f"logits has shape {logits.shape}; it needs at least one column")
    labels = np.asarray(labels)
    if labels.shape != (rows,):
        raise ValueError(f"labels has shape {labels.shape}; it must be ({rows},), one label a row of logits")
    if labels.dtype.kind not in "iu" and (rows or labels.dtype.kind not in "f"):
        raise TypeError(f"labels has dtype {labels.dtype}; it must be whole numbers")
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if wrong.size:
        place = wrong[0]
        raise ValueError(
            f"labels[{place}] is {labels[place]}; labels must be whole numbers from 0 to {classes - 1}"
        )
    losses = np.empty(rows, logits.dtype)
    gradient = np.empty_like(logits)
    softmax_cross_entropy_rows(
        logits, plain(labels.astype(np.int64)), _padded_row(classes, logits.dtype), losses, gradient
    )
    return losses, gradient
