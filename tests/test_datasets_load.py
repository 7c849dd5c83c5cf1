"""Loading by name: the embedded digits are what they claim, digits needs its extra, names are checked."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fastnn import datasets
from fastnn.datasets import embedded, idx, mnist

ROOT = Path(__file__).resolve().parent.parent
PACKAGE_DATA = ROOT / "fastnn" / "datasets" / "mnist_small"
# The count of each digit in MNIST's training and test set, as published with it.
TRAIN_COUNTS = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
TEST_COUNTS = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]

needs_mnist = pytest.mark.skipif(
    "FASTNN_DATA" not in os.environ, reason="compares with the full MNIST: set FASTNN_DATA to its folder"
)


@pytest.fixture(scope="module")
def small():
    return datasets.load("mnist-small")


def test_the_embedded_set_has_its_size_and_types(small):
    for dataset, rows in zip(small, (10_000, 2_000), strict=True):
        assert dataset.X.shape == (rows, 784)
        assert dataset.X.dtype == np.float32
        assert dataset.X.flags.c_contiguous
        assert (dataset.X.min(), dataset.X.max()) == (0, 1)
        assert dataset.y.shape == (rows,)
        assert dataset.y.dtype == np.int64
        assert dataset.classes is None
        assert len(dataset) == rows


@pytest.mark.parametrize(("which", "counts"), [(0, TRAIN_COUNTS), (1, TEST_COUNTS)])
def test_the_embedded_set_has_the_proportions_of_mnist(small, which, counts):
    shares = np.array(counts) * len(small[which]) / sum(counts)
    assert np.abs(np.bincount(small[which].y, minlength=10) - shares).max() < 1


def test_no_embedded_image_occurs_twice(small):
    rows = [row.tobytes() for dataset in small for row in dataset.X]
    assert len(set(rows)) == len(rows) == 12_000


def test_each_pixel_is_a_byte_divided_by_255(small):
    images = datasets.read_idx(PACKAGE_DATA / "t10k-images-idx3-ubyte.gz")
    assert images.shape == (2_000, 28, 28)
    np.testing.assert_array_equal(np.rint(small[1].X * 255).reshape(images.shape), images)
    table = np.array([pixel / 255 for pixel in range(256)], dtype=np.float32)
    np.testing.assert_array_equal(small[1].X.reshape(images.shape), table[images])


def test_a_damaged_embedded_file_is_refused(monkeypatch):
    name = "t10k-labels-idx1-ubyte.gz"
    monkeypatch.setitem(embedded.SHA256, name, hashlib.sha256(b"something else").hexdigest())
    with pytest.raises(datasets.IdxError, match=name):
        datasets.load("mnist-small")


def test_the_embedded_set_ignores_the_folders_of_mnist(monkeypatch, tmp_path, small):
    monkeypatch.setenv("FASTNN_DATA", str(tmp_path))
    monkeypatch.setenv("FASTNN_CACHE", str(tmp_path))
    np.testing.assert_array_equal(datasets.load("mnist-small")[1].X, small[1].X)
    assert not list(tmp_path.iterdir())


def test_each_call_gives_arrays_of_its_own(small):
    again = datasets.load("mnist-small")
    again[0].X[:] = 7
    assert small[0].X.max() == datasets.load("mnist-small")[0].X.max() == 1


def test_the_embedded_set_carries_its_licence():
    text = (PACKAGE_DATA / "LICENSE").read_text()
    for part in (
        "SPDX-License-Identifier: CC-BY-SA-3.0",
        "https://creativecommons.org/licenses/by-sa/3.0/",
        "Yann LeCun",
        "Corinna Cortes",
    ):
        assert part in text
    assert {path.suffix for path in PACKAGE_DATA.iterdir()} == {"", ".md", ".gz"}


@needs_mnist
def test_every_embedded_image_stands_in_mnist_with_its_label(small):
    for part, whole in zip(small, datasets.load("mnist"), strict=True):
        known = {(row.tobytes(), label) for row, label in zip(whole.X, whole.y, strict=True)}
        assert all((row.tobytes(), label) in known for row, label in zip(part.X, part.y, strict=True))


@needs_mnist
def test_mnist_has_its_published_counts():
    train, test = datasets.load("mnist")
    assert (train.X.shape, test.X.shape) == ((60_000, 784), (10_000, 784))
    assert np.bincount(train.y).tolist() == TRAIN_COUNTS
    assert np.bincount(test.y).tolist() == TEST_COUNTS


@needs_mnist
def test_the_script_makes_the_embedded_set_again(tmp_path):
    command = [sys.executable, ROOT / "scripts" / "make_mnist_small.py", os.environ["FASTNN_DATA"]]
    for name in ("first", "second"):
        subprocess.run([*command, "--output", tmp_path / name], check=True, capture_output=True)
    for file in mnist.FILES:
        name = f"{file.name}.gz"
        first = (tmp_path / "first" / name).read_bytes()
        assert first == (tmp_path / "second" / name).read_bytes()
        # Another zlib may compress otherwise: the content is what must be the same.
        assert idx.idx_sha256(idx.read_idx(tmp_path / "first" / name)) == embedded.SHA256[name]


def test_the_script_says_in_one_line_what_is_missing(tmp_path):
    command = [
        sys.executable,
        ROOT / "scripts" / "make_mnist_small.py",
        tmp_path,
        "--output",
        tmp_path / "out",
    ]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 2
    assert "has no MNIST files" in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_digits_are_split_alike_each_time():
    pytest.importorskip("sklearn")
    train, test = datasets.load("digits")
    assert (train.X.shape, test.X.shape) == ((1438, 64), (359, 64))
    for dataset in (train, test):
        assert dataset.X.dtype == np.float32
        assert (dataset.X.min(), dataset.X.max()) == (0, 1)
        np.testing.assert_array_equal(dataset.X * 16, np.rint(dataset.X * 16))
        assert dataset.y.dtype == np.int64
    counts = np.bincount(train.y) + np.bincount(test.y)
    assert counts.sum() == 1797
    assert np.abs(np.bincount(test.y) - counts * (359 / 1797)).max() < 1
    np.testing.assert_array_equal(datasets.load("digits")[1].X, test.X)


def test_digits_without_scikit_learn_name_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ValueError, match=r"scikit-learn.*\.\[digits\]") as caught:
        datasets.load("digits")
    assert isinstance(caught.value, datasets.MissingExtraError)


@pytest.mark.parametrize("name", ["", "MNIST", "mnist_small", "cifar10", "../mnist"])
def test_an_unknown_name_lists_the_known_ones(name):
    with pytest.raises(ValueError, match="one of 'mnist-small', 'mnist', 'digits'") as caught:
        datasets.load(name)
    assert repr(name) in str(caught.value)


@pytest.mark.parametrize("name", [None, 3, b"mnist", ["mnist"], Path("mnist")])
def test_a_name_is_a_str(name):
    with pytest.raises(TypeError, match="name is"):
        datasets.load(name)


@pytest.mark.parametrize("name", ["mnist-small", "digits"])
def test_only_mnist_has_a_folder(name, tmp_path):
    with pytest.raises(ValueError, match="folder is"):
        datasets.load(name, tmp_path)


def test_importing_brings_in_no_network_and_no_scikit_learn():
    code = (
        "import sys, fastnn.datasets; print(*{'sklearn', 'urllib.request', 'http.client'} & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd="/")
    assert result.stdout.split() == []
