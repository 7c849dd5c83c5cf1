"""Activations: the compiled functions against the reference and PyTorch's numbers, the objects, and functions of a user's own."""

import copy
import math
import os
import pickle
import subprocess
import sys

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastnn import activations

from fastnn.activations import ELU, Custom, GELU, LeakyReLU, ReLU, ShiftedReLU  # isort: skip
from fastnn.backends.functions import activation_kernel
from fastnn.kernels import kernel_folder
from fastnn.kernels.exp_log import exp_expm1, log1p_unit
from fastnn.kernels.functions import call, function_address
from fastnn.kernels.normal import normal_tail
from fastnn.reference.activations import ACTIVATIONS, normal_density, normal_distribution, sigmoid_slope

DTYPES = [np.float32, np.float64]
PARAMETERS = {"leaky_relu": 0.1, "shifted_relu": -1.0, "elu": 1.5}


def made(name):
    return activations.resolve(name)


@numba.njit
def call_activation(place, z, slopes, rows, columns, stride, a, b):
    call(place, (z, slopes, rows, columns, stride, a, b))


def run(activation, z, slopes=None, columns=None, a=None):
    """Apply an activation to the rows of `z` in place, by address."""
    first, second = activation.parameters
    kind = z.dtype.type
    call_activation(
        function_address(activation_kernel(activation), *[numba.intp] * 5, *[numba.from_dtype(z.dtype)] * 2),
        z.ctypes.data,
        0 if slopes is None else slopes.ctypes.data,
        z.shape[0],
        z.shape[1] if columns is None else columns,
        z.shape[1],
        kind(first if a is None else a),
        kind(second),
    )


def computed(activation, x, dtype, a=None):
    z = np.array([x], dtype=dtype)
    slopes = np.full_like(z, 7)
    run(activation, z, slopes, a=a)
    return z[0], slopes[0]


def spread(dtype):
    """Numbers of all sizes where the functions have their curves, near 0, and far out."""
    rng = np.random.default_rng(3)
    near = 10.0 ** rng.uniform(-30, 0, 500) * rng.choice([-1, 1], 500)
    parts = (3 * rng.standard_normal(3000), rng.uniform(-40, 40, 2000), near, rng.uniform(-800, 800, 500))
    return np.concatenate(parts).astype(dtype)


def largest_term(name, x):
    """The size of the sum's larger part where a slope changes its sign; else 0."""
    if name == "gelu":
        return normal_distribution(x) + abs(x) * normal_density(x)
    return (1 + abs(x)) * sigmoid_slope(x) if name == "silu" else 0.0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_values_and_slopes_are_exact_to_four_units_in_the_last_place(name, dtype):
    x = spread(dtype)
    a = float(dtype(PARAMETERS.get(name, 0.0)))
    values, slopes = computed(made(name), x, dtype, a)
    f, df = ACTIVATIONS[name]
    eps, tiny = float(np.finfo(dtype).eps), float(np.finfo(dtype).tiny)
    for number, value, slope in zip(x.tolist(), values.tolist(), slopes.tolist(), strict=True):
        bound = 4 * eps
        if name == "gelu":  # math.erfc and math.exp of x^2 / 2, which is rounded: the reference's own error
            bound += (1 + number * number) * sys.float_info.epsilon
        # exp gives 0 where the result would be denormal.
        floor = (4 + abs(number)) * tiny
        expected, slope_expected = f(number, a), df(number, a)
        assert abs(value - expected) <= bound * abs(expected) + floor, number
        size = max(abs(slope_expected), largest_term(name, number))
        assert abs(slope - slope_expected) <= bound * size + floor, number


@pytest.mark.parametrize("dtype", DTYPES)
def test_small_numbers_keep_their_digits(dtype):
    eps = np.finfo(dtype).eps
    for x in np.array([1e-4, -1e-4, 1e-7, 1e-20, -1e-30], dtype).tolist():
        for name, expected in [
            ("tanh", math.tanh(x)),
            ("elu", math.expm1(x) if x < 0 else x),
            ("gelu", x * 0.5 * (1 + math.erf(x / math.sqrt(2)))),
        ]:
            value, _ = computed(made(name), [x], dtype)
            assert value[0] == pytest.approx(float(expected), rel=4 * float(eps), abs=0)


# PyTorch 2.13, float64: x, then f(x) and the slope that its autograd gives.
TORCH_X = [-30.0, -5.0, -1.25, -1e-4, 0.0, 1e-4, 0.75, 3.0, 19.0]
TORCH = {
    "relu": ([0, 0, 0, 0, 0, 0.0001, 0.75, 3, 19], [0, 0, 0, 0, 0, 1, 1, 1, 1]),
    "leaky_relu": (
        [-3, -0.5, -0.125, -1e-05, 0, 0.0001, 0.75, 3, 19],
        [0.1, 0.1, 0.1, 0.1, 0.1, 1, 1, 1, 1],
    ),
    "shifted_relu": ([-1, -1, -1, -0.0001, 0, 0.0001, 0.75, 3, 19], [0, 0, 0, 1, 1, 1, 1, 1, 1]),
    "elu": (
        [-1.5, -1.48989308, -1.070242805, -0.0001499925002, 0, 0.0001, 0.75, 3, 19],
        [1.403643445e-13, 0.0101069205, 0.4297571953, 1.499850007, 1.5, 1, 1, 1, 1],
    ),
    "gelu": (
        [
            0,
            -1.433257859e-06,
            -0.1320622171,
            -4.999601058e-05,
            0,
            5.000398942e-05,
            0.5800294857,
            2.995950306,
            19,
        ],
        [
            -4.420938405e-195,
            -7.146946002e-06,
            -0.1226615831,
            0.4999202115,
            0.5,
            0.5000797885,
            0.9992257217,
            1.011945647,
            1,
        ],
    ),
    "silu": (
        [
            -2.807286891e-12,
            -0.03346425462,
            -0.2783751735,
            -4.99975e-05,
            0,
            5.00025e-05,
            0.5093840244,
            2.85772238,
            18.99999989,
        ],
        [
            -2.713710661e-12,
            -0.02654743243,
            0.006319155085,
            0.49995,
            0.5,
            0.50005,
            0.8425999445,
            1.088104106,
            1.000000101,
        ],
    ),
    "sigmoid": (
        [
            9.357622969e-14,
            0.006692850924,
            0.2227001388,
            0.499975,
            0.5,
            0.500025,
            0.6791786992,
            0.9525741268,
            0.9999999944,
        ],
        [
            9.357622969e-14,
            0.006648056671,
            0.173104787,
            0.2499999994,
            0.25,
            0.2499999994,
            0.2178949938,
            0.04517665973,
            5.602796418e-09,
        ],
    ),
    "tanh": (
        [-1, -0.9999092043, -0.84828364, -9.999999967e-05, 0, 9.999999967e-05, 0.6351489524, 0.9950547537, 1],
        [0, 0.0001815832309, 0.2804148662, 0.99999999, 1, 0.99999999, 0.5965858083, 0.009866037165, 0],
    ),
    "softplus": (
        [
            9.357622969e-14,
            0.006715348489,
            0.2519290813,
            0.6930971818,
            0.6931471806,
            0.6931971818,
            1.136871006,
            3.048587352,
            19.00000001,
        ],
        [
            9.357622969e-14,
            0.006692850924,
            0.2227001388,
            0.499975,
            0.5,
            0.500025,
            0.6791786992,
            0.9525741268,
            0.9999999944,
        ],
    ),
    "identity": (TORCH_X, [1] * 9),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_values_and_slopes_are_those_of_pytorch(name):
    values, slopes = computed(made(name), TORCH_X, np.float64, PARAMETERS.get(name))
    # PyTorch's gelu and its slope of tanh, 1 - tanh^2, are exact to eps beside 1.
    np.testing.assert_allclose(values, TORCH[name][0], rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(slopes, TORCH[name][1], rtol=1e-9, atol=1e-15)


LIMITS = {  # f and f' at -infinity, f' at +infinity; f is infinite there, or 1
    "identity": (-math.inf, 1, math.inf),
    "relu": (0, 0, math.inf),
    "leaky_relu": (-math.inf, 0.1, math.inf),
    "shifted_relu": (-1, 0, math.inf),
    "elu": (-1.5, 0, math.inf),
    "gelu": (0, 0, math.inf),
    "silu": (0, 0, math.inf),
    "sigmoid": (0, 0, 1),
    "tanh": (-1, 0, 1),
    "softplus": (0, 0, math.inf),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_infinite_and_huge_numbers_have_the_limits(name, dtype):
    low, low_slope, high = LIMITS[name]
    largest = float(np.finfo(dtype).max)
    # 40 numbers, so that both the vectors and the rest are looked at.
    for size in (math.inf, largest, 1e30, 1e4):
        values, slopes = computed(made(name), [-size, size] * 20, dtype, PARAMETERS.get(name))
        scale = low if math.isfinite(low) else size * (low_slope if low_slope else 1) * -1
        np.testing.assert_allclose(values[::2], scale, rtol=1e-6)
        np.testing.assert_allclose(values[1::2], high if math.isfinite(high) else size, rtol=1e-6)
        np.testing.assert_allclose(slopes[::2], low_slope, rtol=1e-6)
        np.testing.assert_array_equal(slopes[1::2], 0.0 if high == 1 else 1.0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_nan_stays_nan_and_alone(name, dtype):
    x = np.linspace(-2, 2, 39)
    x[[3, 38]] = math.nan
    values, slopes = computed(made(name), x, dtype)
    assert np.isnan(values).nonzero()[0].tolist() == [3, 38]
    smooth = name in ("gelu", "silu", "sigmoid", "tanh", "softplus")
    assert np.isnan(slopes[np.isnan(x)]).all() or not smooth
    assert np.isfinite(slopes[~np.isnan(x)]).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_only_the_columns_of_rows_are_touched(name, dtype):
    z = np.random.default_rng(0).standard_normal((5, 24)).astype(dtype)
    slopes = np.full_like(z, 7)
    before = z.copy()
    run(made(name), z[:4], slopes[:4], columns=19)
    np.testing.assert_array_equal(z[:, 19:], before[:, 19:])
    np.testing.assert_array_equal(z[4], before[4])
    assert (slopes[:, 19:] == 7).all() and (slopes[4] == 7).all() and (slopes[:4, :19] != 7).all()
    expected, expected_slopes = computed(made(name), before[:4, :19].reshape(-1), dtype)
    np.testing.assert_array_equal(z[:4, :19].reshape(-1), expected)
    np.testing.assert_array_equal(slopes[:4, :19].reshape(-1), expected_slopes)
    alone = before.copy()
    run(made(name), alone[:4], columns=19)
    np.testing.assert_array_equal(alone, z)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_number_has_the_same_bits_wherever_it_stands(name, dtype):
    x = spread(dtype)[:200]
    whole, whole_slopes = computed(made(name), x, dtype)
    for width in (1, 7, 33):
        parts = [computed(made(name), x[i : i + width], dtype) for i in range(0, len(x), width)]
        assert np.concatenate([part[0] for part in parts]).tobytes() == whole.tobytes()
        assert np.concatenate([part[1] for part in parts]).tobytes() == whole_slopes.tobytes()


@numba.njit
def elementary(x):
    exp = np.empty_like(x)
    expm1 = np.empty_like(x)
    tail = np.empty_like(x)
    density = np.empty_like(x)
    log1p = np.empty_like(x)
    for i in range(x.size):
        exp[i], expm1[i] = exp_expm1(-x[i])
        tail[i], density[i] = normal_tail(x[i])
        log1p[i] = log1p_unit(x[i])
    return exp, expm1, tail, density, log1p


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_elementary_functions_are_exact_to_two_units_in_the_last_place(dtype):
    eps = float(np.finfo(dtype).eps)
    x = np.concatenate([np.linspace(0, 12, 3000), 10.0 ** np.linspace(-20, 0, 500)]).astype(dtype)
    exp, expm1, tail, density, log1p = elementary(x)
    exact = x.tolist()
    np.testing.assert_allclose(exp, [math.exp(-v) for v in exact], rtol=2 * eps)
    np.testing.assert_allclose(expm1, [math.expm1(-v) for v in exact], rtol=2 * eps)
    unit = x <= 1
    np.testing.assert_allclose(log1p[unit], [math.log1p(v) for v in exact if v <= 1], rtol=2 * eps)
    # The reference of these two takes erfc and exp of a rounded number: an error of up to x^2 units, at most 144.
    slack = 3 * eps + 145 * sys.float_info.epsilon
    np.testing.assert_allclose(tail, [normal_distribution(-v) for v in exact], rtol=slack)
    np.testing.assert_allclose(density, [normal_density(v) for v in exact], rtol=slack)


def test_the_normal_tail_far_out_in_float64():
    # Digits computed with 40 places.
    far = {
        10.0: 7.6198530241605260660e-24,
        25.0: 3.0566967063825609164e-138,
        37.0: 5.7255712225245768227e-300,
    }
    tail = elementary(np.array(list(far)))[2]
    np.testing.assert_allclose(tail, list(far.values()), rtol=1e-12)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_reference_has_the_slopes_of_its_functions(name):
    f, df = ACTIVATIONS[name]
    a, h = PARAMETERS.get(name, 0.0), 1e-3
    for x in (-9.1, -3.3, -1.7, -0.6, -0.11, 0.2, 0.9, 2.4, 8.3):
        slope = (8 * (f(x + h, a) - f(x - h, a)) - (f(x + 2 * h, a) - f(x - 2 * h, a))) / (12 * h)
        assert df(x, a) == pytest.approx(slope, abs=1e-9)


def test_names_settings_and_parameters():
    assert activations.names() == tuple(ACTIVATIONS)
    for name in activations.names():
        activation = activations.resolve(name)
        assert activation.name == name
        assert activations.resolve(activation) is activation
        assert activations.resolve(activation.settings()) == activation
        assert pickle.loads(pickle.dumps(activation)) == activation
    assert activations.resolve("leaky_relu") == LeakyReLU(0.01)
    assert LeakyReLU(0.2).settings() == {"name": "leaky_relu", "slope": 0.2}
    assert activations.resolve({"name": "elu", "alpha": 2}) == ELU(2.0)
    assert (LeakyReLU().parameters, ShiftedReLU().parameters, ELU(2).parameters, GELU().parameters) == (
        (0.01, 0.0),
        (-1.0, 0.0),
        (2.0, 0.0),
        (0.0, 0.0),
    )


@pytest.mark.parametrize(
    ("call", "error", "told"),
    [
        (lambda: LeakyReLU("0.1"), TypeError, "slope is '0.1'; it must be a number"),
        (lambda: LeakyReLU(math.nan), ValueError, "slope is nan"),
        (lambda: ShiftedReLU(-1e39), ValueError, "least is -1e\\+39; .* finite in float32"),
        (lambda: ELU(0), ValueError, "alpha is 0; .* greater than 0"),
        (lambda: activations.resolve("rellu"), ValueError, "activation is 'rellu'; .*'relu'"),
        (lambda: activations.resolve(3, "hidden"), TypeError, "hidden is 3; .*function of one number"),
        (lambda: activations.resolve(ELU), TypeError, "the class ELU"),
        (lambda: activations.resolve({"name": "elu", "alpa": 2}), ValueError, "'alpa'; elu has: alpha"),
        (lambda: activations.resolve({"name": "relu", "alpha": 2}), ValueError, "'alpha'; relu has none"),
        (lambda: activations.resolve({"alpha": 2}), ValueError, "has no 'name'"),
        (lambda: activations.resolve({"name": "custom", "function": "f"}), ValueError, "function 'f'"),
        (lambda: Custom(np.tanh), TypeError, "function is .*a Python function of one number"),
        (lambda: Custom(step, np.tanh), TypeError, "derivative is .*a Python function of one number"),
        (lambda: Custom(cube, name=3), TypeError, "name is 3"),
        (lambda: Custom(cube, name="relu"), ValueError, "name is 'relu', .*another name"),
        (lambda: Custom(step), ValueError, "'step' cannot be found: it compares x.*derivative="),
        (lambda: Custom(lambda x: math.gamma(x)), ValueError, "cannot be found: it converts x"),
        (lambda: Custom(lambda x: np.gcd(x, 2)), ValueError, "no derivative of np.gcd"),
        (lambda: Custom(lambda x: [x]), ValueError, "returns an object of type list"),
        (lambda: Custom(cube, lambda x: 3 * x), ValueError, "'cube' is wrong at -19: it gives -57, .* 1083"),
        (lambda: Custom(cube, lambda x: math.nan), ValueError, "wrong at -19: it gives nan"),
        (lambda: Custom(lambda x: math.nan, cube), ValueError, "nowhere finite"),
        (
            lambda: Custom(lambda x: {x: x}, cube),
            TypeError,
            "an object of type dict; a real number is needed",
        ),
        (lambda: Custom(lambda: 1, cube), TypeError, "raised TypeError: .*takes 0 positional arguments"),
        (lambda: Custom(uncompiled, lambda x: 1.0), TypeError, "function 'uncompiled' cannot be compiled"),
    ],
)
def test_errors_name_what_came_and_what_is_needed(call, error, told):
    with pytest.raises(error, match=told):
        call()


def cube(x):
    return x * x * x


def step(x):
    return x if x > 0 else 0.0


def step_slope(x):
    return 1.0 if x > 0 else 0.0


def uncompiled(x):
    return sorted([x], key=lambda y: globals()["cube"](y))[0]


def logistic(x):
    return 1 / (1 + math.exp(-x))


@numba.njit
def compiled_logistic(x):
    return 1 / (1 + math.exp(-x))


LIMIT = 3.0
FUNCTIONS = {
    "mish": lambda x: x * np.tanh(np.log1p(np.exp(x))),
    "gelu": lambda x: x * 0.5 * (1 + math.erf(x / math.sqrt(2))),
    "squared relu": lambda x: np.maximum(x, 0) ** 2,
    "hard tanh": lambda x: np.minimum(np.maximum(x, -LIMIT), LIMIT),
    "soft sign": lambda x: x / (1 + abs(x)),
    "softplus": lambda x: np.logaddexp(0, x),
    "through a function": lambda x: x * compiled_logistic(x),
    "powers": lambda x: x**3 - 2.0 * x**2 + x - x**1 + x**0,
    "root": lambda x: math.sqrt(1 + x * x) - np.sqrt(x * x + 0.5),
    "fraction of a power": lambda x: (x * x + 1) ** 1.5,
    "x as exponent": lambda x: 1.5**x + (2 + np.cos(x)) ** x,
    "circular": lambda x: math.sin(x) + np.cos(2 * x) + np.arctan(x) + math.tan(x / 99),
    "hyperbolic": lambda x: math.sinh(x / 9) + math.cosh(x / 8) + math.asinh(x) + np.arcsinh(x),
    "logarithms": lambda x: math.log(x * x + 1) + np.log2(1 + x * x) + math.log10(3 + x * x),
    "exponentials": lambda x: np.expm1(x / 9) + math.exp(-x / 9) + math.erfc(x) - math.fabs(x),
    "divisions": lambda x: 3 / (x * x + 1) - np.reciprocal(x * x + 2) + np.square(x) / 7 + (-x) * +x,
    "numpy's numbers": lambda x: np.float64(2.0) * x + x * np.float32(0.5) - np.int64(3) / (2 + x * x),
    "constant": lambda x: 2.5,
    "x": lambda x: x,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_derivative_is_found_and_compiled(name):
    f = FUNCTIONS[name]
    custom = Custom(f)
    h = 1e-4
    x = np.array([-6.1, -2.2, -0.7, -0.03, 0.04, 0.9, 2.3, 4.6])
    values, slopes = computed(custom, x, np.float64)
    np.testing.assert_allclose(values, [float(f(v)) for v in x], rtol=1e-14, atol=1e-15)
    expected = [(f(v + h) - f(v - h)) / (2 * h) for v in x]
    np.testing.assert_allclose(slopes, expected, rtol=1e-5, atol=1e-6)
    single, single_slopes = computed(custom, x.astype(np.float32), np.float32)
    assert single.dtype == np.float32
    x = x.astype(np.float32).astype(np.float64)
    exact, exact_slopes = computed(custom, x, np.float64)
    np.testing.assert_array_equal(single, exact.astype(np.float32))
    np.testing.assert_array_equal(single_slopes, exact_slopes.astype(np.float32))


def test_functions_of_any_real_type_and_from_inside_others():
    shift = 0.25

    def inner(x):
        return math.tanh(x + shift)

    assert Custom(inner).slope(0.5) == pytest.approx(1 - math.tanh(0.75) ** 2, rel=1e-14)
    # Traced through, though Numba would need `logistic` compiled.
    with pytest.raises(TypeError, match=r"cannot be compiled.*logistic"):
        Custom(lambda x: x * logistic(x))
    values, slopes = computed(Custom(lambda x: 1 if x > 0 else 0, lambda x: False), [-1.0, 2.0], np.float32)
    assert values.tolist() == [0, 1] and slopes.tolist() == [0, 0]


def test_a_given_derivative_may_branch():
    custom = Custom(step, step_slope, name="my_relu")
    assert custom.name == "my_relu"
    assert custom.settings() == {"name": "custom", "function": "my_relu"}
    assert custom.parameters == (0.0, 0.0)
    x = np.linspace(-3, 3, 41)
    for dtype in DTYPES:
        mine, theirs = computed(custom, x, dtype), computed(ReLU(), x, dtype)
        np.testing.assert_array_equal(mine, theirs)


def test_a_function_is_an_activation():
    custom = activations.resolve(cube)
    assert (custom.name, custom.function) == ("cube", cube)
    assert custom.slope(2.0) == 12.0


def test_a_function_named_like_a_built_in_activation_does_not_pass_for_it():
    def relu(x):
        return np.maximum(x, 0.3 * x)

    custom = activations.resolve(relu)
    assert custom.name == "custom_relu"
    values, _ = computed(custom, [-1.0, 2.0], np.float64)
    assert values.tolist() == [-0.3, 2.0]


def test_custom_activations_are_copied_and_pickled_with_their_function():
    custom = Custom(step, step_slope)
    assert copy.deepcopy(custom) is custom
    again = pickle.loads(pickle.dumps(custom))
    assert again == custom and hash(again) == hash(custom) and again != Custom(cube)
    values, _ = computed(again, [-1.0, 2.0], np.float32)
    assert values.tolist() == [0.0, 2.0]


def test_custom_activations_are_not_kept_on_disk():
    run(ReLU(), np.zeros((1, 1)))
    before = set(kernel_folder().iterdir())
    assert any("activation_relu" in path.name for path in before)
    computed(Custom(lambda x: x * 3.5), [1.0], np.float64)
    assert set(kernel_folder().iterdir()) == before


def in_a_new_process(script, **variables):
    line = [sys.executable, "-P", "-c", script]
    return subprocess.run(line, env={**os.environ, **variables}, check=True, capture_output=True, text=True)


def test_naming_an_activation_does_not_import_numba():
    script = "import sys, fastnn.activations as a; a.resolve('gelu'); print('numba' in sys.modules)"
    assert in_a_new_process(script).stdout == "False\n"


def test_custom_activations_exist_where_numba_does_not_compile():
    script = "import fastnn.activations as a; c = a.Custom(lambda x: x * x); print(c.slope(3.0), c.kernel)"
    assert in_a_new_process(script, NUMBA_DISABLE_JIT="1").stdout == "6.0 None\n"


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(-700, 700, width=32), min_size=1, max_size=40), st.sampled_from(sorted(ACTIVATIONS))
)
def test_every_finite_number_has_a_finite_value_and_slope(x, name):
    for dtype in DTYPES:
        values, slopes = computed(made(name), x, dtype)
        assert np.isfinite(values).all() and np.isfinite(slopes).all()
        assert (np.abs(slopes) <= 1.13).all()
