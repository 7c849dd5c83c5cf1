"""The command line: in process where that will do, as a process of its own for signals, pipes, terminals."""

import csv
import gzip
import importlib.metadata
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import time

import numpy as np
import pytest

import fastnn
import fastnn.losses
import fastnn.metrics
from fastnn import recipes, schedules
from fastnn.augmentation import Augment
from fastnn.backends.jit import JitBackend
from fastnn.checkpoint import Checkpoint
from fastnn.cli import defaults, main, sentence
from fastnn.cli.parser import make_parser
from fastnn.cli.recipe import make_recipe

COMMANDS = ("train", "recipes", "evaluate", "predict", "gradcheck", "bench", "info")
NAMES = ("setosa", "versicolor", "virginica")
FAST = ("--epochs", "2", "--hidden", "5", "--batch-size", "16")
SMALL_RECIPE = """
description = "a small one"
[data]
file = "flowers.csv"
label = "species"
[network]
hidden = [6]
[training]
epochs = 3
batch_size = 10
[optimizer]
name = "sgd"
momentum = 0.5
learning_rate = { name = "cosine", start = 0.1 }
"""
# 200,000 epochs of ten steps: hours, so that only a signal ends it.
ENDLESS = ("--epochs", "200000", "--hidden", "5")


def write_table(path, X, y, names=NAMES):
    with open(path, "w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow([*(f"x{i}" for i in range(X.shape[1])), "species"])
        lines.writerows([*map(float, row), names[label]] for row, label in zip(X, y, strict=True))


def write_idx(path, array):
    with (gzip.open if path.suffix == ".gz" else open)(path, "wb") as file:
        file.write(
            bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()
        )


@pytest.fixture(autouse=True)
def in_tmp_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FASTNN_NUM_THREADS", raising=False)


@pytest.fixture
def flowers(tmp_path, blobs):
    path = tmp_path / "flowers.csv"
    write_table(path, *blobs)
    return path


@pytest.fixture
def model(tmp_path):
    """An untrained network of 4 inputs and 3 named classes."""
    net = fastnn.MLP([4, 5, 3], seed=1)
    net.classes = NAMES
    net.save(tmp_path / "model.safetensors")
    return net


@pytest.fixture
def run(capsys):
    def run(*arguments, status=0):
        capsys.readouterr()
        assert main([*map(str, arguments)]) == status, capsys.readouterr().err
        out, err = capsys.readouterr()
        if status == 0:
            assert err == ""
        return out

    return run


def start(*arguments, **options):
    """Start the command in a process of its own, unbuffered pipes on both outputs unless said otherwise."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | options
    return subprocess.Popen([sys.executable, "-m", "fastnn", *map(str, arguments)], **options)


def figure(pattern, out):
    return float(re.search(pattern, out, re.MULTILINE)[1].replace(",", ""))


def split_as_train_does(path):
    whole = fastnn.datasets.load_file(path, "species")
    return fastnn.datasets.split(whole, 0.2, seed=defaults.SPLIT_SEED)


# help


@pytest.mark.parametrize("command", [(), *((name,) for name in COMMANDS)])
def test_help_has_examples(command, capsys):
    with pytest.raises(SystemExit) as leaving:
        main([*command, "--help"])
    assert leaving.value.code == 0
    out = capsys.readouterr().out
    examples = out[out.index("examples:") :]
    assert f"  fastnn {' '.join(command)}" in examples


def test_help_imports_no_compiler():
    program = (
        "import sys; from fastnn.cli import main\n"
        "try: main(['train', '--help'])\n"
        "except SystemExit: print({'numba', 'rich', 'safetensors', 'fastnn.kernels'} & set(sys.modules))"
    )
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert out.endswith("set()\n")


def test_version(capsys):
    with pytest.raises(SystemExit) as leaving:
        main(["--version"])
    assert leaving.value.code == 0
    assert capsys.readouterr().out == f"fastnn {importlib.metadata.version('fastnn-cpu')}\n"


# train


def test_train_on_the_embedded_digits(run, tmp_path):
    out = run("train", "--epochs", 2, "--hidden", 32)
    net = fastnn.load(tmp_path / "mnist-small.safetensors")
    result = net.evaluate(*test_rows("mnist-small"))
    assert figure(r"^test accuracy: ([\d.]+) %$", out) == pytest.approx(100 * result.accuracy, abs=0.005)
    assert figure(r"^test loss: ([\d.]+)$", out) == pytest.approx(result.loss, abs=0.00005)
    assert result.accuracy > 0.85
    assert "model: mnist-small.safetensors\n" in out
    assert "10,000 rows to train on, 2,000 to test on" in out
    assert "in place of the file" in run("train", "--epochs", 1, "--hidden", 8)


def test_rows(name):
    test = fastnn.datasets.load(name)[1]
    return test.X, test.y


test_rows.__test__ = False


def test_train_does_what_fit_does_with_the_same_settings(run, flowers, tmp_path):
    out = run(
        *("train", flowers, "--label", "species", "--hidden", 7, 5, "--epochs", 3, "--batch-size", 10),
        *("--learning-rate", 0.02, "--momentum", 0.8, "--nesterov", "--activation", "identity"),
        *("--init", "glorot_uniform", "--dtype", "float64", "--seed", 9, "--output", tmp_path / "it"),
    )
    train, test = split_as_train_does(flowers)
    expected = fastnn.MLP([4, 7, 5, 3], "identity", "glorot_uniform", "float64", 9)
    optimizer = fastnn.optimizers.SGD(0.02, momentum=0.8, nesterov=True)
    expected.fit(train.X, train.y, epochs=3, batch_size=10, optimizer=optimizer)
    actual = fastnn.load(tmp_path / "it")
    for expected_array, array in zip(expected.weights, actual.weights, strict=True):
        np.testing.assert_array_equal(array, expected_array)
    assert actual.classes == NAMES
    accuracy = 100 * expected.evaluate(test.X, test.y).accuracy
    assert figure(r"^test accuracy: ([\d.]+) %$", out) == pytest.approx(accuracy, abs=0.005)
    assert f"{len(train)} rows to train on, {len(test)} to test on (set aside" in out


@pytest.mark.parametrize(
    "options",
    [
        *(("--activation", name) for name in defaults.ACTIVATIONS),
        *(("--init", name) for name in defaults.INITIALIZERS),
        *(("--optimizer", name) for name in defaults.OPTIMIZERS),
        *(("--schedule", name) for name in defaults.SCHEDULES),
        *(("--anomalies", name) for name in defaults.ANOMALIES),
        *(("--dtype", name) for name in defaults.DTYPES),
        *(("--backend", name) for name in defaults.BACKENDS),
        ("--threads", "2"),
        ("--hidden", "none"),
        ("--optimizer", "rmsprop", "--momentum", "0.9", "--weight-decay", "0.01"),
        ("--class-weight", "balanced", "--dropout", "0.1"),
        ("--time-budget", "1000"),
        ("--augment",),
    ],
)
def test_every_choice_trains(run, flowers, options):
    out = run("train", flowers, "--label", "species", *FAST, *options)
    assert len(re.findall(r"^epoch \d/2  loss \d", out, re.MULTILINE)) == 2
    assert "\x1b" not in out


@pytest.mark.parametrize(
    ("options", "inputs"),
    [
        ((), "sparse"),
        (("--sparse", "auto"), "sparse"),
        (("--sparse", "always"), "sparse"),
        (("--sparse", "never"), "dense"),
        (("--hidden", "5"), "dense"),
        (("--hidden", "5", "--sparse", "always"), "sparse"),
    ],
)
def test_sparse_inputs(run, tmp_path, blobs, options, inputs):
    X, y = blobs
    np.savez(tmp_path / "zeros.npz", X=np.hstack([X, np.zeros((90, 12))]), y=y)
    out = run("train", "zeros.npz", "--epochs", 1, "--hidden", 64, *options)
    assert f"samples/s, {inputs} inputs\n" in out


def test_no_hidden_layer(run, flowers, tmp_path):
    run("train", flowers, "--label", "species", "--hidden", "none", "--epochs", 1)
    assert fastnn.load(tmp_path / "flowers.safetensors").sizes == (4, 3)


def test_validation_is_taken_from_the_training_rows(run, flowers):
    arguments = ("train", flowers, "--label", "species", *FAST)
    plain = run(*arguments)
    validated = run(*arguments, "--validation", 10)
    assert "10 of the training rows are for validation, which leaves 62" in validated
    assert "72 rows to train on, 18 to test on" in plain
    assert "72 rows to train on, 18 to test on" in validated
    assert len(re.findall("validation accuracy", validated)) == 2
    assert "validation accuracy" not in plain


@pytest.mark.parametrize(("part", "rows"), [("0.5", 45), ("7", 7)])
def test_part_to_test_on(run, flowers, part, rows):
    assert f"{90 - rows} rows to train on, {rows} to test on" in run(
        "train", flowers, "--label", "species", "--test", part, *FAST
    )


def test_test_file_lacks_a_class(run, flowers, tmp_path, blobs):
    X, y = blobs
    write_table(tmp_path / "test.csv", X[y != 0], y[y != 0])
    out = run(
        "train", flowers, "--label", "species", "--test-data", "test.csv", "--epochs", 60, "--hidden", "none"
    )
    assert f"90 rows to train on, {(y != 0).sum()} to test on (test.csv)" in out
    # The clusters lie apart: only labels numbered differently in the two files would be missed.
    assert "test accuracy: 100.00 %" in out


def test_whole_number_labels_of_an_npz_file(run, tmp_path, blobs):
    X, y = blobs
    np.savez(tmp_path / "numbers.npz", X=X, y=y)
    run("train", "numbers.npz", *FAST)
    net = fastnn.load(tmp_path / "numbers.safetensors")
    assert net.sizes == (4, 5, 3)
    assert net.classes is None


def test_first_and_last_half_of_mnist(run, monkeypatch, tmp_path):
    train, test = fastnn.datasets.load("mnist-small")
    images = np.tile(test.X, (5, 1))
    official = fastnn.datasets.Dataset(images, np.tile(test.y, 5))
    monkeypatch.setattr(fastnn.datasets, "load", lambda name, folder: (train, official))
    out = run("train", "mnist", "--hidden", 8, "--epochs", 1)
    net = fastnn.load(tmp_path / "mnist.safetensors")
    halves = [
        net.evaluate(official.X[half], official.y[half]).accuracy for half in (slice(5000), slice(5000, None))
    ]
    assert "first 5,000: {:.2%}, last 5,000: {:.2%}".format(*halves).replace("%", " %") in out
    assert "last 5,000" in run("evaluate", "mnist.safetensors", "mnist")


def test_diverged_training_keeps_the_old_file(run, flowers, tmp_path, capsys):
    run("train", flowers, "--label", "species", *FAST)
    before = (tmp_path / "flowers.safetensors").read_bytes()
    arguments = ("train", str(flowers), "--label", "species", *FAST, "--learning-rate", "1e30")
    assert main([*arguments]) == 2
    assert "fastnn: error: training diverged" in capsys.readouterr().err
    assert (tmp_path / "flowers.safetensors").read_bytes() == before


# options and recipes


@pytest.fixture
def small(flowers, tmp_path):
    (tmp_path / "small.toml").write_text(SMALL_RECIPE)
    return tmp_path / "small.toml"


def same_parameters(a, b):
    for first, second in zip((*a.weights, *a.biases), (*b.weights, *b.biases), strict=True):
        np.testing.assert_array_equal(first, second)


def test_a_recipe_trains_as_its_file_says(run, small, flowers, tmp_path):
    out = run("train", "--recipe", "small.toml")
    train, _ = split_as_train_does(flowers)
    expected = fastnn.MLP([4, 6, 3])
    rate = schedules.Cosine(0.1)
    expected.fit(train.X, train.y, 3, 10, fastnn.optimizers.SGD(rate, momentum=0.5))
    same_parameters(fastnn.load(tmp_path / "small.safetensors"), expected)
    assert (
        "4-6-3, 51 parameters, float32, sgd, learning rate cosine (start 0.1, end 0, unit step), momentum 0.5"
        in out
    )


def test_options_change_a_recipe(run, small, flowers, tmp_path):
    options = ("--hidden", 5, "--seed", 3, "--learning-rate", 0.2, "--epochs", 2, "--weight-decay", 0.01)
    run("train", "--recipe", "small.toml", *options, "--activation", "tanh", "--output", "it")
    train, _ = split_as_train_does(flowers)
    expected = fastnn.MLP([4, 5, 3], "tanh", seed=3)
    optimizer = fastnn.optimizers.SGD(schedules.Cosine(0.2), momentum=0.5, weight_decay=0.01)
    expected.fit(train.X, train.y, 2, 10, optimizer)
    same_parameters(fastnn.load(tmp_path / "it"), expected)


def test_another_optimizer_has_its_own_settings(run, small, flowers, tmp_path):
    run("train", "--recipe", "small.toml", "--optimizer", "adam", "--output", "it")
    train, _ = split_as_train_does(flowers)
    expected = fastnn.MLP([4, 6, 3])
    expected.fit(train.X, train.y, 3, 10, fastnn.optimizers.Adam(0.001))
    same_parameters(fastnn.load(tmp_path / "it"), expected)


def test_a_recipe_with_other_data(run, small, tmp_path, blobs):
    X, y = blobs
    np.savez(tmp_path / "other.npz", X=X[:, :3], y=y)
    assert "other.npz: 72 rows to train on" in run("train", "other.npz", "--recipe", "small.toml")
    assert fastnn.load(tmp_path / "small.safetensors").sizes == (3, 6, 3)


@pytest.mark.parametrize(
    ("options", "rate"),
    [
        (("--schedule", "cosine"), schedules.Cosine(0.2)),
        (("--schedule", "one_cycle", "--learning-rate", 0.3), schedules.OneCycle(0.3)),
        (("--schedule", "plateau"), schedules.Plateau(0.2, metric="loss")),
        (("--schedule", "plateau", "--validation", 9), schedules.Plateau(0.2, metric="val_loss")),
        (("--recipe", "small.toml", "--schedule", "constant"), 0.1),
        (("--recipe", "small.toml", "--schedule", "one_cycle"), schedules.OneCycle(0.1)),
    ],
)
def test_schedules(small, flowers, options, rate):
    data = () if "--recipe" in options else ("flowers.csv", "--label", "species")
    args = make_parser().parse_args(["train", *data, *map(str, options)])
    assert make_recipe(args).optimizer.learning_rate == rate


def test_other_options_reach_fit(small, tmp_path):
    line = [
        "train",
        "--recipe",
        "small.toml",
        "--dropout",
        "0.25",
        "--time-budget",
        "9",
        "--class-weight",
        "balanced",
    ]
    line += [
        "--checkpoint",
        "it.ckpt",
        "--resume",
        "--validation",
        "10",
        "--early-stopping",
        "4",
        "--anomalies",
        "stop",
    ]
    recipe = make_recipe(
        make_parser().parse_args([*line, "--loss", "cross_entropy", "--augment", "--threads", "1"])
    )
    data = recipe.data()
    found = recipe.arguments(recipe.network(data), data)
    assert {
        key: found[key] for key in ("dropout", "time_budget", "class_weight", "anomalies", "threads")
    } == {
        "dropout": 0.25,
        "time_budget": 9,
        "class_weight": "balanced",
        "anomalies": "stop",
        "threads": 1,
    }
    assert found["checkpoint"] == Checkpoint("it.ckpt", resume=True)
    assert found["augment"] == Augment(shape=(2, 2))
    assert found["callbacks"][0].patience == 4
    assert len(found["validation"][0]) == 10


def test_resume_goes_on_to_the_same_bits(run, small, tmp_path):
    line = ("train", "--recipe", "small.toml", "--optimizer", "adam", "--schedule", "constant")
    run(*line, "--epochs", 4, "--output", "whole")
    run(*line, "--epochs", 2, "--checkpoint", "it.ckpt", "--output", "half")
    out = run(*line, "--epochs", 4, "--checkpoint", "it.ckpt", "--resume", "--output", "resumed")
    assert re.findall(r"^epoch (\d)/4", out, re.MULTILINE) == ["3", "4"]
    same_parameters(fastnn.load(tmp_path / "resumed"), fastnn.load(tmp_path / "whole"))


def test_early_stopping_is_said(run, flowers):
    options = ("--validation", 20, "--early-stopping", 2, "--epochs", 5000, "--learning-rate", 2)
    out = run("train", flowers, "--label", "species", "--hidden", 5, *options)
    assert re.search(r"^training ended early: .*EarlyStopping", out, re.MULTILINE)
    assert len(re.findall(r"^epoch ", out, re.MULTILINE)) < 5000


def test_time_budget_is_kept(run, flowers):
    begin = time.monotonic()
    out = run("train", flowers, "--label", "species", *ENDLESS, "--time-budget", 0.3)
    assert time.monotonic() - begin < 20
    assert "training ended early: time budget of 0.3 seconds" in out


@pytest.mark.filterwarnings("default")
def test_warnings_are_lines(run, small, tmp_path, capsys):
    options = ("--activation", "sigmoid", "--hidden", 40, "--learning-rate", "1e4", "--epochs", 40)
    assert main(["train", "--recipe", "small.toml", *map(str, options)]) == 0
    err = capsys.readouterr().err
    assert re.search(r"^fastnn: warning: gradients explode in layer 0", err, re.MULTILINE)
    assert "Warning:" not in err


def test_scaled_inputs_are_put_into_the_model(run, small, tmp_path):
    small.write_text(SMALL_RECIPE.replace("[network]", 'prepare = ["standardize"]\n[network]'))
    out = run("train", "--recipe", "small.toml")
    assert "prepared: Pipeline(" in out
    accuracy, loss = figure(r"^test accuracy: ([\d.]+) %$", out), figure(r"^test loss: ([\d.]+)$", out)
    _, test = split_as_train_does("flowers.csv")
    result = fastnn.load(tmp_path / "small.safetensors").evaluate(test.X, test.y)
    assert (100 * result.accuracy, result.loss) == pytest.approx((accuracy, loss), abs=0.005)
    evaluated = run("evaluate", "small.safetensors", "--recipe", "small.toml")
    assert figure(r"^loss: ([\d.]+)$", evaluated) == pytest.approx(loss, abs=0.0001)


def test_a_model_whose_inputs_must_be_prepared(run, small, tmp_path):
    small.write_text(
        SMALL_RECIPE.replace(
            "[network]", 'prepare = [{ name = "crop_border", k = 0, shape = [2, 2] }, "binarize"]\n[network]'
        )
    )
    out = run("train", "--recipe", "small.toml")
    assert "0 of 72 images lose ink" in out
    assert "its inputs must be prepared: fastnn evaluate small.safetensors --recipe small.toml\n" in out
    loss = figure(r"^test loss: ([\d.]+)$", out)
    evaluated = run("evaluate", "small.safetensors", "--recipe", "small.toml")
    assert figure(r"^loss: ([\d.]+)$", evaluated) == pytest.approx(loss, abs=0.0001)


def test_recipes_are_listed_and_printed(run):
    out = run("recipes")
    assert [line.split()[0] for line in out.splitlines()] == list(recipes.names())
    assert recipes.load("deriv8").description in out
    assert run("recipes", "deriv8") == recipes.text("deriv8")


def test_numbers_to_predict(run, tmp_path, blobs):
    X = blobs[0]
    prices = [",".join([*map(str, row), str(row.sum()), str(row[0])]) for row in X]
    (tmp_path / "prices.csv").write_text("\n".join(["a,b,c,d,price,cost", *prices]) + "\n")
    options = ("--learning-rate", 0.02, "--epochs", 30, "--hidden", 20)
    out = run("train", "prices.csv", "--target", "price", "cost", *options)
    net = fastnn.load(tmp_path / "prices.safetensors")
    assert net.sizes == (4, 20, 2)
    assert net.loss == fastnn.losses.MeanSquaredError()
    assert figure(r"^test R²: (-?[\d.]+)$", out) > 0.8
    assert "accuracy" not in out
    out = run("evaluate", "prices.safetensors", "prices.csv", "--target", "price", "cost")
    Y = np.stack([X.sum(axis=1), X[:, 0]], axis=1)
    predicted = net.predict(X)
    assert figure(r"^R²: ([\d.]+) over 90 rows$", out) == pytest.approx(
        fastnn.metrics.r2_score(Y, predicted), abs=1e-4
    )
    error = fastnn.metrics.mean_absolute_error(Y, predicted)
    assert figure(r"^mean absolute error: ([\d.e-]+)$", out) == pytest.approx(error, rel=1e-3)
    np.savez(tmp_path / "rows.npz", X=X)
    lines = [
        [*map(float, line.split(","))]
        for line in run("predict", "prices.safetensors", "rows.npz").splitlines()
    ]
    np.testing.assert_allclose(lines, predicted, rtol=1e-6)
    for command in (
        ("predict", "prices.safetensors", "rows.npz", "--proba"),
        ("evaluate", "prices.safetensors", "prices.csv", "--target", "price", "cost", "--confusion"),
    ):
        run(*command, status=2)


def test_two_classes_and_one_output(run, tmp_path, blobs):
    X, y = blobs
    np.savez(tmp_path / "two.npz", X=X, y=np.minimum(y, 1))
    out = run("train", "two.npz", "--loss", "binary_cross_entropy", "--hidden", 8, "--epochs", 20)
    assert "2 classes" in out
    assert figure(r"^test accuracy: ([\d.]+) %$", out) > 90
    net = fastnn.load(tmp_path / "two.safetensors")
    assert figure(r"^accuracy: ([\d.]+) % of 90$", run("evaluate", "two.safetensors", "two.npz")) > 90
    assert [*map(int, run("predict", "two.safetensors", "two.npz").split())] == net.predict(X).tolist()
    header, *rows = csv.reader(run("predict", "two.safetensors", "two.npz", "--proba").splitlines())
    assert header == ["0", "1"]
    np.testing.assert_allclose(np.array(rows, float).sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(np.array(rows, float)[:, 1], net.predict_proba(X)[:, 0], rtol=1e-6)


# evaluate and predict


def test_evaluate_counts_by_class(run, flowers, model, blobs):
    X, y = blobs
    out = run("evaluate", "model.safetensors", flowers, "--label", "species")
    result, right = model.evaluate(X, y), model.predict(X) == y
    assert figure(r"^accuracy: ([\d.]+) % of 90$", out) == pytest.approx(100 * result.accuracy, abs=0.005)
    assert figure(r"^loss: ([\d.]+)$", out) == pytest.approx(result.loss, abs=0.00005)
    for label, name in enumerate(NAMES):
        row = re.search(rf"^{name} +(\d+) +(\d+) ", out, re.MULTILINE)
        assert [int(row[1]), int(row[2])] == [(y == label).sum(), right[y == label].sum()]


def test_evaluate_prints_the_whole_report(run, flowers, model, blobs):
    X, y = blobs
    report = fastnn.metrics.classification_report(y, model.predict(X), NAMES)
    out = run("evaluate", "model.safetensors", flowers, "--label", "species")
    assert out.startswith(f"{report}\nloss: ")
    confused = run("evaluate", "model.safetensors", flowers, "--label", "species", "--confusion")
    assert confused == f"{report.confusion_table()}\n\n{out}"


def test_evaluate_a_file_without_one_of_the_classes(run, model, tmp_path, blobs):
    X, y = blobs
    write_table(tmp_path / "two.csv", X[y > 0], y[y > 0])
    out = run("evaluate", "model.safetensors", "two.csv", "--label", "species")
    expected = 100 * model.evaluate(X[y > 0], y[y > 0]).accuracy
    assert figure(r"^accuracy: ([\d.]+) %", out) == pytest.approx(expected, abs=0.005)
    rows, taken = (y > 0).sum(), (model.predict(X[y > 0]) == 0).sum()
    precision, specificity = "0.0000" if taken else "-", f"{1 - taken / rows:.4f}"
    expected = rf"^setosa +0 +0 +{taken} +0 +{rows - taken} +{precision} +- +{specificity} +{precision}$"
    assert re.search(expected, out, re.MULTILINE)


@pytest.mark.parametrize("kind", ["csv", "labelled csv", "npz", "idx", "idx.gz"])
def test_predict(run, model, tmp_path, kind):
    pixels = np.random.default_rng(3).integers(0, 256, (30, 2, 2), dtype=np.uint8)
    X = pixels.reshape(30, 4).astype(np.float32) / 255
    path, options = tmp_path / f"rows.{kind.split()[-1]}", ()
    if kind == "csv":
        path.write_text("a,b,c,d\n" + "".join(",".join(map(str, row)) + "\n" for row in X))
    elif kind == "labelled csv":
        write_table(path, X, np.zeros(30, int))
        options = ("--label", "species")
    elif kind == "npz":
        np.savez(path, X=pixels)
    else:
        write_idx(path, pixels)
    out = run("predict", "model.safetensors", path, *options)
    assert out.splitlines() == [NAMES[label] for label in model.predict(X)]


def test_predict_without_class_names(run, model, tmp_path, blobs):
    model.classes = None
    model.save(tmp_path / "numbers.safetensors")
    np.savez(tmp_path / "rows.npz", X=blobs[0])
    out = run("predict", "numbers.safetensors", "rows.npz")
    assert out.split() == [str(label) for label in model.predict(blobs[0])]


def test_predict_probabilities_into_a_file(run, model, tmp_path, blobs):
    np.savez(tmp_path / "rows.npz", X=blobs[0])
    assert run("predict", "model.safetensors", "rows.npz", "--proba", "--output", "proba.csv") == ""
    with open(tmp_path / "proba.csv", newline="") as file:
        header, *rows = csv.reader(file)
    assert tuple(header) == NAMES
    np.testing.assert_array_equal(np.array(rows, np.float32), model.predict_proba(blobs[0]))


# gradcheck, bench, info


def test_gradcheck(run):
    out = run("gradcheck", "--sizes", 6, 5, 4, 3, "--rows", 4, "--seed", 2)
    for i in range(3):
        assert re.search(rf"^weights\[{i}\] +\d\.\de-\d+ +right$", out, re.MULTILINE)
        assert re.search(rf"^biases\[{i}\] +\d\.\de-\d+ +right$", out, re.MULTILINE)


@pytest.mark.parametrize("loss", defaults.LOSSES)
@pytest.mark.parametrize("activation", defaults.ACTIVATIONS)
def test_gradcheck_of_every_activation_and_loss(run, activation, loss):
    out = run("gradcheck", "--sizes", 5, 4, 3, "--rows", 4, "--activation", activation, "--loss", loss)
    assert f"5-4-3 in float64, 4 rows of random numbers; {activation}, {loss}\n" in out
    assert "all 4 gradients are right" in out


def test_gradcheck_of_models(run, model, tmp_path):
    assert "4-5-3 in float64, 10 rows of random numbers" in run("gradcheck", "--model", "model.safetensors")
    fastnn.MLP([784, 3, 10]).save(tmp_path / "digits.safetensors")
    assert "6 rows of mnist-small" in run("gradcheck", "--model", "digits.safetensors", "--rows", 6)


@pytest.mark.parametrize("factor", [1.01, np.nan])
def test_gradcheck_finds_a_wrong_gradient(run, monkeypatch, factor):
    right = JitBackend.gradients

    def wrong(net, X, y):
        weights, biases = right(net, X, y)
        biases[1] *= factor
        return weights, biases

    monkeypatch.setattr(JitBackend, "gradients", staticmethod(wrong))
    out = run("gradcheck", "--sizes", 4, 3, 3, status=1)
    assert re.findall(r"^(\S+) .* wrong$", out, re.MULTILINE) == ["biases[1]"]


def test_bench(run, tmp_path):
    out = run("bench", "--quick", "--rounds", 2, "--json", "figures.json")
    report = json.loads((tmp_path / "figures.json").read_text())
    assert report["rounds"] == 2
    assert "processor" in report["machine"]
    peaks, products, trainings = (
        report[kind] for kind in ("peak, GFLOP/s", "matmul, GFLOP/s", "training, samples/s")
    )
    for rates in (*peaks.values(), *products.values(), *trainings.values()):
        assert 0 < rates["min"] <= rates["median"] <= rates["max"]
    shape = "nn 1024 x 1024 x 1024"
    ratio = products[f"fastnn {shape}"]["median"] / products[f"numpy {shape}"]["median"]
    assert re.search(rf"^{shape} .* {ratio:.2f}$", out, re.MULTILINE)
    name, flops = "C 784-512-10 batch 128", 2 * (2 * (784 * 512 + 512 * 10) + 512 * 10)
    limit = [*peaks.values()][-1]["median"] * 1e9
    assert report["training, fraction of peak"][name] == pytest.approx(
        trainings[name]["median"] * flops / limit
    )
    assert re.search(rf"^{name} +{trainings[name]['median']:,.0f} \(", out, re.MULTILINE)


def test_bench_counts_operations():
    from fastnn.cli.measure import Product, Workload

    # Two layers forward and two weight gradients, but only the second layer's input gradient.
    assert Workload("", (5, 3, 2), 1).flops == 2 * (2 * (5 * 3 + 3 * 2) + 3 * 2)
    assert Product("nn", 2, 3, 4).flops == 2 * 2 * 3 * 4


def test_info(run, tmp_path, monkeypatch):
    monkeypatch.setenv("FASTNN_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "something").write_bytes(bytes(3_000_000))
    out = run("info")
    assert re.search(r"^vector width +(128|256|512) bits$", out, re.MULTILINE)
    assert re.search(rf"^threads in use +{fastnn.get_num_threads()}$", out, re.MULTILINE)
    assert f"{tmp_path / 'cache'} (1 file, 3.0 MB, writable)" in out
    for package in ("fastnn-cpu", "numba", "llvmlite", "numpy"):
        assert re.search(rf"^{package} +{re.escape(importlib.metadata.version(package))}$", out, re.MULTILINE)


@pytest.mark.parametrize(("zeros", "density", "sparse"), [(7, "30.00", True), (6, "33.33", False)])
def test_info_tells_how_data_would_be_trained_on(run, tmp_path, zeros, density, sparse):
    X = np.hstack([np.ones((9, 3)), np.zeros((9, zeros))])
    np.savez(tmp_path / "data.npz", X=X)
    out = run("info", "data.npz")
    assert f"data.npz: 9 rows, {3 + zeros} inputs\n" in out
    assert f"{density} % of the inputs, in 9 rows\n" in out
    for units in (64, 63):
        net = fastnn.MLP([3 + zeros, units, 2])
        history = net.fit(X, np.arange(9) % 2, epochs=1)
        assert history.inputs == ("sparse" if sparse and units == 64 else "dense")
    expected = "sparse where the first layer has 64 units or more, else dense" if sparse else "dense"
    assert re.search(rf"^trained +{expected}$", out, re.MULTILINE)
    assert re.search(
        r"^sparse inputs +at most 30 % not zero, and a first layer of 64 units or more$",
        run("info"),
        re.MULTILINE,
    )


def test_info_where_the_cache_cannot_be_written(run, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("FASTNN_CACHE", str(tmp_path / "file" / "cache"))
    assert "not writable" in run("info")


def test_info_warms_up(run, monkeypatch):
    calls = []
    monkeypatch.setattr("fastnn.cli.info.warm_up", lambda: calls.append(1))
    assert re.match(r"every kernel is ready, after \d+\.\d s\n", run("info", "--warm-up"))
    assert calls == [1]


# errors

BAD_CALLS = [
    ([], "COMMAND"),
    (["fly"], "fly"),
    (["train", "--epochs", "x"], "--epochs: 'x'"),
    (["train", "--epochs", "0"], "--epochs is 0"),
    (["train", "--epochs", "-3"], "--epochs is -3"),
    (["train", "--batch-size", "0"], "--batch-size is 0"),
    (["train", "--learning-rate", "0"], "learning_rate is 0"),
    (["train", "--learning-rate", "nan"], "learning_rate is nan"),
    (["train", "--learning-rate", "1j"], "--learning-rate: '1j'"),
    (["train", "--momentum", "1"], "momentum is 1"),
    (["train", "--momentum", "0", "--nesterov"], "nesterov"),
    (["train", "--optimizer", "adam", "--momentum", "0.5"], "--momentum"),
    (["train", "--optimizer", "adam", "--nesterov"], "--nesterov"),
    (["train", "--optimizer", "rprop"], "rprop"),
    (["train", "--optimizer", "adagrad", "--momentum", "0.5"], "--momentum is a setting of sgd and rmsprop"),
    (["train", "--loss", "mse"], "mse"),
    (["train", "--loss", "huber"], "the loss huber is for numbers"),
    (["train", "--loss", "binary_cross_entropy"], "takes 2"),
    (["train", "--dropout", "1"], "dropout is 1"),
    (["train", "--weight-decay", "-1"], "weight_decay is -1"),
    (["train", "--time-budget", "0"], "time_budget is 0"),
    (["train", "--early-stopping", "3"], "--early-stopping needs --validation PART"),
    (["train", "--early-stopping", "0", "--validation", "0.1"], "patience is 0"),
    (["train", "--resume"], "--resume needs --checkpoint FILE"),
    (["train", "--resume", "--checkpoint", "file"], "file"),
    (["train", "--recipe", "deriv9"], "recipe is 'deriv9'"),
    (["train", "--recipe", "absent.toml"], "absent.toml: No such file"),
    (["train", "--recipe", "wrong.toml"], "wrong.toml: [network] has the key 'hiden'"),
    (["train", "--recipe", "small.toml", "--epochs", "0"], "--epochs is 0"),
    (
        ["train", "--recipe", "small.toml", "--learning-rate", "0"],
        "small.toml: [optimizer] start is 0",
    ),
    (["train", "--recipe", "small.toml", "--dropout", "2"], "small.toml: [training] dropout is 2"),
    (["train", "--target", "y"], "--target is for files"),
    (["train", "flowers.csv", "--label", "species", "--target", "x0"], "not allowed with"),
    (["train", "flowers.csv", "--target", "species"], "a real number is needed"),
    (["train", "flowers.csv", "--target", "price"], "no column 'price'"),
    (
        ["train", "flowers.csv", "--label", "species", "--augment", "--hidden", "3", "--batch-size", "0"],
        "--batch",
    ),
    (["recipes", "deriv9"], "recipe is 'deriv9'"),
    (["evaluate", "model.safetensors", "--recipe", "deriv9"], "recipe is 'deriv9'"),
    (
        ["evaluate", "model.safetensors", "--recipe", "small.toml", "--label", "y"],
        "leave --label and --target out",
    ),
    (["evaluate", "model.safetensors", "flowers.csv", "--target", "x0"], "flowers.csv"),
    (["train", "--hidden", "0"], "--hidden: '0'"),
    (["train", "--hidden", "12.5"], "--hidden: '12.5'"),
    (["train", "--hidden", "none", "5"], "--hidden has none"),
    (["train", "--hidden", "5", "mnist"], "DATA goes before --hidden"),
    (["train", "--hidden", "99999999999"], "hidden[0]"),
    (["train", "--seed", "-1"], "seed is -1"),
    (["train", "--threads", "0"], "--threads is 0"),
    (["train", "--validation", "0"], "--validation: '0'"),
    (["train", "--validation", "1.5"], "--validation: '1.5'"),
    (["train", "--validation", "10000"], "part is 10000"),
    (["train", "--epoch", "3"], "--epoch"),  # no abbreviations: they would bind names not yet chosen
    (["train", "--test", "0.2"], "--test is for files"),
    (["train", "--test-data", "x.csv"], "--test-data is for files"),
    (["train", "--label", "y"], "--label is for files"),
    (["train", "--data", "."], "--data is the folder of mnist"),
    (["train", "mnist", "--data", "nowhere"], "nowhere"),
    (["train", "minst"], "minst"),
    (["train", "absent.csv", "--label", "y"], "absent.csv: No such file"),
    (["train", "flowers.csv"], "--label NAME"),
    (["train", "plain.npz"], "plain.npz has no array y"),
    (["train", "flowers.csv", "--label", "colour"], "colour"),
    (["train", "flowers.csv", "--label", "species", "--data", "."], "--data"),
    (
        ["train", "flowers.csv", "--label", "species", "--test-data", "narrow.csv"],
        "narrow.csv has 1 features",
    ),
    (["train", "flowers.csv", "--label", "species", "--test-data", "other.csv"], "rose"),
    (["train", "flowers.csv", "--label", "species", "--test", "90"], "part is 90"),
    (["train", "three.npz", "--test-data", "four.npz"], "four.npz has the label 3"),
    (["train", "."], "'.'"),
    (["train", "--output", "nowhere/model"], "no folder 'nowhere'"),
    (["train", "--output", "."], "a folder"),
    (["train", "--output", "file/model"], "no folder"),
    (["evaluate"], "MODEL"),
    (["evaluate", "absent.safetensors"], "absent.safetensors"),
    (["evaluate", "file"], "file"),
    (["evaluate", "."], "'.'"),
    (["evaluate", "model.safetensors"], "mnist-small has 784 features"),
    (["evaluate", "model.safetensors", "other.csv", "--label", "species"], "rose"),
    (["predict", "model.safetensors"], "FILE"),
    (["predict", "model.safetensors", "absent.npz"], "absent.npz"),
    (["predict", "model.safetensors", "flowers.csv"], "species"),
    (["predict", "model.safetensors", "narrow.csv", "--label", "species"], "1 columns"),
    (["predict", "model.safetensors", "file"], "file"),
    (["predict", "model.safetensors", "labels.idx"], "labels.idx has the shape (3,)"),
    (["predict", "model.safetensors", "labels.idx", "--label", "y"], "--label"),
    (["predict", "model.safetensors", "three.npz", "--output", "nowhere/x"], "nowhere/x"),
    (["gradcheck", "--sizes", "3"], "sizes"),
    (["gradcheck", "--sizes", "3", "0"], "sizes[1] is 0"),
    (["gradcheck", "--rows", "0"], "--rows is 0"),
    (["gradcheck", "--model", "file"], "file"),
    (["gradcheck", "--model", "model.safetensors", "--loss", "huber"], "--loss is for --sizes"),
    (["gradcheck", "--activation", "rely"], "rely"),
    (["bench", "--rounds", "0"], "--rounds is 0"),
    (["info", "now"], "now"),
    (["info", "flowers.csv", "--data", "."], "--data is the folder of mnist"),
    (["info", "mnist-small", "--label", "y"], "--label is for files"),
    (["train", "--sparse", "sometimes"], "--sparse"),
]


@pytest.fixture
def bad_files(flowers, model, tmp_path, blobs):
    X, y = blobs
    (tmp_path / "file").write_text("not what it should be")
    write_table(tmp_path / "narrow.csv", X[:, :1], y)
    write_table(tmp_path / "other.csv", X, y, ("setosa", "versicolor", "rose"))
    np.savez(tmp_path / "three.npz", X=X, y=y)
    np.savez(tmp_path / "plain.npz", X=X)
    np.savez(tmp_path / "four.npz", X=X, y=np.minimum(np.arange(90), 3))
    (tmp_path / "wrong.toml").write_text(SMALL_RECIPE.replace("hidden", "hiden"))
    (tmp_path / "small.toml").write_text(SMALL_RECIPE)
    write_idx(tmp_path / "labels.idx", np.arange(3, dtype=np.uint8))


@pytest.mark.parametrize(
    ("arguments", "named"), BAD_CALLS, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_bad_calls_end_with_one_sentence(arguments, named, bad_files, capsys, monkeypatch):
    monkeypatch.setattr(JitBackend, "run", lambda *_: pytest.fail("trained all the same"), raising=True)
    try:
        status = main(arguments)
    except SystemExit as leaving:  # argparse's
        status = leaving.code
    assert status == 2
    error = capsys.readouterr().err
    assert error.startswith("fastnn: error: ")
    assert error.count("\n") == 1
    assert named in error


@pytest.mark.parametrize("arguments", [["train", "absent.csv"], ["train", "--epochs", "x"]])
def test_exit_status_of_the_process(arguments):
    process = start(*arguments)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert out == ""
    assert re.fullmatch(r"fastnn: error: .*\n", err)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), "MemoryError"),
        (ValueError("two\nlines"), "two lines"),
        (OSError("no errno"), "no errno"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (FileNotFoundError(2, "No such file", "a"), "a: No such file"),
        (OSError(18, "Other device", "a", None, "b"), "a to b: Other device"),
    ],
)
def test_sentence(error, expected):
    assert sentence(error) == expected


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full on this system")
def test_full_disk_under_stdout(model, tmp_path, blobs):
    np.savez(tmp_path / "rows.npz", X=blobs[0])
    with open("/dev/full", "w") as full:
        process = start("predict", "model.safetensors", "rows.npz", stdout=full)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert err == "fastnn: error: No space left on device\n"


# pipes, signals, terminals


def test_reader_that_leaves(model, tmp_path):
    X = np.random.default_rng(0).random((40_000, 4), dtype=np.float32)
    np.savez(tmp_path / "rows.npz", X=X)
    process = start("predict", "model.safetensors", "rows.npz")
    assert process.stdout.readline().strip() in NAMES
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(60) == 128 + signal.SIGPIPE
    process.stderr.close()


def stop_training(number, *arguments):
    """Train without end and send the signal after an epoch; return its status, what it said, its seconds to end."""
    process = start("train", *arguments, *ENDLESS)
    while not process.stdout.readline().startswith("epoch"):
        assert process.poll() is None, process.stderr.read()
    begin = time.monotonic()
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    return process.returncode, err, time.monotonic() - begin


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_stops_within_a_second_and_keeps_the_model(flowers, tmp_path, number, status):
    seconds = []
    while not seconds or seconds[-1] >= 1:  # 0.2; a machine that halts for a moment gets another two tries
        assert len(seconds) < 3, seconds
        ended, err, took = stop_training(number, flowers, "--label", "species")
        seconds.append(took)
        assert ended == status
        assert re.fullmatch(
            r"fastnn: stopped after [\d,.]+ epochs; the model trained so far is flowers\.safetensors\n", err
        )
    net = fastnn.load(tmp_path / "flowers.safetensors")
    start_weights = fastnn.MLP(net.sizes, seed=0).weights[0]
    assert not np.array_equal(net.weights[0], start_weights)


def test_ctrl_c_before_the_first_step_writes_nothing(flowers, tmp_path, monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(JitBackend, "run", interrupted)
    assert main(["train", str(flowers), "--label", "species"]) == 130
    assert not (tmp_path / "flowers.safetensors").exists()
    assert "Traceback" not in capsys.readouterr().err


def test_handlers_are_put_back(run, flowers):
    def handlers():
        return signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM), sys.unraisablehook

    before = handlers()
    run("train", flowers, "--label", "species", *FAST)
    assert handlers() == before


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_served_where_no_exception_can_be_raised_is_not_lost(number, status, monkeypatch, capsys):
    import ctypes

    def callback():
        signal.raise_signal(number)
        for _ in range(100):  # the signal is served here, at the latest
            pass

    def compile_kernels(dtype):
        ctypes.CFUNCTYPE(None)(callback)()
        time.sleep(30)

    monkeypatch.setattr("fastnn.cli.train.needs_compiling", lambda: True)
    monkeypatch.setattr("fastnn.cli.train.compile_kernels", compile_kernels)
    begin = time.monotonic()
    assert main(["train"]) == status
    assert time.monotonic() - begin < 10
    assert "Traceback" not in capsys.readouterr().err


def at_terminal(*arguments):
    """Run the command at a terminal of its own; return its exit status and what the terminal got."""
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "100"}
    process = start(*arguments, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    received = b""
    while select.select([ours], [], [], 60)[0]:
        try:
            data = os.read(ours, 4096)
        except OSError:  # Linux's way of saying that the other side is closed
            break
        if not data:
            break
        received += data
    os.close(ours)
    return process.wait(60), received.decode()


def test_terminal_gets_a_bar_and_the_lines(flowers):
    status, screen = at_terminal("train", flowers, "--label", "species", *FAST)
    assert status == 0
    assert re.search(r"loss \d\.\d+ accuracy [\d.]+ % [\d,]+ samples/s .* left", screen)
    assert "\x1b[2K" in screen  # the bar is erased and drawn again
    assert "epoch 2/2  loss" in screen
    assert re.search(r"test accuracy: [\d.]+ %\r\n", screen)


def test_no_progress_at_a_terminal(flowers):
    status, screen = at_terminal("train", flowers, "--label", "species", *FAST, "--no-progress")
    assert status == 0
    assert "\x1b" not in screen
    assert "epoch 2/2  loss" in screen
