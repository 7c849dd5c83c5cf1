"""The optimisers: compiled and reference against PyTorch's numbers and each other; their settings and errors."""

import copy
import dataclasses
import json
import math
import pickle

import numba
import numpy as np
import pytest
from torch_trajectories import TRAJECTORIES

import fastnn
from fastnn import optimizers, schedules
from fastnn.backends.settings import BIASES, WEIGHTS
from fastnn.kernels import update
from fastnn.kernels.functions import call, function_address
from fastnn.optimizers import SGD, Adagrad, Adam, AdamW, Lion, RMSprop
from fastnn.reference import optimizers as reference

SHAPES = [(2, 2), (2,), (2, 1), (1,)]
STEPS = 5
EVERY_KIND = [
    SGD(),
    SGD(0.1, 0.9),
    SGD(0.1, 0.9, True),
    Adam(),
    AdamW(),
    RMSprop(),
    RMSprop(momentum=0.9),
    Adagrad(),
    Lion(),
]


def numbers(shapes, of):
    """Arrays of these shapes, filled with of(0), of(1) ... one after the other."""
    sizes = [math.prod(shape) for shape in shapes]
    flat = np.array([of(k) for k in range(sum(sizes))], np.float64)
    return [
        part.reshape(shape) for part, shape in zip(np.split(flat, np.cumsum(sizes)[:-1]), shapes, strict=True)
    ]


def start(shapes=SHAPES):
    return numbers(shapes, lambda k: ((5 * k + 1) % 7 - 3) / 4)


def gradients(t, shapes=SHAPES):
    return numbers(shapes, lambda k: ((7 * k + 3 * t) % 11 - 5) / 4)


def reference_optimizer(settings):
    """The reference's optimiser for an object of fastnn.optimizers."""
    kinds = {
        "sgd": lambda o: reference.SGD(o.momentum, o.nesterov),
        "adam": lambda o: reference.Adam(o.beta1, o.beta2, o.epsilon),
        "adamw": lambda o: reference.Adam(o.beta1, o.beta2, o.epsilon),
        "rmsprop": lambda o: reference.RMSprop(o.alpha, o.epsilon, o.momentum),
        "adagrad": lambda o: reference.Adagrad(o.epsilon),
        "lion": lambda o: reference.Lion(o.beta1, o.beta2),
    }
    common = ("weight_decay", "decoupled", "l1", "clip_value", "clip_norm", "max_norm", "average")
    return reference.Regularised(
        kinds[settings.name](settings), **{name: getattr(settings, name) for name in common}
    )


def run_reference(settings, steps=STEPS, shapes=SHAPES):
    """Yield the parameters after each step, or their averages."""
    rule = reference_optimizer(settings)
    parameters = [p.tolist() for p in start(shapes)]
    for t in range(steps):
        g = [part.tolist() for part in gradients(t, shapes)]
        rule.update(parameters[::2], parameters[1::2], g[::2], g[1::2], settings.learning_rate)
        rows = None if rule.averages is None else list(rule.averages)
        if rows is None:
            yield [np.array(p) for p in parameters]
        else:  # every row of every weight matrix, then the biases
            weights = [[rows.pop(0) for _ in W] for W in parameters[::2]]
            yield [np.array(part) for pair in zip(weights, rows, strict=True) for part in pair]


def run_kernels(settings, dtype="float64", steps=STEPS, shapes=SHAPES, chunk=STEPS):
    """Yield the same from the compiled updates, each called by address as the training kernel does."""
    kind = np.dtype(dtype).type(0)
    parameters = [p.astype(dtype) for p in start(shapes)]
    first, second, averages = ([np.zeros_like(p) for p in parameters] for _ in range(3))
    step = update.UPDATES[settings.kernel]
    for t in range(steps):
        if t % chunk == 0:
            rates = np.full(min(chunk, steps - t), settings.learning_rate)
            table = settings.settings_table(rates, t, dtype)
        rows = table[t % chunk].copy()
        g = [part.astype(dtype) for part in gradients(t, shapes)]
        norm = math.sqrt(sum(float(np.vdot(part, part)) for part in g))
        rows[:, update.FACTOR] = np.minimum(1, rows[:, update.CLIP_NORM] / (norm + 1e-6))
        for i, p in enumerate(parameters):
            row = rows[BIASES if i % 2 else WEIGHTS].ctypes.data
            update.penalise(p.ctypes.data, g[i].ctypes.data, p.size, row, kind)
            states = [
                a.ctypes.data if n < settings.state_arrays else 0 for n, a in enumerate((first[i], second[i]))
            ]
            step(p.ctypes.data, *states, g[i].ctypes.data, p.size, row, kind)
            if i == 0:
                limit = rows[WEIGHTS, update.MAX_NORM]
                p *= np.minimum(1, limit / np.linalg.norm(p, axis=0))
            if settings.average is not None:
                update.average(p.ctypes.data, averages[i].ctypes.data, p.size, row, kind)
        yield [p.copy() for p in (parameters if settings.average is None else averages)]


# PyTorch


@pytest.mark.parametrize("run", [run_reference, run_kernels])
@pytest.mark.parametrize("name", TRAJECTORIES)
def test_pytorch_goes_the_same_way(name, run):
    settings, expected = TRAJECTORIES[name]
    path = [(parameters[0][0, 0], parameters[1][0]) for parameters in run(settings)]
    # PyTorch's renorm divides by the norm + 1e-7.
    tolerance = 1e-6 if settings.max_norm else 1e-13
    np.testing.assert_allclose(path, expected, rtol=tolerance, atol=tolerance)


def test_the_trajectories_tell_the_options_apart():
    reached = {
        tuple(path[-1]) for name, (_, path) in TRAJECTORIES.items() if name != "clip_norm, never reached"
    }
    assert len(reached) == len(TRAJECTORIES) - 1


def test_lion_by_hand():
    # g = 1, -2, 0 with β1 = 1/2, β2 = 3/4: m = 1/4, -5/16, -15/64; c = 1/2, -7/8, -5/32.
    # The weight decays by 1/8 each step; the step itself is 1/4.
    settings = Lion(0.25, 0.5, 0.75, weight_decay=0.5)
    rule, W, b = reference_optimizer(settings), [[[1.0]]], [[1.0]]
    path = []
    for g in (1.0, -2.0, 0.0):
        rule.update(W, b, [[[g]]], [[g]], settings.learning_rate)
        path.append((W[0][0][0], b[0][0]))
    first = 7 / 8 - 1 / 4
    second = 7 / 8 * first + 1 / 4
    assert path == [(first, 0.75), (second, 1.0), (7 / 8 * second + 1 / 4, 1.25)]


# the compiled updates and the reference


OPTIONS = [
    {},
    {"weight_decay": 0.23, "l1": 0.071},  # nothing cancels to 0, where the sign of rounding would decide
    {"clip_value": 0.3},
    {"clip_norm": 0.9, "clip_value": 0.4, "weight_decay": 0.1, "max_norm": 0.8, "average": 0.6},
]


@pytest.mark.parametrize("options", OPTIONS, ids=" ".join)
@pytest.mark.parametrize("kind", EVERY_KIND, ids=lambda kind: kind.kernel)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_compiled_steps_are_the_references(kind, options, dtype):
    shapes = [(7, 5), (5,), (5, 3), (3,)]
    settings = dataclasses.replace(kind, learning_rate=0.05, **options)
    pairs = zip(run_kernels(settings, dtype, 8, shapes), run_reference(settings, 8, shapes), strict=True)
    # Of numbers up to 1 after steps that add up to less than 4, each of a dozen roundings; roots lose half the digits
    # only below epsilon, where no gradient here is.
    tolerance = 256 * float(np.finfo(dtype).eps)
    for actual, expected in pairs:
        for one, other in zip(actual, expected, strict=True):
            assert one.dtype == dtype
            np.testing.assert_allclose(one, other, rtol=0, atol=tolerance)


@pytest.mark.parametrize("kind", EVERY_KIND, ids=lambda kind: kind.kernel)
def test_settings_do_not_depend_on_the_chunks(kind):
    settings = dataclasses.replace(kind, weight_decay=0.1, average=0.5)
    rates = np.linspace(0.1, 0.2, 11)
    whole = settings.settings_table(rates, 3, "float32")
    parts = [settings.settings_table(rates[i : i + 2], 3 + i, "float32") for i in range(0, 11, 2)]
    assert whole.tobytes() == np.concatenate(parts).tobytes()
    assert whole.shape == (11, 2, update.SETTINGS)
    assert whole.dtype == np.float32


def test_what_biases_are_spared():
    settings = AdamW(
        0.5, weight_decay=0.25, l1=0.125, clip_value=2.0, clip_norm=3.0, max_norm=4.0, average=0.75
    )
    weights, biases = settings.settings_table(np.array([0.5, 0.5]), 0, "float64")[1]
    spared = [update.DECOUPLED, update.L1]
    assert weights[[*spared, update.L2, update.MAX_NORM]].tolist() == [0.125, 0.125, 0, 4]
    assert biases[[*spared, update.L2, update.MAX_NORM]].tolist() == [0, 0, 0, math.inf]
    shared = [i for i in range(update.SETTINGS) if i not in (*spared, update.L2, update.MAX_NORM)]
    assert weights[shared].tolist() == biases[shared].tolist()
    assert biases[[update.CLIP_VALUE, update.CLIP_NORM, update.FACTOR, update.AVERAGE]].tolist() == [
        2,
        3,
        1,
        0.75,
    ]


@pytest.mark.parametrize("settings", [SGD(), SGD(weight_decay=1.0)])
def test_coupled_decay_and_no_limits(settings):
    weights, biases = settings.settings_table(np.array([0.1]), 0, "float64")[0]
    assert [weights[update.L2], biases[update.L2]] == [settings.weight_decay, 0]
    assert weights[[update.DECOUPLED, update.AVERAGE]].tolist() == [0, 0]
    assert weights[[update.CLIP_VALUE, update.CLIP_NORM, update.MAX_NORM]].tolist() == [math.inf] * 3


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", update.UPDATES)
def test_no_number_before_or_behind_is_touched(name, dtype):
    arrays = [np.full(40, 0.5, dtype) for _ in range(4)]
    row = np.full(update.SETTINGS, 0.5, dtype)
    places = [a[3:].ctypes.data for a in arrays]
    update.UPDATES[name](*places, 33, row.ctypes.data, row.dtype.type(0))
    for array in arrays:
        assert (array[[0, 1, 2, 36, 37, 38, 39]] == 0.5).all()
    assert (arrays[3] == 0.5).all()  # the gradient
    changed = arrays[1] if name == "gradient" else arrays[0]
    assert name == "gradient" or (changed[3:36] != 0.5).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", update.UPDATES)
def test_nan_is_not_hidden(name, dtype):
    arrays = [np.full(20, 0.5, dtype) for _ in range(4)]
    arrays[3][7] = np.nan
    row = np.full(update.SETTINGS, 0.5, dtype)
    kind = row.dtype.type(0)
    update.penalise(arrays[0].ctypes.data, arrays[3].ctypes.data, 20, row.ctypes.data, kind)
    update.UPDATES[name](*[a.ctypes.data for a in arrays], 20, row.ctypes.data, kind)
    result = arrays[1] if name == "gradient" else arrays[0]
    assert np.flatnonzero(np.isnan(result)).tolist() == [7]


@pytest.mark.parametrize("kind", [numba.float32, numba.float64], ids=str)
def test_updates_are_called_by_address(kind):
    dtype = np.dtype(str(kind))
    place = function_address(update.UPDATES["sgd"], *[numba.intp] * 6, kind)

    @numba.njit
    def step(place, parameters, gradient, settings):
        zero = settings[0] * 0
        call(
            place,
            (parameters.ctypes.data, 0, 0, gradient.ctypes.data, parameters.size, settings.ctypes.data, zero),
        )

    p, g, row = np.ones(9, dtype), np.full(9, 2, dtype), np.full(update.SETTINGS, 0.25, dtype)
    step(place, p, g, row)
    assert p.tolist() == [0.5] * 9


# the objects


def test_names_and_states():
    assert list(optimizers.OPTIMIZERS) == ["sgd", "adam", "adamw", "rmsprop", "adagrad", "lion"]
    assert [kind.kernel for kind in EVERY_KIND] == [
        "sgd", "momentum", "nesterov", "adam", "adamw", "rmsprop", "rmsprop_momentum", "adagrad", "lion",
    ]  # fmt: skip
    assert [kind.state_arrays for kind in EVERY_KIND] == [0, 1, 1, 2, 2, 1, 2, 1, 1]
    assert {kind.kernel for kind in EVERY_KIND} == set(update.UPDATES) - {"gradient"}
    assert [kind.decoupled for kind in optimizers.OPTIMIZERS.values()] == [
        False,
        False,
        True,
        False,
        False,
        True,
    ]


def test_defaults_are_pytorchs():
    assert Adam() == Adam(0.001, 0.9, 0.999, 1e-8, weight_decay=0.0)
    assert AdamW() == AdamW(0.001, 0.9, 0.999, 1e-8, weight_decay=0.01)
    assert RMSprop() == RMSprop(0.01, 0.99, 1e-8, 0.0, weight_decay=0.0)
    assert Adagrad() == Adagrad(0.01, 1e-10, weight_decay=0.0)
    assert Lion() == Lion(0.0001, 0.9, 0.99, weight_decay=0.0)  # the paper's
    assert not any(kind().penalises for kind in (SGD, Adam, RMSprop, Adagrad, Lion))
    assert AdamW().penalises


@pytest.mark.parametrize("option", ["weight_decay", "l1", "clip_value", "clip_norm"])
def test_what_comes_before_the_update_is_announced(option):
    assert SGD(**{option: 0.5}).penalises
    assert not SGD(max_norm=1, average=0.5).penalises


@pytest.mark.parametrize("kind", EVERY_KIND, ids=lambda kind: kind.kernel)
def test_there_and_back(kind):
    rate = schedules.Warmup(5, schedules.Cosine(0.2, 30, unit="epoch"))
    for settings in (kind, dataclasses.replace(kind, learning_rate=rate, clip_norm=1, average=0.9, l1=1e-3)):
        written = settings.to_settings()
        assert None not in written.values()
        assert optimizers.resolve(json.loads(json.dumps(written)), None) == settings
        assert pickle.loads(pickle.dumps(settings)) == copy.deepcopy(settings) == settings
        assert hash(settings) == hash(copy.deepcopy(settings))


def test_a_function_cannot_be_written():
    with pytest.raises(TypeError, match=r"^learning_rate is a function, which cannot be written"):
        SGD(lambda step: 0.1).to_settings()


@pytest.mark.parametrize(
    ("given", "rate", "expected"),
    [
        ("adamw", None, AdamW()),
        ("lion", 0.5, Lion(0.5)),
        ({"name": "rmsprop", "momentum": 0.5}, None, RMSprop(momentum=0.5)),
        ({"name": "sgd", "momentum": 0.5}, 0.25, SGD(0.25, 0.5)),
        (
            {"name": "sgd", "learning_rate": {"name": "constant", "start": 0.5}},
            None,
            SGD(schedules.Constant(0.5)),
        ),
        ("sgd", {"name": "step", "start": 0.5, "every": 3}, SGD(schedules.Step(0.5, 3))),
        (Adagrad(0.5), None, Adagrad(0.5)),
    ],
)
def test_resolve(given, rate, expected):
    assert optimizers.resolve(given, rate) == expected


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: AdamW(weight_decay=-1), ValueError, r"weight_decay is -1; .* at least 0"),
        (lambda: SGD(weight_decay=math.inf), ValueError, "weight_decay is inf"),
        (lambda: SGD(l1=True), TypeError, "l1 is True"),
        (lambda: SGD(clip_value=0), ValueError, "clip_value is 0; .* greater than 0"),
        (lambda: SGD(clip_norm="1"), TypeError, "clip_norm is '1'"),
        (lambda: SGD(max_norm=math.nan), ValueError, "max_norm is nan"),
        (lambda: SGD(average=1), ValueError, "average is 1; .* below 1"),
        (lambda: RMSprop(alpha=1), ValueError, "alpha is 1; .* below 1"),
        (lambda: RMSprop(momentum=-0.1), ValueError, r"momentum is -0\.1"),
        (lambda: Adagrad(epsilon=1e-40), ValueError, "epsilon is 1e-40; .* smallest normal"),
        (lambda: Lion(beta2=1.5), ValueError, r"beta2 is 1\.5"),
        (lambda: SGD({"name": "linear"}), ValueError, r"learning_rate\['name'\] is 'linear'; .*'cosine'"),
        (lambda: SGD([0.1]), TypeError, "learning_rate is an object of type list; .* a schedule"),
        (
            lambda: optimizers.resolve("rprop", None),
            ValueError,
            "optimizer is 'rprop'; .*'sgd', 'adam', 'adamw'",
        ),
        (lambda: optimizers.resolve({}, None), ValueError, "optimizer has no 'name'"),
        (lambda: optimizers.resolve({"name": "adamx"}, None), ValueError, r"optimizer\['name'\] is 'adamx'"),
        (
            lambda: optimizers.resolve({"name": "adam", "momentum": 0.9}, None),
            ValueError,
            "optimizer has the setting 'momentum'; 'adam' has .*beta1",
        ),
        (
            lambda: optimizers.resolve({"name": "sgd", "learning_rate": 1}, 2),
            ValueError,
            "learning_rate is 2 and opt",
        ),
        (
            lambda: optimizers.resolve(SGD(), 2),
            ValueError,
            "learning_rate is 2 and optimizer an object .*; give one",
        ),
    ],
)
def test_errors_name_what_came(make, error, words):
    with pytest.raises(error, match=f"^{words}"):
        make()


def test_rates():
    assert optimizers.rates(0.5, 3, 2).tolist() == [0.5, 0.5]
    assert optimizers.rates(lambda step: step / 4, 3, 2).tolist() == [0.75, 1.0]
    assert (
        optimizers.rates(schedules.Step(1.0, 2, 0.5), 10, 3, epoch=4, steps_per_epoch=3).tolist()
        == [0.25] * 3
    )
    with pytest.raises(ValueError, match=r"^learning_rate\(4\) is inf; .* finite"):
        optimizers.rates(schedules.Exponential(1.0, 1e100, unit="step"), 2, 4)
    with pytest.raises(TypeError, match=r"^learning_rate\(2\) is None"):
        optimizers.rates(lambda step: None, 2, 1)


def test_a_schedule_is_a_learning_rate_of_fit():
    X, y = np.eye(4, dtype=np.float32), np.array([0, 1, 0, 1])
    seen = []
    for rate in (schedules.Exponential(0.5, 0.5, unit="step"), lambda step: 0.5 * 0.5**step):
        net = fastnn.MLP([4, 3, 2], seed=1)
        net.fit(X, y, epochs=2, batch_size=2, optimizer=SGD(rate), backend="reference")
        seen.append(net.arena.tobytes())
    assert seen[0] == seen[1]
