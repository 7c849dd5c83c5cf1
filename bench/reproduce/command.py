"""The command line: which systems to train, with how many seeds, and where the figures go."""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import fastnn
from fastnn import recipes
from fastnn.cli.info import print_facts, processor, threads, versions

from .measure import measure
from .report import print_curves, print_systems, print_tips
from .systems import ENTRIES, TIPS

TIPS_NAME = "tips"


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(
        prog="reproduce",
        description="Train the recipes of the starting systems, and print their figures beside ours.",
    )
    made.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"what to train: {', '.join(ENTRIES)}, {TIPS_NAME}; without it all, which takes over an hour",
    )
    made.add_argument(
        "--seeds", type=int, default=5, metavar="N", help="seeds 0 to N - 1 (default %(default)s)"
    )
    made.add_argument("--json", metavar="FILE", help="write every figure of every seed")
    made.add_argument(
        "--quick", action="store_true", help="one epoch of few images, to see that all of it runs"
    )
    return made


def main(arguments: list[str] | None = None) -> int:
    """Train, print and write; return the exit code."""
    options = parser().parse_args(arguments)
    try:
        names = check(options)
        reproduce(names, options)
    except (ValueError, OSError) as error:
        print(f"reproduce: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def check(options: argparse.Namespace) -> list[str]:
    """Return the names of what to train. Raises ValueError for what could not be done, or written, later."""
    known = [*ENTRIES, TIPS_NAME]
    for name in options.names:
        if name not in known:
            raise ValueError(f"there is no {name!r}; there are {', '.join(known)}")
    if options.seeds < 1:
        raise ValueError(f"--seeds is {options.seeds}; a whole number of 1 or more is needed")
    if options.json and not Path(options.json).absolute().parent.is_dir():
        raise ValueError(f"there is no folder for {options.json}")
    return [name for name in known if name in options.names] or known


def reproduce(names: list[str], options: argparse.Namespace) -> None:
    """Train what the names say."""
    machine = {"date": time.strftime("%Y-%m-%d %H:%M"), **processor(), **threads(), **versions()}
    print_facts(machine)
    print(f"\nmean ± deviation over {options.seeds} seed{'' if options.seeds == 1 else 's'}\n", flush=True)
    report: dict[str, Any] = {"machine": machine, "seeds": options.seeds}
    seeds = range(options.seeds)
    figures = {}
    for name in names:
        if name != TIPS_NAME:
            say(name)
            figures[name] = measure(recipes.load(name), seeds, ENTRIES[name].curve, options.quick)
    if figures:
        print_systems(figures)
        print_curves(figures)
        report["systems"] = figures
    if TIPS_NAME in names:
        report["tips"] = {name: tip(name, seeds, options.quick) for name in TIPS}
        print()
        print_tips(report["tips"])
    if options.json:
        Path(options.json).write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def tip(name: str, seeds: range, quick: bool) -> dict[str, Any]:
    """Return the figures of a piece of advice."""
    say(name)
    variant = TIPS[name]
    return measure(recipes.load(variant.recipe).change(variant.changes), seeds, quick=quick)


def say(name: str) -> None:
    """Tell what is being trained; stdout holds the tables."""
    print(f"training {name}, up to {fastnn.get_num_threads()} threads", file=sys.stderr, flush=True)
