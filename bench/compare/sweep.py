"""How the time of a step grows with width, batch, depth and rows, for fastnn and the two fastest peers."""

from dataclasses import replace

from . import peers
from .figures import geometric_mean
from .peers import OURS
from .sections import Run
from .tables import count, show
from .workloads import DENSE, Workload

# A point is measured again and again for so long, by each library, but never less than once.
SECONDS = 0.5

# An epoch of a point is so much work, within bounds: what comes before and after the steps is not to be measured.
EPOCH_FLOPS = 2e10

WIDTHS = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
BATCHES = (1, 4, 16, 64, 256, 1024, 4096)
DEPTHS = (1, 2, 3, 4, 6, 8)
ROWS = (1000, 4000, 16_000, 64_000)


def axes() -> dict[str, tuple[str, dict[int, Workload]]]:
    """Return what is varied: its description, and the workload for each value."""

    def work(sizes, batch, rows=None):
        made = Workload("sweep", (784, *sizes, 10), batch, batch, epochs=1, learning_rate=0.001)
        steps = max(4, min(256, int(EPOCH_FLOPS / (made.flops * batch))))
        return replace(made, rows=rows or steps * batch)

    return {
        "width": ("units in each of two hidden layers, batch 128", {n: work((n, n), 128) for n in WIDTHS}),
        "batch": ("rows in a batch, 784-512-10", {n: work((512,), n) for n in BATCHES}),
        "depth": ("hidden layers of 256 units, batch 128", {n: work((256,) * n, 128) for n in DEPTHS}),
        "rows": ("rows of data, 784-100-10, batch 256", {n: work((100,), 256, n) for n in ROWS}),
    }


def measure(run: Run) -> dict:
    """Return the seconds of a step of each library at each point: the best of the rounds."""
    names = [OURS, *fastest_two(run)]
    figures = {}
    for axis, (description, works) in axes().items():
        points = list(works.items())[: 2 if run.quick else None]
        seconds = {name: [] for name in names}
        for _, work in points:
            for name, best in step_seconds(run, names, work).items():
                seconds[name].append(best)
        figures[axis] = {
            "description": description,
            "values": [value for value, _ in points],
            "seconds_per_step": seconds,
        }
    return figures


def fastest_two(run: Run) -> list[str]:
    """Return the two peers that are fastest on a small batch and on a large layer."""
    names = [name for name in run.peers(peers.TRAINING) if name != OURS]
    works = [replace(work, epochs=1, rows=40 * work.batch) for work in DENSE if work.name in ("B20", "C")]
    speeds = {
        name: geometric_mean(
            1 / step_seconds(run, [name], work.shortened() if run.quick else work)[name] for work in works
        )
        for name in names
    }
    return sorted(names, key=speeds.get, reverse=True)[:2]


def step_seconds(run: Run, names: list[str], work: Workload) -> dict[str, float]:
    """Return each library's seconds of a step, the best of three rounds that share out SECONDS."""
    if run.quick:
        work = work.shortened()
    works = {}
    for name in names:
        run.crew.ask(name, "check", work=work)
        taken = run.crew.ask(name, "train", work=work)
        epochs = max(1, min(200, int(run.seconds(SECONDS) / 3 / taken)))
        works[name] = replace(work, epochs=epochs)
    best = dict.fromkeys(names, float("inf"))
    for _ in range(1 if run.quick else 3):
        for name in names:
            best[name] = min(best[name], run.crew.ask(name, "train", work=works[name]) / works[name].steps)
    return best


def report(figures: dict) -> None:
    """Print a table for each thing varied."""
    for axis, figure in figures.items():
        seconds = figure["seconds_per_step"]
        others = [name for name in seconds if name != OURS]
        rows = []
        for place, value in enumerate(figure["values"]):
            ours = seconds[OURS][place]
            gain = min(seconds[name][place] for name in others) / ours
            rows.append(
                [f"{value:,}", *(count(1e6 * each[place]) for each in seconds.values()), f"{gain:.2f}x"]
            )
        show(f"us a step against {axis}: {figure['description']}", [axis, *seconds, "fastnn is"], rows)


def draw(path: str, figures: dict, machine: dict) -> None:
    """Write a PNG with a panel for each thing varied."""
    from matplotlib.figure import Figure

    from .chart import OURS_COLOUR, origin

    picture = Figure(figsize=(11, 8), facecolor="white", layout="constrained")
    picture.get_layout_engine().set(rect=(0, 0.06, 1, 0.94))
    colours = (OURS_COLOUR, "#b45309", "#4f46e5")
    for axes_, (axis, figure) in zip(picture.subplots(2, 2).flat, figures.items(), strict=True):
        for colour, (name, seconds) in zip(colours, figure["seconds_per_step"].items(), strict=False):
            width = 2.2 if name == OURS else 1.4
            micros = [1e6 * each for each in seconds]
            axes_.loglog(
                figure["values"], micros, marker="o", markersize=4, color=colour, linewidth=width, label=name
            )
        axes_.set_title(f"{axis}: {figure['description']}", loc="left", fontsize=10)
        axes_.set_xticks(figure["values"], [f"{value:,}" for value in figure["values"]], fontsize=8)
        axes_.set_xticks([], minor=True)
        axes_.set_ylabel("us a step", fontsize=9)
        axes_.grid(axis="y", color="#e5e7eb")
        axes_.legend(frameon=False, fontsize=9)
        for side in ("top", "right"):
            axes_.spines[side].set_visible(False)
    picture.suptitle(f"Time of a training step, {machine['threads']} threads", fontsize=13)
    picture.text(0.01, 0.01, origin(machine), fontsize=7.5, color="#4b5563")
    picture.savefig(path, dpi=130)
