"""The exponential function as a polynomial that LLVM turns into vector code (Numba has no vector mathematics library).

exp(x) = 2^n exp(r), n = round(x / ln 2), |r| <= ln(2) / 2. ln 2 is split in two so that x - n ln 2 loses nothing (Cody and
Waite, Software Manual for the Elementary Functions, 1980, chapter 6). exp(r) is its Taylor series: the first term left
out is below half a unit in the last place at degree 7 (single) and 13 (double).
"""

import math

from llvmlite import ir
from numba import types
from numba.core.extending import intrinsic

# (low, degree, ln 2 high, ln 2 low, 1.5 * 2^mantissa bits, exponent bias, mantissa bits). Below `low` the result would be
# denormal and is 0. The high part of ln 2 has so few bits that its product with n is exact even without FMA.
_SINGLE = (-87.33654, 7, 0.693359375, -2.1219444005469057e-4, 1.5 * 2.0**23, 127, 23)
_DOUBLE = (-708.39641853226408, 13, 6.93147180369123816490e-01, 1.90821492927058770002e-10, 1.5 * 2.0**52, 1023, 52)


def _emit_exp(builder, x):
    """Build exp(x), x <= 0 or NaN, in a block of straight-line code without branches."""
    single = isinstance(x.type, ir.FloatType)
    low, degree, ln2_high, ln2_low, shift, bias, mantissa_bits = _SINGLE if single else _DOUBLE
    word = ir.IntType(32 if single else 64)
    name = f"llvm.fmuladd.f{word.width}"
    module = builder.module
    if name not in module.globals:
        ir.Function(module, ir.FunctionType(x.type, [x.type] * 3), name)

    def constant(value):
        return ir.Constant(x.type, value)

    def fma(a, b, c):
        return builder.call(module.globals[name], [a, b, c])

    vanishes = builder.fcmp_ordered("<", x, constant(low))  # false for NaN, which goes through and comes out as NaN
    clamped = builder.select(vanishes, constant(low), x)
    # Adding 1.5 * 2^(mantissa bits) rounds to a whole number, and leaves it in the low bits of the sum.
    shifted = fma(clamped, constant(1 / math.log(2)), constant(shift))
    n = builder.fsub(shifted, constant(shift))
    r = fma(n, constant(-ln2_high), clamped)
    r = fma(n, constant(-ln2_low), r)
    series = constant(1 / math.factorial(degree))
    for power in range(degree - 1, -1, -1):
        series = fma(series, r, constant(1 / math.factorial(power)))
    exponent = builder.add(builder.bitcast(shifted, word), ir.Constant(word, bias))
    scale = builder.bitcast(builder.shl(exponent, ir.Constant(word, mantissa_bits)), x.type)
    return builder.select(vanishes, constant(0.0), builder.fmul(series, scale))


@intrinsic
def exp_nonpositive(typingctx, x):
    """exp(x) for x <= 0, float32 or float64, to about one unit in the last place; 0 where it would be denormal."""
    if x not in (types.float32, types.float64):
        raise TypeError(f"x is {x}; it must be float32 or float64")

    def codegen(context, builder, signature, arguments):
        return _emit_exp(builder, arguments[0])

    return x(x), codegen
