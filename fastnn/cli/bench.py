"""`fastnn bench`: what this machine can do, and how near to it matrix products and training come."""

import json
import statistics
import time
from pathlib import Path

import fastnn
from fastnn.cli import defaults
from fastnn.cli.display import percent, print_table
from fastnn.cli.info import print_facts, processor, threads, versions
from fastnn.cli.measure import PRODUCTS, WORKLOADS, Measurement, matmul, peak, training

# The threads of the BLAS in NumPy look for more work for 103 ms after a product: let them fall asleep before others are timed.
SETTLE_SECONDS = 0.15

PEAK, MATMUL, TRAINING = "peak, GFLOP/s", "matmul, GFLOP/s", "training, samples/s"

Measurements = dict[str, dict[str, Measurement]]
Figures = dict[str, dict[str, dict[str, float]]]


def run(args) -> int:
    """Measure in rounds, print tables, and write every figure to a file if asked to."""
    rounds = (1 if args.quick else defaults.BENCH_ROUNDS) if args.rounds is None else args.rounds
    if rounds < 1:
        raise ValueError(f"--rounds is {rounds}; a whole number of 1 or more is needed")
    machine = processor() | threads() | versions()
    print_facts(machine)
    print(f"\nmedian, minimum and maximum of {rounds} round{'' if rounds == 1 else 's'}\n", flush=True)
    figures = measure(
        prepare(seconds=0.002 if args.quick else 0.2, rows=1000 if args.quick else 10_000), rounds
    )
    fractions = fractions_of_peak(figures)
    print_report(figures, fractions)
    if args.json is not None:
        report = {"machine": machine, "rounds": rounds, **figures, "training, fraction of peak": fractions}
        Path(args.json).write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 0


def prepare(seconds: float, rows: int) -> Measurements:
    """Return all measurements by kind and name, in the order of a round; each takes about `seconds`."""
    data = fastnn.datasets.load("mnist-small")[0]
    data = fastnn.datasets.Dataset(data.X[:rows], data.y[:rows])
    peaks = {peak_name(count): peak(count, seconds) for count in thread_counts()}
    products = {}
    for product in PRODUCTS:
        ours, numpy = matmul(product, seconds)
        products |= {f"fastnn {product.name}": ours, f"numpy {product.name}": numpy}
    trainings = {work.name: training(work, data, seconds) for work in WORKLOADS}
    return {PEAK: peaks, MATMUL: products, TRAINING: trainings}


def measure(measurements: Measurements, rounds: int) -> Figures:
    """Return the median, minimum and maximum of each measurement over the rounds."""
    results = {kind: {name: [] for name in named} for kind, named in measurements.items()}
    for _ in range(rounds):
        for kind, named in measurements.items():
            for name, measurement in named.items():
                time.sleep(SETTLE_SECONDS)
                results[kind][name].append(measurement())
    return {
        kind: {
            name: {"median": statistics.median(rates), "min": min(rates), "max": max(rates)}
            for name, rates in named.items()
        }
        for kind, named in results.items()
    }


def fractions_of_peak(figures: Figures) -> dict[str, float]:
    """Return what each training makes of the peak of all threads, by the medians."""
    limit = list(figures[PEAK].values())[-1]["median"] * 1e9
    return {work.name: figures[TRAINING][work.name]["median"] * work.flops / limit for work in WORKLOADS}


def thread_counts() -> list[int]:
    """Return one thread and as many as training uses."""
    return sorted({1, fastnn.get_num_threads()})


def peak_name(count: int) -> str:
    """Name the measurement of the peak."""
    return f"{count} thread{'' if count == 1 else 's'}"


def print_report(figures: Figures, fractions: dict[str, float]) -> None:
    """Print a table each for the peak, the products and the trainings."""
    peaks = [[name, spread(figure, ".1f")] for name, figure in figures[PEAK].items()]
    print_table(["fused multiply-adds", "GFLOP/s"], peaks)
    print()
    rows = []
    for product in PRODUCTS:
        ours, numpy = (figures[MATMUL][f"{library} {product.name}"] for library in ("fastnn", "numpy"))
        ratio = ours["median"] / numpy["median"]
        rows.append([product.name, spread(ours, ".1f"), spread(numpy, ".1f"), f"{ratio:.2f}"])
    print_table(["matrix product, GFLOP/s", "fastnn", "NumPy", "ratio"], rows)
    print()
    rows = [
        [name, spread(figures[TRAINING][name], ",.0f"), percent(fraction)]
        for name, fraction in fractions.items()
    ]
    print_table(["training", "samples/s", "of peak"], rows)


def spread(figure: dict[str, float], form: str) -> str:
    """Write a median with its minimum and maximum."""
    return f"{figure['median']:{form}} ({figure['min']:{form}} to {figure['max']:{form}})"
