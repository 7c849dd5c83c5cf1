"""Training throughput beside NumPy's: alternating rounds in one run, and the ratio of each pair of rounds.

    python bench/compare_numpy.py [rounds]

Two threads each. A ratio above 1: fastnn is faster.
"""

import os
import statistics
import sys
import time

THREADS = 2
for _variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ[_variable] = str(THREADS)  # read when NumPy is imported

from numpy_trainer import NumpyTrainer  # noqa: E402
from workloads import WORKLOADS  # noqa: E402

import fastnn  # noqa: E402

_RATE = 0.01
_PAUSE = 0.3  # seconds


def seconds_of(function, *arguments, **keywords):
    """How long one call takes."""
    # The threads of OpenBLAS spin for a while when their work is done, and would take a core from what comes next.
    time.sleep(_PAUSE)
    start = time.perf_counter()
    function(*arguments, **keywords)
    return time.perf_counter() - start


def compare(work, rounds):
    """Print samples a second of both, the best of all rounds, and the least, median and largest ratio."""
    X, y = work.data()
    net = fastnn.MLP(work.sizes)
    trainer = NumpyTrainer(net.weights, net.biases, work.batch, _RATE)
    settings = {"batch_size": work.batch, "learning_rate": _RATE, "threads": THREADS}
    net.fit(X, y, epochs=1, **settings)  # warm-up: compiles, or reads the cache
    trainer.fit(X, y, 1)  # warm-up: OpenBLAS starts its threads
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(seconds_of(net.fit, X, y, epochs=work.epochs, **settings))
        theirs.append(seconds_of(trainer.fit, X, y, work.epochs))
    ratios = [b / a for a, b in zip(ours, theirs, strict=True)]
    network = f"{work.name} {'-'.join(map(str, work.sizes))} b{work.batch}"
    print(
        f"{network:25} {work.samples / min(ours):9,.0f} {work.samples / min(theirs):9,.0f}   "
        f"{min(ratios):5.2f} {statistics.median(ratios):5.2f} {max(ratios):5.2f}",
        flush=True,
    )


def main():
    """Compare all workloads."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    print(f"{fastnn.kernels.host().processor}, {THREADS} threads, {rounds} alternating rounds")
    print(f"{'samples/s':25} {'fastnn':>9} {'NumPy':>9}   {'ratio min, median, max'}")
    for work in WORKLOADS:
        compare(work, rounds)


if __name__ == "__main__":
    main()
