"""The normal distribution's lower tail as straight-line code.

Phi(-y) = exp(-y^2 / 2) P(q) / (y + 4), q = (y - 4) / (y + 4), for y >= 0: P is smooth from q = -1 to 1, where the density is
taken out of the tail. Its coefficients interpolate P at Chebyshev's points up to the y where exp(-y^2 / 2) vanishes; the
relative error is 1.2e-8 in float32, 4e-17 in float64. The substitution is that of Shepherd and Laframboise, Chebyshev
approximation of (1 + 2x) exp(x^2) erfc x in 0 <= x < infinity, Mathematics of Computation 36, 1981.
"""

import math

from numba import types
from numba.core.extending import intrinsic

from .exp_log import Emitter, emit_exp

_CENTRE = 4.0
_SINGLE = (
    0.75528514, -0.6078966, 0.3871367, -0.1865222, 0.06040685, -0.007532521,
    -0.0035297603, 0.0015777092, 0.00021157929, -0.000115843635,
)  # fmt: skip
_DOUBLE = (
    0.7552851304157515, -0.6078966419718917, 0.38713740074221825, -0.1865218579596948, 0.060396574890730165,
    -0.007540188965561452, -0.003479692362840292, 0.0016308184412427659, 0.00013334425987699864,
    -0.00023109481145988956, -1.9078990454226582e-06, 3.514413932582527e-05, 7.15112789176636e-07,
    -5.918737827947067e-06, -6.253402261070439e-07, 1.0194512920716663e-06, 2.6389746266048705e-07,
    -1.5377766642286208e-07, -7.644761276692808e-08, 1.4210966127840914e-08, 1.3858645871432278e-08,
    1.9054838690700547e-10, -9.184771451678879e-10,
)  # fmt: skip

# The low half of the mantissa: what is left of a number without it has an exact square.
_LOW_BITS = {32: 2**12 - 1, 64: 2**27 - 1}


@intrinsic
def normal_tail(typingctx, y):
    """(Phi(-y), exp(-y^2 / 2) / sqrt(2 pi)) for 0 <= y <= 1e15 or NaN: the normal distribution's tail and density."""
    if y not in (types.float32, types.float64):
        raise TypeError(f"y is {y}; it must be float32 or float64")

    def codegen(context, builder, signature, arguments):
        (y,) = arguments
        emit = Emitter(builder, y)
        bits = emit.precision.bits
        # exp makes an error in y^2 a relative one: the square is exact in two parts.
        high = builder.bitcast(
            builder.and_(builder.bitcast(y, emit.word), emit.integer(2**bits - 1 - _LOW_BITS[bits])), y.type
        )
        half = emit.constant(-0.5)
        square = builder.fmul(half, builder.fmul(high, high))
        rest = builder.fmul(half, builder.fmul(builder.fsub(y, high), builder.fadd(y, high)))
        bell = emit_exp(builder, square, rest)
        centre = emit.constant(_CENTRE)
        inverse = builder.fdiv(emit.constant(1.0), builder.fadd(y, centre))
        q = builder.fmul(builder.fsub(y, centre), inverse)
        tail = emit.polynomial(q, _SINGLE if bits == 32 else _DOUBLE)
        results = [
            builder.fmul(builder.fmul(bell, inverse), tail),
            builder.fmul(bell, emit.constant(1 / math.sqrt(2 * math.pi))),
        ]
        return context.make_tuple(builder, signature.return_type, results)

    return types.UniTuple(y, 2)(y), codegen
