"""The time, inside kernels."""

import sys
import time

from llvmlite import ir
from numba import types
from numba.core.extending import intrinsic

from .vectors import INT64, declare


@intrinsic
def clock(typingctx):
    """Seconds since some moment in the past, float64; costs 30 ns. Always 0 on Windows, where threads so never seem slow."""

    def codegen(context, builder, signature, arguments):
        if sys.platform == "win32":
            return ir.Constant(ir.DoubleType(), 0.0)
        kind = ir.LiteralStructType([INT64, INT64])  # struct timespec
        with builder.goto_entry_block():
            place = builder.alloca(kind)
        which = ir.IntType(32)
        function = declare(builder.module, "clock_gettime", which, [which, kind.as_pointer()])
        builder.call(function, [ir.Constant(which, time.CLOCK_MONOTONIC), place])
        seconds, nanoseconds = (
            builder.sitofp(builder.extract_value(builder.load(place), field), ir.DoubleType())
            for field in range(2)
        )
        return builder.fadd(seconds, builder.fmul(nanoseconds, ir.Constant(ir.DoubleType(), 1e-9)))

    return types.float64(), codegen
