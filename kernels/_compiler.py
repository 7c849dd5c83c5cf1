"""Numba's compiler, set up for kernels that are made of many small helpers: how often LLVM optimises what.

Numba would optimise each helper with all that it calls, again and again up the tree of calls, and make machine code of it that
nobody runs. Here a helper is made as small as is cheap, and a kernel with all that it is made of is optimised once.
"""

import llvmlite.binding as llvm
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler

from ._library import provide


class _Library(JITCodeLibrary):
    """LLVM's code of a kernel."""

    def _optimize_functions(self, ll_module):
        """Take out what Numba writes for its own convenience, before `ll_module` is linked to others.

        Numba's choice, all passes of LLVM's third level function by function, takes 1.3 s more of training's kernels, and they
        come again when all is linked. (No passes at all: 0.5 s more than these, as everything after them has more to do.)
        """
        ll_module.data_layout = self._codegen._data_layout
        passes = llvm.create_new_module_pass_manager()
        passes.add_sroa_pass()
        passes.add_simplify_cfg_pass()
        passes.add_instruction_combine_pass()
        passes.run(ll_module, self._codegen._pass_builder())

    def _finalize_final_module(self):
        """Have the libraries that this calls in memory, as late as can be: a second process may be compiling them."""
        for function in self._final_module.functions:
            if function.is_declaration:
                provide(function.name)
        super()._finalize_final_module()


class _NoEngine:
    """In the place of Numba's code generator where it would make a function usable: there is none."""

    @staticmethod
    def set_env(name, environment):
        """Nothing to do: the kernels that contain the function have its environment."""


class _Part(_Library):
    """LLVM's code of a helper and of what it calls, to be linked into its callers, and never run by itself."""

    codegen = _NoEngine

    def _optimize_final_module(self):
        pass

    def _finalize_final_module(self):
        self._finalize_dynamic_globals()
        self._finalized = True

    def get_pointer_to_function(self, name):
        """The null pointer: there is no machine code."""
        return 0


class KernelCompiler(Compiler):
    """For functions that are run."""

    library = _Library

    def define_pipelines(self):
        """Return Numba's passes, which fill the library that is there."""
        state = self.state
        state.library = self.library(state.targetctx.codegen(), state.func_id.func_qualname)
        state.library.enable_object_caching()
        return super().define_pipelines()


class PartCompiler(KernelCompiler):
    """For functions that are parts of others."""

    library = _Part
