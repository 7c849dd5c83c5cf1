"""The register tiles on disk: a file of their own that kernels need, kept, found again, and compiled anew where it is no good.

Each program multiplies two matrices, which takes a few kernels and two libraries, of tiles and of columns kept as rows.
"""

import importlib
import os
import pickle

import programs
import pytest
from damage import flipped, kept, with_checksum

# Prints how many functions Numba compiled, and how many libraries were compiled.
_MATMUL = """
    import numba.core.event
    import numpy as np
    from fastnn.kernels import _library, matmul

    made = []
    compile_library = _library._compile
    _library._compile = lambda name: made.append(name) or compile_library(name)
    rng = np.random.default_rng(0)
    with numba.core.event.install_recorder("numba:compile") as compiled:
        for rows in (1, 7, 40):
            A, B = rng.standard_normal((rows, 30)).astype("f4"), rng.standard_normal((30, 50)).astype("f4")
            assert np.allclose(matmul(A, B), A.astype(float) @ B, atol=1e-4)
    print(len(compiled.buffer) > 0, len(made))
"""


def multiply(folder, **environment):
    """Run the program with this cache folder: (whether kernels were compiled, how many libraries were)."""
    kernels, libraries = programs.run(_MATMUL, FASTNN_CACHE=folder, **environment).split()
    return kernels == "True", int(libraries)


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A cache folder that holds the product, its tiles and its columns kept as rows."""
    folder = tmp_path_factory.mktemp("filled")
    assert multiply(folder) == (True, 2)
    return folder


def library_file(folder):
    (file,) = folder.rglob("fastnn_tile_f32_strides-*")
    return file


def test_second_process_compiles_nothing(warm):
    assert multiply(warm) == (False, 0)


DAMAGES = {
    "empty": lambda content: b"",
    "truncated": lambda content: content[: len(content) // 2],
    "flipped": lambda content: flipped(content, len(content) // 2),
    "no pickle": lambda content: with_checksum(b"not a pickle"),
    "another pickle": lambda content: with_checksum(pickle.dumps(["something", "else"])),
    "no object code": lambda content: with_checksum(pickle.dumps(b"")),
    "no object file": lambda content: with_checksum(pickle.dumps(b"not an object file" * 99)),
    "half the object code": lambda content: with_checksum(pickle.dumps(kept(content)[:2000])),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged_file(damage, warm):
    """The tiles are compiled again; the kernel that calls them is good."""
    file = library_file(warm)
    file.write_bytes(damage(file.read_bytes()))
    assert multiply(warm) == (False, 1)
    assert multiply(warm) == (False, 0)


def test_missing_file(warm):
    library_file(warm).unlink()
    assert multiply(warm) == (False, 1)
    assert multiply(warm) == (False, 0)


def test_another_functions_code(warm):
    """A file that is whole, of a library that is not the one it is called: its function is not there."""
    file = library_file(warm)
    code = kept(file.read_bytes()).replace(b"fastnn_tile_f32_strides", b"fastnn_tile_f32_elsewhr")
    file.write_bytes(with_checksum(pickle.dumps(code)))
    assert multiply(warm) == (False, 1)


@pytest.mark.skipif(os.name != "posix", reason="modes are a matter of POSIX")
def test_open_to_other_users(warm):
    library_file(warm).chmod(0o666)
    assert multiply(warm) == (False, 1)


def test_where_nothing_can_be_written(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    assert multiply(tmp_path / "file" / "cache") == (True, 2)


def test_processes_that_fill_it_at_once(tmp_path):
    running = [programs.start(_MATMUL, FASTNN_CACHE=tmp_path) for _ in range(3)]
    for program in running:
        programs.finish(program)
    names = [path.name for path in library_file(tmp_path).parent.iterdir()]
    assert not [name for name in names if name.startswith(".writing")]
    assert multiply(tmp_path) == (False, 0)


def test_every_vector_width(tmp_path):
    widths = importlib.import_module("fastnn.kernels.processor").supported_widths()
    for width in widths:
        assert multiply(tmp_path, FASTNN_VECTOR_WIDTH=width) == (True, 2)
        assert multiply(tmp_path, FASTNN_VECTOR_WIDTH=width) == (False, 0)
    assert len(list(tmp_path.rglob("fastnn_tile_f32_strides-*"))) == len(widths)


def test_threads_that_need_it_at_once(warm):
    library_file(warm).unlink()
    code = """
        import concurrent.futures
        import numpy as np
        from fastnn.kernels import matmul

        eye = np.eye(20, dtype="f4")
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            results = list(pool.map(lambda i: (matmul(eye, i * eye) == i * eye).all(), range(64)))
        print(all(results))
    """
    assert programs.run(code, FASTNN_CACHE=warm) == "True"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_forked_child(warm):
    """It uses what its parent loaded, and loads what that did not."""
    code = """
        import os
        import numpy as np
        from fastnn.kernels import matmul

        for parent in "f4", "f8":
            eye = np.eye(20, dtype=parent)
            assert (matmul(eye, eye) == eye).all()
            child = os.fork()
            if child == 0:
                for kind in "f4", "f8":
                    eye = np.eye(20, dtype=kind)
                    assert (matmul(eye, eye) == eye).all()
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
        print("done")
    """
    assert programs.run(code, FASTNN_CACHE=warm) == "done"
