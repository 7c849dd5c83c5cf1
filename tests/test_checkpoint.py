"""Checkpoints: an interrupted training goes on to the same bits; other trainings and damaged files are refused."""

import errno
import json
import os
import pickle
import signal
import time

import numpy as np
import pytest
import safetensors.numpy
from programs import run, start

import fastnn
from fastnn import optimizers, schedules, tensor_file
from fastnn.augmentation import Augment
from fastnn.callbacks import Callback, EarlyStopping
from fastnn.checkpoint import Checkpoint, CheckpointError
from fastnn.checkpoint import state as training_state

ROWS = 104
SIZES = [64, 64, 10]  # in batches of 16, enough work for two threads


def images(rows=ROWS, seed=0):
    rng = np.random.default_rng(seed)
    return rng.random((rows, 64)), rng.integers(0, 10, rows)


def make_net(sizes=SIZES, seed=3, epochs_trained=0, **settings):
    net = fastnn.MLP(sizes, seed=seed, **settings)
    net.epochs_trained = epochs_trained
    return net


class Interrupt:
    """A reporter that interrupts after some chunks."""

    def __init__(self, chunks):
        self.chunks = chunks

    def on_chunk(self, *_):
        self.chunks -= 1
        if self.chunks == 0:
            raise KeyboardInterrupt

    def on_epoch(self, *_):
        pass


class Nudge(Callback):
    """Changes the weights at each epoch's end by what it alone remembers."""

    def __init__(self):
        self.forces = np.zeros(3, np.float32)
        self.word, self.count, self.rate = "a", 0, np.float32(0.1)

    def on_epoch_end(self, net, history):
        self.count += 1
        self.rate = self.rate * np.float32(0.7)
        self.forces[self.count % 3] += self.rate
        self.word += "b"
        net.weights[0][:3, 0] += self.forces * len(self.word)

    def state(self):
        return {
            "forces": self.forces,
            "word": self.word,
            "count": self.count,
            "rate": self.rate,
            "none": None,
        }

    def restore(self, state):
        assert state["none"] is None
        assert isinstance(state["rate"], np.float32)
        self.forces, self.word, self.count, self.rate = (
            state[k] for k in ("forces", "word", "count", "rate")
        )


class StepNudge(Callback):
    """Is called after each step, which copies the parameters to and fro."""

    def on_step_end(self, net, history, step, loss):
        if step % 4 == 0:
            net.biases[0][0] += np.float32(loss / 8)


def content(net, history):
    """All that must be the same: parameters, epochs, and the history but for its times."""
    lists = {name: value for name, value in vars(history).items() if "second" not in name}
    return net.arena.tobytes(), net.epochs_trained, lists


def fit(net, arguments, **more):
    X, y = images()
    settings = {"epochs": 4, "batch_size": 16, "anomalies": "ignore"}
    with np.errstate(all="ignore"):
        return net.fit(X, y, **(settings | arguments() | more))


def go_on_until_done(make, arguments, path, chunks, **every):
    """Train with interruptions, each some chunks later than the last; return the final content and how many there were."""
    interruptions = 0
    net = make(epochs_trained=5)
    while True:
        try:
            history = fit(
                net,
                arguments,
                checkpoint=Checkpoint(path, resume=interruptions > 0, **every),
                progress=Interrupt(chunks + interruptions),
                threads=1 + interruptions % 2,
            )
        except KeyboardInterrupt:
            interruptions += 1
            net = make()  # what is in the file must replace all that it has
            net.weights[0] = np.ones_like(net.weights[0])
            assert interruptions < 50
        else:
            return content(net, history), interruptions


VALIDATION = images(20, seed=1)

CASES = {
    "sgd": lambda: {},
    "momentum": lambda: {"optimizer": optimizers.SGD(0.1, momentum=0.9)},
    "nesterov": lambda: {"optimizer": optimizers.SGD(0.1, momentum=0.9, nesterov=True)},
    "adam": lambda: {"optimizer": "adam"},
    "adamw": lambda: {"optimizer": "adamw"},
    "rmsprop": lambda: {"optimizer": "rmsprop"},
    "rmsprop with momentum": lambda: {"optimizer": optimizers.RMSprop(momentum=0.5)},
    "adagrad": lambda: {"optimizer": "adagrad"},
    "lion": lambda: {"optimizer": "lion"},
    "average": lambda: {"optimizer": optimizers.Adam(average=0.9, clip_norm=0.5, max_norm=1.0)},
    "dropout": lambda: {"dropout": 0.5, "input_dropout": 0.2},
    "augment": lambda: {"augment": Augment(shape=(8, 8), elastic=(4, 2))},
    "batch ramp": lambda: {"batch_size": schedules.BatchRamp(4, 32)},
    "batches that grow by step": lambda: {"batch_size": grown, "dropout": 0.2},
    "plateau": lambda: {
        "learning_rate": schedules.Plateau(2.0, factor=0.3, patience=0, metric="loss", least=0.01),
        "epochs": 8,
    },
    "warm-up to a plateau": lambda: {
        "learning_rate": schedules.Warmup(3, schedules.Plateau(0.9, factor=0.3, patience=0)),
        "epochs": 8,
        "validation": VALIDATION,
    },
    "one cycle": lambda: {"learning_rate": schedules.OneCycle(0.5)},
    "function": lambda: {"learning_rate": falling},
    "early stopping": lambda: {
        "learning_rate": 2.0,
        "validation": VALIDATION,
        "callbacks": [EarlyStopping(patience=2)],
    },
    "class weights": lambda: {"class_weight": "balanced", "sample_weight": np.arange(1, ROWS + 1)},
    "callbacks": lambda: {"callbacks": [Nudge(), lambda net, history: None], "norms": True},
    "step callback": lambda: {"callbacks": [StepNudge()], "optimizer": optimizers.SGD(average=0.8)},
    "file order": lambda: {"shuffle": False},
}


def grown(step):
    return 3 + step // 4


def falling(step):
    return 0.1 / (1 + step)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CASES)
def test_an_interrupted_training_ends_in_the_same_bits(name, dtype, tmp_path):
    def make(**settings):
        return make_net(dtype=dtype, **settings)

    whole = make(epochs_trained=5)
    history = fit(whole, CASES[name], threads=1)
    expected = content(whole, history)
    assert "plateau" not in name or len(set(history.learning_rate[:-1])) > 1
    for chunks, every in ((4, {"steps": 3}), (3, {}), (2, {"seconds": 1e-9})):
        got, interruptions = go_on_until_done(make, CASES[name], tmp_path / str(every), chunks, **every)
        assert got == expected
        assert interruptions > 1


def test_sparse_rows_and_other_losses(tmp_path):
    X, _ = images()
    X[X < 0.8] = 0
    path = tmp_path / "file"

    def go(sparse=True, **more):
        net = make_net([64, 64, 3], activation="tanh", loss="huber")
        settings = {"epochs": 3, "batch_size": 16, "optimizer": "adam", "dropout": 0.3, "input_dropout": 0.1}
        history = net.fit(X, X[:, :3], sparse=sparse, anomalies="ignore", **settings, **more)
        return content(net, history)

    expected = go()
    with pytest.raises(KeyboardInterrupt):
        go(checkpoint=Checkpoint(path, steps=2), progress=Interrupt(5))
    assert go(checkpoint=Checkpoint(path, resume=True)) == expected
    with pytest.raises(ValueError, match=r"inputs were sparse and are dense; give sparse=True"):
        go(sparse=False, checkpoint=Checkpoint(path, resume=True))


@pytest.mark.parametrize(
    "optimizer",
    ["sgd", "adam", optimizers.RMSprop(momentum=0.5, average=0.9)],
    ids=["sgd", "adam", "rmsprop"],
)
def test_the_reference_backend(optimizer, tmp_path):
    X, y = images(20)

    def go(net, **more):
        arguments = {"epochs": 3, "batch_size": 4, "optimizer": optimizer, "dropout": 0.2}
        return net.fit(X[:, :6], y % 3, backend="reference", anomalies="ignore", **arguments, **more)

    # In float32 the reference's parameters are finer than the network's: pulling them in between would round them.
    whole = make_net([6, 5, 3])
    expected = content(whole, go(whole))
    for chunks in (3, 7, 10):
        path = tmp_path / f"{chunks}"
        with pytest.raises(KeyboardInterrupt):
            go(make_net([6, 5, 3]), checkpoint=Checkpoint(path, steps=1), progress=Interrupt(chunks))
        net = make_net([6, 5, 3])
        assert content(net, go(net, checkpoint=Checkpoint(path, resume=True))) == expected


# When the file is written, and what of a finished training.


def steps_in(path):
    return training_state.Saved(str(path))._description["position"]["step"]


class Watch(Interrupt):
    """Notes at which steps the file was written, looking after every chunk and epoch."""

    def __init__(self, path):
        self.path, self.seen = path, []

    def look(self, *_):
        step = steps_in(self.path)
        if step not in self.seen:
            self.seen.append(step)

    on_chunk = on_epoch = look


@pytest.mark.parametrize(
    ("every", "seen"),
    [
        ({"steps": 5}, [0, 5, 10, 15, 20, 25]),
        ({"steps": 1000}, [0]),
        ({}, [0, 7, 14, 21]),
        ({"seconds": 1000}, [0]),
    ],
    ids=str,
)
def test_when_the_file_is_written(every, seen, tmp_path):
    watch = Watch(tmp_path / "file")
    fit(make_net(), dict, checkpoint=Checkpoint(tmp_path / "file", **every), progress=watch)
    assert watch.seen == seen
    assert steps_in(tmp_path / "file") == 28  # always at the end
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("every", [{"steps": 5}, {}], ids=str)
def test_augmented_chunks_end_where_the_file_is_due(every, tmp_path):
    watch = Watch(tmp_path / "file")
    fit(make_net(), CASES["augment"], checkpoint=Checkpoint(tmp_path / "file", **every), progress=watch)
    assert watch.seen == ([0, 5, 10, 15, 20, 25] if every else [0, 7, 14, 21])


def test_seconds(tmp_path):
    watch = Watch(tmp_path / "file")
    watch.on_epoch = lambda *_: (watch.look(), time.sleep(0.06))
    fit(make_net(), dict, checkpoint=Checkpoint(tmp_path / "file", seconds=0.1), progress=watch)
    assert len(watch.seen) > 1
    assert len(watch.seen) < 4


@pytest.mark.parametrize("name", ["early stopping", "average", "sgd", "callbacks"])
def test_a_finished_training_returns_at_once(name, tmp_path):
    first = make_net()
    history = fit(first, CASES[name], epochs=20, checkpoint=Checkpoint(tmp_path / "file", steps=1000))
    assert (history.stopped is not None) == (name == "early stopping")
    again = make_net()
    before = (tmp_path / "file").read_bytes()
    checkpoint = Checkpoint(tmp_path / "file", resume=True)
    # There is no chunk at which it could be interrupted.
    resumed = fit(again, CASES[name], epochs=20, checkpoint=checkpoint, progress=Interrupt(1))
    assert vars(resumed) == vars(history)
    assert again.arena.tobytes() == first.arena.tobytes()
    assert again.history is resumed
    assert (tmp_path / "file").read_bytes() == before


def test_more_epochs(tmp_path):
    whole = make_net()
    arguments = CASES["callbacks"]
    expected = content(whole, fit(whole, arguments, epochs=6))
    fit(make_net(), arguments, epochs=2, checkpoint=Checkpoint(tmp_path / "file"))
    net = make_net()
    history = fit(net, arguments, epochs=6, checkpoint=Checkpoint(tmp_path / "file", resume=True))
    assert content(net, history) == expected


def test_a_training_that_ran_out_of_time_goes_on(tmp_path):
    whole = make_net()
    expected = content(whole, fit(whole, dict, epochs=3))
    checkpoint = Checkpoint(tmp_path / "file", steps=2)
    history = fit(make_net(), dict, epochs=3, checkpoint=checkpoint, time_budget=1e-9)
    assert "time budget" in history.stopped
    assert 0 < steps_in(tmp_path / "file") < 21
    net = make_net()
    history = fit(net, dict, epochs=3, checkpoint=Checkpoint(tmp_path / "file", resume=True))
    assert content(net, history) == expected


def test_without_resume_and_without_a_file(tmp_path):
    path = tmp_path / "file"
    expected = content(net := make_net(), fit(net, dict))
    for resume in (True, False, False):  # the first finds none, the last two overwrite it
        net = make_net()
        assert content(net, fit(net, dict, checkpoint=Checkpoint(path, resume=resume))) == expected


def test_the_seconds_of_an_epoch_add_up(tmp_path):
    path = tmp_path / "file"
    with pytest.raises(KeyboardInterrupt):
        fit(make_net(), dict, checkpoint=Checkpoint(path, steps=1), progress=Interrupt(4))
    saved = training_state.Saved(str(path))
    saved._description["position"]["seconds"] = 1000.0
    path.write_bytes(tensor_file.encode(training_state.KIND, saved._description, saved._tensors))
    history = fit(make_net(), dict, checkpoint=Checkpoint(path, resume=True))
    assert history.seconds[0] > 1000
    assert max(history.seconds[1:]) < 100


# What is of another training.


def kept(path):
    fit(make_net(), dict, epochs=3, checkpoint=Checkpoint(path))
    return path


OTHERS = [
    ({"batch_size": 17}, "batch_size of epoch 1 was 16 and is 17"),
    ({"epochs": 2}, "epochs was 3 and is 2"),
    ({"shuffle": False}, "shuffle was True and is False"),
    ({"optimizer": "adam"}, "optimizer was SGD and is Adam"),
    ({"learning_rate": 0.2}, "optimizer.learning_rate was 0.1 and is 0.2"),
    ({"learning_rate": falling}, "optimizer.learning_rate was 0.1 and is 'falling'"),
    ({"optimizer": optimizers.SGD(average=0.9)}, "optimizer.average was None and is 0.9"),
    ({"dropout": 0.5}, "dropout was [] and is [0.0, 0.5]"),
    ({"augment": Augment(shape=(8, 8))}, "augment was None and is Augment"),
    ({"norms": True}, "norms was False and is True"),
    ({"class_weight": "balanced"}, "weights of the rows was None and is"),
    ({"validation": VALIDATION}, "validation was None and is"),
    ({"callbacks": [Nudge()]}, "callbacks was [] and is ['Nudge']"),
    ({"backend": "reference"}, "backend was 'jit' and is 'reference'"),
]


@pytest.mark.parametrize(("change", "message"), OTHERS, ids=lambda value: str(value)[:30])
def test_other_arguments(change, message, tmp_path):
    path = kept(tmp_path / "file")
    net = make_net(seed=3)
    before = net.arena.tobytes()
    with pytest.raises(ValueError, match="is of another training") as caught:
        fit(net, dict, **({"epochs": 3} | change), checkpoint=Checkpoint(path, resume=True))
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert (net.arena.tobytes(), net.history) == (before, None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 4}, "seed was 3 and is 4"),
        ({"sizes": [64, 65, 10]}, "sizes[1] was 64 and is 65"),
        ({"sizes": [64, 10]}, "sizes was [64, 64, 10] and is [64, 10]"),
        ({"dtype": "float64"}, "dtype was 'float32' and is 'float64'"),
        ({"activation": "tanh"}, "activations[0] was ReLU and is Tanh"),
        (
            {"loss": {"name": "cross_entropy", "label_smoothing": 0.1}},
            "loss.label_smoothing was 0.0 and is 0.1",
        ),
    ],
    ids=lambda value: str(value)[:30],
)
def test_other_networks(change, message, tmp_path):
    path = kept(tmp_path / "file")
    with pytest.raises(ValueError, match="is of another training") as caught:
        fit(make_net(**change), dict, checkpoint=Checkpoint(path, resume=True))
    assert message in str(caught.value)


def test_other_data(tmp_path):
    path = kept(tmp_path / "file")
    X, y = images()
    for X_now, y_now, what in (
        (X + 1, y, "X"),
        (X, (y + 1) % 10, "y"),
        (X[:-1], y[:-1], "rows was 104 and is 103"),
    ):
        with pytest.raises(ValueError, match="is of another training") as caught:
            make_net().fit(X_now, y_now, 3, 16, checkpoint=Checkpoint(path, resume=True))
        assert f"training: {what}" in str(caught.value)


def test_functions_are_told_apart_by_their_names(tmp_path):
    def other(x):
        return x * np.tanh(x)

    def one(x):
        return x * np.tanh(x)

    path = tmp_path / "file"
    fit(make_net(activation=one), dict, checkpoint=Checkpoint(path))
    fit(make_net(activation=one), dict, checkpoint=Checkpoint(path, resume=True))
    with pytest.raises(ValueError, match=r"activations\[0\]\.function was '.*one' and is '.*other'"):
        fit(make_net(activation=other), dict, checkpoint=Checkpoint(path, resume=True))


# Damaged and foreign files, and places that cannot be written.


def refuse(path, error=CheckpointError):
    net = make_net()
    net.epochs_trained = 1
    before = net.arena.tobytes()
    content = path.read_bytes()
    with pytest.raises(error) as caught:
        fit(net, dict, epochs=3, checkpoint=Checkpoint(path, resume=True))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert (net.arena.tobytes(), net.epochs_trained, net.history) == (before, 1, None)
    assert path.read_bytes() == content
    return str(caught.value)


def test_truncated_and_flipped(tmp_path):
    path = kept(tmp_path / "file")
    original = path.read_bytes()
    for length in [0, 5, 8, 100, len(original) // 2, len(original) - 1]:
        path.write_bytes(original[:length])
        refuse(path)
    path.write_bytes(original + b"\0")
    refuse(path)
    for position in (3, 20, 300, len(original) // 2, len(original) - 1):
        damaged = bytearray(original)
        damaged[position] ^= 4
        path.write_bytes(damaged)
        refuse(path)


def test_foreign(tmp_path):
    path = tmp_path / "file"
    for data in (
        b"{}",
        b"sepal length,species\n" * 20,
        pickle.dumps({"weights": [1.0, 2.0]}),
        safetensors.numpy.save({"weights.0": np.eye(2)}),
    ):
        path.write_bytes(data)
        refuse(path)
    make_net().save(path)
    assert "not a checkpoint, but a file of fastnn's of another kind" in refuse(path)
    kept(path)
    with pytest.raises(ValueError, match="not a model file, but a file of fastnn's of another kind"):
        fastnn.load(path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"format": 2}, "later"),
        ({"format": "1"}, "format"),
        ({"import": "os"}, "not known"),
        ({"sha256": "0"}, "SHA-256"),
    ],
    ids=str,
)
def test_descriptions_that_do_not_fit(change, reason, tmp_path):
    path = kept(tmp_path / "file")
    description = training_state.Saved(str(path))._description
    tensors = safetensors.numpy.load_file(path)
    path.write_bytes(
        tensor_file.encode(training_state.KIND, description | change, dict(sorted(tensors.items())))
    )
    if "sha256" in change:
        data = path.read_bytes()
        mark = json.dumps({"sha256": ""})[1:11].replace('"', '\\"').encode()
        assert mark in data
        where = data.index(b"sha256") + 14
        path.write_bytes(
            data[:where] + (b"0" if data[where : where + 1] != b"0" else b"1") + data[where + 1 :]
        )
    assert reason in refuse(path)


def test_folders_and_places_that_cannot_be_written(tmp_path):
    net = make_net()
    with pytest.raises(OSError, match="cannot be read"):
        fit(net, dict, checkpoint=Checkpoint(tmp_path, resume=True))
    before = net.arena.tobytes()
    for path in (tmp_path, tmp_path / "missing" / "file"):
        with pytest.raises(OSError, match="cannot be written"):  # before anything is trained
            fit(net, dict, checkpoint=Checkpoint(path))
    assert net.arena.tobytes() == before


def test_a_full_disk_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    writes = iter([True] * 3)

    real = os.write

    def full(file, data):
        if next(writes, False):
            return real(file, data)
        real(file, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("fastnn.atomic_file.os.write", full)
        with pytest.raises(OSError, match="No space left"):
            fit(make_net(), dict, checkpoint=Checkpoint(path))
    assert os.listdir(tmp_path) == ["file"]
    assert steps_in(path) == 14
    whole, net = make_net(), make_net()
    assert content(net, fit(net, dict, checkpoint=Checkpoint(path, resume=True))) == content(
        whole, fit(whole, dict)
    )


def test_parameters_that_are_not_finite_are_not_written(tmp_path):
    # The first step's loss is finite, and its parameters are not; it is the next step in which that shows.
    path = tmp_path / "file"
    X, y = images()
    settings = {"batch_size": 16, "learning_rate": 3e38, "anomalies": "ignore"}
    with pytest.raises(fastnn.TrainingDiverged), np.errstate(all="ignore"):
        make_net().fit(100 * X, y, **settings, checkpoint=Checkpoint(path, steps=1))
    assert steps_in(path) == 0
    assert np.isfinite(safetensors.numpy.load_file(path)["backend.parameters"]).all()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"path": 3}, TypeError),
        ({"path": "a\0b"}, ValueError),
        ({"steps": 0}, ValueError),
        ({"steps": 1.0}, TypeError),
        ({"seconds": 0}, ValueError),
        ({"seconds": "1"}, TypeError),
        ({"resume": 1}, TypeError),
    ],
    ids=str,
)
def test_bad_arguments(arguments, error):
    (name,) = arguments
    with pytest.raises(error, match=name):
        Checkpoint(**({"path": "file"} | arguments))


@pytest.mark.parametrize("value", [object(), [1], 1j, np.array(["a"]), {}], ids=str)
def test_states_that_cannot_be_written(value, tmp_path):
    class Strange(Callback):
        def state(self):
            return {"thing": value}

    with pytest.raises(TypeError, match=r"callback Strange: state\(\)\['thing'\] is"):
        fit(make_net(), dict, callbacks=[Strange()], checkpoint=Checkpoint(tmp_path / "file"))


# Other processes.

PROGRAM = """
    import sys, numpy as np, fastnn
    from fastnn import optimizers, schedules, callbacks
    from fastnn.augmentation import Augment
    path, resume, threads = sys.argv[1], sys.argv[2] == "resume", int(sys.argv[3])
    rng = np.random.default_rng(0)
    X, y = rng.random((1000, 64), np.float32), rng.integers(0, 10, 1000)
    net = fastnn.MLP([64, 64, 10], activation=["gelu"], seed=1)
    history = net.fit(
        X, y, epochs=int(sys.argv[4]), batch_size=schedules.BatchRamp(16, 64), dropout=0.2,
        optimizer=optimizers.AdamW(schedules.Plateau(0.01, 0.5, 1, "loss"), average=0.99, clip_norm=1.0),
        callbacks=[callbacks.EarlyStopping(patience=100)], validation=(X[:50], y[:50]), threads=threads,
        augment=Augment(shape=(8, 8)), anomalies="ignore",
        checkpoint=None if path == "none" else fastnn.Checkpoint(path, steps=5, resume=resume),
    )
    print(net.arena.tobytes().hex(), history.loss, history.val_loss, history.learning_rate)
"""


@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_process(kill, tmp_path):
    path = tmp_path / "file"
    expected = run(PROGRAM, "none", "new", 2, 40)
    for i in range(3):
        program = start(PROGRAM, path, "resume", 1 + i % 2, 40)
        before = path.read_bytes() if path.exists() else b""
        wait_for(
            lambda before=before: path.exists() and len(path.read_bytes()) and path.read_bytes() != before
        )
        time.sleep(0.05)
        program.send_signal(kill)
        program.communicate()
        assert program.returncode == -kill
    assert run(PROGRAM, path, "resume", 1, 40) == expected


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_the_limit_of_a_files_size_keeps_the_old_file(tmp_path):
    path = tmp_path / "file"
    code = """
        import resource, signal, sys, numpy as np, fastnn
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        X, y = np.eye(64), np.arange(64) % 10
        net = fastnn.MLP([64, 64, 10])
        def limit(net, history):
            resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))
        try:
            net.fit(X, y, epochs=2, callbacks=[limit], checkpoint=fastnn.Checkpoint(sys.argv[1]))
        except OSError as error:
            print(error.errno)
    """
    assert run(code, path) == str(errno.EFBIG)
    assert steps_in(path) == 0
    assert os.listdir(tmp_path) == ["file"]
