"""The choice between all threads and one, from made-up times."""

import math

import pytest

from fastnn.backends.pace import Pace


def threads_chosen(pace, chunks, seconds):
    """The threads of so many chunks of ten steps, where seconds(threads, chunk) is how long each takes."""
    chosen = []
    for chunk in range(chunks):
        chosen.append(pace.threads)
        pace.record(seconds(pace.threads, chunk), 10)
    return chosen


def test_one_thread_is_all_there_is():
    assert threads_chosen(Pace(1), 20, lambda threads, chunk: 1.0) == [1] * 20


def test_threads_that_help_are_used_from_the_third_chunk_on():
    chosen = threads_chosen(Pace(4), 100, lambda threads, chunk: 0.0015 if chunk == 0 else 0.03 / threads)
    assert chosen == [1, 1] + [4] * 98


def test_one_thread_works_until_half_a_millisecond_tells_how_fast_it_is():
    """A few steps of microseconds, which find nothing in the caches, tell little."""
    chunks = [0.0018, 0.0001, 0.0004, 0.03]  # the first one, in which memory is made, does not count
    chosen = threads_chosen(
        Pace(2), 10, lambda threads, chunk: chunks[chunk] if chunk < 4 else 0.03 / threads
    )
    assert chosen == [1] * 4 + [2] * 6


def test_threads_that_hinder_are_tried_now_and_then():
    chosen = threads_chosen(Pace(2), 200, lambda threads, chunk: 0.03 * threads)
    assert 8 <= chosen.count(2) <= 36 and chosen.count(1) >= 164  # two chunks a trial


def test_a_neighbour_comes_and_goes():
    def seconds(threads, chunk):
        return 0.3 if threads == 2 and 50 <= chunk < 150 else 0.03 / threads

    chosen = threads_chosen(Pace(2), 300, seconds)
    assert chosen[2:50] == [2] * 48
    assert chosen[51:150].count(2) <= 16
    assert chosen[-100:] == [2] * 100


def test_a_slower_machine_does_not_make_it_waver():
    chosen = threads_chosen(Pace(2), 100, lambda threads, chunk: (0.03 if chunk < 50 else 0.06) / threads)
    assert chosen[52:] == [2] * 48


def test_a_team_that_lost_its_patience_waits_ever_longer():
    """Beside a neighbour that stays, tries of all threads become rare; when it is gone they are used again."""
    pace, chosen = Pace(2), []
    for chunk in range(400):
        chosen.append(pace.threads)
        if pace.threads == 2 and chunk < 200:
            pace.record(0.06, 10, 8, 8 * 0.005)
        else:
            pace.record(0.05 / pace.threads, 10)
    assert chosen[2:200].count(2) <= 12
    assert chosen[-150:] == [2] * 150
    assert pace.patience()[0] == pytest.approx(1.5 * 0.005)


def test_patience_is_endless_until_one_thread_is_known():
    pace = Pace(2, alone=0.03)
    assert pace.threads == 2
    assert pace.patience()[0] == math.inf
    pace = Pace(2)
    pace.record(0.01, 1)
    assert pace.patience()[0] == pytest.approx(1.5 * 0.01)


def test_short_chunks_do_not_count_against_threads():
    chosen = threads_chosen(Pace(2), 50, lambda threads, chunk: 0.0019 if threads == 2 else 0.001)
    assert chosen[2:] == [2] * 48


def test_long_steps_are_made_by_all_threads_at_once_and_one_alone_later():
    chosen = threads_chosen(Pace(2, alone=0.03), 300, lambda threads, chunk: 0.3 / threads)
    assert (
        chosen[:22] == [2] * 22
    )  # one wakes the threads, 21 take more than the 3 s that are a hundred steps of one
    assert chosen[22] == 1
    assert chosen[23:] == [2] * 277


def test_a_neighbour_of_long_steps():
    def seconds(threads, chunk):
        return 0.9 if threads == 2 and chunk >= 5 else 0.3 / threads

    chosen = threads_chosen(Pace(2, alone=0.03), 100, seconds)
    assert chosen[:6] == [2] * 6
    assert chosen[6:].count(2) <= 16


def test_what_is_only_to_be_known_takes_few_steps():
    """A whole chunk alone, 50 ms, would be a tenth of a training of half a second."""
    pace = Pace(2, alone=0.004)
    for _ in range(4):  # one that wakes the threads, and more than the 0.4 s that are a hundred steps of one
        pace.record(0.2, 100)
    assert pace.threads == 1
    assert pace.most_steps() == 1
    pace.record(0.004, 1)
    assert pace.threads == 2
    for _ in range(3):
        pace.record(0.2, 100)
    pace.record(0.4, 100)  # twice as long as before: would one thread be quicker?
    assert pace.threads == 1
    assert pace.most_steps() == 1
