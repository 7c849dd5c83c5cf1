"""The optimisers' updates of a run of parameters, from their gradient: formulas and defaults of PyTorch.

UPDATES holds one compiled function for each, called by address (see functions.py), all of one signature:

    update(parameters, first, second, gradient, length, settings, kind)

parameters, first, second, gradient    addresses of `length` numbers each; the first three change in place. `first` and
                                       `second` are not touched, and may be 0, where the optimiser has no such state.
settings                               address of a row of SETTINGS numbers, columns below
kind                                   any float32 or float64: the type of all of these numbers

`penalise` and `average` come before and after it. Zeros are the states' beginning.
"""

import math

from ._jit import helper, jit
from .functions import view

# Columns of the settings, one row a step, in the parameters' dtype.
RATE, DECAY, GAIN, DECAY_SQUARED, GAIN_SQUARED, SCALE, EPSILON = range(7)
# Of what is done to the gradient before, and of the average. Nothing happens at FACTOR 1, CLIP_VALUE infinite, others 0.
FACTOR, CLIP_VALUE, L2, L1, DECOUPLED, AVERAGE = range(7, 13)
# Limits that take more than one run of parameters to apply; infinite where there are none.
CLIP_NORM, MAX_NORM = range(13, 15)
SETTINGS = 15


@helper
def _sign(x):
    """1, -1, or x itself where it is 0 or NaN."""
    one = type(x)(1)
    return one if x > 0 else (-one if x < 0 else x)


@jit
def store_gradient(parameters, first, second, gradient, length, settings, kind):
    """first = g: for those who want gradients and no step."""
    m, g = view(first, length, kind), view(gradient, length, kind)
    for i in range(length):
        m[i] = g[i]


@jit
def update_sgd(parameters, first, second, gradient, length, settings, kind):
    """p -= rate g."""
    p, g = view(parameters, length, kind), view(gradient, length, kind)
    rate = view(settings, SETTINGS, kind)[RATE]
    for i in range(length):
        p[i] -= rate * g[i]


@jit
def update_momentum(parameters, first, second, gradient, length, settings, kind):
    """v = decay v + g;  p -= rate v    (Sutskever et al., 2013, section 2, in the form of PyTorch)."""
    p, v, g = view(parameters, length, kind), view(first, length, kind), view(gradient, length, kind)
    row = view(settings, SETTINGS, kind)
    rate, decay = row[RATE], row[DECAY]
    for i in range(length):
        v[i] = decay * v[i] + g[i]
        p[i] -= rate * v[i]


@jit
def update_nesterov(parameters, first, second, gradient, length, settings, kind):
    """v = decay v + g;  p -= rate (g + decay v)    (Sutskever et al., 2013, section 2, in the form of PyTorch)."""
    p, v, g = view(parameters, length, kind), view(first, length, kind), view(gradient, length, kind)
    row = view(settings, SETTINGS, kind)
    rate, decay = row[RATE], row[DECAY]
    for i in range(length):
        v[i] = decay * v[i] + g[i]
        p[i] -= rate * (g[i] + decay * v[i])


@jit
def update_adam(parameters, first, second, gradient, length, settings, kind):
    """m = decay m + gain g;  v = decay2 v + gain2 g^2;  p -= rate m / (scale sqrt(v) + epsilon).

    rate = learning rate / (1 - decay^t), scale = 1 / sqrt(1 - decay2^t)    (Kingma and Ba, 2015, algorithm 1)
    """
    p, g = view(parameters, length, kind), view(gradient, length, kind)
    m, v = view(first, length, kind), view(second, length, kind)
    row = view(settings, SETTINGS, kind)
    rate, scale, epsilon = row[RATE], row[SCALE], row[EPSILON]
    decay, gain, decay_squared, gain_squared = row[DECAY], row[GAIN], row[DECAY_SQUARED], row[GAIN_SQUARED]
    for i in range(length):
        m[i] = decay * m[i] + gain * g[i]
        v[i] = decay_squared * v[i] + gain_squared * (g[i] * g[i])
        p[i] -= rate * m[i] / (scale * math.sqrt(v[i]) + epsilon)


@jit
def update_rmsprop(parameters, first, second, gradient, length, settings, kind):
    """v = decay2 v + gain2 g^2;  p -= rate g / (sqrt(v) + epsilon)    (Tieleman and Hinton, 2012, as in PyTorch)."""
    p, v, g = view(parameters, length, kind), view(first, length, kind), view(gradient, length, kind)
    row = view(settings, SETTINGS, kind)
    rate, decay_squared, gain_squared, epsilon = (
        row[RATE],
        row[DECAY_SQUARED],
        row[GAIN_SQUARED],
        row[EPSILON],
    )
    for i in range(length):
        v[i] = decay_squared * v[i] + gain_squared * (g[i] * g[i])
        p[i] -= rate * g[i] / (math.sqrt(v[i]) + epsilon)


@jit
def update_rmsprop_momentum(parameters, first, second, gradient, length, settings, kind):
    """v = decay2 v + gain2 g^2;  m = decay m + g / (sqrt(v) + epsilon);  p -= rate m; v is `first`, m `second`."""
    p, g = view(parameters, length, kind), view(gradient, length, kind)
    v, m = view(first, length, kind), view(second, length, kind)
    row = view(settings, SETTINGS, kind)
    rate, decay, epsilon = row[RATE], row[DECAY], row[EPSILON]
    decay_squared, gain_squared = row[DECAY_SQUARED], row[GAIN_SQUARED]
    for i in range(length):
        v[i] = decay_squared * v[i] + gain_squared * (g[i] * g[i])
        m[i] = decay * m[i] + g[i] / (math.sqrt(v[i]) + epsilon)
        p[i] -= rate * m[i]


@jit
def update_adagrad(parameters, first, second, gradient, length, settings, kind):
    """v += g^2;  p -= rate g / (sqrt(v) + epsilon)    (Duchi, Hazan and Singer, 2011, section 1.1, diagonal)."""
    p, v, g = view(parameters, length, kind), view(first, length, kind), view(gradient, length, kind)
    row = view(settings, SETTINGS, kind)
    rate, epsilon = row[RATE], row[EPSILON]
    for i in range(length):
        v[i] += g[i] * g[i]
        p[i] -= rate * g[i] / (math.sqrt(v[i]) + epsilon)


@jit
def update_lion(parameters, first, second, gradient, length, settings, kind):
    """p -= rate sign(decay m + gain g);  m = decay2 m + gain2 g    (Chen et al., 2023, algorithm 2)."""
    p, m, g = view(parameters, length, kind), view(first, length, kind), view(gradient, length, kind)
    row = view(settings, SETTINGS, kind)
    rate = row[RATE]
    decay, gain, decay_squared, gain_squared = row[DECAY], row[GAIN], row[DECAY_SQUARED], row[GAIN_SQUARED]
    for i in range(length):
        p[i] -= rate * _sign(decay * m[i] + gain * g[i])
        m[i] = decay_squared * m[i] + gain_squared * g[i]


UPDATES = {
    "gradient": store_gradient,
    "sgd": update_sgd,
    "momentum": update_momentum,
    "nesterov": update_nesterov,
    "adam": update_adam,
    "adamw": update_adam,  # the decay of its weights is penalise's
    "rmsprop": update_rmsprop,
    "rmsprop_momentum": update_rmsprop_momentum,
    "adagrad": update_adagrad,
    "lion": update_lion,
}


@jit
def penalise(parameters, gradient, length, settings, kind):
    """g = clamp(factor g, -clip, clip) + l2 p + l1 sign(p);  p -= decoupled p: both in place, before the update.

    The order is PyTorch's: clipping, the penalties' gradients, decoupled weight decay (Loshchilov and Hutter, 2019), step.
    """
    p, g = view(parameters, length, kind), view(gradient, length, kind)
    row = view(settings, SETTINGS, kind)
    factor, clip, l2, l1, decoupled = row[FACTOR], row[CLIP_VALUE], row[L2], row[L1], row[DECOUPLED]
    for i in range(length):
        x = factor * g[i]
        # Comparisons that let NaN through.
        x = clip if x > clip else x
        x = -clip if x < -clip else x
        g[i] = x + l2 * p[i] + l1 * _sign(p[i])
        # Not p *= 1 - decoupled: in float32, 1 - 1e-6 is 1.3 % away from a decay of 1e-6, and always the same way.
        p[i] -= decoupled * p[i]


@jit
def average(parameters, averages, length, settings, kind):
    """a += (1 - average) (p - a), the moving average of the parameters, after the update (Polyak and Juditsky, 1992)."""
    p, a = view(parameters, length, kind), view(averages, length, kind)
    share = a.dtype.type(1) - view(settings, SETTINGS, kind)[AVERAGE]
    for i in range(length):
        a[i] += share * (p[i] - a[i])
