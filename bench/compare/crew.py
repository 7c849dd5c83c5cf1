"""The peers' processes as the parent sees them: one for each peer and number of threads, asked in turn."""

import contextlib
import os
import pickle
import subprocess
import sys
import time
from pathlib import Path

START = f"import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r}); from compare.child import serve; serve()"

# Threads of a pool wait for more work in a loop: those of PyTorch 9 ms, those of the BLAS that NumPy and scikit-learn use 103 ms.
# They are to be asleep before the next peer's turn.
SETTLE_SECONDS = 0.15


class PeerError(Exception):
    """A peer cannot be used here, or failed."""


class Child:
    """The process of one peer."""

    def __init__(self, name: str, threads: int):
        self.name = name
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", START, name, str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(threads),
        )
        try:
            self._receive()
        except PeerError:
            self.close()
            raise

    def ask(self, task: str, **arguments):
        """Return what the peer's process answers; PeerError where it cannot."""
        try:
            pickle.dump((task, arguments), self._process.stdin)
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._ended() from None
        return self._receive()

    def _receive(self):
        try:
            failure, result = pickle.load(self._process.stdout)
        except (EOFError, pickle.UnpicklingError):
            raise self._ended() from None
        if failure is not None:
            raise PeerError(failure)
        return result

    def _ended(self) -> PeerError:
        return PeerError(f"{self.name} ended with exit code {self._process.wait()}")

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()
        with contextlib.suppress(BrokenPipeError):  # a question that was not taken any more
            self._process.stdin.close()


class Crew:
    """The processes of all peers that can be used here; `missing` says why the others cannot."""

    def __init__(self, names, threads: int):
        self.threads = threads
        self.missing: dict[str, str] = {}
        self._children: dict[tuple[str, int], Child] = {}
        self.names = []
        for name in names:
            try:
                self._child(name, threads)
            except PeerError as error:
                self.missing[name] = str(error)
            else:
                self.names.append(name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for child in self._children.values():
            child.close()

    def among(self, names) -> list[str]:
        """Return those of the names that can be used here."""
        return [name for name in names if name in self.names]

    def ask(self, name: str, task: str, threads: int | None = None, **arguments):
        """Ask one peer while all others are idle."""
        time.sleep(SETTLE_SECONDS)
        return self._child(name, threads or self.threads).ask(task, **arguments)

    def ask_in_turn(self, names, rounds: int, task: str, before=None, **arguments) -> dict[str, list]:
        """Ask the peers for a figure each, round after round, another one first each time; return their figures.

        `before` is called at the start of each round.
        """
        figures = {name: [] for name in names}
        for number in range(rounds):
            if before is not None:
                before()
            first = number % len(names)
            for name in (*names[first:], *names[:first]):
                figures[name].append(self.ask(name, task, **arguments))
        return figures

    def _child(self, name: str, threads: int) -> Child:
        if (name, threads) not in self._children:
            self._children[name, threads] = Child(name, threads)
        return self._children[name, threads]


def environment(threads: int) -> dict[str, str]:
    """Return the environment in which every library uses so many threads."""
    counts = dict.fromkeys(
        ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "FASTNN_NUM_THREADS", "NPROC"],
        str(threads),
    )
    # NPROC is where XLA takes the size of its pool from.
    flags = f"--xla_cpu_multi_thread_eigen={str(threads > 1).lower()} intra_op_parallelism_threads={threads}"
    return {**os.environ, **counts, "XLA_FLAGS": flags}
