"""What the engine reads and writes: nothing outside its own arrays, no input, and no denormal number."""

import numpy as np
import pytest
from problems import OPTIMIZERS, Problem, for_problems, train

import fastnn
from fastnn.backends import inference, jit
from fastnn.backends.jit import JitBackend
from fastnn.kernels.infer import infer_rows
from fastnn.kernels.train import train_steps

_GUARD = 256  # bytes before and behind each array, four of the widest vectors


class Guards:
    """Takes the place of the engine's allocations, which then lie between guards full of NaN."""

    def __init__(self):
        self.blocks = []

    def zeros(self, size, dtype):
        dtype = np.dtype(dtype)
        raw = np.full(size * dtype.itemsize + 2 * _GUARD + 64, 0xFF, np.uint8)
        start = -raw.ctypes.data % 64 + _GUARD
        stop = start + size * dtype.itemsize
        raw[start:stop] = 0
        self.blocks.append((raw, start, stop))
        return raw[start:stop].view(dtype)

    def are_untouched(self):
        return all(
            (raw[:start] == 0xFF).all() and (raw[stop:] == 0xFF).all() for raw, start, stop in self.blocks
        )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_nothing_outside_is_written_or_read(optimizer, dtype):
    @for_problems(dtype, 25)
    def check(problem):
        expected = train(JitBackend, problem, optimizer)
        proba = JitBackend.predict_proba(problem.net, problem.X, None)
        losses = JitBackend.losses(problem.net, problem.X, problem.y, None)
        training, forward = Guards(), Guards()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(jit, "aligned_zeros", training.zeros)
            patch.setattr(inference, "aligned_zeros", forward.zeros)
            # NaN from outside would show in the results.
            assert train(JitBackend, problem, optimizer) == expected
            assert np.array_equal(JitBackend.predict_proba(problem.net, problem.X, None), proba)
            again = JitBackend.losses(problem.net, problem.X, problem.y, None)
            assert np.array_equal(again, losses)
        for guards in (training, forward):
            assert guards.blocks and guards.are_untouched()

    check()


def arrangements(X):
    read_only = X.copy()
    read_only.flags.writeable = False
    unaligned = np.zeros(X.nbytes + 1, np.uint8)[1:].view(X.dtype).reshape(X.shape)
    unaligned[...] = X
    return {
        "read-only": read_only,
        "unaligned": unaligned,
        "Fortran order": np.asfortranarray(X),
        "strided": np.repeat(X, 2, axis=0)[::2],
        "byte-swapped": X.astype(X.dtype.newbyteorder()),
        "list": X.tolist(),
    }


@pytest.mark.parametrize("name", arrangements(np.zeros((1, 1))))
def test_fit_takes_any_arrangement_and_leaves_it_alone(name):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((40, 9)).astype("f4"), rng.integers(0, 3, 40)
    expected, net = fastnn.MLP([9, 8, 3]), fastnn.MLP([9, 8, 3])
    expected.fit(X, y, epochs=2, batch_size=16)
    given, labels = arrangements(X)[name], arrangements(y)[name]
    net.fit(given, labels, epochs=2, batch_size=16)
    assert all(np.array_equal(W, V) for W, V in zip(net.weights, expected.weights, strict=True))
    assert np.array_equal(net.predict_proba(given), expected.predict_proba(X))
    assert net.evaluate(given, labels) == expected.evaluate(X, y)
    assert np.array_equal(given, X) and np.array_equal(labels, y)


def test_one_machine_code_for_every_arrangement():
    """Compiling takes seconds, and must not happen again because an array is read-only or lies oddly."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((40, 9)).astype("f4"), rng.integers(0, 3, 40)
    net = fastnn.MLP([9, 8, 3])
    for name, given in arrangements(X).items():
        labels = arrangements(y)[name]
        net.fit(given, labels, epochs=1, validation=(given, labels))
        net.predict(given)
    for kernel in (train_steps, infer_rows):
        assert len(kernel.signatures) <= 2  # float32 and float64


class TestDenormals:
    """Arithmetic on denormal numbers is up to a hundred times slower, so that the engine takes them for zeros."""

    @staticmethod
    def product_is_denormal(dtype):
        """True while this thread computes with denormals, as Python and NumPy expect."""
        tiny, half = np.full(64, np.finfo(dtype).tiny), np.full(64, 0.5, dtype)
        return bool((tiny * half != 0).all())

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_the_threads_own_setting_comes_back(self, dtype):
        rng = np.random.default_rng(0)
        X, y = rng.standard_normal((600, 64)).astype(dtype), rng.integers(0, 10, 600)
        assert self.product_is_denormal(dtype)

        def look(net, history):
            assert self.product_is_denormal(dtype)

        net = fastnn.MLP([64, 96, 10], dtype=dtype)
        net.fit(X, y, epochs=2, callbacks=[look], validation=(X, y))
        assert self.product_is_denormal(dtype)
        net.predict_proba(X)
        assert self.product_is_denormal(dtype)
        with pytest.raises(fastnn.TrainingDiverged):
            net.fit(X, y, learning_rate=1e30, anomalies="ignore")
        assert self.product_is_denormal(dtype)

    @pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_denormal_inputs_and_weights_are_zeros(self, optimizer, dtype):
        rng = np.random.default_rng(1)
        tiny = np.finfo(dtype).tiny
        X, y = rng.standard_normal((21, 9)).astype(dtype), rng.integers(0, 4, 21)
        X[::4] = tiny / 2  # not mostly: a first layer for sparse inputs would add up in another order
        zeros = np.where(np.abs(X) < tiny, 0, X)
        net, zeroed = fastnn.MLP([9, 12, 4], dtype=dtype), fastnn.MLP([9, 12, 4], dtype=dtype)
        # Over a denormal bias alone a unit would be active, and its gradient not 0.
        net.biases[0] = np.full(12, tiny / 7)
        net.weights[1][::2] = -tiny / 5
        zeroed.weights[1][::2] = 0
        order = np.tile(rng.permutation(21), 3)
        one, two = (
            train(JitBackend, Problem(network, inputs, y, 7, order, [9]), optimizer)
            for network, inputs in ((net, X), (zeroed, zeros))
        )
        for a, b in zip(one.arrays, two.arrays, strict=True):
            assert np.array_equal(a, b)
        assert (X != 0).all()
