"""Teams of threads: every thread runs, errors come out, nobody is left waiting; and how many threads there are."""

import _thread
import os
import sys
import threading
import time

import numpy as np
import programs
import pytest
from numba import njit
from numba.core.errors import TypingError

from fastnn.kernels import threads as kernel_threads
from fastnn.kernels.jobs import EXPECTED, STATES, THREAD_WORDS
from fastnn.kernels.sync import barrier
from fastnn.kernels.threads import Team
from fastnn.kernels.tile import address


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


def wait_until_asleep(team):
    end = time.monotonic() + 10
    while any(team.sync[STATES + THREAD_WORDS * thread] for thread in range(1, team.threads)):
        assert time.monotonic() < end
        time.sleep(0.01)


@njit(nogil=True)
def note(thread, threads, sync, seen, run):
    seen[run, thread] += threads


@njit(nogil=True)
def meet_often(thread, threads, sync, arrived, wrong):
    place = address(sync, 0)
    for turn in range(1, 101):
        arrived[thread] = turn
        if not barrier(place, threads):
            wrong[thread] += 1
        for other in range(threads):
            if arrived[other] < turn:
                wrong[thread] += 1
        barrier(place, threads)


@njit(nogil=True)
def fail(thread, threads, sync, failing, met):
    if thread == failing or failing < 0:
        raise MemoryError
    met[thread] = barrier(address(sync, 0), threads)


@njit(nogil=True)
def dawdle(thread, threads, sync, finished):
    if thread == 0:
        raise MemoryError
    if thread == 1:
        while finished[0] < 300_000_000:
            finished[0] += 1
    finished[thread] += 1


class TestTeam:
    @pytest.mark.parametrize("threads", [1, 2, 3, 7])
    def test_each_thread_runs_once(self, threads):
        seen = np.zeros((20, threads), np.int64)
        with Team(threads) as team:
            for run in range(20):
                within(10, lambda run=run: team.run(note, seen, run))
                assert (seen[run] == threads).all()
        assert (seen == threads).all()

    def test_a_kernel_may_be_compiled_already(self):
        seen = np.zeros((1, 2), np.int64)
        with Team(2) as team:
            team.run(kernel_threads.compiled(note, team.sync, seen, 0), seen, 0)
        assert (seen == 2).all()

    @pytest.mark.parametrize("threads", [1, 2])
    def test_code_for_other_types_is_never_run(self, threads):
        """Same dtypes, other dimensions or layout: where the kernel would read memory that is not its own."""
        seen = np.zeros((4, 2), np.int64)
        with Team(threads) as team:
            code = kernel_threads.compiled(note, team.sync, seen, 0)
            for other in (seen.T.copy().T, seen[:, ::1].view(np.matrix)):
                within(60, lambda other=other: team.run(code, other, 1))
            with pytest.raises(TypingError):
                team.run(code, seen.reshape(-1), 1)
        assert (seen[1, :threads] == threads).all()
        assert not seen[2:].any()

    def test_threads_that_fell_asleep_are_woken(self):
        seen = np.zeros((10, 3), np.int64)
        with Team(3) as team:
            for run in range(10):
                within(10, lambda run=run: team.run(note, seen, run))
                time.sleep(0.01)
        assert (seen == 3).all()

    def test_to_wake_up_takes_no_lock_of_the_interpreter(self):
        """Else a caller who makes one product after another would keep it from those who are to help."""
        seen = np.zeros((3, 2), np.int64)
        with Team(2) as team:
            team.run(note, seen, 0)
            wait_until_asleep(team)
            interval = sys.getswitchinterval()
            sys.setswitchinterval(1000)
            team.sync[EXPECTED] = 1  # whoever wakes up stays awake
            try:
                team.wake()
                end = time.monotonic() + 10
                while not team.sync[STATES + THREAD_WORDS] and time.monotonic() < end:
                    pass
                assert team.sync[STATES + THREAD_WORDS]
            finally:
                team.sync[EXPECTED] = 0
                sys.setswitchinterval(interval)

    def test_a_thread_that_is_there_twice_works_once(self):
        seen = np.zeros((2, 3), np.int64)
        with Team(3) as team:
            team.wake()
            team.wake()  # before the first ones are known to be there
            for run in range(2):
                within(10, lambda run=run: team.run(note, seen, run))
        assert (seen == 3).all()

    def test_the_others_stay(self, monkeypatch):
        started, start = [], _thread.start_new_thread
        monkeypatch.setattr(
            kernel_threads._thread, "start_new_thread", lambda *call: started.append(call) or start(*call)
        )
        seen = np.zeros((5, 3), np.int64)
        with Team(3) as team:
            for run in range(5):
                team.run(note, seen, run)
        assert len(started) == 2

    @pytest.mark.parametrize("threads", [2, 4, 9])
    def test_barrier_with_more_threads_than_processors(self, threads):
        arrived, wrong = np.zeros((2, threads), np.int64)
        with Team(threads) as team:
            within(30, lambda: team.run(meet_often, arrived, wrong))
        assert not wrong.any() and (arrived == 100).all()

    @pytest.mark.parametrize("failing", [0, 1, 2, -1])
    def test_a_thread_fails_while_the_others_wait(self, failing):
        """It is told by run, the waiting threads give up, and the team works on."""
        with Team(3) as team:
            for _ in range(3):
                met = np.ones(3, np.int64)
                with pytest.raises(MemoryError, match="kernel"):
                    within(10, lambda met=met: team.run(fail, failing, met))
                assert met.sum() == (1 if failing >= 0 else 3)  # those who failed wrote nothing
            met = np.zeros(3, np.int64)
            within(10, lambda: team.run(fail, 99, met))
            assert met.all()

    def test_run_waits_for_the_slowest(self):
        finished = np.zeros(3, np.int64)
        with Team(3) as team, pytest.raises(MemoryError):
            team.run(dawdle, finished)
        assert finished[1] == finished[2] == 1

    def test_close_twice_and_use_again(self):
        team, seen = Team(2), np.zeros((3, 2), np.int64)
        team.close()
        for run in range(3):
            within(10, lambda run=run: team.run(note, seen, run))
            team.close()
            team.close()
        assert (seen == 2).all()

    def test_close_ends_the_threads(self):
        seen = np.zeros((1, 4), np.int64)
        with Team(4) as team:
            team.run(note, seen, 0)
            during = _thread._count()
        end = time.monotonic() + 10
        while _thread._count() > during - 3 and time.monotonic() < end:
            time.sleep(0.01)
        assert _thread._count() <= during - 3

    def test_teams_side_by_side(self):
        def meet_with(team, wrong):
            for _ in range(20):
                team.run(meet_often, np.zeros(team.threads, np.int64), wrong)

        wrong = np.ones((4, 3), np.int64)
        with Team(2) as a, Team(3) as b, Team(2) as c, Team(3) as d:
            a.run(meet_often, np.zeros(2, np.int64), np.zeros(2, np.int64))  # compiles
            wrong[:] = 0
            callers = [
                threading.Thread(target=meet_with, args=pair, daemon=True)
                for pair in zip((a, b, c, d), wrong, strict=True)
            ]
            for caller in callers:
                caller.start()
            for caller in callers:
                caller.join(60)
                assert not caller.is_alive()
        assert not wrong.any()

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
    def test_a_forked_child_makes_threads_of_its_own(self):
        """The threads that still look out for work when it is forked are not in the child."""
        programs.run(
            """
            import os
            import numpy as np
            from numba import njit
            from fastnn.kernels.threads import Team

            @njit(nogil=True)
            def note(thread, threads, sync, seen):
                seen[thread] += 1

            team = Team(3)
            seen = np.zeros(3, np.int64)
            for _ in range(20):
                team.run(note, seen)
                child = os.fork()
                if child == 0:
                    team.run(note, seen)
                    os._exit(0 if (seen == seen[0]).all() else 1)
                assert os.waitpid(child, 0)[1] == 0
            """,
            timeout=60,
        )


def test_interrupts_at_any_moment():
    """Ctrl-C comes when it likes, also between any two lines of run: no hang, and no thread still at work after it."""
    programs.run(
        """
        import random, signal, sys, time
        import numpy as np
        from numba import njit
        from fastnn.kernels.threads import Team

        def interrupt(*_):
            raise KeyboardInterrupt

        @njit(nogil=True)
        def kernel(thread, threads, sync, active):
            active[thread] = 1
            for _ in range(10_000):
                active[thread] += 1
            active[thread] = 0

        signal.signal(signal.SIGALRM, interrupt)
        random.seed(0)
        active = np.zeros(3, np.int64)
        team = Team(3)
        team.run(kernel, active)
        interrupts = 0
        end = time.monotonic() + 10
        while interrupts < 1000 and time.monotonic() < end:
            try:
                try:
                    signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-6, 3e-4))
                    for _ in range(1000):
                        team.run(kernel, active)
                        if random.random() < 0.1:
                            time.sleep(0.0003)
                finally:
                    signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                interrupts += 1
                assert not active.any(), f"a thread is still at work after interrupt {interrupts}"
        assert interrupts >= 100, interrupts
        """,
        timeout=30,
    )


@pytest.fixture
def affinities(monkeypatch):
    """What affinity masks were set to, as pairs (thread's number or 0, processors); four processors, the caller on the third."""
    found = []
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3}, raising=False)
    monkeypatch.setattr(os, "sched_setaffinity", lambda *mask: found.append(mask), raising=False)
    monkeypatch.setattr(kernel_threads, "_processor", lambda: 2)
    return found


def woken_twice(team):
    """Have a team's threads run a job, fall asleep, and run another."""
    seen = np.zeros((2, team.threads), np.int64)
    team.run(note, seen, 0)
    wait_until_asleep(team)
    team.run(note, seen, 1)
    assert (seen > 0).all()


def test_threads_are_woken_off_the_callers_processor(affinities):
    """And may use all processors once they are awake."""
    with Team(2, apart=True) as team:
        woken_twice(team)
        (member,) = team._members.values()
    # At the first time the thread may be too new to be known.
    assert affinities[-2:] == [(member, {0, 1, 3}), (member, {0, 1, 2, 3})]


def test_training_leaves_that_to_the_system(affinities):
    with Team(2) as team:
        woken_twice(team)
    assert affinities == []


def test_one_processor_is_used_by_all(affinities, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {2})
    with Team(2, apart=True) as team:
        woken_twice(team)
    assert affinities == []


def test_a_system_that_refuses_masks_is_no_obstacle(affinities, monkeypatch):
    def refuse(*_):
        raise PermissionError

    monkeypatch.setattr(os, "sched_setaffinity", refuse)
    with Team(2, apart=True) as team:
        woken_twice(team)
