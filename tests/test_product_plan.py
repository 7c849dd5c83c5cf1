"""Matrix products that are cut into several blocks, and those computed as C^T = B^T A^T: the same numbers in all cases."""

import itertools

import numpy as np
import pytest

from fastnn import kernels
from fastnn.kernels import operations, product_plan
from fastnn.kernels.product_plan import (
    BLOCK,
    COLUMN_COUNT,
    DEEP,
    DIRECT_A,
    DIRECT_B,
    DIRECT_REST,
    REST,
    ROOM_A,
    ROOM_REST,
    SPAN,
    STRIPS,
    TAKES,
    TURNED,
    WIDE,
    plan_product,
)
from fastnn.kernels.rest_code import TOGETHER
from fastnn.kernels.threads import team_of
from fastnn.kernels.tile import ROWS, VECTORS, lanes

LAYOUTS = list(itertools.product([False, True], repeat=2))


@pytest.fixture
def choose(monkeypatch):
    """Has products run on so many threads, however little work they are, and however few processors there are."""

    def run(threads, work, run, *arguments):
        with team_of(threads) as team:
            return team.post(run, *arguments, wake=True)

    def choose(threads):
        monkeypatch.setattr(operations, "threads_for_product", lambda: threads)

    monkeypatch.setattr(operations, "_SERIAL_WORK", 0)
    monkeypatch.setattr(operations, "_known", None)
    monkeypatch.setattr(operations, "run_product", run)
    return choose


@pytest.fixture
def set_limits(monkeypatch):
    """A function that sets limits of product_plan for this test alone: no plan of another is used, and none is left."""

    def set_limits(**limits):
        for name, limit in limits.items():
            monkeypatch.setattr(product_plan, name, limit)
        operations._product.cache_clear()

    yield set_limits
    operations._product.cache_clear()


def check(shape, layout, dtype, choose):
    """The product on one thread, two and three against float64, to its rounding errors; the bits of all are equal."""
    rows, depth, columns = shape
    transpose_a, transpose_b = layout
    rng = np.random.default_rng(sum(shape))
    a, b = (
        rng.standard_normal((rows, depth)).astype(dtype),
        rng.standard_normal((depth, columns)).astype(dtype),
    )
    stored = (a.T.copy() if transpose_a else a), (b.T.copy() if transpose_b else b)
    # Behind the product's end nothing may change.
    space = np.full(rows * columns + 100, 7, dtype)
    out = space[: rows * columns].reshape(rows, columns)
    products = []
    for count in (1, 2, 3):
        choose(count)
        products.append(kernels.matmul(*stored, *layout, out=out).copy())
        assert np.all(space[rows * columns :] == 7)
    assert all(np.array_equal(products[0], product) for product in products)
    exact, sizes = a.astype(float) @ b.astype(float), np.abs(a).astype(float) @ np.abs(b).astype(float)
    assert np.all(np.abs(products[0] - exact) <= depth * np.finfo(dtype).eps * sizes)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "shape", [(128, 512, 10), (511, 257, 129), (256, 784, 100), (333, 70, 1), (100, 64, 5)]
)
def test_turned(shape, layout, dtype, choose):
    check(shape, layout, dtype, choose)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("transpose_b", [False, True])
@pytest.mark.parametrize("rows", [1, 7, 60, 150])
@pytest.mark.parametrize(("depth", "columns"), [(512, 5), (512, 6), (333, 4), (641, 5), (199, 6)])
def test_narrow(rows, depth, columns, transpose_b, dtype, choose, set_limits):
    if 4 * columns > 3 * lanes(np.dtype(dtype).itemsize):
        pytest.skip("vectors are so short that this is not narrow")
    set_limits(_MUCH_LESS=100)  # whether it pays or not
    numbers = plan_product(rows, columns, depth, False, transpose_b, np.dtype(dtype).itemsize, 1).numbers
    assert numbers[REST] == columns
    check((rows, depth, columns), (False, transpose_b), dtype, choose)


def check_where_nan_and_infinity_are(a, b, transpose_b, tolerance):
    product = kernels.matmul(a, b.T.copy() if transpose_b else b, transpose_b=transpose_b)
    with np.errstate(invalid="ignore"):
        expected = a.astype(float) @ b.astype(float)
    assert np.array_equal(np.isnan(product), np.isnan(expected))
    assert np.array_equal(np.isinf(product), np.isinf(expected))
    finite = np.isfinite(expected)
    assert np.allclose(product[finite], expected[finite], atol=tolerance)


@pytest.mark.parametrize("transpose_b", [False, True])
@pytest.mark.parametrize("depth", [512, 331])
def test_narrow_products_keep_nan_and_infinity_where_they_belong(depth, transpose_b):
    rng = np.random.default_rng(0)
    a = rng.standard_normal((40, depth), dtype=np.float32)
    b = rng.standard_normal((depth, 8), dtype=np.float32)
    a[3, -1], a[17, 0], b[-1, 2], b[0, 7] = np.nan, np.inf, np.inf, np.nan
    check_where_nan_and_infinity_are(a, b, transpose_b, 1e-4)


def test_what_is_narrow():
    """Few columns, of which a vector would be a quarter padding, and A as it is stored."""

    def narrow(rows, depth, columns, transpose_a=False):
        return plan_product(rows, columns, depth, transpose_a, False, 4, 1).numbers[REST] == columns

    some = lanes(4) // 2  # 8 of 16
    if some >= TOGETHER:
        assert narrow(128, 512, some)
    assert not narrow(128, 512, some, transpose_a=True)
    assert not narrow(128, 512, 3)
    assert not narrow(128, 512, lanes(4) + 1)
    assert not narrow(128, 20, some)  # to add up the lanes would take longer
    # Whatever the number of rows is: otherwise a row's bits would depend on others.
    for depth, columns in itertools.product((1, 30, 60, 100, 500), range(1, 20)):
        assert len({bool(narrow(rows, depth, columns)) for rows in (1, 2, 3, 4, 20, 128, 5000)}) == 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("transpose_b", [False, True])
@pytest.mark.parametrize("rows", [1, 5, 20, 150])
@pytest.mark.parametrize(("whole", "rest"), [(2, 4), (2, 1), (1, 2), (6, 3), (4, 5), (2, 7)])
@pytest.mark.parametrize("depth", [512, 333])
def test_last_columns_as_rows_of_b(rows, depth, whole, rest, transpose_b, dtype, choose, set_limits):
    if rest >= lanes(np.dtype(dtype).itemsize):
        pytest.skip("vectors are so short that this is one")
    columns = whole * lanes(np.dtype(dtype).itemsize) + rest
    set_limits(_LESS=100)  # whether it pays or not
    numbers = plan_product(rows, columns, depth, False, transpose_b, np.dtype(dtype).itemsize, 1).numbers
    assert (numbers[REST], numbers[COLUMN_COUNT]) == (rest, columns - rest)
    check((rows, depth, columns), (False, transpose_b), dtype, choose)


@pytest.mark.parametrize("transpose_b", [False, True])
@pytest.mark.parametrize("rest", [1, 4, 7])
def test_last_columns_keep_nan_and_infinity_where_they_belong(rest, transpose_b, set_limits):
    whole = 2 * lanes(4)
    columns = whole + rest
    if rest >= lanes(4):
        pytest.skip("vectors are so short that this is one")
    rng = np.random.default_rng(0)
    a = rng.standard_normal((40, 500), dtype=np.float32)
    b = rng.standard_normal((500, columns), dtype=np.float32)
    a[3, -1], a[17, 0] = np.nan, np.inf
    b[-1, whole], b[0, 2], b[499, whole - 1] = np.inf, np.nan, np.inf
    set_limits(_LESS=100)  # whether it pays or not
    assert plan_product(40, columns, 500, False, transpose_b, 4, 1).numbers[REST] == rest
    check_where_nan_and_infinity_are(a, b, transpose_b, 1e-3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("transpose_b", [False, True])
@pytest.mark.parametrize("rows", ["a tile's", 45, 150])
@pytest.mark.parametrize(("whole", "rest"), [(1, 1), (2, 4), (4, 1), (5, 3), (2, 7)])
@pytest.mark.parametrize("depth", [1, 30, 700])
def test_last_columns_as_rows_of_c(rows, depth, whole, rest, transpose_b, dtype, choose, set_limits):
    """Where A^T is stored; of 700 rows of B in several blocks."""
    vector = lanes(np.dtype(dtype).itemsize)
    if rest >= vector or rest > ROWS:
        pytest.skip("vectors are so short, or so few, that this is too much")
    rows = VECTORS * vector if isinstance(rows, str) else rows
    columns = whole * vector + rest
    set_limits(_LESS=100, _TRANSPOSED=10**6)  # whether it pays or not
    numbers = plan_product(rows, columns, depth, True, transpose_b, np.dtype(dtype).itemsize, 1).numbers
    assert (numbers[REST], numbers[COLUMN_COUNT], numbers[TURNED]) == (rest, columns - rest, 0)
    check((rows, depth, columns), (True, transpose_b), dtype, choose)


def test_which_columns_are_computed_as_rows_of_c():
    """Few beyond whole vectors, where A^T is stored and its rows are as long as a tile's."""

    def rest(rows, depth, columns):
        return plan_product(rows, columns, depth, True, False, 4, 1).numbers[REST]

    vector = lanes(4)
    if vector >= 16:  # else all of C^T is computed
        assert rest(500, 257, 8 * vector + 1) == 1
        assert rest(VECTORS * vector - 1, 257, 8 * vector + 1) == 0
    assert rest(500, 257, 8 * vector) == 0
    assert rest(500, 257, 9 * vector - 1) == 0
    assert rest(500, 257, vector - 1) == 0


def test_which_columns_are_kept_as_rows_of_b():
    def rest(rows, depth, columns):
        return plan_product(rows, columns, depth, False, False, 4, 1).numbers[REST]

    vector = lanes(4)
    if vector > TOGETHER:
        assert rest(256, 784, 6 * vector + 4) == 4
    assert rest(256, 784, 7 * vector - 1) == 0
    assert rest(256, 784, 70 * vector + 4) == 0  # nothing to speak of
    assert rest(256, 20, 6 * vector + 4) == 0  # to add up the lanes would take longer
    # As with narrow products: a row's bits may not depend on how many others there are.
    for depth, columns in itertools.product((1, 30, 100, 500), range(vector, 200)):
        assert len({rest(rows, depth, columns) for rows in (1, 2, 4, 20, 128, 5000)}) == 1


@pytest.mark.parametrize("vector_bytes", [16, 32, 64])
@pytest.mark.parametrize("itemsize", [4, 8])
def test_there_is_room_for_the_columns_that_are_computed_together(vector_bytes, itemsize, monkeypatch):
    """More than a vector has lanes, where vectors are short; whether it pays or not."""
    monkeypatch.setattr(product_plan, "VECTOR_BYTES", vector_bytes)
    monkeypatch.setattr(product_plan, "_LESS", 100)
    shapes = itertools.product((1, 30, 500, 511), range(1, 100), (False, True))
    for depth, columns, transpose_b in shapes:
        numbers = plan_product(50, columns, depth, False, transpose_b, itemsize, 2).numbers
        rows_of_b = max(numbers[REST], TOGETHER) if numbers[REST] and not numbers[DIRECT_REST] else 0
        assert numbers[ROOM_REST] >= rows_of_b * depth


def test_what_is_turned():
    """Narrow products are, where A^T is stored even wide ones of odd widths; large and square ones are not."""

    def turned(rows, depth, columns, transpose_a):
        return bool(plan_product(rows, columns, depth, transpose_a, False, 4, 1).numbers[TURNED])

    assert turned(128, 512, 10, transpose_a=True)
    if lanes(4) > 4:  # else three columns nearly fill a vector
        assert turned(128, 512, 3, transpose_a=False)
    assert turned(1000, 1000, 1, transpose_a=True)
    assert not turned(1024, 1024, 1024, transpose_a=True)
    assert not turned(500, 784, 32, transpose_a=False)
    assert not turned(2_000_000, 100, 3, transpose_a=True)  # C^T would take 24 MB


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("depth", "dtype"), [(1024, np.float32), (512, np.float64)])
@pytest.mark.parametrize("columns", [20, 100])
def test_rows_a_page_apart(depth, dtype, columns, layout, choose):
    check((30, depth, columns), layout, dtype, choose)


def test_what_is_read_where_it_lies():
    """A, unless many panels use it, or more than one where its rows collide in the first-level cache; A^T has no such rows."""

    def direct(rows, depth, columns, transpose_a=False):
        return bool(plan_product(rows, columns, depth, transpose_a, False, 4, 1).numbers[DIRECT_A])

    width = VECTORS * lanes(4)
    assert direct(50, 1000, 12 * width)
    assert not direct(50, 1000, 13 * width)
    assert direct(50, 1024, width)
    assert not direct(50, 1024, 2 * width)
    assert direct(1024, 50, 2 * width, transpose_a=True)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "shape", [(200, 150, 80), (61, 333, 47), (30, 97, 400), (25, 64, 1), (1, 130, 90), (150, 45, 10)]
)
def test_many_blocks(shape, layout, choose, set_limits):
    """Limits so small that all of K, A and B come in several blocks."""
    set_limits(DEPTH=32, DEPTH_OF_COLUMNS=16, _PACKED_A=8000, _PACKED_B=16000)
    check(shape, layout, np.float32, choose)
    rows, depth, columns = shape
    numbers = plan_product(rows, columns, depth, *layout, 4, 1).numbers
    assert numbers[DEEP] < depth
    assert numbers[SPAN] % numbers[DEEP] == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(601, 33, 500), (784, 128, 512), (5000, 20, 70)])
def test_strip_by_strip(shape, layout, dtype, choose, set_limits):
    """Products of few rows of B and a large C, also where B's columns come in several blocks, read where A lies or packed."""
    rows, depth, columns = shape
    panel = VECTORS * lanes(np.dtype(dtype).itemsize)
    if rows / ROWS < columns / panel:
        pytest.skip("vectors are so short that this is computed panel by panel")
    set_limits(_NEAR_B=40_000)
    check(shape, layout, dtype, choose)
    numbers = plan_product(rows, columns, depth, *layout, np.dtype(dtype).itemsize, 3).numbers
    assert numbers[TAKES] == STRIPS
    assert (numbers[WIDE] < numbers[COLUMN_COUNT]) == (columns > 100)
    assert (numbers[ROOM_A] > 0) == (columns > product_plan._DIRECT_PANELS * panel)


def test_a_large_product_comes_in_several_blocks():
    numbers = plan_product(2048, 2048, 2048, False, False, 4, 2).numbers
    assert (numbers[DIRECT_A], numbers[DIRECT_B], numbers[TURNED]) == (0, 0, 0)
    assert numbers[DEEP] <= numbers[SPAN] < 2048
    assert numbers[BLOCK] * ROWS < 2048
