"""Schedules: a learning rate, or a batch size, that changes while training.

A fit asks `begin` once, for the schedule to use in it, then `value` for each step; a schedule that waits for results
is told the history at each epoch's end by `observe`, and what it has seen is saved by `state` and `restore`.
Steps and epochs are counted from 0. `unit` is "step" or "epoch": what the time t in a formula counts.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import checks
from .formulas import BatchRamp as BatchRamp
from .formulas import Constant as Constant
from .formulas import Cosine as Cosine
from .formulas import Exponential as Exponential
from .formulas import Function as Function
from .formulas import InverseTime as InverseTime
from .formulas import OneCycle as OneCycle
from .formulas import Step as Step
from .formulas import Warmup as Warmup
from .plateau import Plateau as Plateau
from .schedule import Schedule as Schedule
from .schedule import from_settings

SCHEDULES: dict[str, type[Schedule]] = {
    kind.name: kind
    for kind in (Constant, Step, Exponential, InverseTime, Cosine, OneCycle, Warmup, Plateau, BatchRamp)
}


def resolve(value: Any, name: str = "learning_rate") -> Schedule:
    """Return the schedule that was meant: itself, its settings, a number, or a function of the step.

    Raises TypeError and ValueError for anything else, naming the argument `name`.
    """
    if isinstance(value, Schedule):
        return value
    if isinstance(value, Mapping):
        return from_settings(SCHEDULES, value, name)
    if callable(value) and not isinstance(value, type):
        return Function(value, name)
    need = "greater than 0 and finite, a schedule, or a function of the step"
    return Constant(checks.real_number(value, name, lambda x: 0 < x < math.inf, need))


def values(schedule: Schedule, first_step: int, steps: int, epoch: int, steps_per_epoch: int) -> np.ndarray:
    """Return the values (float64) of the steps first_step ... first_step + steps - 1, which are all of one epoch."""
    if schedule.unit != "step":
        return np.full(steps, schedule.value(first_step, epoch, steps_per_epoch), np.float64)
    # One by one, 0.3 us each: NumPy's vector functions need not give the last bit of one number and of many alike, and how
    # many steps are asked for together depends on the machine's speed.
    return np.array(
        [schedule.value(step, epoch, steps_per_epoch) for step in range(first_step, first_step + steps)],
        np.float64,
    )
