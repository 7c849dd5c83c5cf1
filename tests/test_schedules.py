"""Schedules: their formulas, against PyTorch's numbers where it has them; their length, state, settings and errors."""

import copy
import json
import math
import pickle
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastnn import schedules
from fastnn.schedules import (
    SCHEDULES,
    BatchRamp,
    Constant,
    Cosine,
    Exponential,
    Function,
    InverseTime,
    OneCycle,
    Plateau,
    Step,
    Warmup,
)

EVERY_KIND = [
    Constant(0.5),
    Step(0.5, 3, 0.25),
    Exponential(0.5, 0.9, "step", 0.2),
    InverseTime(0.5, 0.1, "step"),
    Cosine(0.5, 9, 0.1),
    Cosine(0.5, 4, unit="epoch"),
    OneCycle(0.5, 10),
    Warmup(4, Step(0.5, 1)),
    Warmup(5, 0.5),
    Plateau(0.5, 0.5, 0),
    BatchRamp(20, 100),
]


def values(schedule, steps, steps_per_epoch=1):
    return [schedule.value(step, step // steps_per_epoch, steps_per_epoch) for step in range(steps)]


# Written by PyTorch 2.13's torch.optim.lr_scheduler in float64.
PYTORCH = {
    "StepLR": (Step(0.5, 3, 0.25), [0.5, 0.5, 0.5, 0.125, 0.125, 0.125, 0.03125, 0.03125]),
    "ExponentialLR": (Exponential(0.5, 0.8), [0.5, 0.4, 0.32, 0.256, 0.2048, 0.16384]),
    "CosineAnnealingLR": (
        Cosine(0.5, 6, 0.1),
        [0.5, 0.47320508075688783, 0.4, 0.3, 0.2, 0.1267949192431123, 0.1],
    ),
    "OneCycleLR": (
        OneCycle(2.0, 10),
        [
            *(0.08, 1.04, 2.0, 1.9009692640269473, 1.6234913078995261, 1.2225240438725786),
            *(0.7774839561274215, 0.37651669210047395, 0.09903873597305257),
        ],
    ),
    "OneCycleLR with settings": (
        OneCycle(2.0, 8, 0.5, 10, 100),
        [0.2, 0.65, 1.55, 2.0, 1.707399674405361, 1.001, 0.2946003255946391],
    ),
}


@pytest.mark.parametrize("name", PYTORCH)
def test_pytorch_has_the_same(name):
    schedule, expected = PYTORCH[name]
    assert values(schedule, len(expected)) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize(
    ("schedule", "metrics", "expected"),
    [
        (
            Plateau(0.5, 0.5, 1, least=0.1),
            [1.0, 0.9, 0.9, 0.9, 0.89995, 0.95, 0.8, 0.85, 0.85, 0.85, 0.85, 0.85],
            [0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125, 0.125, 0.1, 0.1, 0.1],
        ),
        (
            Plateau(0.5, 0.5, 0, "val_accuracy"),
            [0.5, 0.6, 0.6, 0.60001, 0.7, 0.65],
            [0.5, 0.5, 0.5, 0.25, 0.125, 0.125],
        ),
    ],
)
def test_plateau_goes_down_as_pytorchs(schedule, metrics, expected):
    found = []
    for epoch, metric in enumerate(metrics):
        found.append(schedule.value(10 * epoch, epoch, 10))
        schedule.observe(SimpleNamespace(**{schedule.metric: metrics[: epoch + 1]}))
        # Saved and restored in a new one after every epoch.
        state = json.loads(json.dumps(schedule.state()))
        schedule = schedule.begin(100, 10)
        assert schedule.value(0, 0, 10) == 0.5
        schedule.restore(state)
        assert metric == metrics[epoch]
    assert found == expected


def test_plateau_takes_nan_for_no_improvement():
    schedule = Plateau(0.5, 0.5, 0)
    for metric in (1.0, math.nan):
        schedule.observe(SimpleNamespace(val_loss=[metric]))
    assert schedule.state() == {"value": 0.25, "best": 1.0, "bad_epochs": 0}


def test_plateau_never_rises():
    schedule = Plateau(0.5, least=0.75, patience=0)
    for _ in range(3):
        schedule.observe(SimpleNamespace(val_loss=[1.0]))
    assert schedule.value(0, 0, 1) == 0.5


def test_plateau_without_its_metric():
    with pytest.raises(
        ValueError, match=r"^metric is 'val_loss', and the history has none; fit with validation"
    ):
        Plateau(0.5).observe(SimpleNamespace(val_loss=[]))


@pytest.mark.parametrize("schedule", EVERY_KIND, ids=repr)
def test_a_state_of_others_is_refused(schedule):
    schedule = schedule.begin(10, 2)
    schedule.restore(schedule.state())
    with pytest.raises(ValueError, match=r"^state holds rate; a state .* is needed"):
        schedule.restore({"rate": 1})


def test_formulas_by_hand():
    assert values(InverseTime(3.0, 0.5, "step"), 5) == [3, 2, 1.5, 1.2, 1]
    assert values(Exponential(1.0, 0.5, "step", floor=0.2), 4) == [1, 0.5, 0.25, 0.2]
    assert values(Exponential(1.0, 0.5), 6, steps_per_epoch=2) == [1, 1, 0.5, 0.5, 0.25, 0.25]
    assert values(Step(1.0, 2, 0.5, "step"), 5) == [1, 1, 0.5, 0.5, 0.25]
    assert values(Step(1.0, 2, 0.5), 10, steps_per_epoch=2) == [1] * 4 + [0.5] * 4 + [0.25] * 2
    assert values(Constant(0.25), 2) == [0.25] * 2
    assert values(Cosine(1.0, 2, 0.5), 4) == pytest.approx([1, 0.75, 0.5, 0.5], rel=1e-15)
    assert values(BatchRamp(20, 100), 5) == [20, 40, 80, 100, 100]
    assert values(BatchRamp(5, 5), 2) == [5, 5]
    assert BatchRamp(1, 2**30 + 1).value(0, 2**30, 1) == 2**30 + 1
    assert BatchRamp(1, 2**30, 3).value(0, 18, 1) == 3**18


def test_warmup_is_a_straight_line_to_what_follows():
    assert values(Warmup(4, 1.0), 6) == [0.2, 0.4, 0.6, 0.8, 1, 1]
    # At step 4, epoch 2 of two steps each, the staircase is at 1/2.
    assert values(Warmup(4, Step(1.0, 2, 0.5)), 5, steps_per_epoch=2) == [
        0.1,
        0.2,
        0.3,
        0.4,
        0.5,
    ]
    assert values(Warmup(1, lambda step: step + 1), 3) == [1, 2, 3]
    plateau = Warmup(2, Plateau(1.0, 0.5, 0)).begin(10, 2)
    for _ in range(2):
        plateau.observe(SimpleNamespace(val_loss=[1.0]))
    assert plateau.value(5, 1, 5) == 0.5
    assert plateau.state()["best"] == 1.0


@pytest.mark.parametrize(
    ("schedule", "length"),
    [(Cosine(1.0), 40), (Cosine(1.0, unit="epoch"), 8), (OneCycle(1.0), 40)],
)
def test_a_length_left_out_is_the_whole_fit(schedule, length):
    begun = schedule.begin(40, 8)
    assert begun == type(schedule)(**{**vars(schedule), "length": length})
    assert schedule.length is None
    assert begun.begin(99, 99) == begun
    assert Warmup(3, schedule).begin(40, 8).then == begun
    with pytest.raises(ValueError, match=r"^length is None, and how many steps the fit has is not known"):
        schedule.value(0, 0, 5)


@pytest.mark.parametrize("length", [1, 2, 3, 4, 10])
@pytest.mark.parametrize("rise", [0.0, 0.25, 0.5, 0.9])
def test_any_cycle_stays_between_its_ends(length, rise):
    found = values(OneCycle(1.0, length, rise), length + 2)
    assert all(1 / 25 / 1e4 <= value <= 1 for value in found)
    assert found[length - 1 :] == [1 / 25 / 1e4] * 3


def test_a_growing_schedule_ends_at_infinity():
    assert Exponential(1.0, 10.0).value(0, 400, 1) == math.inf


# many values together


@pytest.mark.parametrize("schedule", [*EVERY_KIND, Function(lambda step: 1 / (1 + step))], ids=repr)
@given(first=st.integers(0, 40), steps=st.integers(0, 9), epoch=st.integers(0, 5))
def test_values_are_each_value(schedule, first, steps, epoch):
    found = schedules.values(schedule, first, steps, epoch, 9)
    assert found.dtype == np.float64
    assert found.tolist() == [schedule.value(step, epoch, 9) for step in range(first, first + steps)]


# settings


@pytest.mark.parametrize("schedule", [*EVERY_KIND, Cosine(1.0), OneCycle(1.0)], ids=repr)
def test_there_and_back(schedule):
    written = schedule.settings()
    assert None not in written.values()
    assert schedules.resolve(json.loads(json.dumps(written))) == schedule
    assert pickle.loads(pickle.dumps(schedule)) == copy.deepcopy(schedule) == schedule
    assert hash(copy.deepcopy(schedule)) == hash(schedule)
    with pytest.raises(AttributeError):
        schedule.start = 2.0


def test_each_schedule_has_its_name():
    assert {type(schedule) for schedule in EVERY_KIND} == set(SCHEDULES.values())
    assert list(SCHEDULES) == [
        *("constant", "step", "exponential", "inverse_time", "cosine"),
        *("one_cycle", "warmup", "plateau", "batch_ramp"),
    ]
    assert Step(0.5, 3).settings() == {
        "name": "step",
        "start": 0.5,
        "every": 3,
        "factor": 0.1,
        "unit": "epoch",
    }
    assert Warmup(2, 0.5).settings()["then"] == {"name": "constant", "start": 0.5}


def test_resolve():
    def rate(step):
        return 0.5

    schedule = Step(0.5, 3)
    assert schedules.resolve(schedule) is schedule
    assert schedules.resolve(1) == Constant(1.0)
    assert schedules.resolve(rate, "then") == Function(rate, "then")
    assert schedules.resolve(
        {"name": "warmup", "steps": 2, "then": {"name": "cosine", "start": 1}}
    ) == Warmup(2, Cosine(1.0))


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: Constant(0), ValueError, "start is 0; .* greater than 0"),
        (lambda: Step(0.1, 0), ValueError, "every is 0; a whole number"),
        (lambda: Step(0.1, 2.0), TypeError, r"every is 2\.0; a whole number"),
        (lambda: Step(0.1, 2, -1), ValueError, "factor is -1; .* greater than 0"),
        (lambda: Step(0.1, 2, unit="epochs"), ValueError, "unit is 'epochs'; .*'step', 'epoch'"),
        (lambda: Exponential(math.inf, 1), ValueError, "start is inf"),
        (lambda: Exponential(1, 0.5, floor=-1), ValueError, "floor is -1; .* at least 0"),
        (lambda: InverseTime(1, "fast"), TypeError, "decay is 'fast'"),
        (lambda: Cosine(1, 0), ValueError, "length is 0; a whole number"),
        (lambda: Cosine(1, end=math.nan), ValueError, "end is nan"),
        (lambda: OneCycle(1, rise=1), ValueError, "rise is 1; .* below 1"),
        (lambda: OneCycle(1, div_factor=0), ValueError, "div_factor is 0"),
        (lambda: Warmup(0, 1), ValueError, "steps is 0; a whole number"),
        (lambda: Warmup(3, "cosine"), TypeError, "then is 'cosine'; .* a schedule"),
        (lambda: Plateau(1, 1), ValueError, "factor is 1; .* below 1"),
        (lambda: Plateau(1, patience=-1), ValueError, "patience is -1"),
        (lambda: Plateau(1, metric="f1"), ValueError, "metric is 'f1'; .*'val_loss', 'loss'"),
        (lambda: BatchRamp(20, 10), ValueError, "limit is 10; it must be at least start, which is 20"),
        (lambda: BatchRamp(20, 100, 1), ValueError, "factor is 1; a whole number"),
        (lambda: schedules.resolve(0), ValueError, "learning_rate is 0; .* a schedule, or a function"),
        (lambda: schedules.resolve(Step), TypeError, "learning_rate is the class Step"),
        (lambda: schedules.resolve({}), ValueError, "learning_rate has no 'name'; .*'constant'"),
        (lambda: schedules.resolve({"name": "steps"}), ValueError, r"learning_rate\['name'\] is 'steps'"),
        (lambda: schedules.resolve({"name": "step", "start": 1}), ValueError, "learning_rate lacks 'every'"),
        (
            lambda: schedules.resolve({"name": "cosine", "start": 1, "epochs": 3}),
            ValueError,
            "learning_rate has the setting 'epochs'; 'cosine' has start, length, end, unit",
        ),
        (
            lambda: Function(lambda step: -1).value(3, 0, 1),
            ValueError,
            r"learning_rate\(3\) is -1; .* at least 0",
        ),
        (lambda: Function(abs).settings(), TypeError, "learning_rate is a function, which cannot be written"),
        (lambda: Warmup(3, abs).settings(), TypeError, "then is a function, which cannot be written"),
    ],
)
def test_errors_name_what_came(make, error, words):
    with pytest.raises(error, match=f"^{words}"):
        make()
