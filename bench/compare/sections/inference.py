"""Prediction: probabilities of 10,000 rows on C, and the class of a single row on 784-100-10."""

import numpy as np

from .. import peers
from ..crew import PeerError
from ..figures import ratio, spread
from ..peers import OURS
from ..tables import count, in_one_cell, show, spread_cells, times
from ..workloads import Workload
from . import Run

LARGE = Workload("C", (784, 512, 10), 128, rows=10_000, epochs=1)
SMALL = Workload("one row", (784, 100, 10), 1, rows=10, epochs=1)


class Inference:
    """One operation, by all peers."""

    def __init__(self, title, work, task, threads=None):
        self._title, self._work, self._task, self._threads = title, work, task, threads

    def measure(self, run: Run) -> dict:
        """Return the seconds of each peer and the ratio to the fastest."""
        names = run.peers(peers.INFERENCE)
        proba = {
            name: run.crew.ask(name, "probabilities", threads=self._threads, work=self._work)
            for name in names
        }
        for name in names:
            if not np.allclose(proba[name], proba[OURS], atol=1e-5):
                raise PeerError(f"{name} does not predict what fastnn does on {self._work.title}")
        seconds = run.crew.ask_in_turn(
            names, run.rounds, self._task, threads=self._threads, seconds=run.seconds(0.3)
        )
        rates = {name: [1 / each for each in taken] for name, taken in seconds.items()}
        others = {name: each for name, each in rates.items() if name != OURS}
        return {
            "threads": self._threads or run.threads,
            "seconds": {name: spread(each) for name, each in seconds.items()},
            "ratio": ratio(rates[OURS], others),
        }

    def report(self, figures: dict) -> None:
        """Print a row for each peer."""
        best = figures["seconds"][OURS]["min"]
        rows = [
            [
                name,
                *spread_cells(each, lambda seconds: count(1e6 * seconds)),
                "" if name == OURS else times(each["min"] / best),
            ]
            for name, each in figures["seconds"].items()
        ]
        show(
            f"{self._title}; threads: {figures['threads']}", ["us", "min", "median", "max", "fastnn is"], rows
        )
        gain = figures["ratio"]
        print(
            f"{times(gain['best'])} the fastest, {gain['fastest']}; by round {in_one_cell(gain, times)}\n",
            flush=True,
        )


predict = Inference("probabilities of 10,000 rows, 784-512-10", LARGE, "predict_proba")
# One thread: there is nothing to share out in a row, and that is how every one of them is fastest.
latency = Inference("class of one row, 784-100-10", SMALL, "predict_one", threads=1)
