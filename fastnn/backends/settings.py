"""An optimiser's settings as the compiled updates read them: one row a step, see kernels/update.py."""

from typing import Any

import numpy as np

from ..kernels import update
from ..optimizers import Optimizer

WEIGHTS, BIASES = range(2)
"""The rows of a step."""


def settings_table(
    optimizer: Optimizer, learning_rates: np.ndarray, first_step: int, dtype: Any
) -> np.ndarray:
    """Return the settings of the steps from first_step on, (steps, 2, SETTINGS) of dtype: of weights and of biases."""
    learning_rates = np.asarray(learning_rates, np.float64)
    steps = np.arange(first_step, first_step + learning_rates.size)
    columns = (
        _COMMON | {update.RATE: learning_rates} | _COLUMNS[optimizer.name](optimizer, learning_rates, steps)
    )
    limits = {
        update.CLIP_VALUE: optimizer.clip_value,
        update.CLIP_NORM: optimizer.clip_norm,
        update.MAX_NORM: optimizer.max_norm,
    }
    columns |= {column: limit for column, limit in limits.items() if limit is not None}
    if optimizer.average is not None:
        # The first step's parameters are where the average starts; at 0 it copies them.
        columns[update.AVERAGE] = np.where(steps == 0, 0.0, optimizer.average)
    table = np.zeros((learning_rates.size, 2, update.SETTINGS))
    for column, values in columns.items():
        table[:, :, column] = np.reshape(values, (-1, 1))  # one for all steps, or one each
    table[:, BIASES, update.MAX_NORM] = np.inf
    table[:, WEIGHTS, update.L1] = optimizer.l1
    if optimizer.decoupled:
        table[:, WEIGHTS, update.DECOUPLED] = learning_rates * optimizer.weight_decay
    else:
        table[:, WEIGHTS, update.L2] = optimizer.weight_decay
    with np.errstate(
        over="ignore"
    ):  # of a rate too large for float32: the run diverges, which the trainer reports
        return table.astype(dtype)


_COMMON = {
    update.FACTOR: 1.0,
    update.CLIP_VALUE: np.inf,
    update.CLIP_NORM: np.inf,
    update.MAX_NORM: np.inf,
}


def _sgd(optimizer, learning_rates, steps):
    return {update.DECAY: optimizer.momentum}


def _moments(optimizer, learning_rates, steps):
    return {
        update.DECAY: optimizer.beta1,
        update.GAIN: 1 - optimizer.beta1,
        update.DECAY_SQUARED: optimizer.beta2,
        update.GAIN_SQUARED: 1 - optimizer.beta2,
    }


def _adam(optimizer, learning_rates, steps):
    t = steps + 1
    return _moments(optimizer, learning_rates, steps) | {
        update.RATE: learning_rates / (1 - optimizer.beta1**t),
        update.SCALE: 1 / np.sqrt(1 - optimizer.beta2**t),
        update.EPSILON: optimizer.epsilon,
    }


def _rmsprop(optimizer, learning_rates, steps):
    return {
        update.DECAY: optimizer.momentum,
        update.DECAY_SQUARED: optimizer.alpha,
        update.GAIN_SQUARED: 1 - optimizer.alpha,
        update.EPSILON: optimizer.epsilon,
    }


def _adagrad(optimizer, learning_rates, steps):
    return {update.EPSILON: optimizer.epsilon}


_COLUMNS = {
    "sgd": _sgd,
    "adam": _adam,
    "adamw": _adam,
    "rmsprop": _rmsprop,
    "adagrad": _adagrad,
    "lion": _moments,
}
