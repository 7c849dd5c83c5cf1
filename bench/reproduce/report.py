"""The tables of figures, for people."""

import math
import statistics
from collections.abc import Mapping
from typing import Any

from .measure import column, mean_and_spread
from .systems import ALL, ENTRIES, TIPS, Entry

NONE = "-"


def print_systems(figures: Mapping[str, Any]) -> None:
    """Print theirs beside ours, a line for each part of the test images that they gave a figure for, and all."""
    rows = []
    for name, found in figures.items():
        entry = ENTRIES[name]
        for part in dict.fromkeys([ALL, *entry.system.theirs]):
            rows.append([name if part == ALL else "", part, *cells(entry, part, found)])
    columns = [
        "recipe",
        "test images",
        "theirs, %",
        "ours, %",
        "difference",
        "their time",
        "our time",
        "faster",
    ]
    print_markdown(columns, rows)
    print()
    for name in figures:
        print(f"theirs beside {name}: {ENTRIES[name].system.note}")
    for name, found in figures.items():
        stops = [run["stopped"] for run in found["runs"] if "stopped" in run]
        if stops:
            print(f"\n{name}, seed 0: {stops[0]}")
    print(flush=True)


def print_markdown(columns: list[str], rows: list[list[str]]) -> None:
    """Print a table as Markdown, its columns of one width."""
    widths = [max(map(len, cells)) for cells in zip(columns, *rows, strict=True)]
    for cells in (columns, ["-" * width for width in widths], *rows):
        print("| " + " | ".join(f"{cell:{width}}" for cell, width in zip(cells, widths, strict=True)) + " |")


def cells(entry: Entry, part: str, found: Mapping[str, Any]) -> list[str]:
    """Return the figures of one line."""
    theirs, ours = entry.system.theirs.get(part), column(found, part)
    difference = NONE if theirs is None or not ours else f"{mean_and_spread(ours)[0] - theirs:+.2f}"
    line = [NONE if theirs is None else f"{theirs:.2f}", spread(ours), difference]
    if part != ALL:
        return [*line, "", "", ""]
    seconds, their_seconds = times(found), entry.system.seconds
    ratio = NONE if their_seconds is None else f"{their_seconds / statistics.fmean(seconds):,.0f} x"
    return [*line, NONE if their_seconds is None else f"{their_seconds:,.0f} s", spread(seconds, " s"), ratio]


def times(found: Mapping[str, Any]) -> list[float]:
    """Return every seed's seconds."""
    return [run["seconds"] for run in found["runs"]]


def spread(numbers: list[float], unit: str = "") -> str:
    """Write mean and deviation."""
    if not numbers:
        return NONE
    mean, deviation = mean_and_spread(numbers)
    return f"{mean:.2f}{unit}" if math.isnan(deviation) else f"{mean:.2f} ± {deviation:.2f}{unit}"


def print_tips(figures: Mapping[str, Any]) -> None:
    """Print what the forum's advice gives."""
    rows = []
    for name, found in figures.items():
        layers = [run["weights"] for run in found["runs"]]
        sizes = [statistics.fmean(layer) for layer in zip(*layers, strict=True)]
        rows.append(
            [
                name,
                spread(column(found, ALL)),
                spread(times(found), " s"),
                " ".join(f"{size:.3f}" for size in sizes),
                TIPS[name].claim,
            ]
        )
    print_markdown(
        ["advice", "right of 10,000, %", "time", "weights' root mean square by layer", "claim"], rows
    )


def print_curves(figures: Mapping[str, Any]) -> None:
    """Print the test accuracy against the seconds of training, the means of all seeds."""
    for name, found in figures.items():
        curves = [run["curve"] for run in found["runs"] if run.get("curve")]
        if not curves:
            continue
        print(f"\n{name}: test accuracy against time")
        rows = []
        for epoch, points in enumerate(zip(*curves, strict=False), 1):
            seconds, accuracies = zip(*points, strict=True)
            rows.append([str(epoch), f"{statistics.fmean(seconds):.1f} s", spread(list(accuracies))])
        shown = [row for i, row in enumerate(rows) if i < 5 or (i + 1) % 5 == 0 or i + 1 == len(rows)]
        print_markdown(["epoch", "time", "right, %"], shown)
