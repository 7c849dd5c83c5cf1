"""The command line: which sections to measure, and where the figures go."""

import argparse
import importlib.util
import json
import sys
import tempfile
from pathlib import Path

import fastnn
from fastnn.cli.info import print_facts

from . import chart, machine, peers, sweep
from .crew import Crew, PeerError
from .sections import Run, denormals, inference, matmul, neighbours, programs, scaling, training
from .workloads import NAMES

SECTIONS = {
    "dense": training.dense,
    "mnist": training.mnist,
    "matmul": matmul,
    "scaling": scaling,
    "predict": inference.predict,
    "latency": inference.latency,
    "startup": programs.startup,
    "memory": programs.memory,
    "denormals": denormals,
    "neighbours": neighbours,
}
DEFAULT = ("dense", "mnist")
OTHERS = tuple(name for name in peers.PEERS if name != peers.OURS)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(
        prog="compare", description="Measure fastnn beside its peers, in alternating rounds."
    )
    made.add_argument(
        "--only",
        nargs="+",
        choices=[*SECTIONS, "all"],
        default=DEFAULT,
        metavar="SECTION",
        help=f"what to measure: {', '.join(SECTIONS)} or all; without it: {' and '.join(DEFAULT)}",
    )
    made.add_argument(
        "--workloads",
        nargs="+",
        choices=NAMES,
        default=NAMES,
        metavar="NAME",
        help=f"what to train, among {', '.join(NAMES)}; without it, all",
    )
    made.add_argument(
        "--peers",
        nargs="+",
        choices=OTHERS,
        default=OTHERS,
        metavar="PEER",
        help=f"whom to compare with, among {', '.join(OTHERS)}; without it, all",
    )
    made.add_argument(
        "--sweep", action="store_true", help="instead: time a step against width, batch, depth and rows"
    )
    made.add_argument("--rounds", type=int, help="rounds that alternate over all peers (5, or 1 if --quick)")
    made.add_argument("--threads", type=int, help="threads for every peer (as many as fastnn uses)")
    made.add_argument(
        "--quick", action="store_true", help="a tiny part of the work, to see that all of it runs"
    )
    made.add_argument("--json", metavar="FILE", help="write every figure of every round")
    made.add_argument("--png", metavar="FILE", help="draw the training workloads, or the sweep, as a picture")
    return made


def main(arguments: list[str] | None = None) -> int:
    """Measure, print and write; return the exit code."""
    options = parser().parse_args(arguments)
    try:
        check(options)
        compare(options)
    except (ValueError, OSError, PeerError) as error:
        print(f"compare: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def chosen(options: argparse.Namespace) -> list[str]:
    """Return the names of the sections to measure, each once."""
    return list(SECTIONS if "all" in options.only else dict.fromkeys(options.only))


def check(options: argparse.Namespace) -> None:
    """Raise ValueError for what could not be done, or written, after some of the measuring."""
    for name in ("rounds", "threads"):
        number = getattr(options, name)
        if number is not None and number < 1:
            raise ValueError(f"--{name} is {number}; a whole number of 1 or more is needed")
    for name in chosen(options):
        trained = getattr(SECTIONS[name], "names", NAMES)
        if not set(trained) & set(options.workloads):
            raise ValueError(f"--workloads names none of {', '.join(trained)}, which {name} trains")
    for path in filter(None, (options.json, options.png)):
        if not Path(path).absolute().parent.is_dir():
            raise ValueError(f"there is no folder for {path}")
    if options.png:
        if importlib.util.find_spec("matplotlib") is None:
            raise ValueError("--png needs matplotlib, which is not installed")
        if not options.sweep and not {"dense", "mnist"} & set(chosen(options)):
            raise ValueError("--png draws the sections dense and mnist, and --only names neither")


def compare(options: argparse.Namespace) -> None:
    """Measure what the options ask for."""
    threads = fastnn.get_num_threads(options.threads)
    report = {"machine": machine.facts(threads), "rounds": options.rounds or (1 if options.quick else 5)}
    with tempfile.TemporaryDirectory() as folder, Crew([peers.OURS, *options.peers], threads) as crew:
        data, rows = machine.unpack_mnist(folder, options.quick)
        report["mnist"] = f"{data}, {rows:,} rows"
        facts = {**report["machine"], **report["machine"]["versions"], "MNIST": report["mnist"]}
        print_facts({name: str(fact) for name, fact in facts.items() if name != "versions"})
        if report["machine"]["noisy"]:
            print("\nOther programs are at work: these figures are noisy.")
        print_missing(crew.missing)
        run = Run(crew, report["rounds"], options.quick, folder, rows, tuple(options.workloads))
        if options.sweep:
            report["sweep"] = sweep.measure(run)
            sweep.report(report["sweep"])
        else:
            report["sections"] = measure_sections(run, chosen(options))
    if options.json:
        Path(options.json).write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    if options.png:
        if options.sweep:
            sweep.draw(options.png, report["sweep"], report["machine"])
        else:
            chart.draw(options.png, report["sections"], report["machine"])


def measure_sections(run: Run, names: list[str]) -> dict[str, dict]:
    """Return the figures of each section, printed as they come."""
    figures = {}
    for name in names:
        figures[name] = SECTIONS[name].measure(run)
        SECTIONS[name].report(figures[name])
    return figures


def print_missing(missing: dict[str, str]) -> None:
    """Say which peers take no part, and why."""
    print()
    for name, reason in missing.items():
        print(f"without {name}: {reason}")
    if missing:
        print()
    sys.stdout.flush()
