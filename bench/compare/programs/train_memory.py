"""Print the process's largest memory so far, in bytes, at three points: fastnn imported, data there, C trained."""

import contextlib
import resource
import sys
from pathlib import Path

import fastnn


def largest_memory():
    """Return the largest resident memory so far, in bytes."""
    # The kernel's ru_maxrss starts from what the parent had before this program replaced it; VmHWM does not.
    with contextlib.suppress(OSError), open("/proc/self/status", encoding="ascii") as file:
        return next(1024 * int(line.split()[1]) for line in file if line.startswith("VmHWM"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


imported = largest_memory()
import numpy as np  # noqa: E402

folder, rows = sys.argv[1], int(sys.argv[2])
X, y = (np.load(Path(folder, f"{name}.npy"))[:rows] for name in "Xy")
loaded = largest_memory()
fastnn.MLP([784, 512, 10]).fit(X, y, epochs=2, batch_size=128, learning_rate=0.1)
print(imported, loaded, largest_memory(), X.nbytes + y.nbytes)
