"""Every kernel of the table against its reference, on shapes around the register tile's edges."""

import numpy as np
import pytest
from case import assert_within, results
from cases import CASES, MATMUL_CASES
from hypothesis import given, settings
from hypothesis import strategies as st

reproducible = settings(derandomize=True, max_examples=20)
dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


@every_case
@dtypes
def test_against_reference(case, dtype):
    @reproducible
    @given(size=st.tuples(*map(st.sampled_from, case.axes)), seed=st.integers(0, 2**32 - 1))
    def check(size, seed):
        inputs = case.make_inputs(np.random.default_rng(seed), size, dtype)
        bound = case.bound(dtype, *inputs)
        expected = case.reference(*inputs)
        actual = case.kernel(*inputs)
        assert_within(actual, expected, bound, dtype)

    check()


@every_case
@dtypes
@pytest.mark.parametrize("edge", [min, max])
def test_smallest_and_largest(case, dtype, edge):
    size = tuple(map(edge, case.axes))
    inputs = case.make_inputs(np.random.default_rng(0), size, dtype)
    bound = case.bound(dtype, *inputs)
    expected = case.reference(*inputs)
    actual = case.kernel(*inputs)
    assert_within(actual, expected, bound, dtype)


@pytest.mark.parametrize("case", MATMUL_CASES, ids=lambda case: case.name)
@dtypes
@pytest.mark.parametrize(
    "size",
    [
        (331, 257, 401),  # more strips than panels, in several blocks; enough work for a second thread
        (97, 1009, 389),  # more panels than strips
        (3, 10, 20_011),  # deep and narrow
        (1, 1, 100_003),
        (2003, 1, 1),
    ],
)
def test_large_products_against_numpy(case, dtype, size):
    a, b = case.make_inputs(np.random.default_rng(1), size, dtype)
    expected = case.numpy(a.astype(np.float64), b.astype(np.float64))
    actual = case.kernel(a, b)
    assert_within(actual, expected, case.bound(dtype, a, b), dtype)


@pytest.mark.parametrize("case", MATMUL_CASES, ids=lambda case: case.name)
@dtypes
def test_products_of_any_size_against_numpy(case, dtype):
    @reproducible
    @given(size=st.tuples(*[st.integers(1, 300)] * 3), seed=st.integers(0, 2**32 - 1))
    def check(size, seed):
        a, b = case.make_inputs(np.random.default_rng(seed), size, dtype)
        expected = case.numpy(a.astype(np.float64), b.astype(np.float64))
        actual = case.kernel(a, b)
        assert_within(actual, expected, case.bound(dtype, a, b), dtype)

    check()


@every_case
@dtypes
def test_inputs_are_left_alone(case, dtype):
    inputs = case.make_inputs(np.random.default_rng(2), tuple(axis[-1] for axis in case.axes), dtype)
    kept = inputs[-1:] if case.overwrites else inputs  # of an update, the gradient
    arrays = [part for value in kept for part in _arrays(value)]
    before = [a.copy() for a in arrays]
    outcome = case.kernel(*inputs)
    assert all(np.array_equal(a, b) for a, b in zip(arrays, before, strict=True))
    assert not any(np.shares_memory(result, a) for result in results(outcome) for a in arrays)


def _arrays(value):
    return [value] if isinstance(value, np.ndarray) else [*value.weights, *value.biases]


@every_case
@dtypes
def test_same_inputs_same_bits(case, dtype):
    def once():
        size = tuple(axis[-2] for axis in case.axes)
        return results(case.kernel(*case.make_inputs(np.random.default_rng(3), size, dtype)))

    assert all(np.array_equal(one, two) for one, two in zip(once(), once(), strict=True))


def test_table_has_each_kernel_once():
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)
    assert all(len(size) == len(case.axes) for case in CASES for size in case.bench_sizes)
