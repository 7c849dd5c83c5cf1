"""What becomes of a gradient: applied where it arises, or kept until the norm of all of them is known; then limits of norms.

DIRECT     plain gradient descent: the tile that computes dW subtracts it from W
FUSED      a tile's dW waits in the first-level cache for the optimiser's function (see update.py)
GLOBAL     all gradients are kept; their norm scales them down to CLIP_NORM before the optimiser's function

What only some trainings do, apply_kept, limit_norms and apply_partials (slices.py), is called by address as well: others need not
wait for its compilation.
"""

import math

import numpy as np
from numba import types

from ._jit import helper, jit
from .functions import call, view
from .layout import BIAS, FAN_IN, PADDED_OUT, REST, REST_PLACE, REST_STRIDE, WEIGHTS, WHOLE
from .processor import VECTOR_BYTES
from .sync import barrier, share
from .tile import VECTORS, address
from .update import CLIP_NORM, FACTOR, MAX_NORM, SETTINGS

DIRECT, FUSED, GLOBAL = range(3)

# Words of `how`: the mode, addresses of functions (0: none), and rows of `moments` (-1: none).
MODE, UPDATE, PENALISE, AVERAGE, APPLY_PARTIALS, APPLY_KEPT, LIMIT_NORMS, FIRST, SECOND, AVERAGES, KEPT = (
    range(11)
)
WORDS = 11

RUN = 4096  # numbers that are summed up, or updated, together where all gradients are kept


@helper
def _row(how, which, moments, place):
    return address(moments, how[which] * moments.shape[1] + place) if how[which] >= 0 else 0


@helper
def _change(how, settings, parameters, moments, place, gradient, length):
    """Update parameters[place : place + length] from the gradient at that address; `settings` is a row of them."""
    kind = parameters.dtype.type(0)
    row = address(settings, 0)
    p = address(parameters, place)
    if how[PENALISE] != 0:
        call(how[PENALISE], (p, gradient, length, row, kind))
    first, second = _row(how, FIRST, moments, place), _row(how, SECOND, moments, place)
    call(how[UPDATE], (p, first, second, gradient, length, row, kind))
    if how[AVERAGE] != 0 and how[LIMIT_NORMS] == 0:
        call(how[AVERAGE], (p, _row(how, AVERAGES, moments, place), length, row, kind))


@helper
def apply_gradient(how, settings, parameters, moments, place, gradient, length):
    """Update, or keep the gradient for later: an array of `length` that is overwritten."""
    if how[MODE] == GLOBAL:
        kept = view(_row(how, KEPT, moments, place), length, parameters.dtype.type(0))
        for i in range(length):
            kept[i] = gradient[i]
    else:
        _change(how, settings, parameters, moments, place, address(gradient, 0), length)


def step_end_arguments(kind):
    """Numba's types of the arguments of apply_kept, and of limit_norms; kind is numba.float32 or float64."""
    rows, table = types.Array(kind, 2, "C"), types.Array(types.int64, 2, "C")
    arrays = (table, types.Array(types.int64, 1, "C"), rows, types.Array(kind, 1, "C"), rows)
    kept_sums, norms = types.Array(types.float64, 1, "C"), types.Array(kind, 1, "C")
    return (*[types.intp] * 3, *arrays, kept_sums), (*[types.intp] * 2, *arrays, norms)


@jit
def apply_kept(thread, threads, sync, table, how, settings, parameters, moments, sums):
    """Update everything from the kept gradients, scaled down where their norm is above the limit, unless the team gives up.

    settings: (2, SETTINGS), this thread's own, for weights and biases; sums: float64, one for each run of the arena.
    """
    size = parameters.size
    runs = (size + RUN - 1) // RUN
    first, last = share(runs, thread, threads)
    kept = moments[how[KEPT]]
    for run in range(first, last):
        total = 0.0
        for x in kept[run * RUN : (run + 1) * RUN]:
            total += np.float64(x) * np.float64(x)
        sums[run] = total
    if not barrier(sync, threads):
        return
    total = 0.0
    for run in range(runs):
        total += sums[run]
    # As PyTorch's clip_grad_norm_. A norm that is not finite makes all of them so, and training stops.
    factor = settings[0, CLIP_NORM] / (math.sqrt(total) + 1e-6)
    for kind in range(2):
        settings[kind, FACTOR] = 1.0 if factor > 1.0 else factor
    for layer in table:
        weights = layer[BIAS] - layer[WEIGHTS]
        first, last = share((weights + RUN - 1) // RUN, thread, threads)
        for run in range(first, last):
            place = layer[WEIGHTS] + run * RUN
            length = min(RUN, weights - run * RUN)
            _change(how, settings[0], parameters, moments, place, address(kept, place), length)
        if thread == threads - 1:
            place = layer[BIAS]
            _change(how, settings[1], parameters, moments, place, address(kept, place), layer[PADDED_OUT])


@jit
def limit_norms(thread, threads, table, how, settings, parameters, moments, sums):
    """W[:, j] *= min(1, MAX_NORM / |W[:, j]|) for every hidden unit j (Srivastava et al., 2014, section 5.1); then the average.

    sums: a panel's width of numbers, this thread's own.
    """
    kind = parameters.dtype.type(0)
    limit = settings[0, MAX_NORM]
    panel = VECTORS * (VECTOR_BYTES // parameters.itemsize)
    for index in range(table.shape[0]):
        layer = table[index]
        fan_in, padded = layer[FAN_IN], layer[PADDED_OUT]
        whole_panels = (layer[WHOLE] + panel - 1) // panel
        first, last = share(whole_panels + layer[REST], thread, threads)
        for number in range(first, last):
            if number < whole_panels:
                height, width = fan_in, min(panel, layer[WHOLE] - number * panel)
                start = layer[WEIGHTS] + number * panel * fan_in
            else:  # a column that is kept as a row
                height, width = layer[REST_STRIDE], 1
                start = layer[REST_PLACE] + (number - whole_panels) * height
            weights = parameters[start : start + height * width]
            if index < table.shape[0] - 1:
                _limit_panel(weights, height, width, limit, sums)
            if how[AVERAGE] != 0:
                row = address(settings, 0)
                averages = _row(how, AVERAGES, moments, start)
                call(how[AVERAGE], (address(weights, 0), averages, weights.size, row, kind))
        if how[AVERAGE] != 0 and thread == 0:
            place = layer[BIAS]
            averages = _row(how, AVERAGES, moments, place)
            row = address(settings, SETTINGS)
            call(how[AVERAGE], (address(parameters, place), averages, padded, row, kind))


@helper
def _limit_panel(weights, fan_in, width, limit, sums):
    for j in range(width):
        sums[j] = 0
    for i in range(fan_in):
        row = weights[i * width : (i + 1) * width]
        for j in range(width):
            sums[j] += row[j] * row[j]
    exceeded = False
    for j in range(width):
        norm = math.sqrt(sums[j])
        exceeded = exceeded or norm > limit
        sums[j] = limit / norm if norm > limit else 1.0
    if exceeded:
        for i in range(fan_in):
            row = weights[i * width : (i + 1) * width]
            for j in range(width):
                row[j] *= sums[j]
