"""Bad calls: each raises a TypeError or ValueError that names the argument, what came and what is needed."""

from functools import partial

import numpy as np
import pytest

import fastnn
from fastnn.backends.look import look
from fastnn.checks import first_not_finite
from fastnn.kernels.threads import Team
from fastnn.optimizers import SGD, Adam

X = np.linspace(0, 1, 40, dtype=np.float32).reshape(10, 4)
y = np.arange(10) % 3


def with_value(array, index, value, dtype=np.float64):
    array = array.astype(dtype)
    array[index] = value
    return array


class Broken:
    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("no array today")


class Reporter:
    def on_chunk(self):
        pass


def circular():
    rows = []
    rows.append(rows)
    return rows


NEEDS_NUMBERS = "real numbers are needed"
BAD_X = {
    "string": ("abc", TypeError, f"X holds strings .*{NEEDS_NUMBERS}"),
    "strings": (X.astype(str), TypeError, f"X holds strings .*{NEEDS_NUMBERS}"),
    "bytes": (X.astype("S"), TypeError, f"X holds strings .*{NEEDS_NUMBERS}"),
    "objects": (X.astype(object), TypeError, f"X holds objects .*{NEEDS_NUMBERS}"),
    "none": (None, TypeError, f"X holds objects .*{NEEDS_NUMBERS}"),
    "dict": ({"a": [1]}, TypeError, f"X holds objects .*{NEEDS_NUMBERS}"),
    "complex": (X.astype(complex), TypeError, f"X holds complex numbers .*{NEEDS_NUMBERS}"),
    "dates": (X.astype("M8[s]"), TypeError, f"X holds dates .*{NEEDS_NUMBERS}"),
    "records": (np.zeros(10, "f4,f4"), TypeError, f"X holds records .*{NEEDS_NUMBERS}"),
    "huge integers": ([[10**400] * 4], TypeError, f"X holds objects .*{NEEDS_NUMBERS}"),
    "ragged": (
        [[1, 2, 3, 4], [1, 2]],
        TypeError,
        "X is an object of type list .*real numbers are needed, in rows of equal length",
    ),
    "circular": (circular(), (TypeError, ValueError), "X .*needed"),
    "broken": (Broken(), TypeError, "X is an object of type Broken .*are needed"),
    "masked": (np.ma.masked_array(X, X > 0.5), TypeError, "X is a masked array; a plain array is needed"),
    "scalar": (1.0, ValueError, r"X has shape \(\); two dimensions are needed, \(rows, 4\)"),
    "one row": (X[0], ValueError, r"X has shape \(4,\); two dimensions are needed.*X\.reshape\(1, -1\)"),
    "three dimensions": (X[None], ValueError, r"X has shape \(1, 10, 4\); two dimensions are needed"),
    "no rows": (X[:0], ValueError, "X has no rows; at least one is needed"),
    "empty list": ([], ValueError, r"X has shape \(0,\); two dimensions are needed"),
    "no columns": (X[:, :0], ValueError, "X has 0 columns; the network needs 4"),
    "narrow": (X[:, :3], ValueError, "X has 3 columns; the network needs 4"),
    "transposed": (X.T, ValueError, "X has 10 columns; the network needs 4"),
    "nan": (with_value(X, (3, 2), np.nan), ValueError, r"X\[3, 2\] is nan; every value must be finite"),
    "infinite": (
        with_value(X, (9, 3), np.inf, "f4"),
        ValueError,
        r"X\[9, 3\] is inf; every value must be fin",
    ),
    "minus infinity": (with_value(X, (0, 0), -np.inf, "f2"), ValueError, r"X\[0, 0\] is -inf; every value"),
    "too large": (with_value(X, (1, 2), 1e300), ValueError, r"X\[1, 2\] is 1e\+300, too large for float32"),
    "none within": ([[1, 2, 3, None]], TypeError, f"X holds objects .*{NEEDS_NUMBERS}"),
}

LABELS = "labels must be whole numbers from 0 to 2"
LABELS_OR_ROWS = "labels from 0 to 2, or rows of probabilities, are needed"
BAD_Y = {
    "string": ("abc", TypeError, f"y holds strings .*; {LABELS_OR_ROWS}"),
    "strings": (y.astype(str), TypeError, f"y holds strings .*; {LABELS_OR_ROWS}"),
    "objects": (y.astype(object), TypeError, f"y holds objects .*; {LABELS_OR_ROWS}"),
    "complex": (y.astype(complex), TypeError, f"y holds complex numbers .*; {LABELS_OR_ROWS}"),
    "none": (None, TypeError, f"y holds objects .*; {LABELS_OR_ROWS}"),
    "scalar": (1, ValueError, r"y has shape \(\); one dimension is needed, \(10,\)"),
    "column": (
        y[:, None],
        ValueError,
        r"y has shape \(10, 1\); one dimension is needed, .*: pass y\.ravel\(\)",
    ),
    "rows too narrow": (
        np.eye(2)[y % 2],
        ValueError,
        r"y has shape \(10, 2\); \(10,\) is needed for labels, \(10, 3\) for probabilities$",
    ),
    "two hot": (
        with_value(np.eye(3)[y], (4, 0), 1),
        ValueError,
        r"y\[4\] has the sum 2; the probabilities of a row must add up to 1",
    ),
    "negative probability": (
        with_value(np.eye(3)[y], (4, 0), -0.5),
        ValueError,
        r"y\[4, 0\] is -0\.5; probabilities must be at least 0",
    ),
    "short": (y[:-1], ValueError, "y has 9 labels; 10 are needed"),
    "long": (np.append(y, 0), ValueError, "y has 11 labels; 10 are needed"),
    "empty": ([], ValueError, "y has 0 labels; 10 are needed"),
    "too high": (with_value(y, 7, 3, int), ValueError, rf"y\[7\] is 3; {LABELS}"),
    "negative": (with_value(y, [4, 7], -1, int), ValueError, rf"y\[4\] is -1; {LABELS}"),
    "unsigned and huge": (
        with_value(y, 2, 2**64 - 1, np.uint64),
        ValueError,
        rf"y\[2\] is 184467.*; {LABELS}",
    ),
    "beyond its type": (with_value(y, 0, 127, np.int8), ValueError, rf"y\[0\] is 127; {LABELS}"),
    "not whole": (with_value(y, 9, 1.5), ValueError, rf"y\[9\] is 1\.5; {LABELS}"),
    "nan": (with_value(y, 5, np.nan), ValueError, rf"y\[5\] is nan; {LABELS}"),
    "infinite": (with_value(y, 5, np.inf), ValueError, rf"y\[5\] is inf; {LABELS}"),
}

WHOLE = "a whole number .*is needed"
BAD_FIT = {
    "epochs zero": ({"epochs": 0}, ValueError, f"epochs is 0; {WHOLE}"),
    "epochs negative": ({"epochs": -1}, ValueError, f"epochs is -1; {WHOLE}"),
    "epochs float": ({"epochs": 5.0}, TypeError, rf"epochs is 5\.0; {WHOLE}"),
    "epochs bool": ({"epochs": True}, TypeError, f"epochs is True; {WHOLE}"),
    "epochs NumPy bool": ({"epochs": np.True_}, TypeError, f"epochs is True; {WHOLE}"),
    "epochs string": ({"epochs": "5"}, TypeError, f"epochs is '5'; {WHOLE}"),
    "epochs none": ({"epochs": None}, TypeError, f"epochs is None; {WHOLE}"),
    "epochs huge": ({"epochs": 10**5000}, ValueError, f"epochs is a whole number of 16610 bits; {WHOLE}"),
    "batch zero": ({"batch_size": 0}, ValueError, f"batch_size is 0; {WHOLE}"),
    "batch negative": ({"batch_size": -128}, ValueError, f"batch_size is -128; {WHOLE}"),
    "batch huge": ({"batch_size": 10**12}, ValueError, f"batch_size is 10{{12}}; {WHOLE}"),
    "batch float": ({"batch_size": 1e2}, TypeError, rf"batch_size is 100\.0; {WHOLE}"),
    "batch array": ({"batch_size": np.array([1, 2])}, TypeError, rf"batch_size is an array .*; {WHOLE}"),
    "threads zero": ({"threads": 0}, ValueError, f"threads is 0; {WHOLE}"),
    "threads negative": ({"threads": -2}, ValueError, f"threads is -2; {WHOLE}"),
    "threads bool": ({"threads": False}, TypeError, f"threads is False; {WHOLE}"),
    "threads float": ({"threads": 2.0}, TypeError, rf"threads is 2\.0; {WHOLE}"),
    "rate zero": ({"learning_rate": 0}, ValueError, "learning_rate is 0; .*greater than 0"),
    "rate negative": ({"learning_rate": -0.1}, ValueError, r"learning_rate is -0\.1; .*greater than 0"),
    "rate nan": ({"learning_rate": np.nan}, ValueError, "learning_rate is nan; .*greater than 0"),
    "rate infinite": ({"learning_rate": np.inf}, ValueError, "learning_rate is inf; .*greater than 0"),
    "rate huge": ({"learning_rate": 10**400}, ValueError, "learning_rate is a whole number of .*finite"),
    "rate string": ({"learning_rate": "0.1"}, TypeError, r"learning_rate is '0\.1'; .*number"),
    "rate bool": ({"learning_rate": True}, TypeError, "learning_rate is True; .*number"),
    "rate complex": ({"learning_rate": 0.1j}, TypeError, r"learning_rate is 0\.1j; .*number"),
    "rate array": ({"learning_rate": np.ones(3)}, TypeError, "learning_rate is an array .*number"),
    "rate class": ({"learning_rate": float}, TypeError, "learning_rate is the class float; .*number"),
    "two rates": (
        {"optimizer": SGD(), "learning_rate": 0.1},
        ValueError,
        r"learning_rate is 0\.1 and optimizer .*; give one of the two",
    ),
    "optimizer unknown": ({"optimizer": "ftrl"}, ValueError, "optimizer is 'ftrl'; .*'sgd', 'adam'"),
    "optimizer in capitals": ({"optimizer": "SGD"}, ValueError, "optimizer is 'SGD'; .*'sgd', 'adam'"),
    "optimizer class": ({"optimizer": Adam}, TypeError, "optimizer is the class Adam; .*an object"),
    "optimizer none": ({"optimizer": None}, TypeError, "optimizer is None; .*'sgd', 'adam'"),
    "shuffle number": ({"shuffle": 1}, TypeError, "shuffle is 1; it must be True or False"),
    "shuffle string": ({"shuffle": "no"}, TypeError, "shuffle is 'no'; it must be True or False"),
    "backend unknown": ({"backend": "cuda"}, ValueError, "backend is 'cuda'; .*'jit', 'reference'"),
    "backend none": ({"backend": None}, TypeError, "backend is None; .*'jit', 'reference'"),
    "callback alone": ({"callbacks": print}, TypeError, "callbacks is an object .*; a list of functions"),
    "callback none": ({"callbacks": [None]}, TypeError, r"callbacks\[0\] is None; a function"),
    "callback string": ({"callbacks": (print, "x")}, TypeError, r"callbacks\[1\] is 'x'; a function"),
    "callbacks none": ({"callbacks": None}, TypeError, "callbacks is None; a list of functions"),
    "progress string": ({"progress": "bar"}, TypeError, "progress is 'bar'; .*on_chunk and on_epoch"),
    "progress half": ({"progress": Reporter()}, TypeError, "progress is an object .*on_chunk and on_epoch"),
    "progress number": ({"progress": 1}, TypeError, "progress is 1; .*True, False"),
    "validation array": ({"validation": X}, TypeError, r"validation is an array .*; a pair \(X, y\)"),
    "validation fraction": ({"validation": 0.1}, TypeError, r"validation is 0\.1; a pair \(X, y\)"),
    "validation X alone": ({"validation": (X,)}, ValueError, r"validation has 1 items; a pair \(X, y\)"),
    "validation narrow": ({"validation": (X[:, :2], y)}, ValueError, "validation X has 2 columns; .*needs 4"),
    "validation empty": ({"validation": (X[:0], y[:0])}, ValueError, "validation X has no rows"),
    "validation labels": ({"validation": (X, y + 1)}, ValueError, rf"validation y\[2\] is 3; {LABELS}"),
    "validation lengths": ({"validation": (X, y[:4])}, ValueError, "validation y has 4 labels; 10 are"),
}

SIZES = "a list of whole numbers is needed"
BAD_MLP = {
    "sizes none": ({"sizes": None}, TypeError, f"sizes is None; {SIZES}"),
    "sizes number": ({"sizes": 784}, TypeError, f"sizes is 784; {SIZES}"),
    "sizes string": ({"sizes": "784"}, TypeError, f"sizes is '784'; {SIZES}"),
    "sizes empty": ({"sizes": []}, ValueError, "sizes has 0 numbers; at least two are needed"),
    "sizes single": ({"sizes": [4]}, ValueError, "sizes has 1 numbers; at least two are needed"),
    "sizes zero": ({"sizes": [4, 0, 3]}, ValueError, rf"sizes\[1\] is 0; {WHOLE}"),
    "sizes negative": ({"sizes": [-4, 3]}, ValueError, rf"sizes\[0\] is -4; {WHOLE}"),
    "sizes float": ({"sizes": [4, 5.0, 3]}, TypeError, rf"sizes\[1\] is 5\.0; {WHOLE}"),
    "sizes bool": ({"sizes": [4, True, 3]}, TypeError, rf"sizes\[1\] is True; {WHOLE}"),
    "sizes strings": ({"sizes": ["4", "3"]}, TypeError, rf"sizes\[0\] is '4'; {WHOLE}"),
    "sizes nested": ({"sizes": [[4, 3]] * 2}, TypeError, rf"sizes\[0\] is an object of type list; {WHOLE}"),
    "sizes huge": (
        {"sizes": [10**9, 10**9, 3]},
        ValueError,
        "sizes need .* GiB of parameters; at most 4 GiB",
    ),
    "sizes wide": ({"sizes": [10**9, 10]}, ValueError, r"sizes need 37\.3 GiB of parameters; at most 4 GiB"),
    "sizes beyond": ({"sizes": [10**30, 10]}, ValueError, rf"sizes\[0\] is 10{{30}}; {WHOLE}"),
    "one class": ({"sizes": [4, 1]}, ValueError, r"sizes\[1\] is 1; at least two classes are needed"),
    "activation unknown": (
        {"activation": "swish"},
        ValueError,
        "activation is 'swish'; .*'identity', 'relu'",
    ),
    "activation none": ({"activation": None}, TypeError, "activation is None; .*'identity', 'relu'"),
    "activation function": (
        {"activation": max},
        TypeError,
        "activation is an object .*; a Python function of one number is needed",
    ),
    "activation class": ({"activation": float}, TypeError, "activation is the class float; .*'relu'"),
    "activations too many": ({"activation": ["relu"]}, ValueError, "activation has 1 items; 0 are needed"),
    "init unknown": (
        {"init": "he"},
        ValueError,
        "init is 'he'; .*'he_normal', 'he_uniform', 'glorot_normal'",
    ),
    "init given": ({"init": "given"}, ValueError, "init is 'given'; .*'zeros'"),
    "init none": ({"init": None}, TypeError, "init is None; .*'zeros', a list"),
    "init array": ({"init": np.zeros((4, 3))}, TypeError, "init is an array .*, a list of weight arrays"),
    "init too few": ({"init": []}, ValueError, "weights is assigned 0 arrays; 1 are needed"),
    "init shape": (
        {"init": [np.zeros((3, 4))]},
        ValueError,
        r"weights\[0\] is assigned shape \(3, 4\); .*\(4, 3\)",
    ),
    "init nan": ({"init": [np.full((4, 3), np.nan)]}, ValueError, r"weights\[0\]\[0, 0\] is nan; .*finite"),
    "dtype int": ({"dtype": int}, ValueError, "dtype is int64; .*'float32' or 'float64'"),
    "dtype half": ({"dtype": "float16"}, ValueError, "dtype is float16; .*'float32' or 'float64'"),
    "dtype unknown": ({"dtype": "bfloat16"}, ValueError, "dtype is 'bfloat16'; .*'float32' or 'float64'"),
    "dtype none": ({"dtype": None}, TypeError, "dtype is None; .*'float32' or 'float64'"),
    "dtype number": ({"dtype": 32}, TypeError, "dtype is 32; .*'float32' or 'float64'"),
    "dtype swapped": ({"dtype": ">f4"}, ValueError, "dtype is >f4; .*'float32' or 'float64'"),
    "seed negative": ({"seed": -1}, ValueError, "seed is -1; a whole number of at least 0 is needed"),
    "seed none": ({"seed": None}, TypeError, "seed is None; a whole number"),
    "seed float": ({"seed": 0.0}, TypeError, r"seed is 0\.0; a whole number"),
    "seed bool": ({"seed": True}, TypeError, "seed is True; a whole number"),
}

BAD_OPTIMIZERS = {
    "momentum one": (lambda: SGD(momentum=1), ValueError, "momentum is 1; .*from 0 to below 1"),
    "momentum negative": (lambda: SGD(momentum=-0.1), ValueError, r"momentum is -0\.1; .*from 0 to below 1"),
    "momentum nan": (lambda: SGD(momentum=np.nan), ValueError, "momentum is nan; .*from 0 to below 1"),
    "momentum string": (lambda: SGD(momentum="0.9"), TypeError, r"momentum is '0\.9'; .*from 0 to below 1"),
    "momentum bool": (lambda: SGD(momentum=True), TypeError, "momentum is True; .*from 0 to below 1"),
    "nesterov number": (lambda: SGD(momentum=0.9, nesterov=1), TypeError, "nesterov is 1; .*True or False"),
    "nesterov alone": (lambda: SGD(nesterov=True), ValueError, "nesterov is True and momentum 0; .*needs"),
    "rate zero": (lambda: SGD(0), ValueError, "learning_rate is 0; .*greater than 0"),
    "rate nan": (lambda: Adam(np.nan), ValueError, "learning_rate is nan; .*greater than 0"),
    "rate none": (lambda: Adam(None), TypeError, "learning_rate is None; .*number"),
    "beta1 one": (lambda: Adam(beta1=1.0), ValueError, r"beta1 is 1\.0; .*from 0 to below 1"),
    "beta2 negative": (lambda: Adam(beta2=-1), ValueError, "beta2 is -1; .*from 0 to below 1"),
    "epsilon zero": (lambda: Adam(epsilon=0), ValueError, "epsilon is 0; .*smallest normal float32"),
    "epsilon tiny": (lambda: Adam(epsilon=1e-40), ValueError, "epsilon is 1e-40; .*smallest normal float32"),
    "epsilon infinite": (lambda: Adam(epsilon=np.inf), ValueError, "epsilon is inf; .*finite"),
}

BAD_ASSIGNMENTS = {
    "shape": (
        "weights",
        np.zeros((3, 4)),
        ValueError,
        r"weights\[0\] is assigned shape \(3, 4\); .*\(4, 3\)",
    ),
    "scalar": ("weights", 0.0, ValueError, r"weights\[0\] is assigned shape \(\); .*\(4, 3\)"),
    "column": ("biases", np.zeros((3, 1)), ValueError, r"biases\[0\] is assigned shape \(3, 1\); .*\(3,\)"),
    "nan": ("biases", [0, np.nan, 0], ValueError, r"biases\[0\]\[1\] is nan; every value must be finite"),
    "too large": ("biases", [0, 0, 1e39], ValueError, r"biases\[0\]\[2\] is 1e\+39, too large for float32"),
    "strings": ("biases", ["a", "b", "c"], TypeError, r"biases\[0\] holds strings"),
    "complex": ("biases", [1j, 0, 0], TypeError, r"biases\[0\] holds complex numbers"),
    "none": ("weights", None, TypeError, r"weights\[0\] holds objects"),
}


def table(rows):
    return pytest.mark.parametrize("value, error, message", rows.values(), ids=rows.keys())


@pytest.fixture
def net(numpy_backend):
    return fastnn.MLP([4, 3])


@pytest.fixture
def unchanged(net, numpy_backend):
    """After the test: nothing was trained."""
    before = [array.copy() for array in (*net.weights, *net.biases)]
    yield
    for array, was in zip((*net.weights, *net.biases), before, strict=True):
        np.testing.assert_array_equal(array, was)
    assert net.epochs_trained == 0 and not numpy_backend.instances


@pytest.mark.usefixtures("unchanged")
class TestData:
    @table(BAD_X)
    def test_rows(self, net, value, error, message):
        for call in (
            lambda: net.fit(value, y),
            lambda: net.evaluate(value, y),
            lambda: net.predict(value),
            lambda: net.predict_proba(value),
        ):
            with pytest.raises(error, match=f"^{message}"):
                call()

    @table(BAD_Y)
    def test_labels(self, net, value, error, message):
        for call in (lambda: net.fit(X, value), lambda: net.evaluate(X, value)):
            with pytest.raises(error, match=f"^{message}"):
                call()


@pytest.mark.usefixtures("unchanged")
class TestSettings:
    @table({name: row for name, row in BAD_FIT.items() if "backend" not in name})
    def test_fit(self, net, value, error, message):
        with pytest.raises(error, match=f"^{message}"):
            net.fit(X, y, **value)

    @pytest.mark.parametrize("threads", [0, -1, 1.5, "2", True])
    def test_threads_of_answers(self, net, threads):
        for call in (
            lambda: net.predict(X, threads=threads),
            lambda: net.predict_proba(X, threads=threads),
            lambda: net.evaluate(X, y, threads=threads),
        ):
            with pytest.raises((TypeError, ValueError), match=r"^threads is .*; a whole number"):
                call()

    @pytest.mark.parametrize("name", ["weights", "biases"])
    def test_nan_written_into_the_parameters(self, net, name):
        array = getattr(net, name)[0]
        was, array.flat[2] = array.flat[2], np.nan
        for call in (lambda: net.fit(X, y), lambda: net.predict(X), lambda: net.evaluate(X, y)):
            with pytest.raises(ValueError, match=rf"^{name}\[0\]\[.*2\] is nan; every value must be finite"):
                call()
        array.flat[2] = was


@table({name: row for name, row in BAD_FIT.items() if "backend" in name})
def test_backend(value, error, message):
    with pytest.raises(error, match=f"^{message}"):
        fastnn.MLP([4, 3]).fit(X, y, **value)


def test_batch_whose_units_do_not_fit():
    net = fastnn.MLP([1, 60_000, 2])
    rows = np.zeros((20_000, 1), np.float32)
    with pytest.raises(ValueError, match=r"^batch_size is 30000; the units of 20000 rows take 4\.5 GiB"):
        net.fit(rows, np.zeros(20_000), batch_size=30_000)


@table(BAD_MLP)
def test_mlp(value, error, message):
    with pytest.raises(error, match=f"^{message}"):
        fastnn.MLP(**{"sizes": [4, 3], **value})


@table(BAD_OPTIMIZERS)
def test_optimizer(value, error, message):
    with pytest.raises(error, match=f"^{message}"):
        value()


@pytest.mark.parametrize("name, value, error, message", BAD_ASSIGNMENTS.values(), ids=BAD_ASSIGNMENTS.keys())
def test_assignment(net, unchanged, name, value, error, message):
    with pytest.raises(error, match=f"^{message}"):
        getattr(net, name)[0] = value
    with pytest.raises(error, match=f"^{message}"):
        setattr(net, name, [value])


@pytest.mark.parametrize("value", [None, 0, 1.5])
def test_assignment_of_no_list(net, unchanged, value):
    with pytest.raises(TypeError, match=r"^weights is assigned .*; a list of arrays is needed"):
        net.weights = value


@pytest.mark.parametrize(
    "names, error, message",
    [
        ("abc", TypeError, "classes is 'abc'; a list of 3 names is needed"),
        (3, TypeError, "classes is 3; a list of 3 names is needed"),
        (["a", "b"], ValueError, "classes has 2 names; 3 are needed"),
        (["a", "b", 3], TypeError, r"classes\[2\] is 3; a string is needed"),
        (["a", "b", "a"], ValueError, "classes has a name twice"),
    ],
)
def test_class_names(net, names, error, message):
    with pytest.raises(error, match=f"^{message}"):
        net.classes = names
    assert net.classes is None


@pytest.mark.parametrize("epochs", [-1, 1.0, None, True])
def test_epochs_trained(net, epochs):
    with pytest.raises((TypeError, ValueError), match=r"^epochs_trained is .*; a whole number of at least 0"):
        net.epochs_trained = epochs


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("columns", [1, 2, 7, 16, 63, 64, 65, 130])
@pytest.mark.parametrize("rows", [1, 9])  # by one kernel and the other
def test_one_number_that_is_not_finite_is_found_wherever_it_is(rows, columns, dtype):
    net = fastnn.MLP([columns, 2], dtype=dtype, init="zeros")
    limits = np.finfo(dtype)
    inputs = np.full((rows, columns), limits.max, dtype)
    inputs[:, ::2], inputs[:, 1::3] = limits.min, limits.smallest_subnormal
    assert (net.predict_proba(inputs) == 0.5).all(), "these are finite"
    for column in range(columns):
        for value in (np.nan, -np.inf):
            broken = with_value(inputs, (rows - 1, column), value, dtype)
            with pytest.raises(
                ValueError, match=rf"^X\[{rows - 1}, {column}\] is {value}; every value must be finite"
            ):
                net.predict_proba(broken)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("value", [np.nan, -np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("least", [0.0, -1.0])  # numbers without signs are looked at once, others twice
def test_a_number_that_is_not_finite_is_found_in_large_arrays(dtype, value, least):
    limits = np.finfo(dtype)
    array = np.tile(
        np.array([1, least, limits.max, limits.smallest_subnormal, least * limits.max], dtype), (3, 30_000)
    )
    assert first_not_finite(array) is None
    for place in [(0, 0), (1, 7), (2, 149_999)]:
        assert first_not_finite(with_value(array, place, value, dtype)) == place


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_several_threads_find_the_number_that_is_not_finite(threads, dtype, monkeypatch):
    monkeypatch.setattr("fastnn.backends.look._AT_ONCE", 20_000)
    monkeypatch.setattr("fastnn.backends.look.MANY", 0)
    array = np.ones((100, 999), dtype)
    with Team(threads) as team:
        look_in_team = partial(look, team=team)
        assert look_in_team(array) and look_in_team(array[:0])
        for place in [(0, 0), (34, 7), (99, 998)]:
            damaged = with_value(array, place, np.nan)
            assert not look_in_team(damaged)
            damaged[place[0] :, 998] = np.inf
            assert first_not_finite(damaged, look_in_team) == place


def test_unknown_name():
    with pytest.raises(AttributeError, match="'fastnn' has no attribute 'MLPP'"):
        fastnn.MLPP  # noqa: B018
