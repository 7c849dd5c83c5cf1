"""Helpers as Python objects: functions that are compiled as parts of kernels, and only as such."""

from numba import types
from numba.core.registry import CPUDispatcher


class Helper(CPUDispatcher):
    """A function without machine code of its own: a call from Python would be one of the null pointer."""

    def get_call_template(self, arguments, named):
        """Look at the types of a call's arguments; a number that stands in the call is only of its type.

        Numba would compile a helper anew for each such number, `queue_of` in five forms: 0.8 s of all kernels of training.
        """
        arguments = [types.unliteral(kind) for kind in arguments]
        return super().get_call_template(
            arguments, {name: types.unliteral(kind) for name, kind in named.items()}
        )

    def add_overload(self, cres):
        """Keep what was compiled for callers, and from Python."""
        self.overloads[tuple(cres.signature.args)] = cres

    def _compile_for_args(self, *arguments, **named):
        raise TypeError(f"{self.__name__} is a part of kernels and cannot be called from Python")
