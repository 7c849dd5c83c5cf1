"""How many threads are used: what was asked for, within the affinity mask and the container's quota."""

import io
import math
import os

import numpy as np
import programs
import pytest

from fastnn import kernels
from fastnn.kernels import thread_count


@pytest.fixture
def fresh_counts(monkeypatch):
    """No number chosen, none in the environment, eight processors."""
    monkeypatch.setattr(thread_count, "_chosen", None)
    monkeypatch.setattr(thread_count, "available_threads", lambda: 8)
    monkeypatch.delenv("FASTNN_NUM_THREADS", raising=False)


@pytest.mark.usefixtures("fresh_counts")
class TestCounts:
    def test_order_of_precedence(self, monkeypatch):
        assert kernels.get_num_threads() == 8
        monkeypatch.setenv("FASTNN_NUM_THREADS", "3")
        assert kernels.get_num_threads() == 3
        kernels.set_num_threads(5)
        assert kernels.get_num_threads() == 5
        assert kernels.get_num_threads(2) == 2

    def test_never_more_than_there_are(self, monkeypatch):
        monkeypatch.setenv("FASTNN_NUM_THREADS", "99")
        assert kernels.get_num_threads() == 8
        assert kernels.get_num_threads(10**30) == 8
        kernels.set_num_threads(np.int64(9))
        assert kernels.get_num_threads() == 8

    @pytest.mark.parametrize("number", [0, -1, -(10**30)])
    def test_too_small(self, number):
        with pytest.raises(ValueError, match=rf"n is {number}; it must be a whole number of at least 1"):
            kernels.set_num_threads(number)
        with pytest.raises(ValueError, match="threads is"):
            kernels.get_num_threads(number)

    @pytest.mark.parametrize("number", [1.0, "2", True, np.True_, [1], 1j, np.float64(2)])
    def test_not_a_whole_number(self, number):
        with pytest.raises(TypeError, match=r"n is .*; it must be a whole number of at least 1"):
            kernels.set_num_threads(number)
        assert kernels.get_num_threads() == 8

    def test_none_is_not_a_number_to_set(self):
        with pytest.raises(TypeError, match="n is None"):
            kernels.set_num_threads(None)

    @pytest.mark.parametrize("text", ["0", "-2", "two", "1.5", "0x2", "2,3"])
    def test_bad_variable(self, text, monkeypatch):
        monkeypatch.setenv("FASTNN_NUM_THREADS", text)
        with pytest.raises(ValueError, match=f"FASTNN_NUM_THREADS is '{text}'; it must be a whole number"):
            kernels.get_num_threads()

    @pytest.mark.parametrize("text", ["", "  ", " 4 "])
    def test_blanks_in_the_variable(self, text, monkeypatch):
        monkeypatch.setenv("FASTNN_NUM_THREADS", text)
        assert kernels.get_num_threads() == (4 if text.strip() else 8)


@pytest.mark.parametrize(
    ("files", "threads"),
    [
        ({"cpu.max": "max 100000\n"}, 8),
        ({"cpu.max": "300000 100000\n"}, 3),
        ({"cpu.max": "250000 100000\n"}, 2),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu.max": "1600000 100000\n"}, 8),
        ({"cpu.max": "nonsense\n"}, 8),
        ({"cpu.cfs_quota_us": "-1\n", "cpu.cfs_period_us": "100000\n"}, 8),
        ({"cpu.cfs_quota_us": "400000\n", "cpu.cfs_period_us": "100000\n"}, 4),
        ({}, 8),
    ],
)
def test_quota_of_the_container(files, threads, monkeypatch):
    def fake_open(path, **_):
        if os.path.basename(path) not in files:
            raise FileNotFoundError(path)
        return io.StringIO(files[os.path.basename(path)])

    monkeypatch.setattr(thread_count, "open", fake_open, raising=False)
    monkeypatch.setattr(thread_count, "_quota", (-math.inf, math.inf))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert kernels.available_threads() == threads


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity masks here")
def test_affinity_mask():
    one = min(os.sched_getaffinity(0))
    code = """
        import os, sys
        os.sched_setaffinity(0, {int(sys.argv[1])})
        import fastnn
        fastnn.set_num_threads(2)
        print(fastnn.get_num_threads())
    """
    assert programs.run(code, one) == "1"
