"""The comparison as a picture: a panel of horizontal bars for each workload, fastnn's on top."""

from .peers import OURS
from .tables import count, times

OURS_COLOUR, FASTEST_COLOUR, OTHER_COLOUR, LIMIT_COLOUR = "#0b7a75", "#6b7280", "#c3c8d0", "#b45309"


def draw(path: str, sections: dict[str, dict], machine: dict) -> None:
    """Write a PNG with the panels of all training workloads among the sections."""
    # The class itself: pyplot would look for a screen.
    from matplotlib.figure import Figure

    panels = [
        (title + figure["title"], figure, section == "dense")
        for section, title in (("dense", ""), ("mnist", "MNIST, "))
        for figure in sections.get(section, {}).values()
    ]
    lines = -(-len(panels) // 2)
    bars = max(len(figure["samples_per_second"]) for _, figure, _ in panels)
    height = lines * (0.27 * bars + 0.55) + 1.3
    picture = Figure(figsize=(11, height), facecolor="white", layout="constrained")
    picture.get_layout_engine().set(rect=(0, 0.55 / height, 1, 1 - 0.55 / height), hspace=0.06)
    grid = picture.subplots(lines, 2, squeeze=False)
    for axes, panel in zip(grid.flat, panels, strict=False):
        _draw_panel(axes, *panel)
    for axes in grid.flat[len(panels) :]:
        axes.set_axis_off()
    picture.suptitle(
        f"Training speed, samples per second: best of alternating rounds, {machine['threads']} threads",
        fontsize=13,
    )
    legend = "Bars: best round; whiskers: slowest to fastest. In brackets: how many times faster fastnn is."
    picture.text(
        0.01, 0.1 / height, f"{legend}\n{origin(machine)}", fontsize=7.5, color="#4b5563", va="bottom"
    )
    picture.savefig(path, dpi=130)


def origin(machine: dict) -> str:
    """Return the processor, the date and the versions in a line."""
    versions = [f"{name} {version}" for name, version in machine["versions"].items()]
    return f"{machine['processor']}, {machine['date'][:10]}; {', '.join(versions)}"


def _draw_panel(axes, title, figure, with_limit):
    rates = figure["samples_per_second"]
    names = list(rates)
    best = rates[OURS]["max"]
    fastest = figure["ratio"]["fastest"]
    limit = max(each["max"] for each in figure["peak_flops"].values()) / figure["flops_per_sample"]
    width = max(each["max"] for each in rates.values())
    if with_limit:
        width = max(width, limit)
        axes.axvline(limit, color=LIMIT_COLOUR, linestyle=(0, (4, 3)), linewidth=1)
        place = len(names) - 0.5
        axes.text(
            limit, place, " processor's\n limit", color=LIMIT_COLOUR, fontsize=7.5, ha="left", va="bottom"
        )
    colours = {OURS: OURS_COLOUR, fastest: FASTEST_COLOUR}
    for place, name in enumerate(names):
        rate = rates[name]
        axes.barh(place, rate["max"], 0.72, color=colours.get(name, OTHER_COLOUR))
        axes.plot(
            [rate["min"], rate["max"]], [place, place], color="black", linewidth=0.8, marker="|", markersize=4
        )
        factor = "" if name == OURS else f"  ({times(best / rate['max'])})"
        weight = "bold" if name == OURS else "normal"
        label = axes.text(
            rate["max"] + 0.015 * width,
            place,
            count(rate["max"]) + factor,
            va="center",
            fontsize=8.5,
            weight=weight,
        )
        label.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 0.8})
    axes.set_title(title, loc="left", fontsize=10, weight="bold")
    axes.set_yticks(range(len(names)), names, fontsize=8.5)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(0, 1.3 * width)
    axes.set_xticks([])
    axes.tick_params(left=False)
    for side in ("top", "right", "bottom"):
        axes.spines[side].set_visible(False)
