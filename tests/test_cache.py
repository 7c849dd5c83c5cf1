"""The compiled kernels on disk: kept, found again, never trusted when damaged or another's, never in the way.

Most of these use relu, the kernel that compiles fastest; each program gets a cache folder of its own.
"""

import importlib
import os
import pickle
import shutil
import stat
from pathlib import Path

import programs
import pytest
from damage import flipped, kept, with_checksum

cache = importlib.import_module("fastnn.kernels._cache")

# Prints how many functions Numba compiled for one relu.
_RELU = """
    import numba.core.event
    import numpy as np
    from fastnn import kernels

    with numba.core.event.install_recorder("numba:compile") as compiled:
        result = kernels.relu(np.array([-1.5, 0.0, 2.5], "f4"))
    assert result.tolist() == [0.0, 0.0, 2.5]
    print(len(compiled.buffer))
"""


def compiles(folder, **environment):
    """Whether a new process with this cache folder had to compile."""
    return int(programs.run(_RELU, FASTNN_CACHE=folder, **environment)) > 0


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A cache folder that holds relu."""
    folder = tmp_path_factory.mktemp("filled")
    assert compiles(folder)
    return folder


def kernel_file(folder):
    (file,) = folder.rglob("*.kernel")
    return file


def test_second_process_compiles_nothing(warm):
    before = kernel_file(warm).stat()
    assert not compiles(warm)
    assert kernel_file(warm).stat().st_mtime_ns == before.st_mtime_ns


def test_second_training_compiles_nothing():
    """In the folder that all tests share; and another network or optimiser needs no machine code of its own."""
    code = """
        import numba.core.event
        import numpy as np
        import fastnn

        X, y = np.random.default_rng(0).standard_normal((9, 4)), np.arange(9) % 3
        settings = {"epochs": 2, "batch_size": 2, "validation": (X, y)}
        with numba.core.event.install_recorder("numba:compile") as compiled:
            for sizes in [4, 5, 3], [4, 7, 20, 3], [4, 3]:
                for activation, optimizer in ("relu", "sgd"), ("identity", "adam"):
                    net = fastnn.MLP(sizes, activation)
                    net.fit(X, y, optimizer=optimizer, **settings)
                    net.predict(X)
        print(len(compiled.buffer))
    """
    programs.run(code)
    assert programs.run(code) == "0"


def test_a_warm_process_does_without_the_compiler():
    """It imports nothing of what Numba makes NumPy's functions of, and builds no library for it: 60 MB and 200 ms."""
    code = """
        import sys
        import numpy as np
        import fastnn
        from fastnn import kernels

        X, y = np.random.default_rng(0).standard_normal((90, 4)).astype("f4"), np.arange(90) % 3
        net = fastnn.MLP([4, 80, 3])
        for sparse in False, True:
            net.fit(X, y, epochs=2, dropout=0.5, input_dropout=0.1, sparse=sparse)
        net.fit(X, y, epochs=1, optimizer="adam", sparse=True, norms=True)
        net.evaluate(X, y)
        net.predict(X)
        net.predict(X[:1])
        fastnn.gradient_check(net, X, y)
        kernels.matmul(X, X, transpose_b=True)
        kernels.softmax_cross_entropy(X, y)

        from numba.core.runtime import rtsys
        print(rtsys._init, "numba.np.arrayobj" in sys.modules, "numba.np.linalg" in sys.modules)
    """
    programs.run(code)
    assert programs.run(code) == "False False False"


def test_same_bits_cold_and_warm(tmp_path):
    """Also of what is compiled in both: an activation of the user's own."""
    code = """
        import hashlib
        import math
        import numpy as np
        import fastnn

        X, y = np.random.default_rng(0).standard_normal((90, 30)).astype("f4"), np.arange(90) % 3
        bent = fastnn.activations.Custom(lambda x: x + math.sin(x), lambda x: 1 + math.cos(x), "bent")
        for activation in "gelu", bent:
            net = fastnn.MLP([30, 40, 20, 3], activation)
            net.fit(X, y, epochs=3, optimizer="adam")
            numbers = [*net.weights, *net.biases, net.predict_proba(X)]
            print(hashlib.sha256(b"".join(map(np.ndarray.tobytes, numbers))).hexdigest())
    """
    cold = programs.run(code, FASTNN_CACHE=tmp_path)
    assert len(set(cold.split())) == 2
    assert programs.run(code, FASTNN_CACHE=tmp_path) == cold


def test_kernel_of_a_kernel(tmp_path):
    """One calls another, returns an array and raises. Where only the other is on the disk, Numba must compile that again too."""
    code = """
        import numba.core.event
        import numpy as np
        from fastnn.kernels._jit import jit
        from fastnn.kernels.random import subkey

        @jit
        def subkeys(key, count):
            if count > 9:
                raise ValueError("more than 9 keys")
            keys = np.empty(count, np.uint64)
            for word in range(count):
                keys[word] = subkey(key, word)
            return keys

        def works():
            expected = [subkey(5, word) for word in range(3)]
            assert subkeys(5, 3).dtype == np.uint64 and subkeys(5, 3).tolist() == expected
            try:
                subkeys(5, 10)
            except ValueError as error:
                assert str(error) == "more than 9 keys"
            else:
                raise AssertionError("nothing was raised")

        with numba.core.event.install_recorder("numba:compile") as compiled:
            subkey(5, 0)
            before = len(compiled.buffer)
            works()
            works()
        print(before > 0, len(compiled.buffer) > before)
    """
    assert programs.run(code, FASTNN_CACHE=tmp_path) == "True True"
    assert programs.run(code, FASTNN_CACHE=tmp_path) == "False False"
    for file in tmp_path.rglob("subkeys-*"):
        file.unlink()
    assert programs.run(code, FASTNN_CACHE=tmp_path) == "False True"
    assert programs.run(code, FASTNN_CACHE=tmp_path) == "False False"


def test_threads_that_load_at_once(warm):
    code = """
        import concurrent.futures
        import numpy as np
        from fastnn import kernels

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            results = list(pool.map(lambda i: kernels.relu(np.float32([-1, i])).tolist(), range(64)))
        print(results == [[0, i] for i in range(64)])
    """
    assert programs.run(code, FASTNN_CACHE=warm) == "True"


def test_import_compiles_and_writes_nothing(tmp_path):
    code = """
        import numba.core.event
        with numba.core.event.install_recorder("numba:compile") as compiled:
            import fastnn.kernels
            import fastnn.backends.jit
        print(len(compiled.buffer))
    """
    assert programs.run(code, FASTNN_CACHE=tmp_path) == "0"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="modes are a matter of POSIX")
def test_nobody_else_may_write(filled):
    file = kernel_file(filled)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def changed(content, **parts):
    """A file that is whole, but with other parts: LLVM ends the process over some of them if nobody looks first."""
    return with_checksum(pickle.dumps(kept(content) | parts))


DAMAGES = {
    "truncated": lambda content: content[: len(content) // 2],
    "flipped in the checksum": lambda content: flipped(content, 3),
    "flipped in the code": lambda content: flipped(content, len(content) // 2),
    "empty": lambda content: b"",
    "garbage": lambda content: os.urandom(5000),
    "a checksum and nothing": lambda content: with_checksum(b""),
    "a checksum and no pickle": lambda content: with_checksum(b"not a pickle"),
    "a checksum and another pickle": lambda content: with_checksum(pickle.dumps(["something", "else"])),
    "no object code": lambda content: changed(content, object=b""),
    "no object file": lambda content: changed(content, object=b"not an object file" * 99),
    "half the object code": lambda content: changed(content, object=kept(content)["object"][:2000]),
    "a function that is not there": lambda content: changed(content, names={"llvm_func_name": "elsewhere"}),
    "a symbol that is nowhere": lambda content: changed(content, needs=["fastnn_nowhere"]),
    "a variable that is not there": lambda content: changed(content, constants={"elsewhere": []}),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged_file(damage, warm):
    file = kernel_file(warm)
    file.write_bytes(damage(file.read_bytes()))
    assert compiles(warm)
    content = file.read_bytes()  # a good one again
    assert with_checksum(content[32:]) == content


def test_directory_in_its_place(warm):
    file = kernel_file(warm)
    file.unlink()
    file.mkdir()
    assert compiles(warm)
    assert [path.name for path in file.parent.iterdir()] == [file.name]  # no temporary file is left


class Bomb:
    """Leaves a trace when it is unpickled."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return os.mkdir, (str(self.trace),)


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root may give files away")
@pytest.mark.parametrize("given", ["file", "folder"])
def test_of_another_user(given, warm, tmp_path):
    """What another could have written is not unpickled: that would be running their code."""
    file = kernel_file(warm)
    file.write_bytes(with_checksum(pickle.dumps(Bomb(tmp_path / "trace"))))
    os.chown(file if given == "file" else file.parent, 65534, 65534)
    assert compiles(warm)
    assert not (tmp_path / "trace").exists()


@pytest.mark.skipif(os.name != "posix", reason="modes are a matter of POSIX")
@pytest.mark.parametrize("open_to_all", ["file", "folder"])
def test_open_to_other_users(open_to_all, warm, tmp_path):
    file = kernel_file(warm)
    file.write_bytes(with_checksum(pickle.dumps(Bomb(tmp_path / "trace"))))
    (file if open_to_all == "file" else file.parent).chmod(0o777)
    assert compiles(warm)
    assert not (tmp_path / "trace").exists()


class TestNoFolder:
    """Where nothing can be written, kernels are compiled and work: no error, no warning."""

    def test_below_a_file(self, tmp_path):
        (tmp_path / "file").write_text("not a folder")
        assert compiles(tmp_path / "file" / "cache")

    @pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="no /proc here")
    def test_where_even_root_may_not_write(self):
        assert compiles("/proc/self/fastnn")

    def test_a_name_that_no_file_can_have(self):
        assert compiles("/tmp/" + 300 * "x")

    def test_home_that_cannot_be(self, tmp_path):
        (tmp_path / "home").write_text("not a folder")
        assert compiles(None, XDG_CACHE_HOME=None, HOME=tmp_path / "home" / "user")

    def test_nobody(self):
        """Neither HOME nor an entry in the password file, as in some containers."""
        code = """
    import pathlib

    def home():
        raise RuntimeError("Could not determine home directory.")

    pathlib.Path.home = home
"""
        code += _RELU
        output = programs.run(code, FASTNN_CACHE=None, XDG_CACHE_HOME=None, HOME=None)
        assert int(output) > 0


class TestWhere:
    def test_order_of_precedence(self, monkeypatch, tmp_path):
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        monkeypatch.delenv("FASTNN_CACHE", raising=False)
        assert cache.cache_root() == tmp_path / "home" / ".cache" / "fastnn"
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
        assert cache.cache_root() == tmp_path / "xdg" / "fastnn"
        monkeypatch.setenv("FASTNN_CACHE", str(tmp_path / "own"))
        assert cache.cache_root() == tmp_path / "own"
        assert cache.kernel_folder().is_relative_to(tmp_path / "own")
        monkeypatch.setenv("FASTNN_CACHE", "")
        assert cache.cache_root() == tmp_path / "xdg" / "fastnn"

    def test_no_home(self, monkeypatch):
        def home():
            raise RuntimeError("Could not determine home directory.")

        for name in ("FASTNN_CACHE", "XDG_CACHE_HOME"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(cache.Path, "home", home)
        with pytest.raises(OSError, match="FASTNN_CACHE"):
            cache.cache_root()


class TestKey:
    """Whatever shapes the machine code changes the folder's name."""

    @pytest.fixture
    def sources(self, monkeypatch, tmp_path):
        """A copy of the kernels' sources, and the key that is made of it."""
        copy = tmp_path / "kernels"
        shutil.copytree(Path(cache.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
        monkeypatch.setattr(cache, "__file__", str(copy / "_cache.py"))
        return copy, cache._key.__wrapped__

    def test_sources(self, sources):
        folder, key = sources
        seen = {key()}
        assert key() in seen
        for source in sorted(folder.glob("*.py")):
            with source.open("a") as file:
                file.write("\n# changed\n")
            assert key() not in seen
            seen.add(key())
        (folder / "another.py").write_text("")
        assert key() not in seen

    def test_bytecode_does_not_count(self, sources):
        folder, key = sources
        before = key()
        (folder / "__pycache__").mkdir()
        (folder / "__pycache__" / "tile.pyc").write_text("")
        assert key() == before

    def test_environment(self, sources, monkeypatch):
        _, key = sources
        before = key()
        monkeypatch.setenv("NUMBA_OPT", "1")
        assert key() != before

    def test_vector_width(self):
        code = "from fastnn import kernels; print(kernels.kernel_folder().name)"
        widths = importlib.import_module("fastnn.kernels.processor").supported_widths()
        assert len({programs.run(code, FASTNN_VECTOR_WIDTH=width) for width in widths}) == len(widths)


def test_two_processes_fill_it_at_once(tmp_path):
    running = [programs.start(_RELU, FASTNN_CACHE=tmp_path) for _ in range(3)]
    for program in running:
        programs.finish(program)
    file = kernel_file(tmp_path)
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    assert not compiles(tmp_path)
