"""The second process of a first start: what it compiles is found by the first, which does without it wherever there is none."""

import os
import subprocess
import sys
import time

import numpy as np
import programs
import pytest

from fastnn.backends import ahead
from fastnn.kernels import _beside
from fastnn.kernels._beside import run_beside, waited_for


@pytest.fixture(autouse=True)
def no_others(monkeypatch):
    monkeypatch.setattr(_beside, "_processes", [])
    yield
    _beside._end()


def test_a_first_training_finds_what_the_second_process_compiled(tmp_path):
    """All libraries, and what tells losses and probabilities."""
    programs.run(
        """
        import numba.core.event
        import numpy as np
        import fastnn
        from fastnn.backends import ahead
        from fastnn.kernels import _library
        from fastnn.kernels._beside import waited_for

        def fail(name):
            raise AssertionError(f"{name} is compiled in the first process")

        ahead.available_threads = lambda: 2
        _library._compile = fail
        rng = np.random.default_rng(0)
        X, y = rng.standard_normal((200, 20)).astype("f4"), rng.integers(0, 3, 200)
        net = fastnn.MLP([20, 36, 3])
        net.fit(X, y, epochs=1)
        waited_for()  # on a machine that is busy it may still be at work
        with numba.core.event.install_recorder("numba:compile") as compiled:
            net.evaluate(X, y)
        assert not compiled.buffer
        """,
        FASTNN_CACHE=tmp_path,
        timeout=300,
    )


def test_it_is_started_once_and_only_for_the_first_training(monkeypatch):
    started = []
    monkeypatch.setattr(ahead, "run_beside", started.append)
    monkeypatch.setattr(ahead, "available_threads", lambda: 2)
    monkeypatch.setattr("fastnn.backends.jit.needs_compiling", lambda: True)
    from fastnn import MLP

    X, y = np.zeros((10, 4), np.float32), np.zeros(10, int)
    MLP([4, 3, 2]).fit(X, y, epochs=1)
    assert started == ["from fastnn.backends.ahead import compile_here; compile_here('float32')"]
    monkeypatch.setattr(ahead, "available_threads", lambda: 1)
    MLP([4, 3, 2]).fit(X, y, epochs=1)
    monkeypatch.setattr(ahead, "available_threads", lambda: 2)
    monkeypatch.setattr("fastnn.backends.jit.needs_compiling", lambda: False)
    MLP([4, 3, 2]).fit(X, y, epochs=1)
    assert len(started) == 1


# Asks for a library while a second process does what the argument says; prints whether the library had to be compiled.
_ASK = """
    import sys
    from fastnn.kernels import _library
    from fastnn.kernels._beside import run_beside

    made = []
    compile_library = _library._compile
    _library._compile = lambda name: made.append(name) or compile_library(name)
    assert run_beside(sys.argv[1])
    _library.provide("fastnn_rest_multiply_float")
    print(made)
"""


def test_who_needs_a_library_waits_for_it(tmp_path):
    statement = (
        "import time; time.sleep(0.5); from fastnn.kernels import _library; "
        "_library.provide('fastnn_rest_multiply_float')"
    )
    assert programs.run(_ASK, statement, FASTNN_CACHE=tmp_path) == "[]"


def test_a_second_process_that_fails_is_no_obstacle(tmp_path):
    made = programs.run(_ASK, "raise SystemExit(3)", FASTNN_CACHE=tmp_path)
    assert made == "['fastnn_rest_multiply_float']"


def test_nobody_is_waited_for_twice():
    assert not waited_for()
    assert run_beside("import time; time.sleep(2)")
    assert waited_for()
    assert not waited_for()


def test_it_is_waited_for_no_longer_than_it_may_take(monkeypatch):
    monkeypatch.setattr(_beside, "_LONGEST_WAIT", 0.1)
    assert run_beside("import time; time.sleep(60)")
    begin = time.monotonic()
    assert waited_for()
    assert time.monotonic() - begin < 30


def test_it_ends_with_the_first():
    number = programs.run(
        """
        from fastnn.kernels._beside import _processes, run_beside
        assert run_beside("import time; time.sleep(300)")
        print(_processes[0][1].pid)
        """,
        timeout=60,
    )
    with pytest.raises(ProcessLookupError):
        os.kill(int(number), 0)


@pytest.mark.parametrize("name", [None, "", "/usr/bin/editor", "C:\\\\game.exe"])
def test_another_program_with_python_inside_is_not_started(name, monkeypatch):
    monkeypatch.setattr(sys, "executable", name)
    monkeypatch.setattr(subprocess, "Popen", None)
    assert not run_beside("pass")


def test_no_second_process_for_what_cannot_be_kept(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("FASTNN_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr(subprocess, "Popen", None)
    assert not run_beside("pass")


def test_a_system_that_starts_no_process(monkeypatch, tmp_path):
    def refuse(*_, **__):
        raise PermissionError

    monkeypatch.setenv("FASTNN_CACHE", str(tmp_path))
    monkeypatch.setattr(subprocess, "Popen", refuse)
    assert not run_beside("pass")
