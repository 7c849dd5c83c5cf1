"""Model files: what is saved comes back, what is damaged or foreign is refused. Also test_atomic_file.py."""

import base64
import hashlib
import io
import json
import os
import pickle
import threading
from contextlib import contextmanager

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import fastnn
from fastnn import model_file
from fastnn.activations import Custom
from fastnn.losses import LOSSES
from fastnn.model_file import ModelFileError


def make_net(seed=0, sizes=(3, 4, 2), dtype="float32"):
    net = fastnn.MLP(list(sizes), activation="identity", init="glorot_uniform", dtype=dtype, seed=seed)
    for bias in net.biases:
        bias += np.arange(bias.size)
    net.classes = [f"class {i}" for i in range(sizes[-1])]
    net.epochs_trained = 7 + seed
    return net


def content(net):
    settings = (net.sizes, net.activations, net.loss, net.init, net.dtype, net.seed, net.classes)
    return (*settings, net.epochs_trained), [array.tobytes() for array in (*net.weights, *net.biases)]


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "net.safetensors"
    make_net().save(path)
    return path


def refuse(path):
    """Check that the file is refused, in one line that names it; return the reason."""
    with pytest.raises(ModelFileError) as caught:
        fastnn.load(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    assert len(message) < len(str(path)) + 300
    return message


# What is saved comes back.


@settings(max_examples=50)
@given(data=st.data())
def test_round_trip(data, tmp_path_factory):
    sizes = [*data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=4)), data.draw(st.integers(2, 4))]
    dtype = data.draw(st.sampled_from(["float32", "float64"]))
    activations = [
        *map(fastnn.activations.resolve, fastnn.activations.names()),
        fastnn.activations.LeakyReLU(0.1),
        fastnn.activations.ShiftedReLU(-0.3),
        fastnn.activations.ELU(1 / 3),
    ]
    losses = [*LOSSES, fastnn.losses.CrossEntropy(label_smoothing=0.1), fastnn.losses.Huber(delta=2.5)]
    inits = ["he_normal", "zeros", {"name": "uniform", "low": -0.1, "high": 1 / 3}]
    net = fastnn.MLP(
        sizes,
        activation=[data.draw(st.sampled_from(activations)) for _ in sizes[1:-1]],
        loss=data.draw(st.sampled_from(losses)),
        init=data.draw(st.sampled_from([*inits, {"name": "normal", "deviation": 0.2}])),
        dtype=dtype,
        seed=data.draw(st.integers(0, 2**70)),
    )
    finite = {"allow_nan": False, "allow_infinity": False}
    for parameters in (net.weights, net.biases):
        for i, array in enumerate(parameters):
            parameters[i] = data.draw(arrays(dtype, array.shape, elements=finite))
    names = st.lists(st.text(), min_size=sizes[-1], max_size=sizes[-1], unique=True)
    net.classes = data.draw(st.none() | names)
    net.epochs_trained = data.draw(st.integers(0, 10**6))
    path = tmp_path_factory.mktemp("round") / "net"
    net.save(path)
    assert content(fastnn.load(path)) == content(net)


def test_equal_networks_give_equal_files(tmp_path):
    for name in "ab":
        make_net().save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_weights_given_as_arrays(tmp_path):
    net = fastnn.MLP([2, 2], init=[np.eye(2)])
    net.save(tmp_path / "net")
    assert content(fastnn.load(tmp_path / "net")) == content(net)


def test_any_safetensors_reader_can_read_the_parameters(saved):
    tensors = safetensors.numpy.load_file(saved)
    net = make_net()
    assert sorted(tensors) == ["biases.0", "biases.1", "weights.0", "weights.1"]
    np.testing.assert_array_equal(tensors["weights.1"], net.weights[1])


def test_loaded_network_goes_on_as_the_saved_one(tmp_path):
    X, y = np.random.default_rng(0).random((20, 3)), np.arange(20) % 2
    net = make_net()
    net.fit(X, y, epochs=1, backend="reference")
    net.save(tmp_path / "net")
    again = fastnn.load(tmp_path / "net")
    for one in (net, again):
        one.fit(X, y, epochs=1, backend="reference")
    assert content(again) == content(net)


@pytest.mark.parametrize("kind", [str, os.fsencode, lambda path: path])
def test_kinds_of_path(saved, kind):
    path = kind(saved)
    fastnn.load(path).save(path)


# What is not exactly a saved network is refused.


def test_every_flipped_bit_is_noticed(saved):
    original, expected = saved.read_bytes(), content(make_net())
    for position in range(len(original)):
        for bit in range(8):
            damaged = bytearray(original)
            damaged[position] ^= 1 << bit
            saved.write_bytes(damaged)
            try:
                net = fastnn.load(saved)
            except ModelFileError:
                continue
            assert content(net) == expected, f"bit {bit} of byte {position}"


def test_every_truncation_is_noticed(saved):
    original = saved.read_bytes()
    for length in range(len(original)):
        saved.write_bytes(original[:length])
        refuse(saved)
    saved.write_bytes(original + b"\0")
    refuse(saved)


def npz():
    file = io.BytesIO()
    np.savez(file, weights=np.eye(2))
    return file.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        bytes(8),
        bytes(1000),
        b"sepal length,species\n" * 20,
        pickle.dumps({"weights": [1.0, 2.0]}),
        npz(),
        (2**64 - 1).to_bytes(8, "little") + b"{}",
        (2**20 + 8).to_bytes(8, "little") + b"{}".ljust(2**20 + 8),
        (10).to_bytes(8, "little") + b"{}",
        (4).to_bytes(8, "little") + b"null",
        (2).to_bytes(8, "little") + b"\xff\xfe",
        (100_000).to_bytes(8, "little") + b"[" * 100_000,
        safetensors.numpy.save({"weights.0": np.eye(2)}),
        safetensors.numpy.save({"weights.0": np.eye(2)}, {"format": "np"}),
    ],
    ids=lambda data: f"{data[:12]!r}",
)
def test_foreign_files(tmp_path, data):
    path = tmp_path / "foreign"
    path.write_bytes(data)
    refuse(path)


@settings(max_examples=200)
@given(data=st.binary(max_size=200), framed=st.booleans())
def test_arbitrary_bytes(data, framed, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "arbitrary"
    path.write_bytes(len(data).to_bytes(8, "little") + data if framed else data)
    refuse(path)


def forge(path, metadata=None, tensors=None, **changes):
    """Write a good file, but for the changes, with the checksum that the format asks for."""
    net = make_net()
    good = {"weights.0": net.weights[0], "biases.0": net.biases[0]}
    good |= {"weights.1": net.weights[1], "biases.1": net.biases[1]}
    tensors = good if tensors is None else tensors(good)
    description = {
        "format": 2,
        "sizes": [3, 4, 2],
        "activations": [{"name": "identity"}],
        "loss": {"name": "cross_entropy", "label_smoothing": 0.0},
        "init": "glorot_uniform",
        "dtype": "float32",
        "seed": 0,
        "classes": ["class 0", "class 1"],
        "epochs_trained": 7,
    }
    description |= {key: value for key, value in changes.items() if key != "sha256"}
    description = {key: value for key, value in description.items() if value is not Ellipsis}
    digest = hashlib.sha256(json.dumps(description, sort_keys=True).encode())
    for name, array in tensors.items():
        digest.update(f"{name} {array.dtype.name} {array.shape}\n".encode() + array.tobytes())
    description["sha256"] = changes.get("sha256", digest.hexdigest())
    metadata = {"fastnn": json.dumps(description)} | (metadata or {})
    path.write_bytes(safetensors.numpy.save(tensors, metadata))


def test_the_format_is_as_its_description_says(tmp_path, saved):
    path = tmp_path / "forged"
    forge(path)
    assert content(fastnn.load(path)) == content(make_net())
    assert path.stat().st_size == saved.stat().st_size


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"format": 3}, "later"),
        ({"format": 1}, "not known"),
        ({"format": 0}, "format"),
        ({"format": "1"}, "format"),
        ({"format": True}, "format"),
        ({"format": ...}, "format"),
        ({"seed": ...}, "lacks an entry"),
        ({"import": "os"}, "not known"),
        ({"activations": "relu"}, "activations"),
        ({"activations": []}, "activations"),
        ({"activations": None}, "activations"),
        ({"activations": [{"name": "relu"}] * 2}, "activations"),
        ({"activations": ["relu"]}, "activations[0]"),
        ({"activations": [{"name": "os.system"}]}, "activations[0]"),
        ({"activations": [{}]}, "activations[0]"),
        ({"activations": [{"name": "elu", "alpha": "1"}]}, "alpha"),
        ({"activations": [{"name": "elu", "import": "os"}]}, "'import'"),
        ({"activations": [{"name": "custom"}]}, "activations[0].function"),
        ({"activations": [{"name": "custom", "function": ["os"]}]}, "activations[0].function"),
        ({"activations": [{"name": "custom", "function": "bump"}]}, "activations={'bump': function}"),
        ({"loss": "cross_entropy"}, "loss"),
        ({"loss": None}, "loss"),
        ({"loss": {}}, "loss"),
        ({"loss": {"name": "hinge"}}, "loss"),
        ({"loss": {"name": "huber", "delta": -1.0}}, "delta"),
        ({"loss": {"name": "huber", "import": "os"}}, "'import'"),
        ({"init": "ones"}, "init"),
        ({"init": [[1.0]]}, "init"),
        ({"init": {"name": "uniform", "low": 0}}, "init"),
        ({"init": None}, "init"),
        ({"dtype": "float16"}, "dtype"),
        ({"dtype": "<f4"}, "dtype"),
        ({"dtype": "float64"}, "F64"),
        ({"sizes": [3, 4]}, "tensors"),
        ({"sizes": [3, 4, 4, 2]}, "tensors"),
        ({"sizes": [4, 3, 2]}, "weights.0"),
        ({"sizes": [3, 4, -2]}, "sizes"),
        ({"sizes": [3.0, 4, 2]}, "sizes"),
        ({"sizes": ["3", 4, 2]}, "sizes"),
        ({"sizes": "342"}, "sizes"),
        ({"sizes": []}, "sizes"),
        ({"sizes": [2**31 - 1, 2**31 - 1, 2]}, "weights.0"),
        ({"sizes": [10**400, 4, 2]}, "sizes"),
        ({"seed": -1}, "seed"),
        ({"seed": 1.0}, "seed"),
        ({"seed": None}, "seed"),
        ({"classes": ["one"]}, "classes"),
        ({"classes": ["one", 2]}, "classes"),
        ({"classes": "ab"}, "classes"),
        ({"epochs_trained": -1}, "epochs_trained"),
        ({"epochs_trained": float("nan")}, "epochs_trained"),
        ({"sha256": "0" * 64}, "SHA-256"),
        ({"sha256": None}, "SHA-256"),
        ({"metadata": {"more": "text"}}, "not known"),
        ({"metadata": {"fastnn": "[]"}}, "is not that of a model"),
        ({"metadata": {"fastnn": "{"}}, "JSON"),
        ({"metadata": {"fastnn": '{"a":' * 5000}}, "JSON"),
        ({"metadata": {"fastnn": '{"format": 1, "format": 1}'}}, "twice"),
        ({"metadata": {"fastnn": '{"format": ' + "9" * 5000 + "}"}}, "JSON"),
        ({"tensors": lambda good: {}}, "tensors"),
        ({"tensors": lambda good: good | {"weights.2": np.eye(2)}}, "tensors"),
        ({"tensors": lambda good: good | {"biases.0": np.zeros((4, 1), "f4")}}, "biases.0"),
        ({"tensors": lambda good: good | {"weights.0": np.zeros((4, 3), "f4")}}, "weights.0"),
        ({"tensors": lambda good: good | {"biases.0": np.zeros(4, "f8")}}, "biases.0"),
        ({"tensors": lambda good: good | {"biases.0": np.zeros(4, "i4")}}, "biases.0"),
        ({"tensors": lambda good: good | {"biases.0": np.array([0, 1, np.nan, 3], "f4")}}, "biases"),
        ({"tensors": lambda good: good | {"weights.1": np.full((4, 2), np.inf, "f4")}}, "weights"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_descriptions_that_do_not_fit(tmp_path, change, reason):
    path = tmp_path / "forged"
    forge(path, **change)
    assert reason in refuse(path)


# Made by the first version, with net.save.
FORMAT_1 = """
MAIAAAAAAAB7Il9fbWV0YWRhdGFfXyI6eyJmYXN0bm4iOiJ7XCJmb3JtYXRcIjogMSwgXCJzaXplc1wiOiBbMywgNCwgMl0sIFwi
YWN0aXZhdGlvblwiOiBcImlkZW50aXR5XCIsIFwiaW5pdFwiOiBcImdsb3JvdF91bmlmb3JtXCIsIFwiZHR5cGVcIjogXCJmbG9h
dDMyXCIsIFwic2VlZFwiOiA1LCBcImNsYXNzZXNcIjogW1wibm9cIiwgXCJ5ZXNcIl0sIFwiZXBvY2hzX3RyYWluZWRcIjogMTEs
IFwic2hhMjU2XCI6IFwiMDE3NjRmNTU1MzRkNGVlOWZiOTU2NTIwZTNiZmNiMTAzZmJiNWU4ZGFjMDI3ZmI1MmM5MzgwMzEyZTc2
ZWFlYlwifSJ9LCJiaWFzZXMuMCI6eyJkdHlwZSI6IkYzMiIsInNoYXBlIjpbNF0sImRhdGFfb2Zmc2V0cyI6WzAsMTZdfSwiYmlh
c2VzLjEiOnsiZHR5cGUiOiJGMzIiLCJzaGFwZSI6WzJdLCJkYXRhX29mZnNldHMiOlsxNiwyNF19LCJ3ZWlnaHRzLjAiOnsiZHR5
cGUiOiJGMzIiLCJzaGFwZSI6WzMsNF0sImRhdGFfb2Zmc2V0cyI6WzI0LDcyXX0sIndlaWdodHMuMSI6eyJkdHlwZSI6IkYzMiIs
InNoYXBlIjpbNCwyXSwiZGF0YV9vZmZzZXRzIjpbNzIsMTA0XX19ICAgIAAAAD8AAIC/AAAAQM3MzD1gQqINAADgwAAAAL8AAMC+
AACAvgAAAL4AAAAAAAAAPgAAgD4AAMA+AAAAPwAAID8AAEA/AABgPwAAAICrqqq+q6oqvwAAgL+rqqq/VVXVvwAAAMBVVRXA
"""


@pytest.fixture
def old(tmp_path):
    path = tmp_path / "old.safetensors"
    path.write_bytes(base64.b64decode(FORMAT_1))
    return path


def test_a_file_of_format_1(old, tmp_path):
    net = fastnn.load(old)
    expected = fastnn.MLP([3, 4, 2], activation="identity", init="glorot_uniform", seed=5)
    expected.weights = [np.arange(12).reshape(3, 4) / 8 - 0.5, np.arange(8).reshape(4, 2) / -3]
    expected.biases = [[0.5, -1, 2, 0.1], [1e-30, -7]]
    expected.classes, expected.epochs_trained = ["no", "yes"], 11
    assert content(net) == content(expected)
    net.save(tmp_path / "new")
    assert content(fastnn.load(tmp_path / "new")) == content(expected)


def test_damaged_files_of_format_1(old):
    original = old.read_bytes()
    for position in range(0, len(original), 7):
        damaged = bytearray(original)
        damaged[position] ^= 2
        old.write_bytes(damaged)
        try:
            net = fastnn.load(old)
        except ModelFileError:
            continue
        assert net.epochs_trained == 11


@pytest.mark.parametrize("activation", ["tanh", ["identity"], {"name": "identity"}, None, ...], ids=str)
def test_format_1_had_two_activations(tmp_path, activation):
    path = tmp_path / "forged"
    forge(path, format=1, activation=activation, activations=..., loss=...)
    assert "activation" in refuse(path) if activation is not ... else "lacks" in refuse(path)


# Custom activations: a file has their names.


def bump(x):
    return x * np.exp(-x * x)


def ramp(x):
    return x + np.abs(x)


def test_custom_activations_are_given_again(tmp_path):
    path = tmp_path / "net"
    with_slope = Custom(ramp, lambda x: 1 + np.sign(x), "slope given")
    net = fastnn.MLP([3, 4, 4, 4, 2], activation=[bump, "tanh", with_slope])
    net.save(path)
    for functions in (None, {}, {"bump": bump}, {"slope given": with_slope}):
        with pytest.raises(
            ModelFileError, match=r"give it: fastnn.load\(path, activations=\{'(bump|slope given)'"
        ):
            fastnn.load(path, functions)
    again = fastnn.load(path, activations={"bump": bump, "slope given": with_slope, "more": ramp})
    assert content(again) == content(net)
    X = np.random.default_rng(0).normal(size=(5, 3))
    assert again.predict_proba(X).tobytes() == net.predict_proba(X).tobytes()


def test_a_custom_activation_keeps_its_name(tmp_path):
    net = fastnn.MLP([3, 4, 2], activation=lambda x: x * x)
    net.save(tmp_path / "net")
    again = fastnn.load(tmp_path / "net", {"<lambda>": bump})
    assert again.activation == "<lambda>"


def test_two_custom_activations_of_one_name(tmp_path):
    twice = Custom(bump)
    fastnn.MLP([3, 4, 4, 2], activation=[twice, twice]).save(tmp_path / "net")
    net = fastnn.MLP([3, 4, 4, 2], activation=[lambda x: x * x, lambda x: x * x * x])
    with pytest.raises(ValueError, match="two custom activations are named '<lambda>'"):
        net.save(tmp_path / "other")
    assert os.listdir(tmp_path) == ["net"]


@pytest.mark.parametrize("given", [bump, {"bump": "bump"}, {"bump": Custom}, [bump]], ids=str)
def test_what_is_no_function(saved, given):
    with pytest.raises(TypeError, match="activations"):
        fastnn.load(saved, given)


def test_a_function_that_cannot_be_used(tmp_path):
    net = fastnn.MLP([3, 4, 2], activation=bump)
    net.save(tmp_path / "net")
    with pytest.raises(ModelFileError, match="derivative of 'bump' cannot be found"):
        fastnn.load(tmp_path / "net", {"bump": lambda x: x if x > 0 else 0.0})


def test_a_key_twice_in_the_header(saved):
    data = saved.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header, rest = data[8 : 8 + length].rstrip(), data[8 + length :]
    table = json.loads(header)
    header = header[:-1] + b', "biases.0": ' + json.dumps(table["biases.0"]).encode() + b"}"
    saved.write_bytes(len(header).to_bytes(8, "little") + header + rest)
    assert "twice" in refuse(saved)


def test_two_tensors_on_the_same_bytes(saved):
    data = saved.read_bytes()
    length = int.from_bytes(data[:8], "little")
    table = json.loads(data[8 : 8 + length])
    table["weights.1"]["data_offsets"] = [offset - 8 for offset in table["weights.1"]["data_offsets"]]
    header = json.dumps(table).encode()
    saved.write_bytes(len(header).to_bytes(8, "little") + header + data[8 + length :])
    assert "damaged" in refuse(saved)


def test_no_such_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no model file .*missing"):
        fastnn.load(tmp_path / "missing")


def test_folders_pipes_and_devices_are_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    pipe = os.open(tmp_path / "pipe", os.O_RDWR)
    os.write(pipe, bytes(8))  # were the pipe read, the test would fail and not hang
    for path in (tmp_path, tmp_path / "pipe", "/dev/zero"):
        with pytest.raises(OSError, match="cannot be read"):
            fastnn.load(path)
    os.close(pipe)


# What cannot be saved leaves everything as it was.


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_parameters_that_are_not_finite(saved, value):
    before = saved.read_bytes()
    net = make_net()
    net.biases[1][0] = value
    with pytest.raises(ValueError, match=r"biases\[1\]\[0\]"):
        net.save(saved)
    assert saved.read_bytes() == before


def test_more_class_names_than_a_header_may_hold(tmp_path):
    net = make_net()
    net.classes = ["a", "b" * 2**20]
    with pytest.raises(ValueError, match="classes"):
        net.save(tmp_path / "net")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(("path", "error"), [(None, TypeError), (3, TypeError), ("a\0b", ValueError)])
def test_what_is_no_path(path, error):
    for function in (make_net().save, fastnn.load):
        with pytest.raises(error, match="path is"):
            function(path)


@contextmanager
def changing(net):
    """Change the network without pause in another thread, as `fit` does."""
    stop = threading.Event()

    def change():
        value = 0
        while not stop.is_set():
            value += 1
            net.weights[0][...] = value

    thread = threading.Thread(target=change)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_a_network_saved_while_it_changes_can_be_loaded(tmp_path):
    net = fastnn.MLP([500, 500, 2])
    with changing(net):
        for _ in range(20):
            model_file.save(net, tmp_path / "net")
            model_file.load(tmp_path / "net")
