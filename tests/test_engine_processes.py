"""Training and the process it lives in: Ctrl-C, forked children, and processors with narrower vectors."""

import importlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import programs
import pytest

host = importlib.import_module("fastnn.kernels.processor")

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")


@pytest.mark.parametrize("threads", [1, 2])
def test_ctrl_c_ends_training_within_a_second(threads):
    program = programs.start(
        """
        import sys, time
        import numpy as np
        import fastnn

        rng = np.random.default_rng(0)
        X, y = rng.standard_normal((4000, 784)).astype("f4"), rng.integers(0, 10, 4000)
        net = fastnn.MLP([784, 512, 10])
        start = net.weights[0].copy()
        try:
            net.fit(X, y, epochs=10**6, learning_rate=1e-5, threads=int(sys.argv[1]),
                    callbacks=[lambda *_: print("training", flush=True)])
        except KeyboardInterrupt:
            stopped = time.monotonic()
        assert (net.weights[0] != start).any() and np.isfinite(net.weights[0]).all()
        assert net.history.stopped.startswith("KeyboardInterrupt")
        before = net.history.loss[-1]
        assert net.fit(X, y, epochs=1, learning_rate=1e-5).loss[0] < before
        print(stopped)
        """,
        threads,
    )
    assert program.stdout.readline() == "training\n"
    time.sleep(0.1)
    interrupted = time.monotonic()
    program.send_signal(signal.SIGINT)
    *_, stopped = programs.finish(program, 60).split()
    assert float(stopped) - interrupted < 1


_FORK = """
import os, signal, threading, warnings
import multiprocessing
import numpy as np
import fastnn

warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 on: a fork with threads about
rng = np.random.default_rng(0)
X, y = rng.standard_normal((600, 64)).astype("f4"), rng.integers(0, 10, 600)

def fit(seed=0, callbacks=()):
    net = fastnn.MLP([64, 96, 10], seed=seed)
    net.fit(X, y, epochs=3, threads=2, callbacks=callbacks)
    return net.weights[0].tobytes()

def in_child(function):
    child = os.fork()
    if child == 0:
        signal.alarm(10)  # a child that hangs is killed
        os._exit(0 if function() else 1)
    return child

def check(child):
    status = os.waitpid(child, 0)[1]
    assert status == 0, f"the child ended with status {status}"

expected = fit()
"""


@needs_fork
class TestFork:
    def test_after_training(self):
        programs.run(
            _FORK + "check(in_child(lambda: fit() == expected)); assert fit() == expected", timeout=60
        )

    def test_grandchild(self):
        programs.run(
            _FORK
            + """
def child():
    check(in_child(lambda: fit() == expected))
    return fit() == expected

check(in_child(child))
""",
            timeout=60,
        )

    def test_while_another_thread_trains(self):
        programs.run(
            _FORK
            + """
stop = threading.Event()
wrong = []

def train():
    while not stop.is_set():
        if fit() != expected:
            wrong.append("parent")

trainer = threading.Thread(target=train)
trainer.start()
for _ in range(5):
    check(in_child(lambda: fit() == expected))
stop.set()
trainer.join()
assert not wrong
""",
            timeout=90,
        )

    def test_out_of_a_callback(self):
        """The child may train another network, and even go on with the one that its parent was training."""
        programs.run(
            _FORK
            + """
parent = os.getpid()
children = []

def fork(net, history):
    if len(history.loss) == 1:
        children.append(in_child(lambda: fit() == expected))
        child = os.fork()
        if child == 0:
            signal.alarm(10)
        else:
            children.append(child)

result = fit(callbacks=[fork])
if os.getpid() != parent:
    os._exit(0 if result == expected else 1)
assert result == expected
for child in children:
    check(child)
""",
            timeout=60,
        )

    def test_pool_of_processes(self):
        programs.run(
            _FORK
            + """
with multiprocessing.get_context("fork").Pool(3) as pool:
    results = pool.map_async(fit, range(5)).get(60)
assert results[0] == expected
assert results == [fit(seed) for seed in range(5)]
""",
            timeout=90,
        )


def test_without_compiler():
    """Vector instructions have no Python form: with Numba told not to compile, only the reference trains."""
    code = """
        import numpy as np
        import fastnn

        X, y = np.eye(3), np.arange(3)
        net = fastnn.MLP([3, 3])
        net.fit(X, y, backend="reference")
        for call in (lambda: net.fit(X, y), lambda: net.predict(X), lambda: fastnn.kernels.relu(X)):
            try:
                call()
            except RuntimeError as error:
                assert "NUMBA_DISABLE_JIT is 1" in str(error), error
            else:
                raise AssertionError("no error")
    """
    programs.run(code, NUMBA_DISABLE_JIT=1)


class TestWidths:
    """Every vector width that this processor has, not only the one of all other tests."""

    @pytest.mark.parametrize("width", [w for w in host.supported_widths() if w != host.host().vector_bits])
    def test_against_reference(self, width):
        here = Path(__file__).parent
        command = [sys.executable, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--no-header"]
        tests = [here / "test_kernels.py", here / "test_engine.py", "-k", "float32 and (reference or engine)"]
        run = subprocess.run(
            [*command, *tests],
            env={**os.environ, host.WIDTH_VARIABLE: str(width)},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert run.returncode == 0, run.stdout + run.stderr

    @pytest.mark.parametrize("width", host.supported_widths())
    def test_forced(self, width):
        code = "from fastnn import kernels; print(kernels.host().vector_bits)"
        assert programs.run(code, **{host.WIDTH_VARIABLE: width}) == str(width)

    @pytest.mark.parametrize("width", ["512", "64", "wide", "-128"])
    def test_a_width_that_is_not_there(self, width, monkeypatch):
        monkeypatch.setattr(host, "_features", lambda: frozenset({"sse2", "avx2", "fma"}))
        monkeypatch.setenv(host.WIDTH_VARIABLE, width)
        message = f"FASTNN_VECTOR_WIDTH is '{width}'; this processor runs 256, 128"
        with pytest.raises(ValueError, match=message):
            host.host.__wrapped__()

    @pytest.mark.parametrize(
        ("features", "widths"),
        [
            ({"avx512f", "avx2", "fma"}, (512, 256, 128)),
            ({"avx2", "fma"}, (256, 128)),
            ({"avx2"}, (128,)),
            ({"neon"}, (128,)),
        ],
    )
    def test_chosen_from_features(self, features, widths, monkeypatch):
        monkeypatch.setattr(host, "_features", lambda: frozenset(features))
        monkeypatch.delenv(host.WIDTH_VARIABLE, raising=False)
        assert host.supported_widths() == widths
        assert host.host.__wrapped__().vector_bits == widths[0]
