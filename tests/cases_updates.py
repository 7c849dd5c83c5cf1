"""The optimisers' updates in the table of kernels."""

from functools import partial

import numpy as np
from case import EDGES, Case, double

from fastnn import reference
from fastnn.kernels import update

# The third step of a run: the moments are not 0, nor Adam's corrections 1.
_RATE, _MOMENTUM, _BETA1, _BETA2, _EPSILON, _STEP = 0.05, 0.9, 0.9, 0.99, 1e-8, 3


def _update_inputs(rng, size, dtype):
    parameters, first, gradient = rng.standard_normal((3, *size))
    return tuple(array.astype(dtype) for array in (parameters, first, rng.random(size), gradient))


def _update_kernel(code, parameters, first, second, gradient):
    settings = np.zeros(update.SETTINGS)
    settings[update.RATE] = _RATE
    if code == update.ADAM:
        settings[update.RATE] /= 1 - _BETA1**_STEP
        settings[update.DECAY], settings[update.GAIN] = _BETA1, 1 - _BETA1
        settings[update.DECAY_SQUARED], settings[update.GAIN_SQUARED] = _BETA2, 1 - _BETA2
        settings[update.SCALE], settings[update.EPSILON] = 1 / np.sqrt(1 - _BETA2**_STEP), _EPSILON
    elif code != update.SGD:
        settings[update.DECAY] = _MOMENTUM
    update.update(code, settings.astype(gradient.dtype), parameters, first, second, gradient)
    return parameters, first, second


def _update_reference(make_optimizer, parameters, first, second, gradient):
    parameters, first, second = parameters.tolist(), first.tolist(), second.tolist()
    optimizer = make_optimizer()
    if isinstance(optimizer, reference.Adam):
        optimizer.first_moments, optimizer.second_moments, optimizer.t = [first], [second], _STEP - 1
    elif optimizer.momentum:
        optimizer.velocities = [first]
    optimizer.update([parameters], [gradient.tolist()], _RATE)
    return parameters, first, second


def _update_bound(dtype, parameters, first, second, gradient):
    p, m, v, g = map(np.abs, double(parameters, first, second, gradient))
    return p + 4 * _RATE * (g + 2 * (g + m)), 2 * (m + g), 0 * v


def _adam_bound(dtype, parameters, first, second, gradient):
    p, m, v, g = map(np.abs, double(parameters, first, second, gradient))
    m, v = _BETA1 * m + (1 - _BETA1) * g, _BETA2 * v + (1 - _BETA2) * g * g
    step = _RATE / (1 - _BETA1**_STEP) * m / np.sqrt(v / (1 - _BETA2**_STEP))
    return p + 16 * step, 4 * m, 4 * v


def _numpy_sgd(parameters, first, second, gradient):
    parameters -= parameters.dtype.type(_RATE) * gradient


def _numpy_momentum(parameters, first, second, gradient):
    first *= first.dtype.type(_MOMENTUM)
    first += gradient
    parameters -= parameters.dtype.type(_RATE) * first


def _update(name, code, make_optimizer, flops, arrays, numpy=None):
    return Case(
        name=name,
        kernel=partial(_update_kernel, code),
        reference=partial(_update_reference, make_optimizer),
        make_inputs=_update_inputs,
        bound=_adam_bound if code == update.ADAM else _update_bound,
        axes=((0, *EDGES),),
        bench_sizes=((407_050,),),
        flops=lambda n: flops * n,
        elements=lambda n: arrays * n,
        numpy=numpy,
        overwrites=True,
    )


UPDATE_CASES = [
    _update("sgd", update.SGD, reference.SGD, 2, 3, _numpy_sgd),
    _update("momentum", update.MOMENTUM, partial(reference.SGD, _MOMENTUM), 4, 5, _numpy_momentum),
    _update("nesterov", update.NESTEROV, partial(reference.SGD, _MOMENTUM, nesterov=True), 6, 5),
    _update("adam", update.ADAM, partial(reference.Adam, _BETA1, _BETA2, _EPSILON), 13, 7),
]
