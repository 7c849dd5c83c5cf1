"""Training beside other programs that are always at work: what using all threads costs at worst."""

import contextlib
import subprocess
import sys

from ..figures import spread
from ..peers import OURS
from ..tables import in_one_cell, show, times
from ..workloads import DENSE
from . import Run

TRAINED = ("A", "B20", "C")


def measure(run: Run) -> dict:
    """Return how many times as long as one thread all threads take, by the number of busy programs and by workload."""
    figures = {}
    for programs in sorted({1, run.threads}):
        with busy(programs):
            figures[str(programs)] = {
                work.name: spread(slowness(run, work.shortened() if run.quick else work))
                for work in DENSE
                if work.name in TRAINED
            }
    return figures


@contextlib.contextmanager
def busy(programs: int):
    """Keep so many programs at work meanwhile."""
    started = []
    try:
        for _ in range(programs):
            started.append(subprocess.Popen([sys.executable, "-P", "-c", "while True: pass"]))
        yield
    finally:
        for program in started:
            program.kill()
            program.wait()


def slowness(run: Run, work) -> list[float]:
    """Return the seconds with all threads over those with one, round by round, another one first each time."""
    counts = (1, run.threads)
    for threads in counts:
        run.crew.ask(OURS, "check", threads=threads, work=work)
    ratios = []
    for number in range(run.rounds):
        order = counts if number % 2 else counts[::-1]
        seconds = {threads: run.crew.ask(OURS, "train", threads=threads, work=work) for threads in order}
        ratios.append(seconds[run.threads] / seconds[1])
    return ratios


def report(figures: dict) -> None:
    """Print a row for each number of busy programs."""
    rows = [
        [programs, *(in_one_cell(figure, times) for figure in works.values())]
        for programs, works in figures.items()
    ]
    title = "time of all threads over time of one, beside busy programs: minimum, median, maximum by round"
    show(title, ["busy programs", *TRAINED], rows)
