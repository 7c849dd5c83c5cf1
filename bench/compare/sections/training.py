"""Training: samples per second of each peer, the ratio to the fastest, and the fraction of the processor's peak."""

from .. import peers
from ..crew import PeerError
from ..figures import fraction, geometric_mean, ratio, spread
from ..peers import OURS
from ..tables import count, in_one_cell, percent, show, spread_cells, times
from ..tasks import mean_loss
from ..workloads import DENSE, NAMES, NAMES_ON_MNIST, Workload, on_mnist
from . import Run

# The order of additions differs from peer to peer; a forgotten bias, batch or factor shows far above this.
TOLERANCE = 0.01


class Training:
    """A table of workloads, all of them trained from the same initial weights."""

    def __init__(self, title, names, workloads):
        self._title, self.names, self._workloads = title, names, workloads

    def measure(self, run: Run) -> dict:
        """Return the figures of every workload, by its name."""
        figures = {}
        for work in self._workloads(run):
            if work.name not in run.workloads:
                continue
            figures[work.name] = measure_workload(run, work.shortened() if run.quick else work)
            report_workload(figures[work.name])
        return figures

    def report(self, figures: dict) -> None:
        """Print the table of ratios; each workload's own table was printed as it was measured."""
        rows = []
        for name, figure in figures.items():
            ours, best = figure["samples_per_second"][OURS], figure["ratio"]
            fastest = figure["samples_per_second"][best["fastest"]]
            rows.append(
                [
                    name,
                    count(ours["max"]),
                    f"{best['fastest']} {count(fastest['max'])}",
                    times(best["best"]),
                    in_one_cell(best, times),
                    percent(figure["fraction_of_peak"]["best"]),
                    in_one_cell(figure["fraction_of_peak"], percent),
                ]
            )
        mean = geometric_mean(figure["ratio"]["best"] for figure in figures.values())
        rows.append(["geometric mean", "", "", times(mean), "", "", ""])
        columns = ["samples/s", "fastnn", "fastest peer", "ratio", "by round", "of peak", "by round"]
        show(f"{self._title}: best rounds; minimum, median and maximum by round", columns, rows)


def measure_workload(run: Run, work: Workload) -> dict:
    """Return the figures of one workload, after a check that every peer learns the same."""
    names = run.peers(peers.TRAINING)
    check(run, work, names)
    peaks = {1: [], run.threads: []}

    def measure_peaks():
        for cores, rates in peaks.items():
            rates.append(run.crew.ask(OURS, "peak", cores=cores, seconds=run.seconds(0.1)))

    seconds = run.crew.ask_in_turn(names, run.rounds, "train", before=measure_peaks, work=work)
    rates = {name: [work.samples / each for each in taken] for name, taken in seconds.items()}
    flops = {name: [work.flops * rate for rate in each] for name, each in rates.items()}
    others = {name: each for name, each in rates.items() if name != OURS}
    return {
        "title": work.title,
        "rows": work.rows,
        "epochs": work.epochs,
        "flops_per_sample": work.flops,
        "samples_per_second": {name: spread(each) for name, each in rates.items()},
        "ratio": ratio(rates[OURS], others),
        "peak_flops": {str(cores): spread(each) for cores, each in peaks.items()},
        "fraction_of_peak": fraction(flops[OURS], peaks[run.threads]),
    }


def check(run: Run, work: Workload, names: list[str]) -> None:
    """Raise PeerError unless an epoch changes the loss of every peer as it does ours."""
    losses = {name: run.crew.ask(name, "check", work=work) for name in names}
    before = mean_loss(work.layers(), *work.data())
    for name, loss in losses.items():
        if not abs(loss - losses[OURS]) <= TOLERANCE * abs(losses[OURS] - before):
            raise PeerError(
                f"{name} does not learn what fastnn does on {work.title}: after one epoch in the same order its loss "
                f"is {loss:.6f}, fastnn's {losses[OURS]:.6f}, and it was {before:.6f}"
            )


def report_workload(figure: dict) -> None:
    """Print one workload's table."""
    peak = max(figure["peak_flops"].values(), key=lambda each: each["max"])["max"]
    best = figure["samples_per_second"][OURS]["max"]
    rows = []
    for name, rates in figure["samples_per_second"].items():
        flops = rates["max"] * figure["flops_per_sample"]
        lead = "" if name == OURS else times(best / rates["max"])
        rows.append([name, *spread_cells(rates, count), f"{flops / 1e9:.0f}", percent(flops / peak), lead])
    columns = ["samples/s", "min", "median", "max", "GFLOP/s", "of peak", "fastnn is"]
    peaks = ", ".join(f"{cores}: {each['max'] / 1e9:.0f}" for cores, each in figure["peak_flops"].items())
    size = f"{figure['rows']:,} rows, epochs a round: {figure['epochs']}"
    show(f"{figure['title']}; {size}; peak by threads, GFLOP/s: {peaks}", columns, rows)


dense = Training("dense training", NAMES, lambda run: DENSE)
mnist = Training("MNIST", NAMES_ON_MNIST, lambda run: on_mnist(run.mnist, run.mnist_rows))
