"""MLP: its parameters, its copies, and what it answers."""

import copy
import pickle

import numpy as np
import pytest

import fastnn
from fastnn import checks


def same_parameters(one, two):
    pairs = zip((*one.weights, *one.biases), (*two.weights, *two.biases), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


class TestArchitecture:
    def test_what_is_given_is_there(self):
        net = fastnn.MLP((4, 5, 3), activation="identity", init="glorot_uniform", dtype=np.float64, seed=9)
        assert net.sizes == (4, 5, 3)
        assert (net.activation, net.init, net.dtype, net.seed) == (
            "identity",
            "glorot_uniform",
            np.dtype("float64"),
            9,
        )
        assert [W.shape for W in net.weights] == [(4, 5), (5, 3)]
        assert [b.shape for b in net.biases] == [(5,), (3,)]
        assert net.classes is None and net.epochs_trained == 0 and net.history is None

    @pytest.mark.parametrize("sizes", [[4, 3], (4, 3), np.array([4, 3]), [np.int32(4), np.uint8(3)]])
    def test_without_hidden_layer(self, sizes):
        net = fastnn.MLP(sizes)
        assert net.sizes == (4, 3) and all(type(size) is int for size in net.sizes)
        assert len(net.weights) == 1

    def test_repr_tells_the_essentials(self):
        text = repr(fastnn.MLP([784, 512, 10]))
        for part in ("[784, 512, 10]", "relu", "float32", "407,050"):  # 784 * 512 + 512 + 512 * 10 + 10
            assert part in text

    @pytest.mark.parametrize("name", ["sizes", "activation", "init", "dtype", "seed"])
    def test_architecture_is_fixed(self, name):
        net = fastnn.MLP([4, 3])
        with pytest.raises(AttributeError):
            setattr(net, name, getattr(net, name))

    def test_class_names(self):
        net = fastnn.MLP([4, 3])
        net.classes = ["a", "b", "c"]
        assert net.classes == ("a", "b", "c")
        net.classes = None
        assert net.classes is None

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_arena(self, dtype):
        net = fastnn.MLP([3, 5, 7, 2], dtype=dtype)
        arrays = [*net.weights, *net.biases]
        for array in arrays:
            assert array.dtype == dtype and array.flags.c_contiguous
            assert array.ctypes.data % 64 == 0
        assert not any(np.shares_memory(a, b) for i, a in enumerate(arrays) for b in arrays[:i])
        addresses = [array.ctypes.data for array in arrays]
        assert max(addresses) - min(addresses) < 2048  # side by side, not in allocations of their own


class TestAssigning:
    def test_item_is_copied_into_the_view(self):
        net = fastnn.MLP([4, 3])
        view, new = net.weights[0], np.arange(12.0).reshape(4, 3)
        net.weights[0] = new
        assert net.weights[0] is view
        np.testing.assert_array_equal(view, new.astype(np.float32))
        net.weights[-1] = new.tolist()
        net.weights[0] -= 1
        np.testing.assert_array_equal(view, new - 1)

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_lists_and_slices(self, dtype):
        net, other = fastnn.MLP([4, 5, 3], dtype=dtype, seed=1), fastnn.MLP([4, 5, 3], dtype=dtype, seed=2)
        other.biases = [np.ones(5), [1, 2, 3]]
        net.weights = other.weights
        net.biases[:] = other.biases
        assert same_parameters(net, other)
        net.weights[1:] = [np.zeros((5, 3))]
        assert not net.weights[1].any() and net.weights[0].any()

    def test_overlapping_slices_are_read_before_they_are_written(self):
        net = fastnn.MLP([3, 3, 3], seed=1)
        first, second = net.weights[0].copy(), net.weights[1].copy()
        net.weights = net.weights[::-1]
        np.testing.assert_array_equal(net.weights[0], second)
        np.testing.assert_array_equal(net.weights[1], first)

    def test_mistake_in_a_list_changes_nothing(self):
        net = fastnn.MLP([4, 5, 3])
        before = copy.deepcopy(net)
        with pytest.raises(ValueError, match=r"weights\[1\] is assigned shape \(3, 5\); shape \(5, 3\)"):
            net.weights = [np.zeros((4, 5)), np.zeros((3, 5))]
        assert same_parameters(net, before)

    @pytest.mark.parametrize(
        "change",
        [
            lambda w: w.append(w[0]),
            lambda w: w.extend([w[0]]),
            lambda w: w.insert(0, w[0]),
            lambda w: w.pop(),
            lambda w: w.remove(w[0]),
            lambda w: w.clear(),
            lambda w: w.sort(),
            lambda w: w.reverse(),
            lambda w: w.__delitem__(0),
            lambda w: w.__delitem__(slice(None)),
            lambda w: w.__iadd__([w[0]]),
            lambda w: w.__imul__(2),
        ],
    )
    def test_length_is_fixed(self, change):
        net = fastnn.MLP([4, 5, 3])
        with pytest.raises(TypeError, match="weights has one array for each layer"):
            change(net.weights)
        assert len(net.weights) == 2

    def test_copies_are_plain_lists(self):
        net = fastnn.MLP([4, 5, 3])
        best = copy.deepcopy(net.weights)
        assert type(best) is list and not np.shares_memory(best[0], net.weights[0])
        net.weights[0][...] = 0
        net.weights = best
        assert net.weights[0].any()
        assert type(copy.copy(net.weights)) is type(net.weights[:]) is list
        assert type(pickle.loads(pickle.dumps(net.weights))) is list


class TestCopies:
    @pytest.mark.parametrize(
        "duplicate", [copy.deepcopy, copy.copy, lambda net: pickle.loads(pickle.dumps(net))]
    )
    def test_copy_is_equal_and_apart(self, duplicate, blobs, numpy_backend):
        net = fastnn.MLP([4, 5, 3], init="glorot_normal", seed=3)
        net.classes = ("a", "b", "c")
        net.fit(*blobs, epochs=2)
        twin = duplicate(net)
        assert same_parameters(net, twin)
        for name in ("sizes", "activation", "init", "dtype", "seed", "classes", "epochs_trained"):
            assert getattr(twin, name) == getattr(net, name)
        assert twin.history.loss == net.history.loss
        assert twin.weights[0].ctypes.data % 64 == 0
        twin.weights[0][...] = 0
        assert net.weights[0].any()
        with pytest.raises(TypeError):
            twin.weights.append(0)

    def test_copy_trains_on_like_the_original(self, blobs, numpy_backend):
        net = fastnn.MLP([4, 5, 3])
        net.fit(*blobs, epochs=1, batch_size=8)
        twin = copy.deepcopy(net)
        net.fit(*blobs, epochs=2, batch_size=8)
        twin.fit(*blobs, epochs=2, batch_size=8)
        assert same_parameters(net, twin)


class TestAnswers:
    @pytest.fixture
    def trained(self, blobs, numpy_backend):
        net = fastnn.MLP([4, 8, 3], seed=1)
        net.fit(*blobs, epochs=40, batch_size=10, learning_rate=0.5)
        return net

    def test_it_learns(self, trained, blobs):
        assert trained.evaluate(*blobs).accuracy == 1

    def test_answers_agree(self, trained, blobs):
        X, y = blobs
        proba = trained.predict_proba(X)
        assert proba.shape == (90, 3) and proba.dtype == np.float32
        np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-6)
        labels = trained.predict(X)
        assert labels.shape == (90,) and labels.dtype == np.int64
        np.testing.assert_array_equal(labels, proba.argmax(axis=1))
        result = trained.evaluate(X, y)
        assert result.samples == 90
        assert result.accuracy == np.mean(labels == y)
        assert result.loss == pytest.approx(-np.log(proba[np.arange(90), y]).mean(), rel=1e-5)
        assert all(type(v) in (int, float) for v in (result.loss, result.accuracy, result.samples))

    def test_evaluation_cannot_be_changed(self, trained, blobs):
        with pytest.raises(AttributeError):
            trained.evaluate(*blobs).loss = 0

    def test_overflow_is_an_error_and_no_prediction(self, trained):
        X = np.full((2, 4), 3e38, np.float32)
        for call in (trained.predict, trained.predict_proba, lambda X: trained.evaluate(X, [0, 1])):
            with pytest.raises(ValueError, match="outputs overflow float32"):
                call(X)


class TestInput:
    """What reaches the backend."""

    def received(self, numpy_backend, X, y, dtype="float32"):
        fastnn.MLP([4, 3], dtype=dtype).fit(X, y, epochs=1)
        backend = numpy_backend.instances[-1]
        assert backend.X.dtype == dtype and backend.X.flags.c_contiguous and backend.X.flags.aligned
        assert backend.y.dtype == np.int64 and backend.y.flags.c_contiguous
        return backend

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_fitting_arrays_are_not_copied(self, numpy_backend, blobs, dtype):
        X, y = blobs[0].astype(dtype), blobs[1]
        backend = self.received(numpy_backend, X, y, dtype)
        assert np.shares_memory(backend.X, X) and np.shares_memory(backend.y, y)
        backend = self.received(numpy_backend, X[10:50], y[10:50], dtype)
        assert np.shares_memory(backend.X, X)

    def test_memory_mapped_file_is_not_copied(self, numpy_backend, blobs, tmp_path):
        X, y = blobs
        np.save(tmp_path / "X.npy", X)
        mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
        assert np.shares_memory(self.received(numpy_backend, mapped, y).X, mapped)

    @pytest.mark.parametrize(
        "change",
        [
            np.ndarray.tolist,
            np.asfortranarray,
            lambda X: np.repeat(X, 2, axis=1)[:, ::2],
            lambda X: X[::-1][::-1],
            lambda X: X.astype(np.float16).astype(np.float64),
            lambda X: X.astype(np.longdouble),
            lambda X: X.astype(">f4"),
            lambda X: np.frombuffer(b"\0" + X.tobytes(), np.uint8)[1:].view("f4").reshape(X.shape),
            lambda X: np.rint(X).astype(np.int8),
            lambda X: X > 0.5,
        ],
    )
    def test_other_arrays_are_converted(self, numpy_backend, blobs, change):
        X, y = blobs
        changed = change(X)
        expected = np.array(changed).astype(np.float32)
        np.testing.assert_array_equal(self.received(numpy_backend, changed, y).X, expected)

    @pytest.mark.parametrize(
        "change",
        [
            list,
            tuple,
            lambda y: y.astype(np.uint8),
            lambda y: y.astype(np.float32),
            lambda y: y.astype(">u8"),
        ],
    )
    def test_labels_of_many_kinds(self, numpy_backend, blobs, change):
        X, y = blobs
        np.testing.assert_array_equal(self.received(numpy_backend, X, change(y)).y, y)

    def test_labels_true_and_false(self, numpy_backend, blobs):
        X, y = blobs
        np.testing.assert_array_equal(self.received(numpy_backend, X, y > 1).y, y > 1)

    def test_data_frame_by_its_array_method(self, numpy_backend, blobs):
        class Frame:
            def __init__(self, values):
                self.values = values

            def __array__(self, dtype=None, copy=None):
                return self.values if dtype is None else self.values.astype(dtype)

        X, y = blobs
        backend = self.received(numpy_backend, Frame(X.astype(np.float64)), Frame(y))
        np.testing.assert_array_equal(backend.X, X)
        np.testing.assert_array_equal(backend.y, y)

    def test_look_for_nan_takes_no_memory_to_speak_of(self):
        import tracemalloc

        X = np.ones((20_000, 784), np.float32)
        tracemalloc.start()
        try:
            assert checks.check_X(X, 784, np.dtype(np.float32)) is not None
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 2**20

    @pytest.mark.parametrize("row", [0, 299, 300, 999])
    @pytest.mark.parametrize("column", [0, 783])
    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_nan_and_infinity_are_found_anywhere(self, row, column, value):
        X = np.ones((1000, 784), np.float32)
        X[row, column] = value
        X[row + 1 :, column] = value
        with pytest.raises(
            ValueError, match=rf"^X\[{row}, {column}\] is {value}; every value must be finite"
        ):
            checks.check_X(X, 784, np.dtype(np.float32))

    def test_largest_finite_values_are_no_infinities(self):
        X = np.full((2, 3), np.finfo(np.float32).max)
        assert checks.check_X(X, 3, np.dtype(np.float32)) is not None
