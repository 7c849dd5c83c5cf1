"""A batch cut into slices of rows: a thread makes all phases of some of them alone, then the slices' gradients are added up.

A thread's rows so stay in its caches from the forward product to that of the update, and a step has two barriers, where it has
three a layer if all threads share each phase. (Two threads of an Intel Xeon of 2023, to all threads sharing each phase:
784-100-10 with batches of 4,096 rows 1.35 times as fast, 784-512-10 with 2,048 1.27, 30-64-64-2 with 256 1.39.)

Slices form parts, one behind the other. A part's gradient is the sum of its slices', in their order, and the batch's the sum of
the parts', in theirs: slices and parts follow from the batch alone, so the bits are the same at any number of threads. More parts
are more threads that can work, and more to add up.

Where a part's gradient goes: the address of an arena laid out as the parameters, or 0, and whether it is added to what is there.
"""

from numba import types

from ._jit import helper, jit
from .functions import view
from .layout import BIAS, PADDED_OUT, WEIGHTS
from .optimize import apply_gradient
from .sync import share
from .tile import address

_RUN = 1024  # numbers that are added up, and applied, together


@helper
def count_slices(rows, slice_rows, most_parts):
    """How many slices of at most slice_rows rows a batch has, and how many parts; 1 and 1 where slice_rows is 0."""
    if slice_rows == 0:
        return 1, 1
    slices = (rows + slice_rows - 1) // slice_rows
    return slices, min(slices, most_parts)


@helper
def put(values, place, adds):
    """Write numbers to an address, or add them to what is there."""
    there = view(place, values.size, values.dtype.type(0))
    for j in range(values.size):
        there[j] = there[j] + values[j] if adds else values[j]


@helper
def _add_up(partials, parts, place, out):
    """out = the sum of partials[part, place : place + out.size], part after part."""
    length, kind = out.size, out.dtype.type(0)
    size = partials.shape[1]
    first = view(address(partials, place), length, kind)
    for i in range(length):
        out[i] = first[i]
    for part in range(1, parts):
        other = view(address(partials, part * size + place), length, kind)
        for i in range(length):
            out[i] += other[i]


def apply_partials_arguments(kind):
    """Numba's types of the arguments of apply_partials; kind is numba.float32 or float64."""
    rows, numbers, words = (
        types.Array(kind, 2, "C"),
        types.Array(kind, 1, "C"),
        types.Array(types.int64, 1, "C"),
    )
    return (*[types.intp] * 3, rows, types.Array(types.int64, 2, "C"), words, rows, numbers, rows, numbers)


@jit
def apply_partials(thread, threads, parts, partials, table, how, settings, parameters, moments, scratch):
    """Update, or keep for later, with the sum of all parts' gradients: each thread some runs of every layer's weights.

    settings: (2, SETTINGS), for weights and biases; scratch: this thread's own, overwritten.
    """
    most = min(_RUN, scratch.size)
    for layer in table:
        weights = layer[BIAS] - layer[WEIGHTS]
        first, last = share((weights + most - 1) // most, thread, threads)
        for run in range(first, last):
            place = layer[WEIGHTS] + run * most
            gradient = scratch[: min(most, weights - run * most)]
            _add_up(partials, parts, place, gradient)
            apply_gradient(how, settings[0], parameters, moments, place, gradient, gradient.size)
        if thread == threads - 1:
            for start in range(0, layer[PADDED_OUT], most):
                gradient = scratch[: min(most, layer[PADDED_OUT] - start)]
                _add_up(partials, parts, layer[BIAS] + start, gradient)
                apply_gradient(
                    how, settings[1], parameters, moments, layer[BIAS] + start, gradient, gradient.size
                )
