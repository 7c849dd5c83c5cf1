"""Whole programs, from start to finish: how long imports and a short training take, and how much memory a long one."""

import importlib.util
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ..crew import environment
from ..figures import spread
from ..tables import count, show, spread_cells
from . import Run

FOLDER = Path(__file__).parents[1] / "programs"

IMPORTS = ("numba", "fastnn", "sklearn.neural_network", "jax", "torch")
WARM, COLD, TORCH = "train, warm cache", "train, empty cache", "train in PyTorch"


class Startup:
    """Seconds of Python itself, of imports, and of a script that trains one epoch on the embedded digits."""

    def measure(self, run: Run) -> dict:
        """Return the seconds of each program."""
        installed = [name for name in IMPORTS if importlib.util.find_spec(name.partition(".")[0])]
        programs = {"Python alone": ["-c", "pass"]}
        programs |= {f"import {name}": ["-c", f"import {name}"] for name in installed}
        programs |= {WARM: [FOLDER / "train_fastnn.py"], COLD: [FOLDER / "train_fastnn.py"]}
        if "torch" in installed:
            programs[TORCH] = [FOLDER / "train_torch.py"]
        seconds = {name: [] for name in programs}
        with tempfile.TemporaryDirectory() as warm:
            for number in range(run.rounds + 1):
                for name, arguments in programs.items():
                    with tempfile.TemporaryDirectory() as empty:
                        start = time.perf_counter()
                        call(arguments, run.threads, FASTNN_CACHE=empty if name == COLD else warm)
                        taken = time.perf_counter() - start
                    if number:  # the first round fills caches
                        seconds[name].append(taken)
        return {name: spread(each) for name, each in seconds.items()}

    def report(self, figures: dict) -> None:
        """Print a row for each program."""
        rows = [
            [name, *spread_cells(each, lambda seconds: f"{seconds:.2f}")] for name, each in figures.items()
        ]
        show("from start to finish", ["s", "min", "median", "max"], rows)
        more = figures["import fastnn"]["min"] - figures["import numba"]["min"]
        print(f"import fastnn takes {more:+.2f} s beside import numba\n", flush=True)


class Memory:
    """The largest memory of training C on MNIST, beside that of a bare `import fastnn`."""

    def measure(self, run: Run) -> dict:
        """Return the bytes of each stage."""
        rows = 256 if run.quick else run.mnist_rows
        arguments = [FOLDER / "train_memory.py", run.mnist, str(rows)]
        call(arguments, run.threads)  # compiles, which takes memory of its own
        stages = [list(map(int, call(arguments, run.threads).split())) for _ in range(run.rounds)]
        imported, loaded, trained, data = zip(*stages, strict=True)
        more = [end - start - size for start, end, size in zip(imported, trained, data, strict=True)]
        return {
            "rows": rows,
            "data": data[0],
            "imported": spread(imported),
            "loaded": spread(loaded),
            "trained": spread(trained),
            "beyond import and data": spread(more),
        }

    def report(self, figures: dict) -> None:
        """Print a row for each stage."""
        names = {"imported": "import fastnn", "loaded": "data loaded", "trained": "trained"}
        rows = [
            [names.get(key, key), *spread_cells(figures[key], lambda size: count(size / 1e6))]
            for key in (*names, "beyond import and data")
        ]
        title = f"largest memory, training C on {figures['rows']:,} images ({figures['data'] / 1e6:.0f} MB of data)"
        show(title, ["MB", "min", "median", "max"], rows)


def call(arguments: list, threads: int, **variables: str) -> str:
    """Run Python with these arguments, away from the checkout; return what it prints."""
    return subprocess.run(
        [sys.executable, "-P", *arguments],
        cwd=tempfile.gettempdir(),
        env={**environment(threads), **variables},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout


startup = Startup()
memory = Memory()
