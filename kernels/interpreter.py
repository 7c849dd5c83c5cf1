"""Python's lock, which compiled code has when Python calls it, given away for a while in the middle of that."""

import ctypes

from llvmlite import ir
from numba import types
from numba.core.extending import intrinsic

LET_GO, TAKE_BACK = (
    ctypes.cast(function, ctypes.c_void_p).value
    for function in (ctypes.pythonapi.PyEval_SaveThread, ctypes.pythonapi.PyEval_RestoreThread)
)
"""Addresses of Python's functions, which differ from process to process: compiled code, which is kept, is handed them."""


@intrinsic
def let_go(typingctx, function):
    """Give Python's lock away; `function` is LET_GO. Returns what `take_back` needs."""

    def codegen(context, builder, signature, arguments):
        kind = ir.FunctionType(arguments[0].type, [])
        return builder.call(builder.inttoptr(arguments[0], kind.as_pointer()), [])

    return types.intp(types.intp), codegen


@intrinsic
def take_back(typingctx, function, state):
    """Wait for Python's lock and take it; `function` is TAKE_BACK, `state` what `let_go` returned."""

    def codegen(context, builder, signature, arguments):
        function, state = arguments
        kind = ir.FunctionType(ir.VoidType(), [state.type])
        builder.call(builder.inttoptr(function, kind.as_pointer()), [state])
        return context.get_dummy_value()

    return types.void(types.intp, types.intp), codegen
