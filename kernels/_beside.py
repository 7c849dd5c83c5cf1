"""A second process that compiles, beside this one, what this one will need, and leaves it in the cache.

A thread would not do: in a process LLVM works under one lock, and Numba's own half of the work under the interpreter's.
"""

import atexit
import contextlib
import os
import subprocess
import sys
from pathlib import Path

from ._cache import cache_is_ours

# No library takes a tenth of that; who is so slow, or stands still, is not waited for any longer.
_LONGEST_WAIT = 60  # seconds

_processes = []  # who started it, as a forked child is not to wait for it, and the process


def run_beside(statement):
    """Run a Python statement in a second process, without output; return whether that was possible."""
    name = Path(sys.executable or "").name.lower()
    # Where Python is part of another program, that may be what would be started.
    if not name.startswith("python") or getattr(sys, "frozen", False) or not cache_is_ours():
        return False
    code = f"import sys; sys.path[:] = {sys.path!r}; {statement}"
    nothing = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    try:
        process = subprocess.Popen([sys.executable, "-P", "-c", code], **nothing)
    except OSError:
        return False
    _processes.append((os.getpid(), process))
    return True


def waited_for():
    """Wait until the second process is through; return whether there was one to wait for."""
    running = _running()
    for process in running:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_LONGEST_WAIT)
    return bool(running)


def _running():
    return [process for owner, process in _processes if owner == os.getpid() and process.poll() is None]


@atexit.register
def _end():
    for process in _running():
        process.terminate()
        process.wait()
