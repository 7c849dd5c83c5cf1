"""Exponential and logarithm as straight-line vector code (Numba has no vector mathematics library since 0.62).

exp(x) = 2^n exp(r), n = round(x / ln 2), |r| <= ln(2) / 2. ln 2 is split in two so that x - n ln 2 loses nothing (Cody and
Waite, Software Manual for the Elementary Functions, 1980, chapter 6). exp(r) is its Taylor series.
log(2^e m) = e ln 2 + 2 atanh(s), s = (m - 1) / (m + 1), m from sqrt(1/2) to sqrt(2); atanh(s) is its series in s^2 (same, ch. 5).
Both series end where the first term left out is below half a unit in the last place.
"""

import math
from dataclasses import dataclass

from llvmlite import ir
from numba import types
from numba.core.extending import intrinsic

from .vectors import declare


@dataclass(frozen=True)
class _Precision:
    bits: int
    mantissa_bits: int
    bias: int
    # Below `low`, exp(x) would be denormal, and is 0.
    low: float
    # The high part of ln 2 has so few bits that its product with n is exact even without FMA.
    ln2_high: float
    ln2_low: float
    exp_degree: int
    log_terms: int
    log1p_terms: int


_SINGLE = _Precision(32, 23, 127, -87.33654, 0.693359375, -2.1219444005469057e-4, 7, 5, 7)
_DOUBLE = _Precision(
    64, 52, 1023, -708.39641853226408, 6.93147180369123816490e-01, 1.90821492927058770002e-10, 13, 11, 15
)


class Emitter:
    """Writes IR for one number or one vector of numbers of the type of x."""

    def __init__(self, builder, x):
        self.builder, self.type = builder, x.type
        self.count = x.type.count if isinstance(x.type, ir.VectorType) else None
        element = x.type.element if self.count else x.type
        self.precision = _SINGLE if isinstance(element, ir.FloatType) else _DOUBLE
        word = ir.IntType(self.precision.bits)
        self.word = ir.VectorType(word, self.count) if self.count else word

    def constant(self, value, of_type=None):
        """The number in every lane."""
        return ir.Constant(of_type or self.type, [value] * self.count if self.count else value)

    def integer(self, value):
        """The whole number in every lane, as wide as x."""
        return self.constant(value, self.word)

    def fma(self, a, b, c):
        """a * b + c: one rounding where the processor has FMA."""
        suffix = f"v{self.count}f" if self.count else "f"
        name = f"llvm.fmuladd.{suffix}{self.precision.bits}"
        return self.builder.call(declare(self.builder.module, name, self.type, [self.type] * 3), [a, b, c])

    def polynomial(self, x, coefficients):
        """sum_i coefficients[i] x^i, by Horner's rule."""
        *rest, value = [self.constant(coefficient) for coefficient in coefficients]
        for coefficient in reversed(rest):
            value = self.fma(value, x, coefficient)
        return value


def _reduce(emit, x):
    """(2^n, r, where exp(x) is 0): exp(x) = 2^n exp(r), |r| <= ln(2) / 2, for x <= 0 or NaN."""
    builder, p = emit.builder, emit.precision
    vanishes = builder.fcmp_ordered("<", x, emit.constant(p.low))  # false for NaN, which goes through
    clamped = builder.select(vanishes, emit.constant(p.low), x)
    # Adding 1.5 * 2^(mantissa bits) rounds to a whole number, and leaves it in the low bits of the sum.
    shift = emit.constant(1.5 * 2.0**p.mantissa_bits)
    shifted = emit.fma(clamped, emit.constant(1 / math.log(2)), shift)
    n = builder.fsub(shifted, shift)
    r = emit.fma(n, emit.constant(-p.ln2_low), emit.fma(n, emit.constant(-p.ln2_high), clamped))
    exponent = builder.add(builder.bitcast(shifted, emit.word), emit.integer(p.bias))
    scale = builder.bitcast(builder.shl(exponent, emit.integer(p.mantissa_bits)), emit.type)
    return scale, r, vanishes


def emit_exp(builder, x, low_part=None):
    """Build exp(x + low_part) for x <= 0 or NaN, |low_part| << 1; x is a number or a vector."""
    emit = Emitter(builder, x)
    scale, r, vanishes = _reduce(emit, x)
    if low_part is not None:
        r = builder.fadd(r, low_part)
    series = emit.polynomial(r, [1 / math.factorial(power) for power in range(emit.precision.exp_degree + 1)])
    return builder.select(vanishes, emit.constant(0.0), builder.fmul(series, scale))


def emit_exp_expm1(builder, x):
    """Build exp(x) and exp(x) - 1 for x <= 0 or NaN: 2^n (1 + p) and 2^n p + (2^n - 1), p = exp(r) - 1 from r on."""
    emit = Emitter(builder, x)
    scale, r, vanishes = _reduce(emit, x)
    tail = emit.polynomial(
        r, [1 / math.factorial(power) for power in range(2, emit.precision.exp_degree + 1)]
    )
    p = emit.fma(builder.fmul(r, r), tail, r)
    one = emit.constant(1.0)
    exp = builder.select(vanishes, emit.constant(0.0), emit.fma(scale, p, scale))
    return exp, emit.fma(scale, p, builder.fsub(scale, one))


def emit_log(builder, x):
    """Build log(x) for normal x > 0 or NaN; x is a number or a vector."""
    emit = Emitter(builder, x)
    p = emit.precision
    bits = builder.bitcast(x, emit.word)
    # Subtracting the bits of sqrt(1/2) before the exponent is cut off puts the mantissa between sqrt(1/2) and sqrt(2).
    root_bits = {32: 0x3F3504F3, 64: 0x3FE6A09E667F3BCD}[p.bits]
    offset = builder.sub(bits, emit.integer(root_bits))
    exponent = builder.ashr(offset, emit.integer(p.mantissa_bits))
    mantissa = builder.bitcast(
        builder.sub(bits, builder.shl(exponent, emit.integer(p.mantissa_bits))), emit.type
    )
    e = builder.sitofp(exponent, emit.type)
    one = emit.constant(1.0)
    f = builder.fsub(mantissa, one)
    s = builder.fdiv(f, builder.fadd(mantissa, one))
    square = builder.fmul(s, s)
    tail = emit.polynomial(square, [2 / (2 * term + 1) for term in range(1, p.log_terms + 1)])
    series = emit.fma(builder.fmul(s, square), tail, builder.fadd(s, s))
    value = builder.fadd(
        emit.fma(e, emit.constant(p.ln2_low), series), builder.fmul(e, emit.constant(p.ln2_high))
    )
    return builder.select(builder.fcmp_ordered("==", x, x), value, x)


def emit_log1p_unit(builder, x):
    """Build log(1 + x) for 0 <= x <= 1 or NaN: 2 atanh(s), s = x / (2 + x) <= 1/3; small x keep all their digits."""
    emit = Emitter(builder, x)
    s = builder.fdiv(x, builder.fadd(emit.constant(2.0), x))
    square = builder.fmul(s, s)
    tail = emit.polynomial(square, [2 / (2 * term + 1) for term in range(1, emit.precision.log1p_terms + 1)])
    return emit.fma(builder.fmul(s, square), tail, builder.fadd(s, s))


def _scalar(emit):
    def typing(typingctx, x):
        if x not in (types.float32, types.float64):
            raise TypeError(f"x is {x}; it must be float32 or float64")
        return x(x), lambda context, builder, signature, arguments: emit(builder, arguments[0])

    typing.__doc__ = emit.__doc__
    return typing


exp_nonpositive = intrinsic(_scalar(emit_exp))
log_positive = intrinsic(_scalar(emit_log))
log1p_unit = intrinsic(_scalar(emit_log1p_unit))


@intrinsic
def exp_expm1(typingctx, x):
    """(exp(x), exp(x) - 1) for x <= 0 or NaN, each to its own last place; loops of it become vectors."""
    if x not in (types.float32, types.float64):
        raise TypeError(f"x is {x}; it must be float32 or float64")

    def codegen(context, builder, signature, arguments):
        return context.make_tuple(builder, signature.return_type, emit_exp_expm1(builder, arguments[0]))

    return types.UniTuple(x, 2)(x), codegen


@intrinsic
def like(typingctx, number, x):
    """The constant `number` in the type of x: a literal is float64 by itself, and would make float32 arithmetic slow."""

    def codegen(context, builder, signature, arguments):
        return context.cast(builder, arguments[0], signature.args[0], signature.args[1])

    return x(types.float64, x), codegen


@intrinsic
def fma(typingctx, a, b, c):
    """a * b + c on numbers: one rounding where the processor has FMA, two where it has not; loops of it become vectors."""
    if a not in (types.float32, types.float64):
        raise TypeError(f"a is {a}; it must be float32 or float64")

    def codegen(context, builder, signature, arguments):
        return Emitter(builder, arguments[0]).fma(*arguments)

    return a(a, a, a), codegen
