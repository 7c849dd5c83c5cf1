"""Derivatives of a user's function: `fastnn.reference.Value` with formulas in place of numbers, written out as Python.

A Value knows the slope of every operation at one number. An Expression is a Value that knows it for all x: its slopes are
Expressions too, and `backward`, the same chain rule, leaves the formula of the derivative, which can be compiled.
"""

import math
import types
from collections.abc import Callable
from numbers import Real
from typing import Any

import numpy as np

from ..reference import Value


class Untraceable(TypeError):  # noqa: N818
    """The function does something with x that is no calculation."""


def _refuse(action: str) -> Callable[..., Any]:
    def method(self: "Expression", *others: Any) -> Any:
        raise Untraceable(f"it {action} x, so that its calculation is not the same for all x")

    return method


class Expression(Value):
    """x, or an operation on expressions and numbers: what a function calculates, rather than a result."""

    __slots__ = ("operands", "operation")

    def __init__(self, operation: str, *operands: "Expression | float"):
        for operand in operands:
            if not isinstance(operand, Expression | Real):
                raise Untraceable(f"it combines x with an object of type {type(operand).__name__}")
        self.operation = operation
        # An int stays one, for x ** 2; NumPy's numbers would be written as np.float64(...).
        self.operands = tuple(
            number if isinstance(number, Expression | int) else float(number) for number in operands
        )
        self.grad = 0.0

    @property
    def sources(self) -> tuple[tuple["Expression", Any], ...]:  # type: ignore[override]
        """The operands that are expressions, with the slopes by them: made when asked for, as they have slopes too."""
        if self.operation == "x":
            return ()
        _, slopes = _UNARY.get(self.operation) or _BINARY[self.operation]
        found = slopes(*self.operands, self)
        pairs = zip(self.operands, found if isinstance(found, tuple) else (found,), strict=True)
        return tuple((operand, slope) for operand, slope in pairs if isinstance(operand, Expression))

    __hash__ = object.__hash__
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _refuse("compares")
    __bool__ = _refuse("branches on")
    __float__ = __int__ = __index__ = __complex__ = _refuse("converts")
    __round__ = __floor__ = __ceil__ = __trunc__ = _refuse("rounds")
    __iter__ = __len__ = _refuse("goes through")

    # Sums with 0 and products with 0 and 1, of which the chain rule makes many, are not calculated.
    def __add__(self, other: Any) -> Any:
        return self if _is(other, 0) else Expression("+", self, other)

    def __radd__(self, other: Any) -> Any:
        return self if _is(other, 0) else Expression("+", other, self)

    def __sub__(self, other: Any) -> "Expression":
        return Expression("-", self, other)

    def __rsub__(self, other: Any) -> "Expression":
        return Expression("-", other, self)

    def __mul__(self, other: Any) -> Any:
        return 0.0 if _is(other, 0) else self if _is(other, 1) else Expression("*", self, other)

    def __rmul__(self, other: Any) -> Any:
        return 0.0 if _is(other, 0) else self if _is(other, 1) else Expression("*", other, self)

    def __truediv__(self, other: Any) -> "Expression":
        return Expression("/", self, other)

    def __rtruediv__(self, other: Any) -> "Expression":
        return Expression("/", other, self)

    def __pow__(self, other: Any) -> "Expression":
        return Expression("**", self, other)

    def __rpow__(self, other: Any) -> "Expression":
        return Expression("**", other, self)

    def __neg__(self) -> "Expression":
        return Expression("neg", self)

    def __pos__(self) -> "Expression":
        return self

    def __abs__(self) -> "Expression":
        return Expression("abs", self)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> "Expression":
        known = _NUMPY.get(ufunc.__name__)
        if method != "__call__" or options or known is None:
            raise Untraceable(f"no derivative of np.{ufunc.__name__} is known")
        return known(*inputs)


def _operation(name: str) -> Callable[..., Expression]:
    return lambda *operands: Expression(name, *operands)


_exp, _sqrt, _log = _operation("exp"), _operation("sqrt"), _operation("log")
_greater = _operation("greater")


def _is(operand: Any, number: int) -> bool:
    return isinstance(operand, Real) and operand == number


def _power_slopes(u: Any, v: Any, y: Expression) -> tuple[Any, Any]:
    if not isinstance(v, Expression):
        return (v * (1 if v == 1 else u if v == 2 else u ** (v - 1)) if v else 0.0), 0.0
    by_base = v * u ** (v - 1) if isinstance(u, Expression) else 0.0
    return by_base, y * (_log(u) if isinstance(u, Expression) else math.log(u))


_BINARY = {
    # name: how it is written, and the slopes by the two operands u and v; y is the result
    "+": ("{0} + {1}", lambda u, v, y: (1.0, 1.0)),
    "-": ("{0} - {1}", lambda u, v, y: (1.0, -1.0)),
    "*": ("{0} * {1}", lambda u, v, y: (v, u)),
    "/": ("{0} / {1}", lambda u, v, y: (1.0 / v, -y / v)),
    "**": ("{0} ** {1}", _power_slopes),
    # Where both are equal, maximum(x, 0) has the slope of ReLU, 0.
    "maximum": ("max({0}, {1})", lambda u, v, y: (_greater(u, v), 1.0 - _greater(u, v))),
    "minimum": ("min({0}, {1})", lambda u, v, y: (_greater(v, u), 1.0 - _greater(v, u))),
    "logaddexp": ("np.logaddexp({0}, {1})", lambda u, v, y: (_exp(u - y), _exp(v - y))),
    "greater": ("(1.0 if {0} > {1} else 0.0)", lambda u, v, y: (0.0, 0.0)),
}

_UNARY = {
    "neg": ("-{0}", lambda u, y: -1.0),
    "abs": ("abs({0})", lambda u, y: Expression("sign", u)),
    "sign": ("(1.0 if {0} > 0.0 else (-1.0 if {0} < 0.0 else 0.0))", lambda u, y: 0.0),
    "exp": ("math.exp({0})", lambda u, y: y),
    "expm1": ("math.expm1({0})", lambda u, y: y + 1.0),
    "log": ("math.log({0})", lambda u, y: 1.0 / u),
    "log1p": ("math.log1p({0})", lambda u, y: 1.0 / (1.0 + u)),
    "sqrt": ("math.sqrt({0})", lambda u, y: 0.5 / y),
    "sin": ("math.sin({0})", lambda u, y: Expression("cos", u)),
    "cos": ("math.cos({0})", lambda u, y: -Expression("sin", u)),
    "tan": ("math.tan({0})", lambda u, y: 1.0 + y * y),
    "atan": ("math.atan({0})", lambda u, y: 1.0 / (1.0 + u * u)),
    "sinh": ("math.sinh({0})", lambda u, y: Expression("cosh", u)),
    "cosh": ("math.cosh({0})", lambda u, y: Expression("sinh", u)),
    "tanh": ("math.tanh({0})", lambda u, y: 1.0 - y * y),
    "asinh": ("math.asinh({0})", lambda u, y: 1.0 / _sqrt(1.0 + u * u)),
    "erf": ("math.erf({0})", lambda u, y: (2.0 / math.sqrt(math.pi)) * _exp(-(u * u))),
    "erfc": ("math.erfc({0})", lambda u, y: (-2.0 / math.sqrt(math.pi)) * _exp(-(u * u))),
}

# What can be put together from those, by NumPy's and the math module's names.
_COMPOSED = {
    "fabs": abs,
    "exp2": lambda u: 2.0**u,
    "log2": lambda u: _log(u) / math.log(2.0),
    "log10": lambda u: _log(u) / math.log(10.0),
}

_NUMPY = {
    **{name: _operation(name) for name in (*_UNARY, "maximum", "minimum", "logaddexp")},
    **_COMPOSED,
    "negative": _operation("neg"),
    "positive": lambda u: +u,
    "absolute": abs,
    "arctan": _operation("atan"),
    "arcsinh": _operation("asinh"),
    "square": lambda u: u**2,
    "reciprocal": lambda u: 1.0 / u,
    "add": _operation("+"),
    "subtract": _operation("-"),
    "multiply": _operation("*"),
    "divide": _operation("/"),
    "power": _operation("**"),
    "float_power": _operation("**"),
}


def _math_function(original: Callable[..., Any], operation: Callable[..., Any]) -> Callable[..., Any]:
    def function(*arguments: Any) -> Any:
        traced = any(isinstance(argument, Expression) for argument in arguments)
        return operation(*arguments) if traced else original(*arguments)

    return function


_MATH = {
    getattr(math, name): _math_function(getattr(math, name), operation)
    for name, operation in {
        **{name: _operation(name) for name in _UNARY},
        **_COMPOSED,
        "pow": _operation("**"),
    }.items()
    if hasattr(math, name)
}
_MATH_MODULE = types.SimpleNamespace(**{**vars(math), **{f.__name__: traced for f, traced in _MATH.items()}})


def _traceable(value: Any, depth: int) -> Any:
    """What stands for a function's global or enclosed value while it is traced."""
    if value is math:
        return _MATH_MODULE
    if isinstance(value, types.BuiltinFunctionType) and value in _MATH:
        return _MATH[value]
    value = getattr(value, "py_func", value)  # compiled by Numba already
    return _for_tracing(value, depth + 1) if isinstance(value, types.FunctionType) and depth < 8 else value


def _names(code: types.CodeType) -> set[str]:
    """Return the global names that a function uses, itself or in functions inside it."""
    inner = (constant for constant in code.co_consts if isinstance(constant, types.CodeType))
    return set(code.co_names).union(*map(_names, inner))


def _for_tracing(function: types.FunctionType, depth: int = 0) -> types.FunctionType:
    """Return `function` with the math module's functions replaced by ones that take expressions, as NumPy's do."""
    outside = function.__globals__
    used = {name: _traceable(outside[name], depth) for name in _names(function.__code__) if name in outside}
    cells = tuple(
        types.CellType(_traceable(cell.cell_contents, depth)) for cell in function.__closure__ or ()
    )
    copy = types.FunctionType(
        function.__code__,
        {**outside, **used},
        function.__name__,
        function.__defaults__,
        cells or None,
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy


def differentiate(function: types.FunctionType) -> Any:
    """Return f' of a function of one number, an Expression or a number, by the chain rule from the result back to x.

    Raises Untraceable, or what the function raises.
    """
    x = Expression("x")
    result = _for_tracing(function)(x)
    if isinstance(result, Expression):
        result.backward()
    elif not isinstance(result, Real):
        raise Untraceable(f"it returns an object of type {type(result).__name__}")
    return x.grad


def source(result: Any) -> str:
    """Write an expression as a Python function of x, one line an operation."""
    names: dict[int, str] = {}

    def written(operand: Any) -> str:
        if isinstance(operand, Expression):
            return names[id(operand)]
        return f"({operand!r})" if math.isfinite(operand) else f"math.{operand}".replace("math.-", "-math.")

    lines = ["def derivative(x):"]
    for node in result._in_order() if isinstance(result, Expression) else ():
        if node.operation == "x":
            names[id(node)] = "x"
            continue
        template = (_UNARY.get(node.operation) or _BINARY[node.operation])[0]
        names[id(node)] = f"v{len(lines)}"
        lines.append(f"    v{len(lines)} = " + template.format(*map(written, node.operands)))
    return "\n".join([*lines, f"    return {written(result)}", ""])


def derivative(function: types.FunctionType) -> types.FunctionType:
    """Return the derivative of a function of one number as a Python function, which Numba can compile.

    Raises Untraceable, or what the function raises of its own.
    """
    text = source(differentiate(function))
    # The text is our own: names, numbers and the templates above. Only its one function is taken, nothing is run.
    module = compile(text, f"<derivative of {function.__name__}>", "exec")
    (code,) = (constant for constant in module.co_consts if isinstance(constant, types.CodeType))
    return types.FunctionType(code, {"math": math, "np": np}, "derivative")
