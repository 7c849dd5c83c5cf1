"""Automatic differentiation of scalars: a second way to the gradients, independent of `training.py`."""

import math
from numbers import Real
from typing import Any


class Value:
    """A number that remembers how it was computed.

    Every operation makes a new Value; its `sources` are the operands, each with the partial derivative of the
    result by it. `backward` follows the sources back, by the chain rule.

    Operations: + - * / with Values and real numbers, ** with a real exponent, exp, log, relu, tanh. They
    raise what floats raise (ZeroDivisionError, OverflowError), and ValueError where a result or its slope
    does not exist, as of log(0) and 0 ** 0.5.

    data: the number. grad: after `z.backward()`, ∂z/∂self; before, 0.
    """

    __slots__ = ("data", "grad", "sources")

    def __init__(self, data: Any, sources: tuple[tuple["Value", float], ...] = ()):
        if not isinstance(data, Real):
            raise TypeError(f"data is of type {type(data).__name__}; a real number is needed")
        self.data = float(data)
        self.grad = 0.0
        self.sources = sources

    def __repr__(self) -> str:
        return f"Value(data={self.data!r}, grad={self.grad!r})"

    def backward(self) -> None:
        """Set x.grad = ∂self/∂x for self and for every x that self was computed from.

        Each call starts afresh: a second one gives the same gradients, not their double. A Value that self
        does not depend on keeps its grad. There is no recursion: a chain of operations may be of any length.
        """
        order = self._in_order()
        for node in order:
            node.grad = 0.0
        self.grad = 1.0
        for node in reversed(order):
            for source, derivative in node.sources:
                # Added, not assigned: a Value that is used twice acts on the result in two ways.
                source.grad += derivative * node.grad

    def _in_order(self) -> list["Value"]:
        """List self and all it was computed from, each after its own sources: depth first, by a stack."""
        order: list[Value] = []
        seen: set[Value] = set()
        stack = [(self, False)]
        while stack:
            node, sources_listed = stack.pop()
            if sources_listed:
                order.append(node)
            elif node not in seen:
                seen.add(node)
                stack.append((node, True))
                stack.extend((source, False) for source, _ in node.sources)
        return order

    def __add__(self, other: Any) -> "Value":
        if not isinstance(other, Value | Real):
            return NotImplemented
        other = as_value(other)
        return Value(self.data + other.data, ((self, 1.0), (other, 1.0)))

    def __mul__(self, other: Any) -> "Value":
        if not isinstance(other, Value | Real):
            return NotImplemented
        other = as_value(other)
        return Value(self.data * other.data, ((self, other.data), (other, self.data)))

    def __truediv__(self, other: Any) -> "Value":
        if not isinstance(other, Value | Real):
            return NotImplemented
        other = as_value(other)
        quotient = self.data / other.data
        return Value(quotient, ((self, 1.0 / other.data), (other, -quotient / other.data)))

    def __pow__(self, exponent: Any) -> "Value":
        if not isinstance(exponent, Real):
            return NotImplemented
        # math.pow raises for a negative number to a fraction, where ** would answer with a complex one.
        derivative = exponent * math.pow(self.data, exponent - 1) if exponent else 0.0
        return Value(math.pow(self.data, exponent), ((self, derivative),))

    def __neg__(self) -> "Value":
        return Value(-self.data, ((self, -1.0),))

    def __sub__(self, other: Any) -> "Value":
        return self + -other if isinstance(other, Value | Real) else NotImplemented

    def __radd__(self, other: Any) -> "Value":
        return self + other

    def __rmul__(self, other: Any) -> "Value":
        return self * other

    def __rsub__(self, other: Any) -> "Value":
        return -self + other

    def __rtruediv__(self, other: Any) -> "Value":
        return as_value(other) / self if isinstance(other, Real) else NotImplemented

    def exp(self) -> "Value":
        """e^x; its derivative is itself."""
        e = math.exp(self.data)
        return Value(e, ((self, e),))

    def log(self) -> "Value":
        """Natural logarithm of x, which must be greater than 0; its derivative is 1/x."""
        return Value(math.log(self.data), ((self, 1.0 / self.data),))

    def relu(self) -> "Value":
        """max(x, 0); its derivative is 1 for x > 0, else 0. NaN stays NaN."""
        return Value(0.0 if self.data <= 0.0 else self.data, ((self, 1.0 if self.data > 0.0 else 0.0),))

    def tanh(self) -> "Value":
        """Hyperbolic tangent of x; its derivative is 1 - tanh² x."""
        t = math.tanh(self.data)
        return Value(t, ((self, 1.0 - t * t),))


def as_value(x: Any) -> Value:
    """Return x if it is a Value, else a new Value of that number."""
    return x if isinstance(x, Value) else Value(x)
