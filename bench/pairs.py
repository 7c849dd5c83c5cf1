"""Is this checkout faster than another? Training steps of both in turn, 3 ms each: `python bench/pairs.py OTHER --work A C`.

On a shared machine the rate of one program varies by half within a second, so that best or median rates of two runs differ by
more than most changes give. Slices of 3 ms that follow each other meet about the same machine: the median of their ratios repeats
to 1 or 2 % (of batches that come from memory, from one start to another, to 3). Each process is started several times, as where
its memory lies makes some percent.

Prints, for each workload, this checkout's median GFLOP/s, the median of the ratios this / other, and that of each start.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from compare.workloads import DENSE, Workload

HERE = Path(__file__).parents[1]
SECONDS = 0.003
FLOPS = 150e9  # about, a second and thread


def workload(text):
    """One of compare's, by its name, or made of layer sizes and a batch size: 784-512-10:4096."""
    for work in DENSE:
        if work.name == text:
            return work
    sizes, _, batch = text.partition(":")
    return Workload(text, tuple(map(int, sizes.split("-"))), int(batch), rows=60_000, epochs=1)


def serve(start, threads):
    """In a process of its own, the `start`-th: for each name of a workload on stdin, time steps of it, and print GFLOP/s."""
    import time

    import numpy as np

    import fastnn
    from fastnn.backends import Chunk, Task, get

    if threads == 1 and hasattr(
        os, "sched_setaffinity"
    ):  # on the processor that the other side has, in turn each of them
        processors = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {processors[start % len(processors)]})
    runs = {}
    for line in sys.stdin:
        work = workload(line.strip())
        steps = max(1, int(SECONDS * FLOPS * threads / (work.flops * work.batch)))
        if work.name not in runs:
            X, y = work.data()
            net = fastnn.MLP(work.sizes, init=[W for W, _ in work.layers()])
            task = Task(X, y, work.batch, fastnn.optimizers.SGD(0.0001), threads=threads, sparse=False)
            runs[work.name] = get("jit")(net, task), np.random.default_rng(0), len(X)
        backend, rng, rows = runs[work.name]
        for _ in range(2):  # the first meets what the other process left in the caches
            chunk = Chunk(rng.integers(0, rows, steps * work.batch), np.full(steps, 0.0001), 0, work.batch)
            start = time.perf_counter()
            backend.run(chunk)
            seconds = time.perf_counter() - start
        print(work.flops * work.batch * steps / seconds / 1e9, flush=True)


class Side:
    """A process that trains with the fastnn of one checkout."""

    def __init__(self, root, start, threads, folder):
        # The package as if it were installed: fastnn, with kernels in it.
        package = Path(folder, "fastnn")
        package.mkdir(parents=True)
        for file in Path(root, "fastnn").iterdir():
            (package / file.name).symlink_to(file.resolve())
        (package / "kernels").symlink_to(Path(root, "kernels").resolve())
        line = [sys.executable, __file__, "--serve", str(start), "--threads", str(threads)]
        environment = os.environ | {"PYTHONPATH": str(folder)}
        self._process = subprocess.Popen(
            line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def rate(self, name):
        """GFLOP/s of 3 ms."""
        self._process.stdin.write(f"{name}\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())

    def close(self):
        """End the process."""
        self._process.stdin.close()
        self._process.wait()


def compare(roots, names, threads, rounds, starts):
    """Yield each workload's median rate and the median ratio of each start."""
    found = {name: [] for name in names}
    rates = {name: [] for name in names}
    for start in range(starts):
        with tempfile.TemporaryDirectory() as folder:
            sides = [Side(root, start, threads, Path(folder, str(i))) for i, root in enumerate(roots)]
            for name in names:
                for side in sides:
                    side.rate(name)
                # This, other, other, this, ...: neighbours in time, and no side always first.
                turns = [
                    {side: side.rate(name) for side in (sides if turn % 2 else sides[::-1])}
                    for turn in range(rounds)
                ]
                ours, theirs = sides
                found[name].append(statistics.median(turn[ours] / turn[theirs] for turn in turns))
                rates[name].append(statistics.median(turn[ours] for turn in turns))
            for side in sides:
                side.close()
    for name in names:
        yield name, statistics.median(rates[name]), found[name]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("other", nargs="?", metavar="OTHER", help="the folder of another checkout")
    parser.add_argument("--work", nargs="+", type=workload, default=DENSE, help="A ... E, or 784-512-10:4096")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=150)
    parser.add_argument("--starts", type=int, default=4)
    parser.add_argument("--serve", type=int, metavar="START", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve is not None:
        serve(options.serve, options.threads)
        return
    if options.other is None or not Path(options.other, "kernels").is_dir():
        parser.error(f"OTHER is {options.other}; it must be the folder of a checkout, with kernels/ in it")
    names = [work.name for work in options.work]
    for name, rate, ratios in compare(
        (HERE, options.other), names, options.threads, options.rounds, options.starts
    ):
        every = " ".join(f"{ratio:.3f}" for ratio in ratios)
        print(f"{name:24} {rate:5.0f} GFLOP/s   {statistics.median(ratios):.3f}   ({every})")


if __name__ == "__main__":
    main()
