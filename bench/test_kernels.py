"""Every kernel of tests/cases.py at the sizes of training, beside what a NumPy user would write."""

import numpy as np
import pytest
from cases import CASES

from fastnn import kernels

_CALLS = [
    pytest.param(case, size, who, id=f"{case.name}-{'x'.join(map(str, size))}-{who}")
    for case in CASES
    for size in case.bench_sizes
    for who in ("fastnn", "numpy")
    if who == "fastnn" or case.numpy
]


@pytest.mark.parametrize(("case", "size", "who"), _CALLS)
def test_kernel(benchmark, record, case, size, who):
    inputs = case.make_inputs(np.random.default_rng(0), size, "float32")
    function = case.kernel if who == "fastnn" else case.numpy
    function(*inputs)  # warm-up: compiles, or reads the cache
    benchmark.group = f"{case.name} {'x'.join(map(str, size))}"
    benchmark(function, *inputs)
    record(case.flops(*size), case.bytes(size, "float32"), threads=kernels.get_num_threads())
