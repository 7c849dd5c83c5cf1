"""The one place where kernels are turned into machine code: every option of the compiler, and why."""

import os

import numba
from numba.core import config

from ._compiler import KernelCompiler, PartCompiler
from ._helper import Helper
from ._kernel import Kernel

# For what only compiled code calls.
_NO_WRAPPERS = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}


def jit(function):
    """Compile `function` at its first call, per signature, and keep the machine code on disk.

    - nogil: our own threads run kernels side by side; nothing in here touches Python objects.
    - error_model="numpy": a division by zero gives inf or NaN, without a test and branch for each.
    - no fastmath: it would let the compiler assume that NaN and inf never come (and then hide them), and re-order sums,
      so that results would depend on how a loop was cut. Fused multiply-adds are asked for where we want them.
    - no parallel=True: its threading layers abort or hang when two Python threads or a forked child meet in them.
    """
    return _dispatcher(Kernel, KernelCompiler, function)


def door(function):
    """Compile a function that reads Python's objects: as `jit`, but Python's lock is kept."""
    return _dispatcher(Kernel, KernelCompiler, function, nogil=False)


def team_kernel(function):
    """Compile a kernel that teams run, see jobs.py: as `jit`, but Python cannot call it, which saves the code for that."""
    return _dispatcher(Kernel, KernelCompiler, function, **_NO_WRAPPERS)


def helper(function):
    """Compile `function` into its callers only: it has no machine code of its own, and no file in the cache.

    It does not count who refers to an array (_nrt): its callers do. So it may neither make an array nor return a part of one.
    """
    return _dispatcher(Helper, PartCompiler, function, _nrt=False, **_NO_WRAPPERS)


def unkept(function):
    """Compile `function` as `jit` does, but keep it in no file."""
    return numba.njit(nogil=True, error_model="numpy", pipeline_class=KernelCompiler)(function)


def _dispatcher(kind, compiler, function, **options):
    if config.DISABLE_JIT:
        return function
    options = {"nopython": True, "nogil": True, "error_model": "numpy", **options}
    return kind(function, targetoptions=options, pipeline_class=compiler)


def require_jit():
    """Raise RuntimeError where Numba is told not to compile: vector instructions have no Python form."""
    if config.DISABLE_JIT:
        setting = os.environ.get("NUMBA_DISABLE_JIT", "1")
        raise RuntimeError(
            f"NUMBA_DISABLE_JIT is {setting}; the kernels exist only as machine code: unset it, or use backend='reference'"
        )
