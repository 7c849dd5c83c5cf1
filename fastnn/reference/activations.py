"""The activations and their slopes, one number at a time, with the standard library's functions.

Each takes x and two parameters: a is leaky_relu's slope, shifted_relu's least value, or elu's alpha; the rest is unused.
Infinite x give the limit. NaN stays NaN.
"""

import math


def identity(x: float, a: float = 0.0, b: float = 0.0) -> float:
    """x."""
    return x


def identity_slope(x: float, a: float = 0.0, b: float = 0.0) -> float:
    """1."""
    return 1.0


def relu(x: float, a: float = 0.0, b: float = 0.0) -> float:
    """max(x, 0)."""
    return 0.0 if x < 0.0 else x


def relu_slope(x: float, a: float = 0.0, b: float = 0.0) -> float:
    """1 for x > 0, else 0."""
    return 0.0 if x <= 0.0 else 1.0


def leaky_relu(x: float, a: float = 0.01, b: float = 0.0) -> float:
    """x for x > 0, else a x. Maas, Hannun and Ng, ICML 2013, section 2."""
    return a * x if x <= 0.0 else x


def leaky_relu_slope(x: float, a: float = 0.01, b: float = 0.0) -> float:
    """1 for x > 0, else a."""
    return a if x <= 0.0 else 1.0


def shifted_relu(x: float, a: float = -1.0, b: float = 0.0) -> float:
    """max(x, a). Clevert, Unterthiner and Hochreiter, ICLR 2016, section 4.1."""
    return a if x < a else x


def shifted_relu_slope(x: float, a: float = -1.0, b: float = 0.0) -> float:
    """1 for x > a, else 0."""
    return 0.0 if x <= a else 1.0


def elu(x: float, a: float = 1.0, b: float = 0.0) -> float:
    """x for x > 0, else a (e^x - 1). Clevert, Unterthiner and Hochreiter, ICLR 2016, section 3."""
    return x if x > 0.0 else a * math.expm1(x)


def elu_slope(x: float, a: float = 1.0, b: float = 0.0) -> float:
    """1 for x > 0, else a e^x."""
    return 1.0 if x > 0.0 else a * math.exp(x)


def normal_distribution(x: float) -> float:
    """Φ(x) = erfc(-x / √2) / 2: the part of a standard normal distribution below x."""
    return math.erfc(-x / math.sqrt(2.0)) / 2.0


def normal_density(x: float) -> float:
    """φ(x) = e^(-x² / 2) / √(2 π)."""
    return math.exp(-x * x / 2.0) / math.sqrt(2.0 * math.pi)


def gelu(x: float, a: float = 0.0, b: float = 0.0) -> float:
    """x Φ(x). Hendrycks and Gimpel, Gaussian error linear units, 2016, section 2."""
    return 0.0 if x == -math.inf else x * normal_distribution(x)


def gelu_slope(x: float, a: float = 0.0, b: float = 0.0) -> float:
    """Φ(x) + x φ(x)."""
    return normal_distribution(x) + (0.0 if math.isinf(x) else x * normal_density(x))


def sigmoid(x: float, a: float = 0.0, b: float = 0.0) -> float:
    """1 / (1 + e^(-x)); for x < 0 as e^x / (1 + e^x), since e^(-x) may be too large a number."""
    return math.exp(x) / (1.0 + math.exp(x)) if x < 0.0 else 1.0 / (1.0 + math.exp(-x))


def sigmoid_slope(x: float, a: float = 0.0, b: float = 0.0) -> float:
    """σ(x) σ(-x), which is σ(x) (1 - σ(x))."""
    return sigmoid(x) * sigmoid(-x)


def silu(x: float, a: float = 0.0, b: float = 0.0) -> float:
    """x σ(x). Elfwing, Uchibe and Doya, Neural Networks 107, 2018, section 2."""
    return 0.0 if x == -math.inf else x * sigmoid(x)


def silu_slope(x: float, a: float = 0.0, b: float = 0.0) -> float:
    """σ(x) + x σ(x) σ(-x)."""
    return sigmoid(x) + (0.0 if math.isinf(x) else x * sigmoid_slope(x))


def tanh(x: float, a: float = 0.0, b: float = 0.0) -> float:
    """(e^x - e^(-x)) / (e^x + e^(-x))."""
    return math.tanh(x)


def tanh_slope(x: float, a: float = 0.0, b: float = 0.0) -> float:
    """4 σ(2x) σ(-2x), which is 1 - tanh²(x) without the cancellation."""
    return 4.0 * sigmoid_slope(2.0 * x)


def softplus(x: float, a: float = 0.0, b: float = 0.0) -> float:
    """log(1 + e^x), as max(x, 0) + log(1 + e^(-|x|)). Dugas et al., NIPS 2000, section 2."""
    return relu(x) + math.log1p(math.exp(-abs(x)))


def softplus_slope(x: float, a: float = 0.0, b: float = 0.0) -> float:
    """σ(x)."""
    return sigmoid(x)


ACTIVATIONS = {
    "identity": (identity, identity_slope),
    "relu": (relu, relu_slope),
    "leaky_relu": (leaky_relu, leaky_relu_slope),
    "shifted_relu": (shifted_relu, shifted_relu_slope),
    "elu": (elu, elu_slope),
    "gelu": (gelu, gelu_slope),
    "silu": (silu, silu_slope),
    "sigmoid": (sigmoid, sigmoid_slope),
    "tanh": (tanh, tanh_slope),
    "softplus": (softplus, softplus_slope),
}
"""name -> (f, f'), both functions of (x, a, b)."""
