"""Arrays as kernels want them: aligned, and all of one type."""

import numpy as np

ALIGNMENT = 64  # bytes: one cache line, and the widest vector


def aligned_empty(size, dtype, allocate=np.empty):
    """A 1-D array that starts on a cache line, its values undefined."""
    dtype = np.dtype(dtype)
    raw = allocate(size * dtype.itemsize + ALIGNMENT, dtype=np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + size * dtype.itemsize].view(dtype)


def aligned_zeros(size, dtype):
    """A zeroed 1-D array that starts on a cache line."""
    return aligned_empty(size, dtype, np.zeros)


def plain(array):
    """`array` C-contiguous, aligned and writeable, on the same memory where it is the first two.

    A read-only array would be another type to Numba, for which kernels are compiled anew. They never write to their inputs.
    """
    flags = array.flags
    if flags.carray:  # all of that
        return array
    if not (flags.c_contiguous and flags.aligned):
        array = np.require(array, requirements=["C", "A"])
    if array.flags.writeable:
        return array
    interface = dict(array.__array_interface__)
    interface["data"] = (interface["data"][0], False)

    class Holder:
        __array_interface__ = interface
        owner = array

    return np.asarray(Holder())


def rows_collide(columns, itemsize):
    """Whether rows of so many elements begin whole pages apart: those of a tile then fall into one set of the first-level cache.

    Such a set holds 8 lines on Zen 4 and 12 on Intel's processors, a tile has 12 rows.
    """
    return columns * itemsize % 4096 == 0
