"""Teams of threads: every thread runs, errors come out, nobody is left waiting; and how many threads there are."""

import _thread
import io
import os
import threading
import time

import numpy as np
import programs
import pytest

from fastnn import kernels
from fastnn.kernels import threads as kernel_threads
from fastnn.kernels.sync import barrier
from fastnn.kernels.threads import Team


def within(seconds, function):
    """The result of function(), or its exception; a failure if that takes longer."""
    outcome = []

    def call():
        try:
            outcome.append((function(), None))
        except BaseException as error:
            outcome.append((None, error))

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(seconds)
    assert outcome, f"not finished after {seconds} s"
    result, error = outcome[0]
    if error is not None:
        raise error
    return result


def meet(team):
    """A barrier of the team, as kernels use it."""
    return barrier(team.sync.ctypes.data, team.threads)


class TestTeam:
    @pytest.mark.parametrize("threads", [1, 2, 3, 7])
    def test_each_thread_runs_once(self, threads):
        seen = []
        with Team(threads) as team:
            for repeat in range(3):
                team.run(lambda thread, count, label: seen.append((label, thread, count)), repeat)
        assert sorted(seen) == [(r, t, threads) for r in range(3) for t in range(threads)]

    def test_the_caller_is_thread_0_and_the_others_stay(self):
        who = [set(), set(), set()]
        with Team(3) as team:
            for _ in range(5):
                team.run(lambda thread, _: who[thread].add(threading.get_ident()))
        assert [len(idents) for idents in who] == [1, 1, 1]
        assert who[0] == {threading.get_ident()}
        assert len(set.union(*who)) == 3

    @pytest.mark.parametrize("threads", [2, 4, 9])
    def test_barrier_with_more_threads_than_processors(self, threads):
        arrived = np.zeros(threads, np.int64)
        wrong = []

        def kernel(thread, count):
            for turn in range(1, 101):
                arrived[thread] = turn
                met = meet(team)
                if not met or (arrived < turn).any():
                    wrong.append((thread, turn))
                meet(team)

        with Team(threads) as team:
            within(30, lambda: team.run(kernel))
        assert wrong == [] and (arrived == 100).all()

    @pytest.mark.parametrize("failing", [0, 1, 2])
    @pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), SystemExit(3), MemoryError()])
    def test_error_while_the_others_wait(self, failing, error):
        """The error comes out of run, the waiting threads give up (or never begin), and the team works on."""
        gave_up = []

        def kernel(thread, count):
            if thread == failing:
                raise error
            gave_up.append(not meet(team))

        done = []
        with Team(3) as team:
            for _ in range(3):
                with pytest.raises(type(error)) as caught:
                    within(10, lambda: team.run(kernel))
                assert caught.value is error
            within(10, lambda: team.run(lambda thread, count: done.append(meet(team))))
        assert all(gave_up) and done == [True] * 3
        assert len(gave_up) == 6 or failing == 0

    def test_errors_everywhere(self):
        def kernel(thread, count):
            raise ValueError(thread)

        with Team(4) as team:
            for _ in range(2):
                with pytest.raises(ValueError):
                    within(10, lambda: team.run(kernel))

    def test_run_waits_for_the_slowest(self):
        begun, hold, finished = threading.Barrier(3), threading.Event(), []

        def kernel(thread, count):
            begun.wait(10)
            if thread == 1:
                hold.wait(10)
            elif thread == 0:
                threading.Timer(0.05, hold.set).start()
                raise ValueError
            finished.append(thread)

        with Team(3) as team, pytest.raises(ValueError):
            team.run(kernel)
        assert sorted(finished) == [1, 2]

    def test_close_twice_and_use_again(self):
        team, seen = Team(2), []
        team.close()
        for _ in range(3):
            team.run(lambda thread, _: seen.append(thread))
            team.close()
            team.close()
        assert sorted(seen) == [0, 0, 0, 1, 1, 1]

    def test_close_ends_the_threads(self):
        with Team(4) as team:
            team.run(lambda *_: None)
            during = _thread._count()
        end = time.monotonic() + 10
        while _thread._count() > during - 3 and time.monotonic() < end:
            time.sleep(0.01)
        assert _thread._count() <= during - 3

    def test_teams_side_by_side(self):
        def count_to(team, total):
            for _ in range(200):
                team.run(lambda thread, _: total.append(meet(team)))

        totals = [[] for _ in range(4)]
        with Team(2) as a, Team(3) as b, Team(2) as c, Team(3) as d:
            callers = [
                threading.Thread(target=count_to, args=pair, daemon=True)
                for pair in zip((a, b, c, d), totals, strict=True)
            ]
            for caller in callers:
                caller.start()
            for caller in callers:
                caller.join(60)
        assert [len(total) for total in totals] == [400, 600, 400, 600]
        assert all(map(all, totals))


def test_interrupts_at_any_moment():
    """Ctrl-C comes when it likes, also between any two lines of run: no hang, and no thread still at work after it."""
    programs.run(
        """
        import random, signal, sys, time
        from fastnn.kernels.threads import Team

        def interrupt(*_):
            raise KeyboardInterrupt

        def kernel(thread, threads):
            active[thread] = True
            sum(range(100))
            active[thread] = False

        signal.signal(signal.SIGALRM, interrupt)
        random.seed(0)
        active = [False] * 3
        team = Team(3)
        team.run(kernel)
        interrupts = 0
        end = time.monotonic() + 10
        while interrupts < 1000 and time.monotonic() < end:
            try:
                try:
                    signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-6, 3e-4))
                    for _ in range(1000):
                        team.run(kernel)
                finally:
                    signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                interrupts += 1
                assert not any(active[1:]), f"a thread is still at work after interrupt {interrupts}"
        assert interrupts >= 100, interrupts
        """,
        timeout=30,
    )


@pytest.fixture
def fresh_counts(monkeypatch):
    """No number chosen, none in the environment, eight processors."""
    monkeypatch.setattr(kernel_threads, "_chosen", None)
    monkeypatch.setattr(kernel_threads, "available_threads", lambda: 8)
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

    monkeypatch.setattr(kernel_threads, "open", fake_open, raising=False)
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
