"""The optimisers' updates in the table of kernels."""

from functools import partial

import numpy as np
from case import EDGES, Case, double

from fastnn.backends.settings import WEIGHTS
from fastnn.kernels import update
from fastnn.optimizers import SGD, Adagrad, Adam, Lion, RMSprop
from fastnn.reference import optimizers as reference

# The third step of a run: the moments are not 0, nor Adam's corrections 1.
_RATE, _STEP = 0.05, 2
_L2, _L1, _CLIP, _AVERAGE = 0.1, 0.01, 1.5, 0.75


def _inputs(rng, size, dtype):
    parameters, first, gradient = rng.standard_normal((3, *size))
    return tuple(array.astype(dtype) for array in (parameters, first, rng.random(size), gradient))


def _second_kind(rng, size, dtype):
    """Inputs of an optimiser whose first state is of squares, and the second one not."""
    parameters, first, second, gradient = _inputs(rng, size, dtype)
    return parameters, second, first, gradient


def _row(settings, dtype):
    return settings.settings_table(np.array([_RATE]), _STEP, dtype)[0, WEIGHTS]


def _kernel(settings, parameters, first, second, gradient):
    row = _row(settings, gradient.dtype)
    places = [array.ctypes.data for array in (parameters, first, second, gradient)]
    update.UPDATES[settings.kernel](*places, gradient.size, row.ctypes.data, row.dtype.type(0))
    return parameters, first, second


def _reference(make, states, parameters, first, second, gradient):
    parameters, first, second = parameters.tolist(), first.tolist(), second.tolist()
    optimizer = make()
    for name, state in zip(states, (first, second), strict=False):
        setattr(optimizer, name, [state])
    if isinstance(optimizer, reference.Adam):
        optimizer.t = _STEP
    if isinstance(optimizer, reference.RMSprop) and optimizer.momentum == 0:
        optimizer.velocities = [[0.0] * len(parameters)]
    optimizer.update([parameters], [gradient.tolist()], _RATE)
    return parameters, first, second


def _bound(dtype, parameters, first, second, gradient):
    p, m, v, g = map(np.abs, double(parameters, first, second, gradient))
    return p + 4 * _RATE * (g + 2 * (g + m)), 2 * (m + g), 0 * v


def _adam_bound(dtype, parameters, first, second, gradient):
    optimizer = Adam()
    p, m, v, g = map(np.abs, double(parameters, first, second, gradient))
    m = optimizer.beta1 * m + (1 - optimizer.beta1) * g
    v = optimizer.beta2 * v + (1 - optimizer.beta2) * g * g
    t = _STEP + 1
    step = _RATE / (1 - optimizer.beta1**t) * m / np.sqrt(v / (1 - optimizer.beta2**t))
    return p + 16 * step, 4 * m, 4 * v


def _root_bound(alpha, dtype, parameters, squares, second, gradient):
    """RMSprop and Adagrad: a quotient of a few roundings; alpha = None adds squares without a decay."""
    p, v, m, g = map(np.abs, double(parameters, squares, second, gradient))
    v = v + g * g if alpha is None else alpha * v + (1 - alpha) * g * g
    quotient = g / np.sqrt(v)
    return p + 8 * _RATE * (quotient + m), 4 * v, 4 * (m + quotient)


def _lion_bound(dtype, parameters, first, second, gradient):
    p, m, v, g = map(np.abs, double(parameters, first, second, gradient))
    mixed = 0.9 * np.float64(first) + (1 - 0.9) * np.float64(gradient)
    # Where rounding decides about the sign, the two may go either way.
    torn = np.abs(mixed) <= 4 * np.finfo(dtype).eps * (m + g)
    return p + _RATE + torn * 2 * _RATE / np.finfo(dtype).eps, 2 * (m + g), 0 * v


def _numpy_sgd(parameters, first, second, gradient):
    parameters -= parameters.dtype.type(_RATE) * gradient


def _numpy_momentum(parameters, first, second, gradient):
    first *= first.dtype.type(0.9)
    first += gradient
    parameters -= parameters.dtype.type(_RATE) * first


def _update(settings, make, states, flops, arrays, bound=_bound, make_inputs=_inputs, numpy=None):
    return Case(
        name=settings.kernel,
        kernel=partial(_kernel, settings),
        reference=partial(_reference, make, states),
        make_inputs=make_inputs,
        bound=bound,
        axes=((0, *EDGES),),
        bench_sizes=((407_050,),),
        flops=lambda n: flops * n,
        elements=lambda n: arrays * n,
        numpy=numpy,
        overwrites=True,
    )


_PENALTIES = SGD(weight_decay=_L2, l1=_L1, clip_value=_CLIP)


def _gradient_of(rng, size, dtype):
    """A gradient last, which the table takes for unchanged: this one is not, and stands before it."""
    parameters, gradient = rng.standard_normal((2, *size))
    return parameters.astype(dtype), gradient.astype(dtype), np.zeros(0, dtype)


def _penalise(parameters, gradient, unused):
    row = _row(_PENALTIES, gradient.dtype)
    update.penalise(
        parameters.ctypes.data, gradient.ctypes.data, gradient.size, row.ctypes.data, row.dtype.type(0)
    )
    return parameters, gradient


def _penalise_reference(parameters, gradient, unused):
    rows = [parameters.tolist()], [gradient.tolist()]
    reference.clip_value(rows[1], _CLIP)
    reference.add_penalties(*rows, _L2, _L1)
    return rows[0][0], rows[1][0]


def _average(averages, parameters):
    row = _row(SGD(average=_AVERAGE), parameters.dtype)
    update.average(
        parameters.ctypes.data, averages.ctypes.data, averages.size, row.ctypes.data, row.dtype.type(0)
    )
    return averages


def _average_reference(averages, parameters):
    averages = [averages.tolist()]
    reference.follow(averages, [parameters.tolist()], _AVERAGE)
    return averages[0]


_OTHERS = [
    Case(
        name="penalise",
        kernel=_penalise,
        reference=_penalise_reference,
        make_inputs=_gradient_of,
        bound=lambda dtype, p, g, unused: (np.abs(p), 4 * (np.abs(g) + _L2 * np.abs(p) + _L1)),
        axes=((0, *EDGES),),
        bench_sizes=((407_050,),),
        flops=lambda n: 7 * n,
        elements=lambda n: 4 * n,
        overwrites=True,
    ),
    Case(
        name="average",
        kernel=_average,
        reference=_average_reference,
        make_inputs=lambda rng, size, dtype: tuple(rng.standard_normal((2, *size)).astype(dtype)),
        bound=lambda dtype, averages, parameters: (4 * (np.abs(averages) + np.abs(parameters)),),
        axes=((0, *EDGES),),
        bench_sizes=((407_050,),),
        flops=lambda n: 3 * n,
        elements=lambda n: 3 * n,
        overwrites=True,
    ),
]

UPDATE_CASES = [
    _update(SGD(), reference.SGD, (), 2, 3, numpy=_numpy_sgd),
    _update(SGD(momentum=0.9), partial(reference.SGD, 0.9), ("velocities",), 4, 5, numpy=_numpy_momentum),
    _update(SGD(momentum=0.9, nesterov=True), partial(reference.SGD, 0.9, True), ("velocities",), 6, 5),
    _update(Adam(), reference.Adam, ("first_moments", "second_moments"), 13, 7, _adam_bound),
    _update(RMSprop(), reference.RMSprop, ("squares",), 9, 5, partial(_root_bound, 0.99), _second_kind),
    _update(
        RMSprop(momentum=0.9),
        partial(reference.RMSprop, momentum=0.9),
        ("squares", "velocities"),
        11,
        7,
        partial(_root_bound, 0.99),
        _second_kind,
    ),
    _update(Adagrad(), reference.Adagrad, ("sums",), 7, 5, partial(_root_bound, None), _second_kind),
    _update(Lion(), reference.Lion, ("moments",), 8, 5, _lion_bound),
    *_OTHERS,
]
