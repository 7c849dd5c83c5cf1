"""Kernels as Python objects: a function with the machine code that was loaded from the disk, and what Numba compiled."""

from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import CPUDispatcher

from ._cache import KernelCache
from ._library import provide
from ._machine_code import MachineCode


class Kernel(CPUDispatcher):
    """A function that Numba compiles only where the disk has no machine code for the types of its arguments.

    Numba's `compile` stays as it is: another kernel that calls this one has to be compiled together with it. So what is
    loaded is not among the `overloads`, and there may be both for the same types.
    """

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self._cache = KernelCache(self.py_func)
        self._loaded = {}

    @property
    def signatures(self):
        """The types of arguments that there is machine code for."""
        return list(dict.fromkeys([*self.overloads, *self._loaded]))

    def load(self, kinds):
        """The machine code for arguments of these types from the disk; None where that has none, or Numba compiled it."""
        with global_compiler_lock:
            if kinds not in self._loaded and kinds not in self.overloads:
                try:
                    stored = self._cache.read(kinds)
                    for name in stored["needs"]:
                        provide(name)
                    code = MachineCode(stored, self.py_func, self.targetctx.codegen())
                except Exception:  # a cache that cannot be read is no cache
                    return None
                self._loaded[kinds] = code
                if code.entry_point is not None:
                    self._insert([kind._code for kind in kinds], code.entry_point, False)
            return self._loaded.get(kinds)

    def _compile_for_args(self, *arguments):
        """The function to call from Python, where Numba has none yet for arguments of these types."""
        loaded = self.load(tuple(map(self.typeof_pyval, arguments)))
        if loaded is None:
            return super()._compile_for_args(*arguments)
        self._types_active_call.clear()
        return loaded.entry_point


def compiled_address(function, kinds, form):
    """The address of a function of Numba's for arguments of these types, loaded or compiled, and valid as long as `function`.

    form: NATIVE or C, of _machine_code.py.
    """
    loaded = function.load(kinds) if isinstance(function, Kernel) else None
    if loaded is not None:
        return loaded.addresses[form]
    function.compile(kinds)
    compiled = function.overloads[kinds]
    return compiled.library.get_pointer_to_function(getattr(compiled.fndesc, form))


def python_function(function, kinds):
    """A `jit` function of Numba's for Python that takes arguments to be of these types without a look: 0.2 us less a call.

    Of arrays it looks at the number of dimensions and the size of an element alone.
    """
    loaded = function.load(kinds)
    if loaded is not None:
        return loaded.entry_point
    function.compile(kinds)
    return function.overloads[kinds].entry_point
