"""A second process that compiles, beside this one, what both kernels and libraries need, and leaves it in the cache.

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

_processes = []  # of this process, not of those that it was forked from


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
    running = [process for owner, process in _processes if owner == os.getpid() and process.poll() is None]
    for process in running:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_LONGEST_WAIT)
    return bool(running)


@atexit.register
def _end():
    for owner, process in _processes:
        if owner == os.getpid() and process.poll() is None:
            process.terminate()
            process.wait()
