"""What is said when training goes wrong, what is kept, and that nothing is said while it goes well."""

import math
import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest

import fastnn
from fastnn import TrainingDiverged, TrainingStopped, activations, datasets, optimizers
from fastnn.augmentation import Augment
from fastnn.callbacks import Callback
from fastnn.monitor import TrainingWarning, watch

RNG = np.random.default_rng(4)
X = RNG.random((120, 16), dtype=np.float32)
Y = RNG.integers(0, 10, 120)
TOO_LARGE = {"name": "uniform", "low": 0, "high": 1}
OPTIMIZERS = ("sgd", "adam", "adamw", "rmsprop", "adagrad", "lion")


class StopAfter(Callback):
    """Stops after so many steps."""

    def __init__(self, steps):
        self.steps = steps

    def on_step_end(self, net, history, step, loss):
        return step == self.steps - 1


def make_net(sizes=(16, 12, 10), **settings):
    return fastnn.MLP(list(sizes), **{"seed": 3, **settings})


@pytest.fixture(params=["seldom", "always"])
def watching(request, monkeypatch):
    """How often a state is kept and a look taken: at the begin of an epoch alone, or before every chunk."""
    monkeypatch.setattr(watch, "_PART", math.inf if request.param == "seldom" else 0)
    return request.param


def spike(at, low=0.01):
    """A learning rate that is far too high in one step."""
    return lambda step: 1e300 if step == at else low


def diverging(at=29, optimizer="sgd", **options):
    """Settings of `fit`: 8 steps an epoch, of which step `at` goes wrong."""
    kind = type(optimizers.resolve(optimizer, None))
    return {
        "epochs": 9,
        "batch_size": 16,
        "optimizer": kind(learning_rate=spike(at), **options),
        "anomalies": "ignore",
    }


class TestReplay:
    """The network is left bit for bit as it was before the step that broke it."""

    @pytest.mark.parametrize("at", [0, 1, 7, 8, 29])
    def test_at_any_step(self, watching, at):
        self.check(at, diverging(at))

    @pytest.mark.parametrize("optimizer", OPTIMIZERS)
    def test_with_the_state_of_optimizers(self, watching, optimizer):
        self.check(29, diverging(29, optimizer))

    @pytest.mark.parametrize(
        "settings",
        [
            {"dropout": 0.3, "input_dropout": 0.1},
            {"augment": Augment(shape=(4, 4))},
            {"sample_weight": RNG.random(120)},
            {"shuffle": False, "sparse": True},
            {"batch_size": fastnn.schedules.BatchRamp(8, 32)},
            {"threads": 1},
            {"threads": 2},
        ],
        ids=lambda settings: next(iter(settings)),
    )
    def test_with_all_that_is_random(self, watching, settings):
        self.check(29, {**diverging(29), **settings})

    def test_with_an_average(self, watching):
        self.check(29, diverging(29, "adam", average=0.9, clip_norm=1.0, max_norm=2.0))

    def test_reference_backend(self, watching):
        # In float64, where the callback's copies after each step are not rounded; and 1e300 is not too large for a weight.
        self.check(9, {**diverging(9), "backend": "reference"}, dtype="float64", kept=10)

    def test_with_callbacks_that_change_the_network(self, watching):
        class Shrink(Callback):
            def on_step_end(self, net, history, step, loss):
                net.weights[0][...] *= np.float32(0.9)

        self.check(13, {**diverging(13), "callbacks": [Shrink()]})

    def check(self, at, settings, dtype="float32", kept=None):
        at = at if kept is None else kept
        net, twin = make_net(dtype=dtype), make_net(dtype=dtype)
        with pytest.raises(TrainingDiverged, match=f"step {at} ") as caught:
            net.fit(X, Y, **settings)
        assert caught.value.step == at
        assert net.history.stopped.startswith("TrainingDiverged in epoch")
        if at:
            callbacks = [*settings.get("callbacks", ()), StopAfter(at)]
            twin.fit(X, Y, **{**settings, "callbacks": callbacks})
        assert net.arena.tobytes() == twin.arena.tobytes()
        assert net.epochs_trained == twin.epochs_trained


class TestNames:
    """Step, layer, quantity, range and cause."""

    def fail(self, net, X, y, **settings):
        with pytest.raises(TrainingDiverged) as caught:
            net.fit(X, y, **{"epochs": 3, "anomalies": "ignore", **settings})
        error = caught.value
        assert np.isfinite(net.arena).all()
        assert error.causes[0] in str(error) and f"step {error.step} " in str(error)
        assert error.kind == "diverged"
        return error

    def test_weights(self):
        error = self.fail(make_net(), X, Y, batch_size=20, learning_rate=spike(4))
        assert (error.step, error.epoch, error.layer, error.quantity) == (4, 1, 0, "weights")
        assert error.causes[0].startswith("learning rate too high: it is 1e+300")

    def test_activations(self):
        net = make_net()
        net.weights[0][...] *= 100
        error = self.fail(net, X * np.float32(2e38), Y)
        assert (error.step, error.epoch, error.layer, error.quantity) == (0, 1, 0, "activations")
        assert error.causes[0].startswith("inputs not scaled: X goes from ")
        assert 0 <= error.range[0] <= error.range[1] < math.inf

    def test_logits(self):
        net = make_net((16, 10))
        net.weights[0][...] = np.float32(3e38)
        error = self.fail(net, X + 1, Y)
        assert (error.step, error.layer, error.quantity) == (0, 0, "logits")
        assert error.causes[0].startswith("initial weights too large")
        assert all(math.isnan(end) for end in error.range)

    def test_loss(self):
        net = make_net((16, 12, 1), loss="mean_squared_error")
        error = self.fail(net, X, np.full(120, 1e25))
        assert (error.step, error.layer, error.quantity) == (0, 1, "loss")
        assert error.causes[0].startswith("targets not scaled")

    def test_gradient(self):
        net = make_net((2, 1), init="zeros", loss="mean_squared_error")
        error = self.fail(net, np.full((9, 2), 1e30), np.full(9, 1e15))
        assert (error.step, error.layer, error.quantity) == (0, 0, "gradient")
        assert error.causes[0].startswith("inputs not scaled")

    def test_biases(self):
        net = make_net((2, 1), loss="mean_squared_error")
        error = self.fail(net, np.zeros((9, 2)), np.full(9, 1e5), learning_rate=3e38)
        assert (error.step, error.layer, error.quantity) == (0, 0, "biases")

    def test_a_step_in_a_later_epoch(self):
        error = self.fail(make_net(), X, Y, batch_size=60, learning_rate=spike(3))
        assert (error.step, error.epoch) == (3, 2)

    def test_errors_can_be_pickled(self):
        error = self.fail(make_net(), X, Y, learning_rate=spike(0))
        again = pickle.loads(pickle.dumps(error))
        assert str((again, vars(again))) == str((error, vars(error)))  # NaN is not NaN
        assert TrainingDiverged("a message").step is None


def test_a_backend_that_does_not_repeat_itself(blobs, numpy_backend):
    broken = []

    class Once(numpy_backend):
        def run(self, chunk):
            losses, *rest = super().run(chunk)
            if chunk.first_step >= 4 and not broken:
                broken.append(chunk)
                losses = losses * np.nan
            return losses, *rest

    net, twin = make_net((4, 6, 3)), make_net((4, 6, 3))
    twin.fit(*blobs, epochs=1, batch_size=30)
    numpy_backend_get, fastnn.backends.get = fastnn.backends.get, lambda name: Once
    try:
        with pytest.raises(TrainingDiverged, match="does not repeat itself"):
            net.fit(*blobs, epochs=3, batch_size=30)
    finally:
        fastnn.backends.get = numpy_backend_get
    assert np.array_equal(net.arena, twin.arena)


def train(sizes=(16, 12, 10), X=X, y=Y, **settings):
    """Train, and return the warnings, the network and the error."""
    keys = ("activation", "init", "dtype", "loss")
    net = make_net(sizes, **{key: settings.pop(key) for key in keys if key in settings})
    change = settings.pop("change", None)
    if change:
        change(net)
    before, error = net.arena.copy(), None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            net.fit(X, y, **{"epochs": 1, "learning_rate": 0.01, **settings})
        except TrainingStopped as stopped:
            error = stopped
    assert all(type(each.message) is TrainingWarning for each in caught)
    return caught, net, error, before


def dead(net):
    net.biases[0][...] = -50


SICK = {
    "saturated": ({"activation": "sigmoid", "init": {"name": "uniform", "low": 0, "high": 4}}, "initial weights too large"),
    "saturated tanh": ({"activation": "tanh", "X": X * 1e4}, "inputs not scaled"),
    "saturated custom": (
        {"activation": activations.Custom(lambda x: math.tanh(x), lambda x: 1 - math.tanh(x) ** 2), "X": X * 1e4},
        "inputs not scaled",
    ),
    "dead": ({"change": dead}, "initial biases too large"),
    "dead from zeros": ({"init": "zeros"}, "initial weights are all 0 in layer 0"),
    "dead gelu": ({"activation": "gelu", "change": dead}, "initial biases too large"),
    "vanishing": ({"sizes": (16, *[12] * 25, 10), "activation": "sigmoid"}, "activations too flat"),
    "vanishing from zeros": ({"init": "zeros", "activation": "tanh"}, "initial weights are all 0 in layer 0"),
    "exploding": ({"learning_rate": 1e4}, "learning rate too high"),
    "exploding from targets": (
        {"y": np.full((120, 10), 1e6), "loss": "mean_squared_error"},
        "targets not scaled",
    ),
    "exploding adam": ({"optimizer": "adam", "learning_rate": 10.0}, "learning rate too high"),
}  # fmt: skip


@pytest.mark.parametrize("backend", ["jit", "reference"])
@pytest.mark.parametrize("case", SICK)
class TestHealth:
    def settings(self, case, backend):
        return {**SICK[case][0], "backend": backend}

    def test_a_warning_names_it_once(self, case, backend):
        caught, *_ = train(**self.settings(case, backend))
        first = caught[0].message
        assert (first.kind, first.step, first.epoch, first.layer) == (case.split()[0], 0, 1, 0)
        assert first.quantity == ("gradient" if first.kind in ("vanishing", "exploding") else "activations")
        assert first.range[0] <= first.range[1]
        assert first.causes[0].startswith(SICK[case][1])
        assert str(first.causes[0]) in str(first)
        told = [(each.message.kind, each.message.layer) for each in caught]
        assert len(set(told)) == len(told)
        assert Path(caught[0].filename) == Path(__file__)

    def test_stop_leaves_the_network_as_before_the_step(self, case, backend):
        caught, net, error, before = train(**self.settings(case, backend), anomalies="stop")
        assert not caught
        assert (error.kind, error.step, error.layer) == (case.split()[0], 0, 0)
        assert np.array_equal(net.arena, before)
        assert net.history.stopped == "TrainingStopped in epoch 1"

    def test_ignore_says_nothing(self, case, backend):
        caught, _, error, _ = train(**self.settings(case, backend), anomalies="ignore")
        assert not caught and error is None


def test_stop_later_keeps_what_was_trained(monkeypatch):
    monkeypatch.setattr(watch, "_PART", 0)
    net, twin = make_net(), make_net()
    settings = {"epochs": 3, "batch_size": 20, "learning_rate": lambda step: 1e4 if step == 9 else 0.01}
    with pytest.raises(TrainingStopped) as caught:
        net.fit(X, Y, **settings, anomalies="stop", callbacks=[StopAfter(99)])  # chunks of one step
    assert (caught.value.step, caught.value.epoch, caught.value.kind) == (9, 2, "exploding")
    twin.fit(X, Y, **settings, anomalies="ignore", callbacks=[StopAfter(9)])
    assert np.array_equal(net.arena, twin.arena)


def test_a_layer_that_dies_on_the_way_is_found_after_the_first_epoch():
    caught, *_ = train(learning_rate=30.0, batch_size=8)
    assert [each.message.kind for each in caught] == ["dead"]
    assert caught[0].message.step == 15
    assert caught[0].message.causes[0].startswith("learning rate too high: it is 30")


def test_the_haskell_network_is_named_within_100_steps():
    train_set, _ = datasets.load("mnist-small")
    net = fastnn.MLP([784, 1000, 10], "sigmoid", init=TOO_LARGE)
    with pytest.raises(TrainingStopped) as caught:
        net.fit(train_set.X, train_set.y, batch_size=20, learning_rate=0.05, anomalies="stop")
    error = caught.value
    assert (error.kind, error.layer, error.quantity) == ("saturated", 0, "activations")
    assert error.step < 100
    assert error.causes[0].startswith("initial weights too large: those of layer 0")


@pytest.mark.parametrize("case", SICK)
def test_too_few_units_or_rows_say_nothing(case):
    settings = SICK[case][0]
    sizes = [min(7, size) for size in settings.get("sizes", (16, 12, 10))]
    y = settings.get("y", Y) % 7 if settings.get("y", Y).ndim == 1 else settings["y"][:, :7]
    small = {**settings, "sizes": (16, *sizes[1:]), "y": y}
    assert not train(**small)[0]
    assert not train(**settings, batch_size=7)[0]


class TestWell:
    """Nothing is said; warnings are errors here. Looks are taken before every chunk."""

    @pytest.fixture(autouse=True)
    def always(self, monkeypatch):
        monkeypatch.setattr(watch, "_PART", 0)

    @pytest.mark.parametrize("optimizer", OPTIMIZERS)
    @pytest.mark.parametrize("activation", activations.names())
    def test_defaults_on_digits(self, activation, optimizer):
        train_set, _ = datasets.load("mnist-small")
        net = fastnn.MLP([784, 32, 16, 10], activation)
        net.fit(train_set.X, train_set.y, epochs=2, batch_size=32, optimizer=optimizer)

    @pytest.mark.parametrize("seed", range(12))
    def test_random_problems(self, seed):
        rng = np.random.default_rng(seed)
        hidden = rng.choice([1, 8, 9, 40], rng.integers(0, 4)).tolist()
        outputs = int(rng.choice([2, 8, 11]))
        loss = str(rng.choice(["cross_entropy", "mean_squared_error", "huber", "mean_absolute_error"]))
        X = rng.standard_normal((200, 20)) * (rng.random((200, 20)) < rng.choice([0.1, 1]))
        y = rng.integers(0, outputs, 200) if loss == "cross_entropy" else rng.standard_normal((200, outputs))
        net = fastnn.MLP([20, *hidden, outputs], str(rng.choice(activations.names())), loss=loss, seed=seed)
        settings = {"optimizer": str(rng.choice(OPTIMIZERS)), "dropout": float(rng.choice([0, 0.5]))}
        net.fit(X, y, epochs=5, batch_size=int(rng.choice([8, 50, 200])), **settings)

    def test_a_problem_that_is_solved(self):
        net = fastnn.MLP([16, 64, 10])
        net.fit(X, Y, epochs=600, batch_size=120, optimizer="adam", learning_rate=0.05)
        assert net.history.loss[-1] < 1e-3

    def test_a_minimum_that_leaves_a_loss(self):
        net = fastnn.MLP([2, 8], loss="mean_squared_error", dtype="float64")
        y = RNG.standard_normal((32, 8))
        net.fit(RNG.standard_normal((32, 2)), y, epochs=300, batch_size=32, learning_rate=0.5, shuffle=False)
        assert net.history.loss[-1] == pytest.approx(net.history.loss[-2], rel=1e-14)
        assert net.history.loss[-1] > 0.3


@pytest.mark.parametrize("backend", ["jit", "reference"])
def test_watching_changes_no_bit(monkeypatch, backend):
    nets = []
    for part in (0, math.inf):
        monkeypatch.setattr(watch, "_PART", part)
        net = make_net()
        net.fit(
            X[:40], Y[:40], epochs=3, batch_size=9, optimizer=optimizers.Adam(average=0.9), backend=backend
        )
        nets.append(net)
    assert nets[0].arena.tobytes() == nets[1].arena.tobytes()
