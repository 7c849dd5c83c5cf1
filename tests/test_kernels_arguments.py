"""fastnn.kernels at the door: every kind of array that is welcome, and the message for those that are not."""

import sys

import numpy as np
import pytest
from numba.core.dispatcher import Dispatcher

from fastnn import kernels
from fastnn.kernels._cache import KernelCache

dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def transposed(x):
    return np.ascontiguousarray(x.T).T


def strided(x):
    wide = np.full((2 * x.shape[0], 3 * x.shape[1]), np.nan, x.dtype)
    wide[::2, ::3] = x
    return wide[::2, ::3]


def reversed_rows(x):
    return x[::-1].copy()[::-1]


def read_only(x):
    x = x.copy()
    x.flags.writeable = False
    return x


def unaligned(x):
    raw = np.zeros(x.nbytes + 1, np.uint8)
    copy = raw[1:].view(x.dtype).reshape(x.shape)
    copy[...] = x
    return copy


def matrix(x):
    return x.view(np.matrix)


def programs_in_memory():
    """How many compiled kernels this process holds: one for each kernel and combination of array types."""
    modules = [module for name, module in sys.modules.items() if name.startswith("fastnn.kernels.")]
    kernels_of_all = {
        id(k): k for module in modules for k in vars(module).values() if isinstance(k, Dispatcher)
    }
    return sum(len(k.signatures) for k in kernels_of_all.values() if isinstance(k._cache, KernelCache))


forms = pytest.mark.parametrize("form", [transposed, strided, reversed_rows, read_only, unaligned, matrix])


@forms
@dtypes
def test_any_arrangement_in_memory(form, dtype):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((5, 7)).astype(dtype), rng.standard_normal((7, 19)).astype(dtype)
    labels = rng.integers(0, 7, 5)

    def everything(form):
        yield kernels.matmul(form(a), form(b))
        yield kernels.matmul(form(a), form(a), transpose_b=True)
        yield kernels.matmul(form(b), form(a), transpose_a=True, transpose_b=True)
        yield kernels.relu(form(a))
        yield kernels.softmax(form(a))
        yield from kernels.softmax_cross_entropy(form(a), labels)

    expected = list(everything(np.array))
    before = programs_in_memory()
    for one, two in zip(everything(form), expected, strict=True):
        assert np.array_equal(one, two)
    assert programs_in_memory() == before  # compiling anew would take seconds


def test_lists_are_arrays():
    x = [[1.0, -2.0], [0.5, 3.0]]
    assert np.array_equal(kernels.relu(x), [[1, 0], [0.5, 3]])
    assert np.array_equal(kernels.matmul(x, x), np.array(x) @ np.array(x))
    assert np.array_equal(kernels.softmax([[2.0, 2.0]]), [[0.5, 0.5]])


@pytest.mark.parametrize("labels", [[1, 0], np.array([1, 0], np.uint8), np.array([1, 0], ">i2"), (1, 0)])
def test_any_whole_numbers_are_labels(labels):
    logits = np.array([[1.0, 2.0], [3.0, 1.0]])
    losses, _ = kernels.softmax_cross_entropy(logits, labels)
    assert np.allclose(losses, [np.log1p(np.exp(-1)), np.log1p(np.exp(-2))], rtol=1e-15)


@pytest.mark.parametrize("shape", [(), (3,), (2, 3, 4), (0, 5), (4, 0)])
@dtypes
def test_relu_of_any_shape(shape, dtype):
    x = np.random.default_rng(1).standard_normal(shape).astype(dtype)
    result = kernels.relu(x)
    assert result.shape == shape
    assert np.array_equal(result, np.maximum(x, 0))


@dtypes
def test_no_rows(dtype):
    nothing = np.zeros((0, 4), dtype)
    assert kernels.softmax(nothing).shape == (0, 4)
    losses, gradient = kernels.softmax_cross_entropy(nothing, [])
    assert losses.shape == (0,) and gradient.shape == (0, 4)
    assert np.array_equal(kernels.matmul(nothing.T, nothing), np.zeros((4, 4)))  # an empty sum


class TestOut:
    @pytest.mark.parametrize(
        "size", [(1, 1, 1), (5, 3, 2), (13, 33, 7), (90, 17, 500), (7, 64, 3), (3, 4, 0)]
    )
    @dtypes
    def test_nothing_beside_it_is_written(self, size, dtype):
        m, n, k = size
        rng = np.random.default_rng(2)
        a, b = rng.standard_normal((m, k)).astype(dtype), rng.standard_normal((k, n)).astype(dtype)
        guarded = np.full(m * n + 256, 12345, dtype)
        out = guarded[128:-128].reshape(m, n)
        assert kernels.matmul(a, b, out=out) is out
        assert np.array_equal(out, kernels.matmul(a, b))
        assert (guarded[:128] == 12345).all() and (guarded[-128:] == 12345).all()

    def test_what_it_held_before_does_not_matter(self):
        a = np.ones((3, 4))
        out = np.full((3, 3), np.nan)
        kernels.matmul(a, a, transpose_b=True, out=out)
        assert (out == 4).all()

    def test_unaligned(self):
        out = unaligned(np.zeros((3, 3)))
        kernels.matmul(np.ones((3, 4)), np.ones((4, 3)), out=out)
        assert (out == 4).all()

    @pytest.mark.parametrize("subclass", [np.matrix, np.ma.MaskedArray])
    def test_subclasses_are_written_or_refused(self, subclass):
        out = np.zeros((3, 3)).view(subclass)
        try:
            kernels.matmul(np.ones((3, 4)), np.ones((4, 3)), out=out)
        except TypeError as error:
            assert "out" in str(error)
        else:
            assert np.array_equal(np.asarray(out), np.full((3, 3), 4))

    @pytest.mark.parametrize("which", ["a", "b", "part of a"])
    def test_shared_memory_is_refused(self, which):
        a, b = np.ones((4, 4)), np.ones((4, 4))
        out = {"a": a, "b": b, "part of a": a[:2]}[which]
        with pytest.raises(ValueError, match="out shares memory with a or b"):
            kernels.matmul(a[: len(out)] if which == "part of a" else a, b, out=out)
        assert (a == 1).all() and (b == 1).all()

    @pytest.mark.parametrize(
        ("out", "error", "message"),
        [
            ([[0.0]], TypeError, "out is list"),
            (np.zeros((1, 1), np.float32), TypeError, "out is float32; it must be an array of float64"),
            (np.zeros((1, 1), ">f8"), TypeError, "out is >f8"),
            (np.zeros((1, 2)), ValueError, r"out has shape \(1, 2\); it must be \(1, 1\)"),
            (np.zeros(1), ValueError, r"out has shape \(1,\)"),
            (read_only(np.zeros((1, 1))), ValueError, "out must be C-contiguous and writeable"),
        ],
    )
    def test_bad(self, out, error, message):
        with pytest.raises(error, match=message):
            kernels.matmul(np.ones((1, 3)), np.ones((3, 1)), out=out)

    def test_not_contiguous(self):
        with pytest.raises(ValueError, match="out must be C-contiguous"):
            kernels.matmul(np.ones((3, 3)), np.ones((3, 3)), out=np.zeros((3, 3)).T)


BAD_TYPES = [
    (np.ones((2, 2), int), "int64"),
    (np.ones((2, 2), bool), "bool"),
    (np.ones((2, 2), np.float16), "float16"),
    (np.ones((2, 2), np.longdouble), str(np.dtype(np.longdouble))),
    (np.ones((2, 2), complex), "complex128"),
    (np.ones((2, 2), ">f4"), ">f4"),
    (np.ones((2, 2), object), "object"),
    ("text", "<U4"),
    (None, "object"),
]


@pytest.mark.parametrize(("value", "dtype"), BAD_TYPES, ids=[dtype for _, dtype in BAD_TYPES])
class TestBadTypes:
    def test_everywhere(self, value, dtype):
        message = f"has dtype {dtype}; it must be float32 or float64"
        for call, name in [
            (lambda: kernels.matmul(value, np.ones((2, 2))), "a"),
            (lambda: kernels.matmul(np.ones((2, 2)), value), "b"),
            (lambda: kernels.relu(value), "x"),
            (lambda: kernels.softmax(value), "x"),
            (lambda: kernels.softmax_cross_entropy(value, [0, 1]), "logits"),
        ]:
            with pytest.raises(TypeError, match=f"^{name} {message}"):
                call()


ONE = np.ones((2, 3))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: kernels.matmul(ONE[0], ONE), ValueError, r"a has shape \(3,\); it must have 2 dimensions"),
        (lambda: kernels.matmul(ONE, ONE[None]), ValueError, r"b has shape \(1, 2, 3\)"),
        (lambda: kernels.matmul(ONE, ONE), ValueError, r"op\(a\) has 3 columns and op\(b\) 2 rows"),
        (lambda: kernels.matmul(ONE, ONE.T, True), ValueError, r"op\(a\) has 2 columns and op\(b\) 3 rows"),
        (lambda: kernels.matmul(ONE, ONE.astype("f4")), TypeError, "a has dtype float64 and b float32"),
        (lambda: kernels.matmul(ONE, ONE, transpose_b="yes"), TypeError, "transpose_b is 'yes'"),
        (
            lambda: kernels.matmul(ONE, ONE, transpose_a=[True]),
            TypeError,
            r"transpose_a is \[True\]; it must be",
        ),
        (lambda: kernels.matmul(ONE, ONE, transpose_a=1), TypeError, "transpose_a is 1; it must be True or"),
        (lambda: kernels.softmax(ONE[0]), ValueError, r"x has shape \(3,\); it must have 2 dimensions"),
        (lambda: kernels.softmax(ONE[:, :0]), ValueError, r"x has shape \(2, 0\); it needs at least one"),
        (lambda: kernels.softmax_cross_entropy(ONE[0], [0]), ValueError, r"logits has shape \(3,\)"),
        (lambda: kernels.softmax_cross_entropy(ONE[:, :0], [0, 0]), ValueError, r"logits has shape \(2, 0\)"),
    ],
)
def test_bad_calls(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        ([0, 3], ValueError, r"labels\[1\] is 3; labels must be whole numbers from 0 to 2"),
        ([-1, 0], ValueError, r"labels\[0\] is -1; labels must be"),
        (np.array([2**63, 0], np.uint64), ValueError, r"labels\[0\] is 9223372036854775808"),
        ([0, 2**70], TypeError, "labels has dtype object"),
        ([0.0, 1.0], TypeError, "labels has dtype float64; it must be whole numbers"),
        ([True, False], TypeError, "labels has dtype bool"),
        (["0", "1"], TypeError, "labels has dtype <U1"),
        ([None, 0], TypeError, "labels has dtype object"),
        ([0], ValueError, r"labels has shape \(1,\); it must be \(2,\), one label a row of logits"),
        ([[0, 1]], ValueError, r"labels has shape \(1, 2\)"),
        (0, ValueError, r"labels has shape \(\)"),
    ],
)
def test_bad_labels(labels, error, message):
    with pytest.raises(error, match=message):
        kernels.softmax_cross_entropy(ONE, labels)
