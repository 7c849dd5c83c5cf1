"""Activations of a hidden layer's values in place, with their slopes: one compiled function each, called by address.

All have the signature (z, slopes, rows, columns, stride, a, b): z[r, j] becomes f(z[r, j]), and slopes[r, j], where slopes is not
0, f'(z[r, j]), for r < rows and j < columns; z and slopes are addresses of matrices whose rows are `stride` numbers apart. a and
b are the function's parameters, in the type of the numbers. What overflows, vanishes or is infinite takes its limit; NaN
stays NaN. Each is exact to a few units in the last place of f; where f' changes sign, of its larger term.
"""

from numba import float64, types

from ._jit import helper, unkept
from .exp_log import exp_expm1, exp_nonpositive, like, log1p_unit
from .functions import named, view
from .normal import normal_tail

# exp(-x) is 0 for all larger x in either type: x stands for infinity where 0 times infinity would be NaN.
_LARGE = 800.0


@helper
def _identity(x, a, b):
    """x."""
    return x, like(1.0, x)


@helper
def _relu(x, a, b):
    """max(x, 0); the slope at 0 is 0."""
    zero, one = like(0.0, x), like(1.0, x)
    return (zero if x < zero else x), (zero if x <= zero else one)


@helper
def _shifted_relu(x, a, b):
    """max(x, a); the slope at a is 0. Clevert, Unterthiner and Hochreiter, ICLR 2016, section 4.1."""
    zero, one = like(0.0, x), like(1.0, x)
    return (a if x < a else x), (zero if x <= a else one)


@helper
def _leaky_relu(x, a, b):
    """x for x > 0, else a x; the slope at 0 is a. Maas, Hannun and Ng, ICML 2013, section 2."""
    zero, one = like(0.0, x), like(1.0, x)
    return (a * x if x <= zero else x), (a if x <= zero else one)


@helper
def _elu(x, a, b):
    """x for x > 0, else a (exp(x) - 1); the slope at 0 is a. Clevert, Unterthiner and Hochreiter, ICLR 2016, section 3."""
    zero, one = like(0.0, x), like(1.0, x)
    exp, expm1 = exp_expm1(zero if x > zero else x)
    return (x if x > zero else a * expm1), (one if x > zero else a * exp)


@helper
def _gelu(x, a, b):
    """x Phi(x), Phi the normal distribution function. Hendrycks and Gimpel, Gaussian error linear units, 2016, section 2."""
    zero, one, large = like(0.0, x), like(1.0, x), like(_LARGE, x)
    y = large if abs(x) > large else abs(x)
    tail, density = normal_tail(y)
    below, above = -y * tail, x * (one - tail)
    slope_below, slope_above = tail - y * density, (one - tail) + y * density
    return (below if x < zero else above), (slope_below if x < zero else slope_above)


@helper
def _sigmoid(x, a, b):
    """1 / (1 + exp(-x))."""
    zero, one = like(0.0, x), like(1.0, x)
    e = exp_nonpositive(-abs(x))
    above = one / (one + e)
    below = e * above
    return (below if x < zero else above), below * above


@helper
def _silu(x, a, b):
    """x sigmoid(x). Elfwing, Uchibe and Doya, Neural Networks 107, 2018, section 2."""
    zero, one, large = like(0.0, x), like(1.0, x), like(_LARGE, x)
    y = large if abs(x) > large else abs(x)
    e = exp_nonpositive(-y)
    above = one / (one + e)
    below = e * above
    slope_below, slope_above = below * (one - y * above), above * (one + y * below)
    return (-y * below if x < zero else x * above), (slope_below if x < zero else slope_above)


@helper
def _tanh(x, a, b):
    """tanh(|x|) = (1 - exp(-2 |x|)) / (1 + exp(-2 |x|)), with the sign of x; the slope is 4 e / (1 + e)^2, e the exponential."""
    zero, one, two = like(0.0, x), like(1.0, x), like(2.0, x)
    e, minus = exp_expm1(-two * abs(x))
    part = one / (one + e)
    value = minus * part
    return (value if x < zero else -value), (two * e * part) * (two * part)


@helper
def _softplus(x, a, b):
    """log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|)). Dugas et al., NIPS 2000, section 2."""
    zero, one = like(0.0, x), like(1.0, x)
    e = exp_nonpositive(-abs(x))
    above = one / (one + e)
    return (zero if x < zero else x) + log1p_unit(e), (e * above if x < zero else above)


def _over_rows(value, value_and_slope):
    """The function of addresses that applies these functions of one number to rows."""

    def activation(z, slopes, rows, columns, stride, a, b):
        for row in range(rows):
            skipped = row * stride * view(z, 0, a).itemsize
            x = view(z + skipped, columns, a)
            if slopes == 0:
                for j in range(columns):
                    x[j] = value(x[j], a, b)
            else:
                slope = view(slopes + skipped, columns, a)
                for j in range(columns):
                    x[j], slope[j] = value_and_slope(x[j], a, b)

    return activation


def _compiled(name, function):
    """The kernel of one of the functions above."""

    @helper
    def value(x, a, b):
        return function(x, a, b)[0]

    return named(f"activation_{name}", _over_rows(value, function))


_FUNCTIONS = {
    "identity": _identity,
    "relu": _relu,
    "leaky_relu": _leaky_relu,
    "shifted_relu": _shifted_relu,
    "elu": _elu,
    "gelu": _gelu,
    "silu": _silu,
    "sigmoid": _sigmoid,
    "tanh": _tanh,
    "softplus": _softplus,
}

ACTIVATIONS = {name: _compiled(name, function) for name, function in _FUNCTIONS.items()}
"""The compiled activations by name; the parameter a is leaky_relu's slope, shifted_relu's least value, elu's alpha."""


def _checked(function, what):
    """`function`, of one number, compiled as a part of others. Raises TypeError where Numba cannot compile it."""
    function = helper(getattr(function, "py_func", function))
    try:
        function.compile((float64,))
    except Exception as error:  # Numba's own, and what it stumbles over
        raise TypeError(f"{what} cannot be compiled by Numba: {_shortened(error)}") from error
    result = function.overloads[(float64,)].signature.return_type
    if not isinstance(result, types.Float | types.Integer | types.Boolean):
        raise TypeError(f"{what} returns {result} for a float64; a real number is needed")
    return function


def _shortened(error):
    """What Numba found, without its account of the way there."""
    noise = ("Failed in", "During:", "File ", "[1]", "[2]", "<source", "- Resolution failure", "^")
    lines = [line.strip() for line in str(error).splitlines()]
    told = [line for line in lines if line and not line.startswith(noise)]
    return " ".join(told[:4])


def make_custom(name, function, slope):
    """The kernel of an activation given as two Python functions of one number, x -> f(x) and x -> f'(x).

    They may use what Numba compiles, and return any real type. x comes as float64, where exp(x) has room up to 709 and not
    88, and results are rounded to the type of the numbers. The kernel is not kept on disk, since nothing tells whether what
    the functions refer to is still the same. Raises TypeError where one of them cannot be compiled.
    """
    function, slope = _checked(function, f"function {name!r}"), _checked(slope, f"the derivative of {name!r}")

    @helper
    def value(x, a, b):
        return function(float64(x))

    @helper
    def value_and_slope(x, a, b):
        return function(float64(x)), slope(float64(x))

    return unkept(_over_rows(value, value_and_slope))
