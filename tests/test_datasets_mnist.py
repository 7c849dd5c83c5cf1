"""The full MNIST: where it is looked for, how it is downloaded, and that nothing unchecked gets through.

A tiny stand-in with sums of its own takes the place of the official files, and no test reaches the network.
"""

import gzip
import hashlib
import io
import os
from http.client import IncompleteRead
from urllib.error import HTTPError, URLError

import numpy as np
import pytest

from fastnn.datasets import DownloadError, IdxError, load, mnist
from fastnn.datasets.idx import idx_sha256, write_idx

SHAPES = {
    "train-images-idx3-ubyte": (6, 2, 2),
    "train-labels-idx1-ubyte": (6,),
    "t10k-images-idx3-ubyte": (3, 2, 2),
    "t10k-labels-idx1-ubyte": (3,),
}


class Response(io.BytesIO):
    """What urlopen returns, from a mirror that may redirect and may break off."""

    def __init__(self, content, url, breaks_at=None):
        super().__init__(content)
        self.url, self.breaks_at = url, breaks_at

    def geturl(self):
        return self.url

    def read(self, size=-1):
        if self.breaks_at is not None and self.tell() >= self.breaks_at:
            raise ConnectionResetError("connection reset")
        return super().read(size)


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Replace the official files by small ones; return their folder."""
    folder = tmp_path / "official"
    folder.mkdir()
    files = []
    for name, shape in SHAPES.items():
        high = 256 if len(shape) == 3 else 10
        array = np.random.default_rng(len(files)).integers(0, high, shape, dtype=np.uint8)
        path = folder / f"{name}.gz"
        write_idx(path, array)
        packed = path.read_bytes()
        files.append(
            mnist.OfficialFile(name, len(packed), hashlib.sha256(packed).hexdigest(), idx_sha256(array))
        )
    monkeypatch.setattr(mnist, "FILES", tuple(files))
    monkeypatch.delenv("FASTNN_DATA", raising=False)
    monkeypatch.setenv("FASTNN_CACHE", str(tmp_path / "cache"))
    return folder


@pytest.fixture
def network(stand_in, monkeypatch):
    """Answer urlopen; `answer[url]` overrides the right content. Return the answers and the list of calls."""

    class Network:
        answer, calls = {}, []

        def urlopen(self, url, timeout):
            assert url.startswith("https://")
            assert 0 < timeout <= 60
            self.calls.append(url)
            answer = self.answer.get(url, (stand_in / url.rpartition("/")[2]).read_bytes())
            if isinstance(answer, Exception):
                raise answer
            return answer if isinstance(answer, Response) else Response(answer, url)

        def everywhere(self, name, answer):
            self.answer.update({mirror + name: answer for mirror in mnist.MIRRORS})

    network = Network()
    network.answer, network.calls = {}, []
    monkeypatch.setattr("urllib.request.urlopen", network.urlopen)
    return network


@pytest.fixture
def offline(network):
    for name in SHAPES:
        network.everywhere(f"{name}.gz", URLError(OSError("no route to host")))
    return network


def cached(tmp_path):
    return tmp_path / "cache" / "data" / "mnist"


def assert_is_stand_in(sets):
    rng = [np.random.default_rng(i) for i in range(4)]
    for dataset, images, labels, rows in ((sets[0], rng[0], rng[1], 6), (sets[1], rng[2], rng[3], 3)):
        pixels = images.integers(0, 256, (rows, 2, 2), dtype=np.uint8).reshape(rows, 4)
        np.testing.assert_array_equal(dataset.X, pixels.astype(np.float32) / np.float32(255))
        np.testing.assert_array_equal(dataset.y, labels.integers(0, 10, rows, dtype=np.uint8))
        assert dataset.X.dtype == np.float32
        assert dataset.X.flags.c_contiguous
        assert dataset.y.dtype == np.int64
        assert dataset.classes is None


def test_from_a_folder_or_its_subfolder(stand_in, tmp_path, offline):
    assert_is_stand_in(load("mnist", stand_in))
    stand_in.rename(tmp_path / "mnist")
    assert_is_stand_in(load("mnist", str(tmp_path)))
    assert not offline.calls


@pytest.mark.parametrize("form", ["{}", "{}.gz", "dotted {}", "dotted {}.gz"])
def test_a_folder_may_hold_the_files_in_each_usual_form(stand_in, offline, form):
    for name in SHAPES:
        content = (stand_in / f"{name}.gz").read_bytes()
        (stand_in / f"{name}.gz").unlink()
        target = form.removeprefix("dotted ").format(
            name.replace("-idx", ".idx") if form.startswith("dotted") else name
        )
        # compressed again, as an archive's mirror may do: only the content counts
        content = (
            gzip.compress(gzip.decompress(content), 1) if form.endswith("gz") else gzip.decompress(content)
        )
        (stand_in / target).write_bytes(content)
    assert_is_stand_in(load("mnist", stand_in))


def test_the_environment_names_a_folder(stand_in, tmp_path, monkeypatch, offline):
    monkeypatch.setenv("FASTNN_DATA", str(stand_in))
    assert_is_stand_in(load("mnist"))
    stand_in.rename(tmp_path / "mnist")
    monkeypatch.setenv("FASTNN_DATA", str(tmp_path))
    assert_is_stand_in(load("mnist"))


def test_the_argument_comes_before_the_environment_and_that_before_the_cache(
    stand_in, tmp_path, monkeypatch, network
):
    load("mnist")
    network.calls.clear()
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    write_idx(foreign / "train-images-idx3-ubyte", np.zeros((6, 2, 2), dtype=np.uint8))
    monkeypatch.setenv("FASTNN_DATA", str(foreign))
    assert_is_stand_in(load("mnist", stand_in))
    with pytest.raises(IdxError, match="foreign"):
        load("mnist")
    monkeypatch.setenv("FASTNN_DATA", str(stand_in))
    with pytest.raises(IdxError, match="foreign"):
        load("mnist", foreign)
    assert not network.calls


@pytest.mark.parametrize("place", ["", "nowhere", "empty"])
def test_an_environment_without_mnist_is_passed_over(stand_in, tmp_path, monkeypatch, network, place):
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("FASTNN_DATA", place and str(tmp_path / place))
    assert_is_stand_in(load("mnist"))


def test_a_given_folder_without_mnist_is_an_error(stand_in, tmp_path, network):
    for folder in (tmp_path / "nowhere", tmp_path, stand_in / "train-images-idx3-ubyte.gz"):
        with pytest.raises(FileNotFoundError, match="has no MNIST files; train-images-idx3-ubyte, "):
            load("mnist", folder)
    (stand_in / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(FileNotFoundError, match="lacks t10k-labels-idx1-ubyte"):
        load("mnist", stand_in)
    assert not network.calls


@pytest.mark.parametrize("damage", ["other", "cut", "text", "swapped"])
def test_a_damaged_file_in_a_folder_is_an_error_that_names_it(stand_in, network, damage):
    path = stand_in / "t10k-images-idx3-ubyte.gz"
    if damage == "other":
        write_idx(path, np.zeros((3, 2, 2), dtype=np.uint8))
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-5])
    elif damage == "text":
        path.write_text("<html>404</html>")
    else:
        path.write_bytes((stand_in / "train-images-idx3-ubyte.gz").read_bytes())
    with pytest.raises(IdxError, match=r"official.t10k-images-idx3-ubyte\.gz"):
        load("mnist", stand_in)
    assert not network.calls


@pytest.mark.parametrize("folder", [0, True, b"bytes", ["a"]])
def test_a_folder_is_a_str_or_a_path(folder):
    with pytest.raises(TypeError, match="folder is"):
        load("mnist", folder)


def test_a_download_fills_the_cache_once(stand_in, tmp_path, network):
    assert_is_stand_in(load("mnist"))
    assert network.calls == [f"{mnist.MIRRORS[0]}{name}.gz" for name in SHAPES]
    assert sorted(os.listdir(cached(tmp_path))) == sorted(f"{name}.gz" for name in SHAPES)
    assert_is_stand_in(load("mnist"))
    assert len(network.calls) == 4


@pytest.mark.parametrize("damage", [b"", b"\x1f\x8b", b"no gzip at all"])
def test_a_damaged_file_in_the_cache_is_downloaded_again(stand_in, tmp_path, network, damage):
    load("mnist")
    (cached(tmp_path) / "train-labels-idx1-ubyte.gz").write_bytes(damage)
    network.calls.clear()
    assert_is_stand_in(load("mnist"))
    assert network.calls == [f"{mnist.MIRRORS[0]}train-labels-idx1-ubyte.gz"]
    network.calls.clear()
    assert_is_stand_in(load("mnist"))
    assert not network.calls


def test_a_whole_file_of_other_content_in_the_cache_is_downloaded_again(stand_in, tmp_path, network):
    load("mnist")
    write_idx(cached(tmp_path) / "train-labels-idx1-ubyte.gz", np.zeros(6, dtype=np.uint8))
    network.calls.clear()
    assert_is_stand_in(load("mnist"))
    assert len(network.calls) == 1


FAULTS = {
    "absent": lambda whole, url: HTTPError(url, 404, "Not Found", {}, None),
    "unreachable": lambda whole, url: URLError(OSError("no route to host")),
    "silent": lambda whole, url: TimeoutError("timed out"),
    "incomplete": lambda whole, url: IncompleteRead(b"", 10),
    "breaks off": lambda whole, url: Response(whole, url, breaks_at=10),
    "empty": lambda whole, url: b"",
    "too short": lambda whole, url: whole[:-1],
    "too long": lambda whole, url: whole + b"\0",
    "other content": lambda whole, url: whole[:-1] + bytes([whole[-1] ^ 1]),
    "a page": lambda whole, url: b"<html>" + bytes(100_000),
    "redirected to http": lambda whole, url: Response(whole, "http://mirror.example/file"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_failing_mirror_is_followed_by_the_next(stand_in, tmp_path, network, fault):
    name = "t10k-images-idx3-ubyte.gz"
    first, second = (mirror + name for mirror in mnist.MIRRORS[:2])
    network.answer[first] = FAULTS[fault]((stand_in / name).read_bytes(), first)
    assert_is_stand_in(load("mnist"))
    assert [url for url in network.calls if url.endswith(name)] == [first, second]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_file_that_no_mirror_has_leaves_nothing_behind(stand_in, tmp_path, network, fault):
    name = "train-labels-idx1-ubyte.gz"
    whole = (stand_in / name).read_bytes()
    network.answer.update({m + name: FAULTS[fault](whole, m + name) for m in mnist.MIRRORS})
    with pytest.raises(OSError, match="could not be downloaded"):
        load("mnist")
    assert os.listdir(cached(tmp_path)) == ["train-images-idx3-ubyte.gz"]


def test_no_more_is_taken_than_the_file_has(stand_in, network):
    name = "train-images-idx3-ubyte.gz"
    endless = [Response((stand_in / name).read_bytes() + bytes(10**6), mirror) for mirror in mnist.MIRRORS]
    taken = []
    for mirror, response in zip(mnist.MIRRORS, endless, strict=True):
        network.answer[mirror + name] = response
        response.close = lambda response=response: taken.append(response.tell())
    with pytest.raises(DownloadError, match="more than"):
        load("mnist")
    assert taken == [mnist.FILES[0].gz_bytes + 1] * len(mnist.MIRRORS)


def test_offline_one_sentence_says_what_was_tried_and_what_to_do(stand_in, tmp_path, offline, monkeypatch):
    monkeypatch.setenv("FASTNN_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(OSError, match="folder") as caught:
        load("mnist")
    message = str(caught.value)
    assert "\n" not in message
    for part in (
        "$FASTNN_DATA",
        str(tmp_path / "nowhere"),
        str(cached(tmp_path)),
        "no route",
        *mnist.MIRRORS,
    ):
        assert part in message


def test_offline_the_cache_is_enough(stand_in, tmp_path, offline):
    cached(tmp_path).parent.mkdir(parents=True)
    stand_in.rename(cached(tmp_path))
    assert_is_stand_in(load("mnist"))
    assert not offline.calls


@pytest.mark.parametrize("step", ["os.fsync", "os.replace"])
def test_an_interrupted_write_leaves_no_file(stand_in, tmp_path, network, monkeypatch, step):
    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(step, interrupt)
        with pytest.raises(KeyboardInterrupt):
            load("mnist")
    assert os.listdir(cached(tmp_path)) == []
    assert_is_stand_in(load("mnist"))


def test_a_cache_that_cannot_be_written_costs_only_the_next_download(stand_in, tmp_path, network):
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.warns(UserWarning, match="could not be kept in the cache"):
        assert_is_stand_in(load("mnist"))
    assert (tmp_path / "cache").read_text() == "a file where the folder should be"


def test_a_full_disk_costs_only_the_next_download(stand_in, tmp_path, network, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.warns(UserWarning, match="No space left"):
        assert_is_stand_in(load("mnist"))
    assert os.listdir(cached(tmp_path)) == []


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"FASTNN_CACHE": "own", "XDG_CACHE_HOME": "/xdg"}, "own/data/mnist"),
        ({"XDG_CACHE_HOME": "/xdg"}, "/xdg/fastnn/data/mnist"),
        ({"XDG_CACHE_HOME": "relative", "HOME": "/home/ada"}, "/home/ada/.cache/fastnn/data/mnist"),
        (
            {"FASTNN_CACHE": "", "XDG_CACHE_HOME": "", "HOME": "/home/ada"},
            "/home/ada/.cache/fastnn/data/mnist",
        ),
        ({"HOME": "relative"}, "None"),
    ],
)
def test_where_the_cache_is(monkeypatch, variables, expected):
    for name in ("FASTNN_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert str(mnist._cache_folder()) == expected


def test_without_a_home_it_is_downloaded_and_not_kept(stand_in, tmp_path, network, monkeypatch):
    monkeypatch.delenv("FASTNN_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", "relative")
    monkeypatch.chdir(tmp_path)
    before = sorted(os.listdir(tmp_path))
    assert_is_stand_in(load("mnist"))
    assert sorted(os.listdir(tmp_path)) == before


def test_the_mirrors_are_reached_by_https_alone():
    assert len(mnist.MIRRORS) >= 2
    assert all(mirror.startswith("https://") and mirror.endswith("/") for mirror in mnist.MIRRORS)


def test_an_address_without_https_is_not_asked(stand_in, network, monkeypatch):
    monkeypatch.setattr(mnist, "MIRRORS", ("http://mirror.example/",))
    with pytest.raises(DownloadError, match="not an https address"):
        load("mnist")
    assert not network.calls
