"""The schedules that are formulas of the time: what step or epoch it is decides alone."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from .. import checks
from .schedule import Schedule, Timed, not_negative, positive


@dataclass(frozen=True)
class Constant(Schedule):
    """Always `start`."""

    start: float
    name: ClassVar[str] = "constant"
    unit: ClassVar[None] = None

    def __post_init__(self) -> None:
        self.check(positive, "start")

    def value(self, step: int, epoch: int, steps_per_epoch: int) -> float:
        """Return `start`."""
        return self.start


@dataclass(frozen=True)
class Function(Schedule):
    """function(step): what a user wrote. It has no settings to write down.

    `argument` names it in errors: a result must be a finite number of at least 0.
    """

    function: Callable[[int], float]
    argument: str = "learning_rate"
    name: ClassVar[str] = "function"
    unit: ClassVar[str] = "step"

    def value(self, step: int, epoch: int, steps_per_epoch: int) -> float:
        """Return function(step), checked."""
        return not_negative(self.function(step), f"{self.argument}({step})")

    def settings(self) -> dict[str, Any]:
        """Raise TypeError: a function cannot be written down."""
        raise TypeError(
            f"{self.argument} is a function, which cannot be written as settings; "
            "a number or a schedule of fastnn.schedules is needed"
        )


@dataclass(frozen=True)
class Step(Timed):
    """start factor^floor(t / every): a staircase. PyTorch's StepLR."""

    start: float
    every: int
    factor: float = 0.1
    unit: str = "epoch"
    name: ClassVar[str] = "step"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check(checks.whole_number, "every")
        self.check(positive, "factor")

    def _at(self, t: int) -> float:
        return self.start * _power(self.factor, t // self.every)


@dataclass(frozen=True)
class Exponential(Timed):
    """max(start factor^t, floor). PyTorch's ExponentialLR; a factor above 1 grows, as in a search for a rate."""

    start: float
    factor: float
    unit: str = "epoch"
    floor: float = 0.0
    name: ClassVar[str] = "exponential"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check(positive, "factor")
        self.check(not_negative, "floor")

    def _at(self, t: int) -> float:
        return max(self.start * _power(self.factor, t), self.floor)


@dataclass(frozen=True)
class InverseTime(Timed):
    """start / (1 + decay t). Robbins and Monro, A stochastic approximation method, 1951: it converges."""

    start: float
    decay: float
    unit: str = "epoch"
    name: ClassVar[str] = "inverse_time"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check(not_negative, "decay")

    def _at(self, t: int) -> float:
        return self.start / (1 + self.decay * t)


@dataclass(frozen=True)
class Cosine(Timed):
    """end + (start - end) (1 + cos(π t / length)) / 2 until t = length, then end: half a wave.

    Source: Loshchilov and Hutter, SGDR, 2017, section 3, without restarts; PyTorch's CosineAnnealingLR.
    `length` counts in the unit; None is the whole fit.
    """

    start: float
    length: int | None = None
    end: float = 0.0
    unit: str = "step"
    name: ClassVar[str] = "cosine"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check(not_negative, "end")
        if self.length is not None:
            self.check(checks.whole_number, "length", most=None)

    def begin(self, total_steps: int | None, total_epochs: int) -> "Cosine":
        """Return the schedule with a length."""
        whole = total_epochs if self.unit == "epoch" else total_steps
        return replace(self, length=whole) if self.length is None else self

    def _at(self, t: int) -> float:
        length = _known(self.length)
        if t >= length:
            return self.end
        return self.end + (self.start - self.end) * (1 + math.cos(math.pi * t / length)) / 2


@dataclass(frozen=True)
class OneCycle(Schedule):
    """Half a cosine wave from peak / div_factor up to peak, and one down to peak / div_factor / final_div_factor.

    The rise ends at step rise length - 1, the fall at length - 1; then the value stays. Source: Smith and Topin,
    Super-convergence, 2018, section 2, in the form of PyTorch's OneCycleLR (rise is its pct_start). `length` counts
    steps; None is the whole fit.
    """

    peak: float
    length: int | None = None
    rise: float = 0.3
    div_factor: float = 25.0
    final_div_factor: float = 1e4
    name: ClassVar[str] = "one_cycle"
    unit: ClassVar[str] = "step"

    def __post_init__(self) -> None:
        self.check(positive, "peak", "div_factor", "final_div_factor")
        rise = checks.real_number(self.rise, "rise", lambda x: 0 <= x < 1, "from 0 to below 1")
        object.__setattr__(self, "rise", rise)
        if self.length is not None:
            self.check(checks.whole_number, "length", most=None)

    def begin(self, total_steps: int | None, total_epochs: int) -> "OneCycle":
        """Return the schedule with a length."""
        return replace(self, length=total_steps) if self.length is None else self

    def value(self, step: int, epoch: int, steps_per_epoch: int) -> float:
        """Return the value of the cycle."""
        last = _known(self.length) - 1
        top = self.rise * (last + 1) - 1
        start = self.peak / self.div_factor
        if step < top:
            return _half_wave(start, self.peak, step / top)
        # Where the rise is shorter than a step, the fall begins before step 0, as PyTorch's does.
        return _half_wave(self.peak, start / self.final_div_factor, min(1.0, (step - top) / (last - top)))


@dataclass(frozen=True)
class Warmup(Schedule):
    """(step + 1) / (steps + 1) of what `then` is at step `steps`, until there; from there on, `then` itself.

    A straight line into another schedule, which counts from the beginning of the fit too. Source: Goyal et al., Accurate,
    large minibatch SGD, 2017, section 2.2. `then` is a number, a schedule, its settings, or a function of the step.
    """

    steps: int
    then: Schedule
    name: ClassVar[str] = "warmup"
    unit: ClassVar[str] = "step"

    def __post_init__(self) -> None:
        self.check(checks.whole_number, "steps", most=None)
        from . import resolve  # which knows all schedules, these as well

        object.__setattr__(self, "then", resolve(self.then, "then"))

    def begin(self, total_steps: int | None, total_epochs: int) -> "Warmup":
        """Return the schedule whose `then` has begun."""
        return replace(self, then=self.then.begin(total_steps, total_epochs))

    def value(self, step: int, epoch: int, steps_per_epoch: int) -> float:
        """Return the value on the line, or of `then`."""
        if step >= self.steps:
            return self.then.value(step, epoch, steps_per_epoch)
        target = self.then.value(self.steps, self.steps // steps_per_epoch, steps_per_epoch)
        return target * (step + 1) / (self.steps + 1)

    def observe(self, history: Any) -> None:
        """Let `then` look at the history."""
        self.then.observe(history)

    def state(self) -> dict[str, Any]:
        """Return the state of `then`."""
        return self.then.state()

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore the state of `then`."""
        self.then.restore(state)


@dataclass(frozen=True)
class BatchRamp(Schedule):
    """min(start factor^epoch, limit): a batch size that grows each epoch, small and noisy first. Whole numbers.

    Source: Smith et al., Don't decay the learning rate, increase the batch size, 2018. A start of two to three times
    the number of classes, doubled each epoch, is what practitioners advise.
    """

    start: int
    limit: int
    factor: int = 2
    name: ClassVar[str] = "batch_ramp"
    unit: ClassVar[str] = "epoch"

    def __post_init__(self) -> None:
        self.check(checks.whole_number, "start", "limit")
        self.check(checks.whole_number, "factor", least=2)
        if self.limit < self.start:
            raise ValueError(f"limit is {self.limit}; it must be at least start, which is {self.start}")

    def value(self, step: int, epoch: int, steps_per_epoch: int) -> int:
        """Return the number of rows."""
        if epoch >= self.limit.bit_length():  # factor is at least 2; its power need not be computed
            return self.limit
        return min(self.start * self.factor**epoch, self.limit)


def _power(factor: float, exponent: int) -> float:
    try:
        return factor**exponent
    except OverflowError:
        return math.inf


def _half_wave(start: float, end: float, part: float) -> float:
    return end + (start - end) / 2 * (1 + math.cos(math.pi * part))


def _known(length: int | None) -> int:
    if length is None:
        raise ValueError("length is None, and how many steps the fit has is not known; give the length")
    return length
