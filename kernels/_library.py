"""Functions in vector IR that kernels call and do not contain: each library compiled once, by LLVM alone, and kept on the disk.

Numba would build, optimise and translate them with every kernel that calls them, and with every helper between: the register
tiles took half of LLVM's time. A library is a module of LLVM's that knows nothing of Numba. Its functions get names that LLVM
finds in the whole process, so a kernel only declares them, whether it is compiled or loaded.
"""

import llvmlite.binding as llvm
from llvmlite import ir
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target

from ._beside import waited_for
from ._cache import read_file, write_file
from ._machine_code import add_object, make_engine, make_machine

_BUILDERS = {}

# The engines that hold the code, as long as the process: a kernel may call it at any time.
_ENGINES = {}


def offer(name, build):
    """Let kernels call the function `name`, which build(module) writes into an empty module when it is needed first."""
    _BUILDERS[name] = build


def provide(name):
    """Have the function `name` in memory: loaded, or compiled. Nothing happens where nobody offers it."""
    with global_compiler_lock:
        if name in _ENGINES or name not in _BUILDERS:
            return
        # Another process may be compiling it.
        if _read(name) or (waited_for() and _read(name)):
            return
        code = _compile(name)
        _load(name, code)
        write_file(name, "", code)


def _read(name):
    """Load a library from the disk; return whether it was there."""
    try:
        _load(name, read_file(name, ""))
    except Exception:  # a cache that cannot be read is no cache
        return False
    return True


def _load(name, code):
    engine = make_engine(_codegen())
    add_object(engine, code, name)
    address = engine.get_function_address(name)
    if not address:
        raise ValueError(f"{name} is not in the object code")
    _ENGINES[name] = engine
    llvm.add_symbol(name, address)


def _compile(name):
    """The object code of a library."""
    module = ir.Module(name)
    module.triple = llvm.get_process_triple()
    _BUILDERS[name](module)
    machine = make_machine(_codegen())
    parsed = llvm.parse_assembly(str(module))
    parsed.data_layout = str(machine.target_data)
    # Vector IR is written as it is meant: these two passes leave the loops of all tiles as LLVM's third level does, instruction
    # for instruction, in a tenth of its time. (Without them each turn of most loops has one instruction more.)
    passes = llvm.create_new_module_pass_manager()
    passes.add_simplify_cfg_pass()
    passes.add_instruction_combine_pass()
    passes.run(parsed, llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options()))
    return machine.emit_object(parsed)


def _codegen():
    return cpu_target.target_context.codegen()
