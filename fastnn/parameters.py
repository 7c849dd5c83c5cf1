"""The parameters of a network: one arena, and the lists of weights and biases that a user sees."""

from collections.abc import Iterable
from itertools import pairwise
from math import prod
from typing import Any, NoReturn

import numpy as np

from . import checks

ALIGNMENT = 64  # bytes: a cache line, and the widest vector


class ParameterList(list):
    """A list of parameter arrays, all views of one arena.

    Assigning an item or a slice checks the new values (shape, real, finite) and copies them into the arena.
    The length is the network's and cannot change. A copy (`copy`, `deepcopy`, pickle) is a plain list.
    """

    def __init__(self, name: str, views: Iterable[np.ndarray]):
        super().__init__(views)
        self._name = name

    def __setitem__(self, key: Any, value: Any) -> None:
        if isinstance(key, slice):
            self._assign(range(len(self))[key], value)
        else:
            index = range(len(self))[key]  # IndexError and TypeError as of any list
            np.copyto(self[index], self._checked(index, value))

    def _assign(self, indices: range, values: Any) -> None:
        try:
            values = list(values)
        except TypeError:
            raise TypeError(
                f"{self._name} is assigned {checks.describe(values)}; a list of arrays is needed"
            ) from None
        if len(values) != len(indices):
            raise ValueError(
                f"{self._name} is assigned {len(values)} arrays; {len(indices)} are needed, one a layer"
            )
        # All checked before the first is written: a mistake changes nothing. And copied where writing one could change another.
        fresh = [self._checked(i, value) for i, value in zip(indices, values, strict=True)]
        if any(np.may_share_memory(array, own) for array in fresh for own in self):
            fresh = [array.copy() for array in fresh]
        for i, array in zip(indices, fresh, strict=True):
            np.copyto(self[i], array)

    def _checked(self, index: int, value: Any) -> np.ndarray:
        name = f"{self._name}[{index}]"
        array = checks.real_array(value, name)
        if array.shape != self[index].shape:
            raise ValueError(f"{name} is assigned shape {array.shape}; shape {self[index].shape} is needed")
        return checks.finite_array(array, self[index].dtype, name)

    def _fixed(self, *_: object, **__: object) -> NoReturn:
        raise TypeError(f"{self._name} has one array for each layer; none can be added, removed or moved")

    append = extend = insert = pop = remove = clear = sort = reverse = _fixed
    __delitem__ = __iadd__ = __imul__ = _fixed

    def __reduce__(self) -> tuple[type[list], tuple[list[np.ndarray]]]:
        return list, (list(self),)


class Parameters:
    """All weights (fan_in, fan_out) and biases (fan_out,) of a network, in one zeroed arena.

    Every array starts on a 64-byte boundary; `arena` is the whole as one 1-D array; the gaps in it are 0.
    """

    def __init__(self, sizes: tuple[int, ...], dtype: np.dtype):
        shapes: list[tuple[int, ...]] = []
        for fan_in, fan_out in pairwise(sizes):
            shapes += [(fan_in, fan_out), (fan_out,)]
        lane = ALIGNMENT // dtype.itemsize
        offsets = [0]
        for shape in shapes:
            offsets.append(offsets[-1] + -(-prod(shape) // lane) * lane)
        needed = offsets[-1] * dtype.itemsize
        if needed > checks.LARGEST_BYTES:
            raise ValueError(
                f"sizes need {needed / 2**30:.1f} GiB of parameters; "
                f"at most {checks.LARGEST_BYTES / 2**30:g} GiB are possible"
            )
        memory = np.zeros(needed + ALIGNMENT, np.uint8)
        start = -memory.ctypes.data % ALIGNMENT
        self.arena = memory[start : start + needed].view(dtype)
        views = [
            self.arena[offset : offset + prod(shape)].reshape(shape)
            for offset, shape in zip(offsets, shapes, strict=False)
        ]
        self.weights = ParameterList("weights", views[0::2])
        self.biases = ParameterList("biases", views[1::2])

    def check_finite(self, look: checks.Look = checks.all_finite) -> None:
        """Raise ValueError naming the first NaN or infinity: writing into an array bypasses assignment."""
        if checks.first_not_finite(self.arena, look) is None:
            return
        for parameters in (self.weights, self.biases):
            for index, array in enumerate(parameters):
                checks.finite_array(array, array.dtype, f"{parameters._name}[{index}]")
