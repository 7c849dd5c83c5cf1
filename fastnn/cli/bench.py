"""`fastnn bench`: what this machine can do, and how near to it matrix products and training come."""

import json
import statistics
import time
from pathlib import Path

import fastnn
from fastnn.cli import defaults
from fastnn.cli.display import percent, print_table
from fastnn.cli.info import processor, threads, versions
from fastnn.cli.measure import PRODUCTS, WORKLOADS, Measurement, matmul, peak, training

# NumPy's threads wait for more work in a loop, for some 20 ms: let them fall asleep before others are timed.
SETTLE_SECONDS = 0.05


def run(args) -> int:
    """Measure in rounds, print tables, and write every figure to a file if asked to."""
    rounds = (1 if args.quick else defaults.BENCH_ROUNDS) if args.rounds is None else args.rounds
    if rounds < 1:
        raise ValueError(f"--rounds is {rounds}; a whole number of 1 or more is needed")
    machine = processor() | threads() | versions()
    print("; ".join(f"{name}: {value}" for name, value in machine.items()), flush=True)
    measurements = prepare(seconds=0.002 if args.quick else 0.2, rows=1000 if args.quick else 10_000)
    figures = measure(measurements, rounds)
    print_report(figures, rounds)
    if args.json is not None:
        report = {"machine": machine, "rounds": rounds, "figures": figures}
        Path(args.json).write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 0


def prepare(seconds: float, rows: int) -> dict[str, Measurement]:
    """Return all measurements by name, in the order of a round; each takes about `seconds`."""
    data = fastnn.datasets.load("mnist-small")[0]
    data = fastnn.datasets.Dataset(data.X[:rows], data.y[:rows])
    measurements = {peak_name(count): peak(count, seconds) for count in thread_counts()}
    for product in PRODUCTS:
        ours, numpy = matmul(product, seconds)
        measurements |= {f"fastnn {product.name}": ours, f"numpy {product.name}": numpy}
    return measurements | {work.name: training(work, data, seconds) for work in WORKLOADS}


def measure(measurements: dict[str, Measurement], rounds: int) -> dict[str, dict[str, float]]:
    """Return minimum, median and maximum of each measurement over the rounds."""
    results = {name: [] for name in measurements}
    for _ in range(rounds):
        for name, measurement in measurements.items():
            time.sleep(SETTLE_SECONDS)
            results[name].append(measurement())
    return {
        name: {"min": min(rates), "median": statistics.median(rates), "max": max(rates)}
        for name, rates in results.items()
    }


def thread_counts() -> list[int]:
    """Return one thread and as many as training uses."""
    return sorted({1, fastnn.get_num_threads()})


def peak_name(count: int) -> str:
    """Name the measurement of the peak."""
    return f"peak of {count} thread{'' if count == 1 else 's'}"


def print_report(figures: dict[str, dict[str, float]], rounds: int) -> None:
    """Print a table each for the peak, the products and the trainings."""
    print(f"\nmedians of {rounds} round{'' if rounds == 1 else 's'}, with minimum and maximum\n")
    peaks = [peak_name(count) for count in thread_counts()]
    print_table(["fused multiply-adds", "GFLOP/s"], [[name, spread(figures[name], ".1f")] for name in peaks])
    print()
    rows = []
    for product in PRODUCTS:
        ours, numpy = figures[f"fastnn {product.name}"], figures[f"numpy {product.name}"]
        ratio = ours["median"] / numpy["median"]
        rows.append([product.name, spread(ours, ".1f"), spread(numpy, ".1f"), f"{ratio:.2f}"])
    print_table(["matrix product, GFLOP/s", "fastnn", "NumPy", "ratio"], rows)
    print()
    rows = []
    for work in WORKLOADS:
        gflops = figures[work.name]["median"] * work.flops / 1e9
        of_peak = gflops / figures[peaks[-1]]["median"]
        rows.append([work.name, spread(figures[work.name], ",.0f"), f"{gflops:.1f}", percent(of_peak)])
    print_table(["training", "samples/s", "GFLOP/s", "of peak"], rows)


def spread(figure: dict[str, float], form: str) -> str:
    """Write a median with its minimum and maximum."""
    return f"{figure['median']:{form}} ({figure['min']:{form}} to {figure['max']:{form}})"
