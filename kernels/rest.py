"""A layer's products with the columns of W that are kept as rows, beyond whole panels."""

from ._jit import helper
from .layout import BIAS, FAN_IN, OUTPUT, REST, REST_PLACE, REST_STRIDE, STRIDE, WHOLE
from .optimize import apply_gradient
from .processor import VECTOR_BYTES
from .rest_code import AT_ONCE, TOGETHER, multiply_rest, update_vectors
from .tile import UPDATE, address


@helper
def forward_rest(start, stop, layer, parameters, x, y, low):
    """The columns of Y of the columns of W that are kept as rows, in the rows [start, stop)."""
    groups = (stop - start + AT_ONCE - 1) // AT_ONCE
    first = start
    for group in range(groups):
        last = start + (group + 1) * (stop - start) // groups
        for c in range(0, layer[REST], TOGETHER):
            column = layer[WHOLE] + c
            multiply_rest(
                last - first,
                x + 8 * first,
                layer[FAN_IN],
                address(parameters, layer[REST_PLACE] + c * layer[REST_STRIDE]),
                layer[REST_STRIDE],
                address(y, layer[OUTPUT] + first * layer[STRIDE] + column),
                layer[STRIDE],
                address(parameters, layer[BIAS] + column),
                low,
            )
        first = last


@helper
def update_rest(
    begin, end, count, rows, layer, how, settings, parameters, moments, x, dz, step, target, factor, mode, scratch
):  # fmt: skip
    """Update the columns of W that are kept as rows, the tiles [begin, end) of `count`; see update_layer."""
    itemsize = parameters.itemsize
    vector, stride = VECTOR_BYTES // itemsize, layer[REST_STRIDE]
    start, stop = begin * (stride // vector) // count, end * (stride // vector) // count  # vectors of a row
    groups = (stop - start + AT_ONCE - 1) // AT_ONCE
    first = start
    for group in range(groups):
        last = start + (group + 1) * (stop - start) // groups
        width = (last - first) * vector
        for c in range(0, layer[REST], TOGETHER):
            place = layer[REST_PLACE] + c * stride + first * vector
            update_vectors(
                last - first,
                x,
                rows,
                first * vector,
                layer[FAN_IN] - first * vector,
                dz + itemsize * c,
                step,
                target + itemsize * place if target != 0 else address(scratch, 0),
                stride if target != 0 else width,
                factor,
                1 if mode == UPDATE else 0,
            )
            if target == 0:
                for row in range(TOGETHER):
                    gradient = scratch[row * width : (row + 1) * width]
                    apply_gradient(how, settings, parameters, moments, place + row * stride, gradient, width)
        first = last
