"""A panel of W^T that the tiles make while they multiply with the one before."""

import numpy as np
import pytest

from fastnn.kernels._jit import jit
from fastnn.kernels.arrays import aligned_zeros
from fastnn.kernels.layout import IDENTITY, Activation, make_layout, pack_parameters
from fastnn.kernels.processor import VECTOR_BYTES
from fastnn.kernels.tile import ROWS, STORE, VECTORS, address, lanes, multiply_rows_transposing
from fastnn.kernels.transpose_ahead import JOB_WORDS, finish_job, plan_job, transpose_panel


@jit
def _multiply(layer, parameters, dz, places, here, there, column, planned, tiles, job, out):
    """out = dZ times the panel before `column`, by so many tiles of those planned; `there` becomes the panel at `column`."""
    width = out.shape[1]
    transpose_panel(layer, parameters, column - width, width, 0, here)
    plan_job(job, layer, parameters, column, there, planned)
    for tile in range(tiles):
        multiply_rows_transposing(
            ROWS, VECTORS, dz.shape[1], address(places, 0), address(here, 0), width, address(out, tile * ROWS * width), width,
            0, out.dtype.type(0), STORE, address(job, 0),
        )  # fmt: skip
    done = job[1]
    finish_job(job, layer, parameters, column, there)
    return done


@pytest.mark.parametrize("planned, tiles", [(1, 1), (3, 3), (3, 1), (9, 9), (9, 4)])
@pytest.mark.parametrize("fan_out", [1, 10, 33, 64, 131])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_panel_is_the_transposed_weights_and_the_product_is_right(dtype, fan_out, planned, tiles):
    panel = VECTORS * lanes(np.dtype(dtype).itemsize)
    fan_in = 3 * panel + 1
    rng = np.random.default_rng(0)
    W, dz = (rng.integers(-9, 9, shape).astype(dtype) for shape in ((fan_in, fan_out), (ROWS, fan_out)))
    layout = make_layout((fan_in, fan_out), [Activation(IDENTITY)], dtype, ROWS)
    parameters = aligned_zeros(layout.parameters, dtype)
    pack_parameters(layout, [W], [np.zeros(fan_out, dtype)], parameters)
    padded = -(-fan_out // panel) * panel
    here, there = (aligned_zeros(padded * panel, dtype) for _ in range(2))
    out = aligned_zeros(tiles * ROWS * panel, dtype).reshape(-1, panel)
    places = dz.ctypes.data + dz.strides[0] * np.arange(ROWS)
    job = np.zeros(JOB_WORDS, np.int64)
    done = _multiply(
        layout.table[0], parameters, dz, places, here, there, 2 * panel, planned, tiles, job, out
    )
    pieces = fan_out // panel * VECTORS**2 * (VECTOR_BYTES // 16)
    assert done <= pieces
    if tiles == planned:
        assert done >= pieces // 3
    seen = there.reshape(padded, panel)[:fan_out]
    np.testing.assert_array_equal(seen, W[2 * panel : 3 * panel].T)
    np.testing.assert_array_equal(out, np.tile(dz @ W[panel : 2 * panel].T, (tiles, 1)))
