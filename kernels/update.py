"""The optimisers' updates of a run of parameters, from their gradient: formulas and defaults of PyTorch."""

import math

from ._jit import helper

# What happens to a gradient; GRADIENT only stores it.
GRADIENT, SGD, MOMENTUM, NESTEROV, ADAM = range(5)

# Columns of the settings, one row a step, in the parameters' dtype.
RATE, DECAY, GAIN, DECAY_SQUARED, GAIN_SQUARED, SCALE, EPSILON = range(7)
SETTINGS = 7


@helper
def update(optimizer, settings, parameters, first, second, gradient):
    """Change `parameters` and their moments in place; all are 1-D and of one length (moments not used may be longer).

    SGD       p -= rate g
    MOMENTUM  v = decay v + g;  p -= rate v
    NESTEROV  v = decay v + g;  p -= rate (g + decay v)
    ADAM      m = decay m + gain g;  v = decay2 v + gain2 g^2;  p -= rate m / (scale sqrt(v) + epsilon)
              rate = learning rate / (1 - decay^t), scale = 1 / sqrt(1 - decay2^t)    (Kingma and Ba, 2015, algorithm 1)
    """
    rate, decay = settings[RATE], settings[DECAY]
    if optimizer == GRADIENT:
        for i in range(gradient.size):
            first[i] = gradient[i]
    elif optimizer == SGD:
        for i in range(gradient.size):
            parameters[i] -= rate * gradient[i]
    elif optimizer == MOMENTUM:
        for i in range(gradient.size):
            first[i] = decay * first[i] + gradient[i]
            parameters[i] -= rate * first[i]
    elif optimizer == NESTEROV:
        for i in range(gradient.size):
            first[i] = decay * first[i] + gradient[i]
            parameters[i] -= rate * (gradient[i] + decay * first[i])
    else:
        gain, decay_squared, gain_squared = settings[GAIN], settings[DECAY_SQUARED], settings[GAIN_SQUARED]
        scale, epsilon = settings[SCALE], settings[EPSILON]
        for i in range(gradient.size):
            g = gradient[i]
            first[i] = decay * first[i] + gain * g
            second[i] = decay_squared * second[i] + gain_squared * (g * g)
            parameters[i] -= rate * first[i] / (scale * math.sqrt(second[i]) + epsilon)
