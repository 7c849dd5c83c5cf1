"""Helpers as Python objects: functions that are compiled as parts of kernels, and only as such."""

from numba.core.registry import CPUDispatcher


class Helper(CPUDispatcher):
    """A function without machine code of its own: a call from Python would be one of the null pointer."""

    def add_overload(self, cres):
        """Keep what was compiled for callers, and from Python."""
        self.overloads[tuple(cres.signature.args)] = cres

    def _compile_for_args(self, *arguments, **named):
        raise TypeError(f"{self.__name__} is a part of kernels and cannot be called from Python")
