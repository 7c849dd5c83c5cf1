"""The compiled backend and the reference make the same steps, whatever a training run is made of."""

from dataclasses import replace

import numpy as np
import pytest
from runs import a_training, train

from fastnn import activations
from fastnn.activations import ELU, Custom, LeakyReLU, ShiftedReLU
from fastnn.backends import jit
from fastnn.backends.jit import JitBackend
from fastnn.backends.reference import ReferenceBackend
from fastnn.csr import CSR
from fastnn.kernels import threads as kernel_threads
from fastnn.losses import CrossEntropy, Huber
from fastnn.optimizers import SGD, Adagrad, Adam, AdamW, Lion, RMSprop

# Twelve steps of sums of some fifty terms each round by some 1e-14; the slightest difference in a formula is above 1e-6.
CLOSE = 1e-12

ACTIVATIONS = {name: name for name in activations.names()} | {
    "steep leaky_relu": LeakyReLU(0.3),
    "other shifted_relu": ShiftedReLU(-0.2),
    "other elu": ELU(0.5),
    "custom": Custom(lambda x: x / (1 + abs(x)), lambda x: 1 / (1 + abs(x)) ** 2, "softsign"),
}
LOSSES = {
    "labels": ("labels", "cross_entropy"),
    "smoothed labels": ("labels", CrossEntropy(0.1)),
    "soft targets": ("soft", "cross_entropy"),
    "smoothed targets": ("soft", CrossEntropy(0.2)),
    "multilabel": ("yes or no", "binary_cross_entropy"),
    "squares": ("values", "mean_squared_error"),
    "absolute": ("values", "mean_absolute_error"),
    "huber": ("values", "huber"),
    "other huber": ("values", Huber(0.3)),
}
OPTIMIZERS = {
    "sgd": SGD(0.1),
    "momentum": SGD(0.05, 0.9),
    "nesterov": SGD(0.05, 0.9, True),
    "adam": Adam(0.01),
    "adamw": AdamW(0.01),
    "rmsprop": RMSprop(0.01),
    "rmsprop with momentum": RMSprop(0.01, momentum=0.5),
    "adagrad": Adagrad(0.05),
    "lion": Lion(0.003),
}
EXTRAS = {
    "weight_decay": dict(weight_decay=0.05),
    "l1": dict(l1=0.01),
    "clip_value": dict(clip_value=0.01),
    "clip_norm": dict(clip_norm=0.05),
    "max_norm": dict(max_norm=0.6),
    "average": dict(average=0.8),
    "max_norm and average": dict(max_norm=0.6, average=0.8),
    "all": dict(weight_decay=0.05, l1=0.01, clip_value=0.02, clip_norm=0.1, max_norm=0.6, average=0.8),
}
SEEDS = range(4)


def parameters(name, cases):
    return pytest.mark.parametrize(name, cases.values(), ids=cases)


def assert_agree(training):
    one, other = train(JitBackend, training), train(ReferenceBackend, training)
    assert one.keys() == other.keys()
    for name in one:
        assert one[name].shape == other[name].shape
        assert np.abs(one[name] - other[name]).max() <= CLOSE * max(1, np.abs(other[name]).max()), name
    assert (one["parameters"] != training.net.arena).any()
    return one


@parameters("activation", ACTIVATIONS)
def test_activations(activation):
    for seed in SEEDS:
        assert_agree(a_training(seed, activation))


def test_another_activation_in_every_layer():
    for seed in SEEDS:
        assert_agree(a_training(seed, list(ACTIVATIONS.values()), dropout=seed % 2 == 1))


@parameters("case", LOSSES)
@pytest.mark.parametrize("weighted", [False, True])
def test_losses(case, weighted):
    kind, loss = case
    for seed in SEEDS:
        assert_agree(a_training(seed, "softplus", kind, loss, weighted=weighted))


@pytest.mark.parametrize("kind", ["labels", "values"])
def test_a_batch_that_weighs_nothing(kind):
    training = a_training(1, kind=kind, weighted=True, optimizer=SGD(0.1, 0.9, weight_decay=0.1))
    training.task.row_weights[:20] = 0
    first, *others = training.chunks
    nothing = replace(first, rows=first.rows % 20)
    found = assert_agree(replace(training, chunks=(nothing, *others)))
    assert found["totals"][0] == 0
    assert ((found["losses"] == 0) == (found["totals"] == 0)).all()
    assert found["losses"].any()


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("optimizer", [SGD(0.1), Adam(0.01)])
@pytest.mark.parametrize("activation", ["relu", "identity", "gelu"])
def test_dropout(activation, optimizer, sparse):
    differ = np.zeros(2, bool)
    for seed in SEEDS:
        training = a_training(seed, activation, optimizer=optimizer, dropout=True, sparse=sparse)
        found = assert_agree(training)
        for i, other in enumerate((training.change(dropout=()), training.change(stream=99))):
            differ[i] |= (train(JitBackend, other)["parameters"] != found["parameters"]).any()
    assert differ.all()  # of one seed alone the units that are dropped may be dead


def test_dropout_of_each_place_alone_and_of_nearly_all():
    training = a_training(0, sizes=[9, 7, 5, 3], sparse=False)
    for dropout in ((0.5, 0, 0), (0, 0.5, 0), (0, 0, 0.5), (0, 0, 1 - 1e-12), (1e-12, 0, 0)):
        assert_agree(training.change(dropout=dropout))
        assert_agree(training.change(dropout=dropout, sparse=True))


@parameters("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("sparse", [False, True])
def test_optimizers(optimizer, sparse):
    for seed in SEEDS:
        assert_agree(a_training(seed, optimizer=optimizer, sparse=sparse))


@parameters("optimizer", OPTIMIZERS)
@parameters("extras", EXTRAS)
def test_what_an_optimizer_may_have_besides(optimizer, extras):
    for seed in SEEDS:
        training = a_training(seed, optimizer=replace(optimizer, **extras), sparse=seed % 2 == 1)
        found = assert_agree(training)
        without = train(JitBackend, training.change(optimizer=optimizer))
        assert (found["pulled"] != without["pulled"]).any()


def test_all_at_once():
    for seed in range(20):
        kind, loss = list(LOSSES.values())[seed % len(LOSSES)]
        names = list(EXTRAS)
        assert_agree(
            a_training(
                seed,
                list(ACTIVATIONS.values()),
                kind,
                loss,
                optimizer=Adam(0.01, **EXTRAS[names[seed % len(names)]]),
                weighted=True,
                dropout=True,
                sparse=seed % 2 == 0,
            )
        )


@pytest.mark.parametrize("kind", ["labels", "values"])
def test_other_rows_in_the_place_of_those_of_x(kind):
    training = a_training(3, kind=kind, weighted=True, dropout=True, sparse=False)
    rng = np.random.default_rng(0)
    chunks = [
        replace(chunk, X=rng.uniform(-1, 1, (chunk.rows.size, training.net.sizes[0])))
        for chunk in training.chunks
    ]
    found = assert_agree(replace(training, chunks=tuple(chunks)))
    assert (found["parameters"] != train(JitBackend, training)["parameters"]).any()


def test_compressed_rows():
    training = a_training(5, "gelu", dropout=True, sparse=True)
    found = assert_agree(training)
    X = training.task.X
    rows, columns = X.nonzero()
    starts = np.searchsorted(rows, np.arange(len(X) + 1))
    compressed = training.change(X=CSR(starts, columns.astype(np.int32), X[rows, columns], X.shape))
    again = assert_agree(compressed)
    assert all(again[name].tobytes() == found[name].tobytes() for name in found)


# what a run may be interrupted by

EVERYTHING = Adam(0.01, **EXTRAS["all"])


def outcome(run):
    run.pull()
    return run.state() | {"pulled": run._net.arena.copy()}


def assert_close(one, other):
    for name in one:
        assert np.abs(one[name] - other[name]).max() <= CLOSE, name


@parameters("optimizer", OPTIMIZERS | {"all": EVERYTHING})
@pytest.mark.parametrize("backends", [(JitBackend, ReferenceBackend), (ReferenceBackend, JitBackend)])
def test_either_goes_on_from_the_state_of_the_other(optimizer, backends):
    training = a_training(2, optimizer=optimizer, dropout=True)
    expected = train(JitBackend, training)
    first, second = (backend(training.net, training.task) for backend in backends)
    for chunk in training.chunks[:2]:
        first.run(chunk)
    second.load_state(first.state())
    for chunk in training.chunks[2:]:
        second.run(chunk)
    assert_close(outcome(second), expected)
    first.close()
    second.close()


@pytest.mark.parametrize("backend", [JitBackend, ReferenceBackend])
@parameters("optimizer", OPTIMIZERS | {"all": EVERYTHING})
def test_a_snapshot_is_all_that_a_step_changes(optimizer, backend):
    training = a_training(2, optimizer=optimizer, dropout=True)
    run = backend(training.net, training.task)
    first, second, *_ = training.chunks
    run.run(first)
    snapshot = run.snapshot()
    states = []
    for _ in range(3):
        losses = run.run(second)
        states.append([array.tobytes() for array in (*losses, *run.state().values())])
        run.restore(snapshot)
    run.close()
    assert states[0] == states[1] == states[2]


def test_push_sets_the_parameters_and_their_average():
    outcomes = []
    for backend in (JitBackend, ReferenceBackend):
        training = a_training(4, optimizer=EVERYTHING)
        run = backend(training.net, training.task)
        first, second, *_ = training.chunks
        run.run(first)
        training.net.weights[0][...] = 0.25
        run.push()
        state = run.state()
        assert (state["parameters"] == training.net.arena).all()
        assert (state["average"] == training.net.arena).all()
        run.run(second)
        outcomes.append(outcome(run))
        run.close()
    assert_close(*outcomes)
    assert (outcomes[0]["pulled"] == outcomes[0]["average"]).all()
    assert (outcomes[0]["average"] != outcomes[0]["parameters"]).any()


# threads


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sparse", [False, True])
@parameters("optimizer", OPTIMIZERS | {"all": EVERYTHING, "limits": SGD(0.1, max_norm=0.6, clip_norm=0.05)})
def test_the_same_bits_with_any_number_of_threads(optimizer, sparse, dtype, monkeypatch):
    found = []
    for threads in (1, 2, 3):
        monkeypatch.setattr(jit, "Team", lambda _, threads=threads: kernel_threads.Team(threads))
        # Several tiles and panels, so that there is work for all.
        training = a_training(
            7,
            ["gelu", "relu", LeakyReLU(0.3)],
            sizes=[70, 150, 90, 35, 11],
            dtype=dtype,
            optimizer=optimizer,
            weighted=True,
            dropout=True,
            sparse=sparse,
        )
        found.append({name: array.tobytes() for name, array in train(JitBackend, training).items()})
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@parameters("case", LOSSES)
def test_the_same_bits_of_every_loss(case, dtype, monkeypatch):
    found = []
    for threads in (1, 2, 3):
        monkeypatch.setattr(jit, "Team", lambda _, threads=threads: kernel_threads.Team(threads))
        kind, loss = case
        training = a_training(7, "silu", kind, loss, dtype, weighted=True, sizes=[20, 90, 70])
        found.append({name: array.tobytes() for name, array in train(JitBackend, training).items()})
    assert found[0] == found[1] == found[2]


# float32


@parameters("activation", ACTIVATIONS)
def test_float32_is_near(activation):
    training = a_training(6, activation, dtype="float32", weighted=True, dropout=True)
    one, other = train(JitBackend, training), train(ReferenceBackend, training)
    # eps times the longest sum, for each of twelve steps.
    limit = np.finfo("f4").eps * (sum(training.net.sizes) + training.task.batch_size) * 12
    for name in one:
        assert np.abs(one[name] - other[name]).max() <= limit * max(1, np.abs(other[name]).max()), name


# gradients, outputs and losses without a step


def mean_loss(backend, training):
    task = training.task
    row_losses, _ = backend.losses(training.net, task.X, task.targets, None)
    weights = np.ones(len(task.X)) if task.row_weights is None else task.row_weights
    return weights @ row_losses / weights.sum()


def assert_gradients_are_slopes(backend, training):
    """Of every parameter, to eight digits: h² / 6 times a third derivative, and the rounding of the loss over h."""
    net, task = training.net, training.task
    dW, db = backend.gradients(net, task.X, task.targets, task.row_weights)
    h = 1e-5
    for array, gradient in zip((*net.weights, *net.biases), (*dW, *db), strict=True):
        assert gradient.shape == array.shape
        flat = array.reshape(-1)
        for i, p in enumerate(flat):
            flat[i] = p + h
            above = mean_loss(backend, training)
            flat[i] = p - h
            slope = (above - mean_loss(backend, training)) / (2 * h)
            flat[i] = p
            assert abs(gradient.reshape(-1)[i] - slope) <= 1e-8


def small(*arguments, **settings):
    """So few units and rows that hardly any is within h of a kink."""
    training = a_training(8, *arguments, sizes=[3, 5, 4, 2], **settings)
    task = training.task
    weights = None if task.row_weights is None else task.row_weights[:7]
    return training.change(X=task.X[:7], targets=task.targets[:7], row_weights=weights, batch_size=7)


@pytest.mark.parametrize("backend", [JitBackend, ReferenceBackend])
@parameters("activation", ACTIVATIONS)
def test_gradients_of_activations(activation, backend):
    assert_gradients_are_slopes(backend, small(activation))


@pytest.mark.parametrize("backend", [JitBackend, ReferenceBackend])
@pytest.mark.parametrize("weighted", [False, True])
@parameters("case", LOSSES)
def test_gradients_of_losses(case, weighted, backend):
    kind, loss = case
    assert_gradients_are_slopes(backend, small("tanh", kind, loss, weighted=weighted))


@parameters("case", LOSSES)
def test_gradients_outputs_and_losses(case):
    kind, loss = case
    for seed in SEEDS:
        training = a_training(seed, list(ACTIVATIONS.values()), kind, loss, weighted=seed % 2 == 1)
        net, task = training.net, training.task
        arguments = (net, task.X, task.targets, task.row_weights)
        one, other = JitBackend.gradients(*arguments), ReferenceBackend.gradients(*arguments)
        for pair in zip((*one[0], *one[1]), (*other[0], *other[1]), strict=True):
            assert np.abs(np.subtract(*pair)).max() <= CLOSE
        for rows in (1, 8, len(task.X)):  # a few rows take another way than many
            X = task.X[:rows]
            pair = [backend.predict_proba(net, X, None) for backend in (JitBackend, ReferenceBackend)]
            assert np.abs(np.subtract(*pair)).max() <= CLOSE
        arguments = (net, task.X, task.targets, None)
        one, other = JitBackend.losses(*arguments), ReferenceBackend.losses(*arguments)
        assert np.abs(one[0] - other[0]).max() <= CLOSE
        assert (one[1] == other[1]).all()
        assert one[1].dtype == other[1].dtype == np.int64
