"""The table of kernels: one row each, read by tests/ and by bench/. A new kernel is a new row.

`size` says how large the inputs are: (m, n, k) of a matrix product, (rows, columns) of an operation on rows,
(elements,) of an update, (batch, inputs, hidden units, classes) of a network.
"""

from functools import partial

import bounds
import numpy as np
from case import EDGES, Case, double, numpy_softmax
from cases_networks import NETWORK_CASES
from cases_updates import UPDATE_CASES

from fastnn import kernels, reference
from fastnn.kernels.product_plan import DEPTH, DEPTH_OF_COLUMNS

DEPTHS = (*EDGES, *(DEPTH_OF_COLUMNS + i for i in (-1, 0, 1)), 2 * DEPTH_OF_COLUMNS + 1, 2 * DEPTH + 1)


def _matmul(a_is_transposed, b_is_transposed):
    def make_inputs(rng, size, dtype):
        m, n, k = size
        a = rng.standard_normal((k, m) if a_is_transposed else (m, k)).astype(dtype)
        return a, rng.standard_normal((n, k) if b_is_transposed else (k, n)).astype(dtype)

    def oriented(a, b):
        return a.T if a_is_transposed else a, b.T if b_is_transposed else b

    flags = {"transpose_a": a_is_transposed, "transpose_b": b_is_transposed}
    return Case(
        name="matmul_" + "nt"[a_is_transposed] + "nt"[b_is_transposed],
        kernel=partial(kernels.matmul, **flags),
        reference=partial(reference.matmul, **flags),
        make_inputs=make_inputs,
        bound=lambda dtype, a, b: (bounds.matmul(*oriented(*double(a, b))),),
        axes=((0, *EDGES), (0, *EDGES), (0, *DEPTHS)),
        bench_sizes=((128, 512, 784), (500, 32, 784), (128, 10, 512), (1000, 1000, 1000)),
        flops=lambda m, n, k: 2 * m * n * k,
        elements=lambda m, n, k: m * k + k * n + m * n,
        numpy=lambda a, b: np.matmul(*oriented(a, b)),
    )


def _rows(rng, size, dtype):
    return (3 * rng.standard_normal(size)).astype(dtype)


def _tiny(dtype):
    return np.finfo(dtype).tiny / np.finfo(dtype).eps


def _softmax_bound(dtype, x):
    return (bounds.softmax(*double(x), np.zeros((len(x), 1)), _tiny(dtype))[1],)


def _labelled(rng, size, dtype):
    return _rows(rng, size, dtype), rng.integers(0, size[1], size[0])


def _cross_entropy_bound(dtype, logits, labels):
    (logits,) = double(logits)
    exact = np.zeros((len(logits), 1))
    p, error = bounds.softmax(logits, exact, _tiny(dtype))
    scale = 1 / max(len(logits), 1)
    return bounds.losses(logits, exact, labels), scale * (error + 2 * (p + np.eye(p.shape[1])[labels]))


def _numpy_cross_entropy(logits, labels):
    each = np.arange(len(labels))
    shifted = logits - logits.max(axis=1, keepdims=True)
    gradient = np.exp(shifted)
    total = gradient.sum(axis=1, keepdims=True)
    losses = np.log(total[:, 0]) - shifted[each, labels]
    gradient /= total
    gradient[each, labels] -= 1
    gradient /= len(labels)
    return losses, gradient


_ROW_CASES = [
    Case(
        name="relu",
        kernel=kernels.relu,
        reference=reference.relu,
        make_inputs=lambda rng, size, dtype: (_rows(rng, size, dtype),),
        bound=lambda dtype, x: (0,),
        axes=((0, *EDGES), (0, *EDGES)),
        bench_sizes=((128, 512), (1000, 1000)),
        flops=lambda rows, columns: rows * columns,
        elements=lambda rows, columns: 2 * rows * columns,
        numpy=lambda x: np.maximum(x, 0),
    ),
    Case(
        name="softmax",
        kernel=kernels.softmax,
        reference=reference.softmax,
        make_inputs=lambda rng, size, dtype: (_rows(rng, size, dtype),),
        bound=_softmax_bound,
        axes=((0, *EDGES), EDGES),
        bench_sizes=((500, 10), (1000, 1000)),
        flops=lambda rows, columns: 4 * rows * columns,
        elements=lambda rows, columns: 2 * rows * columns,
        numpy=numpy_softmax,
    ),
    Case(
        name="softmax_cross_entropy",
        kernel=kernels.softmax_cross_entropy,
        reference=reference.softmax_cross_entropy,
        make_inputs=_labelled,
        bound=_cross_entropy_bound,
        axes=((0, *EDGES), EDGES),
        bench_sizes=((500, 10), (1000, 1000)),
        flops=lambda rows, columns: 5 * rows * columns,
        elements=lambda rows, columns: 2 * rows * columns,
        numpy=_numpy_cross_entropy,
    ),
]

MATMUL_CASES = [_matmul(a, b) for a in (False, True) for b in (False, True)]
CASES = [*MATMUL_CASES, *_ROW_CASES, *UPDATE_CASES, *NETWORK_CASES]
