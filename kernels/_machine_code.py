"""Compiled kernels put to use without Numba's compiler: what a process needs that finds them all on the disk.

Numba would load them into the engine that it compiles with, for which it first imports all it knows of NumPy and compiles a
library of its own: 60 MB and 200 ms. LLVM alone takes 2 MB and half a millisecond a kernel. What goes to the disk is object
code and names; without the LLVM bitcode, which only compiling needs, it is a quarter as large.
"""

import ctypes
import sys
from functools import cache

import llvmlite.binding as llvm
from numba import _dynfunc
from numba.core import config
from numba.core.environment import Environment
from numba.core.runtime import _nrt_python

# The functions of a kernel, by what Numba's description of it calls their names: for compiled callers, C and Python.
NATIVE, C, PYTHON = "llvm_func_name", "llvm_cfunc_wrapper_name", "llvm_cpython_wrapper_name"


def storable(compiled):
    """What is kept of a kernel that Numba compiled, in types that any process can unpickle without importing more.

    Raises ValueError for code that Numba has to prepare a process for, or that holds addresses of this one.
    """
    if compiled.reload_init or compiled.library.has_dynamic_globals:
        raise ValueError(f"{compiled.fndesc.qualname} cannot be used in another process")
    module = compiled.library._final_module
    symbols = [*module.functions, *module.global_variables]
    defined = {symbol.name for symbol in symbols if not symbol.is_declaration}
    names = {form: getattr(compiled.fndesc, form) for form in (NATIVE, C, PYTHON)}
    return {
        "object": compiled.library._get_compiled_object(),
        "names": {form: name for form, name in names.items() if name in defined},
        "needs": [s.name for s in symbols if s.is_declaration and not s.name.startswith("llvm.")],
        "environment": compiled.fndesc.env_name,
        "constants": {e.env_name: list(e.consts) for e in compiled._find_referenced_environments()},
    }


@cache
def _add_runtime_symbols():
    """Tell LLVM where the functions of Numba's run time are; Numba itself did so with all others that kernels call."""
    for name, address in _nrt_python.c_helpers.items():
        llvm.add_symbol(name if name.startswith("_") else f"NRT_{name}", address)


def make_machine(codegen):
    """LLVM's description of what to compile for, set up like that of `codegen`, Numba's."""
    options = {"opt": config.OPT}
    codegen._customize_tm_options(options)
    return llvm.Target.from_triple(llvm.get_process_triple()).create_target_machine(**options)


def make_engine(codegen):
    """An engine set up like the one for which `codegen` compiles.

    Every kernel has its own, 0.3 ms: what is compiled into several has the same names in each, and these hold numbers that
    another process may have given to something else.
    """
    return llvm.create_mcjit_compiler(
        llvm.parse_assembly(""), make_machine(codegen), use_lmm=config.USE_LLVMLITE_MEMORY_MANAGER
    )


def add_object(engine, code, name):
    """Give object code to an engine. LLVM would end the process over a file that is none: that raises ValueError."""
    object_file = llvm.ObjectFileRef.from_data(code)
    if not object_file._ptr:
        raise ValueError(f"{name} has no object code")
    engine.add_object_file(object_file)


class MachineCode:
    """A kernel's functions for arguments of certain types, in memory as long as this object or its `entry_point`.

    addresses: by form: NATIVE, C or PYTHON, as far as it was compiled with them. entry_point: for Python, or None.
    Raises an exception for what is not from `storable`, and what cannot be loaded.
    """

    def __init__(self, stored, function, codegen):
        _add_runtime_symbols()
        # LLVM would end the process over a symbol that it cannot find.
        missing = [name for name in stored["needs"] if not llvm.address_of_symbol(name)]
        if missing:
            raise ValueError(f"{function.__qualname__} needs {', '.join(missing)}")
        self._engine = make_engine(codegen)
        add_object(self._engine, stored["object"], function.__qualname__)
        # To ask for an address makes the code usable. `finalize_object` would have LLVM generate code for the engine's empty
        # module besides: 5 MB and 0.4 ms.
        self.addresses = {
            form: self._found(self._engine.get_function_address(name), name)
            for form, name in stored["names"].items()
        }
        self._environments = {
            name: self._set_environment(name, constants, function)
            for name, constants in stored["constants"].items()
        }
        self.entry_point = None
        if PYTHON in self.addresses:
            self.entry_point = _dynfunc.make_function(
                sys.modules[function.__module__],
                function.__name__,
                function.__doc__ or "",
                self.addresses[PYTHON],
                self._environments[stored["environment"]],
                (self._engine, self._environments),  # kept alive with it
            )

    def _set_environment(self, name, constants, function):
        """Point the code's variable `name` to the Python objects it uses, such as the dtype of an array that it returns."""
        environment = Environment(function.__globals__)  # which only code in object mode would look at
        environment.consts[:] = constants
        environment.env_name = name
        place = self._found(self._engine.get_global_value_address(name), name)
        ctypes.c_void_p.from_address(place).value = id(environment)
        return environment

    @staticmethod
    def _found(address, name):
        if not address:
            raise ValueError(f"{name} is not in the object code")
        return address
