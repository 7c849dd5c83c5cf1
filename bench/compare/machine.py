"""What the figures depend on besides the code: processor, threads, versions, what else runs; and where MNIST is."""

import os
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

import fastnn
from fastnn.cli import info

from .peers import DISTRIBUTIONS

# Above this many other programs at work on average, figures are marked as noisy.
QUIET_LOAD = 0.3


def facts(threads: int) -> dict:
    """Return what goes into every report."""
    load = os.getloadavg()[0]
    return {
        "date": time.strftime("%Y-%m-%d %H:%M"),
        **info.processor(),
        "threads": threads,
        "load at start": round(load, 2),
        "noisy": load > QUIET_LOAD,
        "versions": {"Python": info.versions()["Python"], "numba": version("numba"), **installed()},
    }


def installed() -> dict[str, str]:
    """Return the versions of the peers that are there."""
    found = {}
    for name, distribution in DISTRIBUTIONS.items():
        try:
            found.setdefault(distribution, (name, version(distribution)))
        except PackageNotFoundError:
            continue
    return dict(found.values())


def unpack_mnist(folder: str, quick: bool) -> tuple[str, int]:
    """Write MNIST's training set to `folder` as X.npy and y.npy; return its name and the number of rows.

    The full one where $FASTNN_DATA or the user's cache holds it, the embedded digits otherwise or if in a hurry.
    """
    places = [os.environ.get("FASTNN_DATA"), fastnn.kernels.cache_root() / "data" / "mnist"]
    train, name = None, "mnist"
    for place in () if quick else filter(None, places):
        try:
            train, _ = fastnn.datasets.load("mnist", place)
            break
        except OSError:
            continue
    if train is None:
        (train, _), name = fastnn.datasets.load("mnist-small"), "mnist-small"
    np.save(Path(folder, "X.npy"), train.X)
    np.save(Path(folder, "y.npy"), train.y)
    return name, len(train)
