"""How much faster all threads are than one, in training C and D."""

from ..figures import ratio, spread
from ..peers import OURS
from ..tables import count, in_one_cell, show, times
from ..workloads import DENSE
from . import Run


def measure(run: Run) -> dict:
    """Return samples per second with one thread and with all, by workload, and the peaks of both."""
    figures = {}
    for work in DENSE:
        if work.name not in ("C", "D"):
            continue
        if run.quick:
            work = work.shortened()
        rates = {threads: [] for threads in (1, run.threads)}
        peaks = {threads: [] for threads in (1, run.threads)}
        for threads in rates:
            run.crew.ask(OURS, "check", threads=threads, work=work)
        for _ in range(run.rounds):
            for threads in rates:
                seconds = run.crew.ask(OURS, "train", threads=threads, work=work)
                rates[threads].append(work.samples / seconds)
                peaks[threads].append(run.crew.ask(OURS, "peak", cores=threads, seconds=run.seconds(0.1)))
        figures[work.name] = {
            "title": work.title,
            "samples_per_second": {str(threads): spread(each) for threads, each in rates.items()},
            "scaling": ratio(rates[run.threads], {"1": rates[1]}),
            "scaling_of_peak": ratio(peaks[run.threads], {"1": peaks[1]}),
        }
    return figures


def report(figures: dict) -> None:
    """Print a row for each workload."""
    rows = []
    for figure in figures.values():
        one, *rest = figure["samples_per_second"].values()
        every = rest[0] if rest else one
        gain, limit = figure["scaling"], figure["scaling_of_peak"]
        cells = [
            count(one["max"]),
            count(every["max"]),
            times(gain["best"]),
            in_one_cell(gain, times),
            times(limit["best"]),
        ]
        rows.append([figure["title"], *cells])
    columns = ["samples/s", "one thread", "all threads", "gain", "by round", "gain of the peak"]
    show("fastnn, from one thread to all: best rounds", columns, rows)
