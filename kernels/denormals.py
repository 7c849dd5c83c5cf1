"""Flushing denormal numbers to zero while a kernel runs: arithmetic on them is up to a hundred times slower.

The setting belongs to a thread and to Python code that runs on it later, so it is restored on leaving.
"""

from llvmlite import ir
from numba import types
from numba.core.extending import intrinsic

from .processor import ARCHITECTURE
from .vectors import INT32, INT64, declare

_X86_FLUSH = 0x8040  # MXCSR: FTZ (bit 15) for results, DAZ (bit 6) for operands
_ARM_FLUSH = 1 << 24  # FPCR: FZ, both


def _call(builder, name, result, arguments):
    kinds = [argument.type for argument in arguments]
    return builder.call(declare(builder.module, name, result, kinds), arguments)


def _x86_state(builder):
    place = builder.alloca(INT32)
    _call(builder, "llvm.x86.sse.stmxcsr", ir.VoidType(), [place])
    return builder.zext(builder.load(place), INT64)


def _x86_set(builder, state):
    place = builder.alloca(INT32)
    builder.store(builder.trunc(state, INT32), place)
    _call(builder, "llvm.x86.sse.ldmxcsr", ir.VoidType(), [place])


@intrinsic
def flush_denormals(typingctx):
    """Flush denormals from here on in this thread; return the state to restore. Does nothing on unknown processors."""

    def codegen(context, builder, signature, arguments):
        if ARCHITECTURE == "x86_64":
            state = _x86_state(builder)
            _x86_set(builder, builder.or_(state, ir.Constant(INT64, _X86_FLUSH)))
            return state
        if ARCHITECTURE in ("aarch64", "arm64"):
            state = _call(builder, "llvm.aarch64.get.fpcr", INT64, [])
            _call(
                builder,
                "llvm.aarch64.set.fpcr",
                ir.VoidType(),
                [builder.or_(state, ir.Constant(INT64, _ARM_FLUSH))],
            )
            return state
        return ir.Constant(INT64, 0)

    return types.int64(), codegen


@intrinsic
def restore_denormals(typingctx, state):
    """Put back the floating-point state that `flush_denormals` returned."""

    def codegen(context, builder, signature, arguments):
        if ARCHITECTURE == "x86_64":
            _x86_set(builder, arguments[0])
        elif ARCHITECTURE in ("aarch64", "arm64"):
            _call(builder, "llvm.aarch64.set.fpcr", ir.VoidType(), [arguments[0]])
        return context.get_dummy_value()

    return types.void(types.int64), codegen
