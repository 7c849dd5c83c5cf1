"""`fastnn info`: what fastnn found on this machine, or in a data set."""

import os
import platform
import time
from importlib.metadata import version
from pathlib import Path

import fastnn
from fastnn import kernels
from fastnn.backends.inputs import SPARSE_DENSITY, SPARSE_UNITS, density
from fastnn.backends.jit import warm_up
from fastnn.cli.data import load_named, unlabelled_data
from fastnn.cli.display import percent
from fastnn.datasets import NAMES

RULE = f"at most {100 * SPARSE_DENSITY:g} % not zero, and a first layer of {SPARSE_UNITS} units or more"
PACKAGES = ("fastnn-cpu", "numba", "llvmlite", "numpy", "safetensors")


def run(args) -> int:
    """Print processor, threads, cache and versions, or what a data set is like; with --warm-up compile first."""
    if args.warm_up:
        begin = time.perf_counter()
        warm_up()
        print(f"every kernel is ready, after {time.perf_counter() - begin:.1f} s")
    if args.dataset is not None:
        print_facts(data(args))
    else:
        print_facts(processor() | threads() | {"sparse inputs": RULE, "cache": cache()} | versions())
    return 0


def print_facts(facts: dict[str, str]) -> None:
    """Print each fact on a line, its name first."""
    width = max(map(len, facts))
    for name, value in facts.items():
        print(f"{name:{width}}  {value}")


def data(args) -> dict[str, str]:
    """Return the size of the training rows, how many of their values are not 0, and how they would be trained on."""
    if args.dataset in NAMES:
        X = load_named(args)[0].X
    elif args.data is not None:
        raise ValueError(f"--data is the folder of mnist; {args.dataset} is a file")
    else:
        X = unlabelled_data(args.dataset, args.label).X
    part, rows = density(X)
    sparse = f"sparse where the first layer has {SPARSE_UNITS} units or more, else dense"
    return {
        "data": f"{args.dataset}: {len(X):,} rows, {X.shape[1]:,} inputs",
        "not zero": f"{percent(part)} of the inputs, in {rows:,} rows",
        "trained": sparse if part <= SPARSE_DENSITY else "dense",
    }


def processor() -> dict[str, str]:
    """Return the processor's name and the vector width that the kernels use."""
    host = kernels.host()
    return {
        "processor": f"{host.processor} ({host.architecture})",
        "vector width": f"{host.vector_bits} bits",
    }


def threads() -> dict[str, str]:
    """Return how many threads training will use, and how many it could."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "processors": f"{os.cpu_count()}, of which this process may use {allowed}",
        "threads in use": str(fastnn.get_num_threads()),
    }


def cache() -> str:
    """Return where compiled kernels are kept, how much is there, and whether more can be."""
    folder = kernels.cache_root()
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    writable = "writable" if is_writable(folder) else "not writable: kernels are compiled in every process"
    return (
        f"{folder} ({len(sizes)} file{'' if len(sizes) == 1 else 's'}, {sum(sizes) / 1e6:.1f} MB, {writable})"
    )


def is_writable(folder: Path) -> bool:
    """Tell whether files can be made in `folder`, which itself may have to be made first."""
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    return existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)


def versions() -> dict[str, str]:
    """Return the versions of Python, of fastnn and of the packages it stands on."""
    return {"Python": platform.python_version()} | {package: version(package) for package in PACKAGES}
