"""Who computes a product."""

import math

from fastnn.kernels import product_threads
from fastnn.kernels.jobs import DONE


def test_who_was_waited_for_is_left_out_for_a_while(monkeypatch):
    """A product that takes far longer than its work needs is followed by products in the caller's thread alone."""
    now, teams = [100.0], []

    def alone(team):
        now[0] += 0.001
        return DONE

    monkeypatch.setattr(product_threads.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(product_threads._Products, "alone_until", -math.inf)

    class Slow:
        seconds = 0.02

        def post(self, *_, wake):
            teams.append(now[0])
            now[0] += self.seconds
            return DONE

    monkeypatch.setattr(product_threads, "keep", lambda threads: Slow())
    for _ in range(200):
        product_threads.run_product(2, 1_000_000, alone)
    assert teams[0] == 100.0
    assert 0.08 <= teams[1] - teams[0] - 0.02 < 0.082
    assert len(teams) == 3
    # A second of waiting, for a kernel to be compiled, say, does not end the team for long.
    monkeypatch.setattr(Slow, "seconds", 1)
    now[0] += 1
    teams.clear()
    for _ in range(200):
        product_threads.run_product(2, 1_000_000, alone)
    assert 0.1 <= teams[1] - teams[0] - 1 < 0.102
    # As much work as takes so long is not waiting.
    monkeypatch.setattr(product_threads._Products, "alone_until", -math.inf)
    teams.clear()
    for _ in range(10):
        product_threads.run_product(2, 8_000_000_000, alone)
    assert len(teams) == 10
