"""Scalar automatic differentiation against finite differences, and as a judge of the reference."""

import math
import subprocess
import sys
import time
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastnn.reference import Value, loss_and_gradients

EPS = sys.float_info.epsilon

OPERATIONS = {
    "x + y": lambda x, y: x + y,
    "x - y": lambda x, y: x - y,
    "x * y": lambda x, y: x * y,
    "x / y": lambda x, y: x / y,
    "3 + x": lambda x, y: 3 + x,
    "3 - x": lambda x, y: 3 - x,
    "3 * x": lambda x, y: 3 * x,
    "3 / x": lambda x, y: 3 / x,
    "x - 3": lambda x, y: x - 3,
    "x / 3": lambda x, y: x / 3,
    "-x": lambda x, y: -x,
    "x ** 3": lambda x, y: x**3,
    "x ** -1.5": lambda x, y: x**-1.5,
    "x ** 0": lambda x, y: x**0,
    "exp": lambda x, y: x.exp() * y,
    "log": lambda x, y: x.log() * y,
    "tanh": lambda x, y: x.tanh() * y,
    "relu": lambda x, y: (x - 1.5).relu() * y,
    "x twice": lambda x, y: x * x + x / y - x,
    "nested": lambda x, y: ((x * y).tanh() + x.log()).exp() / (x + y**2),
}


@pytest.mark.parametrize("f", OPERATIONS.values(), ids=OPERATIONS)
@pytest.mark.parametrize(("a", "b"), [(2.0, 0.75), (0.5, -1.25), (3.0, 2.0)])
def test_every_operation_has_its_slope(f, a, b):
    x, y = Value(a), Value(b)
    f(x, y).backward()

    def slope(g):
        h = 2.0**-10
        return (8 * (g(h).data - g(-h).data) - (g(2 * h).data - g(-2 * h).data)) / (12 * h)

    assert x.grad == pytest.approx(slope(lambda h: f(Value(a + h), Value(b))), rel=1e-8, abs=1e-9)
    assert y.grad == pytest.approx(slope(lambda h: f(Value(a), Value(b + h))), rel=1e-8, abs=1e-9)


def test_values_by_hand():
    x, y = Value(3), Value(-2.0)
    z = (x * y + 10) / 2 - y
    assert z.data == 4.0
    z.backward()
    assert (x.grad, y.grad, z.grad) == (-1.0, 0.5, 1.0)
    assert repr(x) == "Value(data=3.0, grad=-1.0)"


def test_relu_has_slope_zero_at_negative_numbers_and_at_zero():
    for data, slope in [(-2.0, 0.0), (0.0, 0.0), (5.0, 1.0)]:
        x = Value(data)
        x.relu().backward()
        assert x.grad == slope
    assert math.isnan(Value(math.nan).relu().data)


def test_gradients_of_a_value_used_twice_are_added():
    x = Value(3.0)
    (x.relu() + x.relu() * 4 + x).backward()
    assert x.grad == 6.0
    x = Value(3.0)
    y = x * x
    (y + y * y).backward()  # 2 x + 4 x^3
    assert x.grad == 6.0 + 108.0


def test_a_second_backward_gives_the_same_not_the_double():
    x = Value(2.0)
    z = x * x * x
    for _ in range(3):
        z.backward()
        assert x.grad == 12.0


def test_backward_starts_afresh_for_what_it_reaches_and_leaves_the_rest():
    x, y = Value(2.0), Value(5.0)
    (x * y).backward()
    (x * 7).backward()
    assert x.grad == 7.0
    assert y.grad == 2.0


@given(st.integers(1, 60))
def test_shared_values_are_gone_through_once(doublings):
    x = Value(1.0)
    z = x
    for _ in range(doublings):
        z = z + z  # 2^doublings ways from x to z
    z.backward()
    assert x.grad == 2.0**doublings


def test_a_chain_of_100_000_is_differentiated_in_time_in_proportion():
    """0.8 times as long as building it: work that grows with the square of the length takes minutes.

    Both are compared, as a limit in seconds depends on the machine, and the collector of garbage, which has
    more to go through the more was imported, visits both.
    """
    building, differentiating = [], []
    for _ in range(3):
        start = time.process_time()
        x = Value(1.0)
        z = x
        for _ in range(100_000):
            z = z + 1.0
        built = time.process_time()
        z.backward()
        building.append(built - start)
        differentiating.append(time.process_time() - built)
        assert x.grad == 1.0
    assert min(differentiating) < 4 * min(building)


def test_a_long_chain_can_be_deleted():
    # In a process of its own: an overflow of the C stack would end this one.
    program = """
from fastnn.reference import Value
for operation in (lambda z: z + 1.0, lambda z: z.relu(), lambda z: z * z):
    z = Value(0.5)
    for _ in range(100_000):
        z = operation(z)
    z.backward()
    del z
print("deleted")
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert (result.returncode, result.stdout, result.stderr) == (0, "deleted\n", "")


@pytest.mark.parametrize(
    ("operation", "error"),
    [
        (lambda x: x / 0, ZeroDivisionError),
        (lambda x: 1 / (x - 2), ZeroDivisionError),
        (lambda x: (x - 2).log(), ValueError),
        (lambda x: (x - 2) ** -1, ValueError),
        (lambda x: (x - 2) ** 0.5, ValueError),
        (lambda x: (x - 10) ** (1 / 3), ValueError),
        (lambda x: (x * 1000).exp(), OverflowError),
        (lambda x: x**x, TypeError),
        (lambda x: x + "1", TypeError),
        (lambda x: None * x, TypeError),
        (lambda x: x / [], TypeError),
        (lambda x: [] - x, TypeError),
        (lambda x: 1j - x, TypeError),
        (lambda x: Value("2"), TypeError),
        (lambda x: Value(None), TypeError),
        (lambda x: Value(2j), TypeError),
    ],
)
def test_what_has_no_value_raises(operation, error):
    with pytest.raises(error):
        operation(Value(2.0))


def test_numpy_numbers_are_numbers():
    x = Value(np.float32(0.5))
    (np.float64(3.0) * x + np.int64(2)).backward()
    assert type(x.data) is float
    assert x.grad == 3.0


# a network of Values


def loss_of_values(weights, biases, X, labels, activation):
    """The mean of log Σ e^z - z_label, one Value at a time."""
    total = Value(0.0)
    for row, label in zip(X, labels, strict=True):
        a = list(map(Value, row))
        for layer, (W, b) in enumerate(zip(weights, biases, strict=True)):
            z = [sum((a[i] * W[i][j] for i in range(len(a))), b[j]) for j in range(len(b))]
            hidden = layer < len(weights) - 1
            a = [unit.relu() for unit in z] if hidden and activation == "relu" else z
        total = total + sum((z.exp() for z in a), Value(0.0)).log() - a[label]
    return total / len(labels)


networks = st.tuples(
    st.lists(st.integers(1, 4), min_size=2, max_size=4),
    st.integers(1, 4),
    st.sampled_from(["relu", "identity"]),
    st.integers(0, 2**32 - 1),
)


@given(networks)
def test_the_gradients_of_the_reference_are_those_of_values(network):
    sizes, n, activation, seed = network
    rng = np.random.default_rng(seed)
    weights = [rng.normal(size=shape).tolist() for shape in pairwise(sizes)]
    biases = [rng.normal(size=fan_out).tolist() for fan_out in sizes[1:]]
    X, labels = rng.normal(size=(n, sizes[0])).tolist(), rng.integers(0, sizes[-1], n).tolist()

    value_weights = [[[Value(w) for w in row] for row in W] for W in weights]
    value_biases = [[Value(v) for v in b] for b in biases]
    value_loss = loss_of_values(value_weights, value_biases, X, labels, activation)
    value_loss.backward()
    loss, _, dW, db = loss_and_gradients(weights, biases, X, labels, activation)

    # On the way from the loss to a parameter there are about two roundings for each term of each sum, of
    # numbers as large as the product of a weight of every layer, even where they cancel.
    tolerance = 4 * EPS * (n + sum(sizes))
    largest = max(1.0, *(abs(z) for W in weights for row in W for z in row)) ** len(weights)
    assert loss == pytest.approx(value_loss.data, rel=tolerance, abs=tolerance * largest)
    for gradient, W in zip(dW + [[g] for g in db], value_weights + [[b] for b in value_biases], strict=True):
        for row, values in zip(gradient, W, strict=True):
            assert row == pytest.approx(
                [value.grad for value in values], rel=tolerance, abs=tolerance * largest
            )
