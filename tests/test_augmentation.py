"""Distorted images: exact where the result is known, as the formulas elsewhere, whatever the threads and the order."""

import gc
import math
import multiprocessing
import threading
import time

import numpy as np
import pytest

from fastnn import augmentation
from fastnn.augmentation import Augment, Augmenter
from fastnn.kernels import augment as kernel
from fastnn.kernels._jit import unkept
from fastnn.kernels.random import make_key
from fastnn.reference.random import uniform

# Parts of kernels, as functions of their own.
locate, interpolate, displace, draw_map = (
    unkept(part.py_func) for part in (kernel.locate, kernel.interpolate, kernel.displace, kernel.draw_map)
)

STILL = {"shift": 0.0, "rotation": 0.0, "scale": 0.0}
ALL = Augment(shift=1.5, rotation=20, scale=0.2, shear=0.3, elastic=(20, 2.5), shape=(9, 7))


def images(n=20, shape=(28, 28), dtype=np.float32):
    return np.random.default_rng(3).random((n, shape[0] * shape[1])).astype(dtype)


def moved(image, right, down):
    """The image shifted by whole pixels, zeros coming in."""
    result = np.zeros_like(image)
    height, width = image.shape
    result[max(down, 0) : height + min(down, 0), max(right, 0) : width + min(right, 0)] = image[
        max(-down, 0) : height + min(-down, 0), max(-right, 0) : width + min(-right, 0)
    ]
    return result


def read(image, mapping, displacement=None):
    """One image through the kernel's own steps, with a map given."""
    height, width = image.shape
    size = image.size
    dx, dy = np.zeros((2, size), image.dtype) if displacement is None else displacement
    places, fractions, result = (
        np.empty(size, np.int32),
        np.empty((2, size), image.dtype),
        np.empty_like(image),
    )
    bordered = np.zeros((height + 3, width + 3), image.dtype)
    bordered[1 : height + 1, 1 : width + 1] = image
    locate(height, width, mapping, dx, dy, places, *fractions)
    interpolate(bordered.ravel(), places, *fractions, width, result.ravel())
    return result


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "still",
    [
        Augment(**STILL),
        Augment(**STILL, elastic=(0, 4)),
        Augment(probability=0, elastic=(30, 4)),
    ],
)
def test_nothing_asked_for_gives_the_images_back_exactly(still, dtype):
    X = images(dtype=dtype)
    Y = still.images(X)
    assert Y.dtype == dtype
    assert (Y == X).all()


@pytest.mark.parametrize("right, down", [(0, 0), (1, 0), (0, -1), (3, 2), (-6, 5), (7, 0), (0, 9), (40, -40)])
def test_whole_pixels_move_exactly(right, down):
    image = images(1, (9, 7))[0].reshape(9, 7)
    assert (read(image, (1.0, 0.0, 0.0, 1.0, float(right), float(down))) == moved(image, right, down)).all()


def test_half_a_pixel_is_the_mean_of_two():
    image = images(1, (9, 7), np.float64)[0].reshape(9, 7)
    expected = (image + moved(image, 1, 0)) / 2
    np.testing.assert_allclose(read(image, (1.0, 0.0, 0.0, 1.0, 0.5, 0.0)), expected, atol=1e-15)


def test_a_quarter_turn_and_a_half_turn():
    image = images(1, (8, 8), np.float64)[0].reshape(8, 8)
    for angle, expected in ((math.pi / 2, np.rot90(image, -1)), (math.pi, image[::-1, ::-1])):
        c, s = math.cos(angle), math.sin(angle)
        np.testing.assert_allclose(read(image, (c, s, -s, c, 0.0, 0.0)), expected, atol=1e-13)


def test_displacements_move_each_pixel_by_its_own():
    image = images(1, (5, 6), np.float64)[0].reshape(5, 6)
    displacement = np.zeros((2, 5, 6))
    displacement[0, 2, 3], displacement[1, 2, 3] = 1, -2  # reads one to the right, two above
    result = read(image, (1.0, 0.0, 0.0, 1.0, 0.0, 0.0), displacement.reshape(2, -1))
    expected = image.copy()
    expected[2, 3] = image[0, 4]
    assert (result == expected).all()


def ring_smooth(u, taps, step):
    """Σ_k taps[|k|] u[i + k step] around a ring."""
    radius = len(taps) - 1
    return sum(taps[abs(k)] * np.roll(u, -k * step) for k in range(-radius, radius + 1))


def by_hand(augment, image, seed, epoch, row):
    """What the kernel does to one image, in NumPy and the reference's random numbers."""
    height, width = augment.shape
    pixels = image.size
    key, counter = int(make_key(seed, 3, epoch)), row * (8 + 2 * pixels)

    def drawn(first, count):
        return np.array([2 * uniform(counter + first + i, key) - 1 for i in range(count)])

    t_x, t_y, angle, size, shear = drawn(1, 5) * [
        augment.shift, augment.shift, math.radians(augment.rotation), augment.scale, augment.shear,
    ]  # fmt: skip
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    M = np.linalg.inv(turn @ ((1 + size) * np.array([[1, shear], [0, 1]])))
    alpha, sigma = augment.elastic
    taps = np.exp(-0.5 * (np.arange(math.ceil(3 * sigma) + 1) / sigma) ** 2)
    taps /= taps[0] + 2 * taps[1:].sum()
    d_x, d_y = (
        alpha * ring_smooth(ring_smooth(drawn(8 + part * pixels, pixels), taps, 1), taps, width)
        for part in (0, 1)
    )
    result = np.zeros((height, width))
    large = np.zeros((height + 400, width + 400))
    large[200 : 200 + height, 200 : 200 + width] = image.reshape(height, width)
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    for i in range(pixels):
        p = np.array([i % width, i // width])
        x, y = centre + M @ (p - centre - [t_x, t_y]) + [d_x[i], d_y[i]] + 200
        j, k = int(x), int(y)
        fx, fy = x - j, y - k
        upper = (1 - fx) * large[k, j] + fx * large[k, j + 1]
        lower = (1 - fx) * large[k + 1, j] + fx * large[k + 1, j + 1]
        result[p[1], p[0]] = (1 - fy) * upper + fy * lower
    return result.ravel()


@pytest.mark.parametrize("dtype, tolerance", [(np.float32, 2e-5), (np.float64, 1e-12)])
def test_everything_together_as_by_hand(dtype, tolerance):
    X = images(4, (9, 7), dtype)
    Y = ALL.images(X, seed=11, epoch=2)
    for row in range(4):
        np.testing.assert_allclose(Y[row], by_hand(ALL, X[row], 11, 2, row), atol=tolerance)
    assert abs(Y - X).max() > 0.1


def test_a_gaussian_wider_than_the_image():
    wide = Augment(**STILL, elastic=(5, 3), shape=(3, 4))
    X = images(1, (3, 4), np.float64)
    np.testing.assert_allclose(wide.images(X)[0], by_hand(wide, X[0], 0, 0, 0), atol=1e-13)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("sigma", [1.0, 4.0])
def test_displacements_have_the_mean_and_deviation_of_the_formula(dtype, sigma):
    taps = kernel.gaussian_taps(sigma)
    radius, width, pixels = taps.size - 1, 28, 784
    across, down = np.empty(pixels + 2 * radius, dtype), np.empty(pixels + 2 * radius * width, dtype)
    fields = np.empty((2000, pixels), dtype)
    key = make_key(1)
    for i, field in enumerate(fields):
        displace(i * pixels, key, width, taps.astype(dtype), dtype(34), across, down, field)
    both_sides = np.concatenate([taps[:0:-1], taps])
    assert both_sides.sum() == pytest.approx(1)
    deviation = 34 * math.sqrt(1 / 3) * (both_sides**2).sum()
    # 2000 independent fields; in each, about one number for every area of 4 pi sigma^2 is independent.
    independent = 2000 * 784 / (4 * math.pi * sigma**2)
    by_pixel = fields.std(axis=0)
    assert by_pixel.mean() == pytest.approx(deviation, rel=5 / math.sqrt(2 * independent))
    # At the edges as in the middle.
    assert by_pixel.min() > 0.9 * deviation and by_pixel.max() < 1.1 * deviation
    assert abs(fields.mean(axis=0)).max() < 5 * deviation / math.sqrt(2000)
    # Neighbours move together, along rows and along columns alike.
    squares = fields.reshape(2000, 28, 28)
    beside = (squares[:, :, 1:] * squares[:, :, :-1]).mean() / deviation**2
    below = (squares[:, 1:] * squares[:, :-1]).mean() / deviation**2
    assert beside == pytest.approx(math.exp(-1 / (4 * sigma**2)), abs=0.03)
    assert below == pytest.approx(beside, abs=0.03)


def test_draws_fill_their_range_evenly():
    settings = np.zeros(kernel.SETTINGS)
    settings[[kernel.SHIFT, kernel.ANGLE]] = 2.0, 0.5
    maps = np.array([draw_map(i * 8, make_key(4), settings) for i in range(4000)])
    for shift in (maps[:, 4], maps[:, 5]):
        assert -2 <= shift.min() < -1.98 and 1.98 < shift.max() < 2
        assert abs(shift.mean()) < 5 * 2 / math.sqrt(3 * 4000)
    angles = np.arctan2(maps[:, 1], maps[:, 0])
    assert -0.5 <= angles.min() < -0.495 and 0.495 < angles.max() < 0.5
    assert abs(np.corrcoef(maps[:, 4], maps[:, 5])[0, 1]) < 5 / math.sqrt(4000)


def test_probability_is_the_part_of_images_that_change():
    X = images(2000, (4, 4))
    Y = Augment(probability=0.3, shape=(4, 4)).images(X)
    assert (Y != X).any(axis=1).mean() == pytest.approx(0.3, abs=5 * math.sqrt(0.3 * 0.7 / 2000))


def test_the_same_images_for_any_threads_order_and_grouping():
    X = images(1000, ALL.shape)
    expected = ALL.images(X, seed=5, epoch=3, threads=1)
    rows = np.random.default_rng(0).permutation(1000)
    with Augmenter(ALL, X, seed=5, threads=3) as augmenter:
        parts = [augmenter.prepare(rows[start : start + 300], 3) for start in range(0, 1000, 300)]
        results = np.concatenate([part.result() for part in parts])
    assert (results == expected[rows]).all()


def test_other_epochs_and_seeds_give_other_images():
    X = images(5, ALL.shape)
    drawn = [ALL.images(X, seed, epoch) for seed, epoch in ((0, 0), (0, 1), (1, 0), (2**80, 0))]
    for i, one in enumerate(drawn):
        assert (one == ALL.images(X, *((0, 0), (0, 1), (1, 0), (2**80, 0))[i])).all()
        for other in drawn[i + 1 :]:
            assert (one != other).any(axis=1).all()


def test_equal_images_in_different_rows_differ():
    X = np.repeat(images(1, ALL.shape), 3, axis=0)
    Y = ALL.images(X)
    assert (Y[0] != Y[1]).any() and (Y[1] != Y[2]).any()


def test_the_data_is_left_alone_and_may_be_read_only():
    X = images(300)
    before = X.copy()
    X.flags.writeable = False
    Augment(elastic=(30, 4)).images(X)
    assert np.array_equal(X, before)


def test_results_go_where_they_are_asked_to():
    X = images(10)
    with Augmenter(Augment(), X) as augmenter:
        out = np.full((4, 784), -1, np.float32)
        rows = np.array([3, 3, 0, 9])
        prepared = augmenter.prepare(rows, 0, out=out)
        rows[:] = 5  # what was asked for was asked for
        assert prepared.result() is out
        expected = augmenter.prepare([3, 3, 0, 9], 0).result()
        assert (out == expected).all()
        assert (out[0] == out[1]).all()
        assert augmenter.prepare([], 0).result().shape == (0, 784)


def test_images_are_made_while_the_caller_does_something_else():
    with Augmenter(Augment(), images(10), threads=1) as augmenter:
        started, go_on = threading.Event(), threading.Event()
        original = augmenter._distorter.distort

        def slow(*arguments):
            started.set()
            assert go_on.wait(10)
            original(*arguments)

        augmenter._distorter.distort = slow
        prepared = augmenter.prepare([0], 0)  # returns although the work cannot be done yet
        assert started.wait(10)
        go_on.set()
        assert np.isfinite(prepared.result()).all()


def test_an_error_in_a_thread_is_raised_by_result_and_nothing_hangs():
    X = images(1000)
    with Augmenter(Augment(), X, threads=2) as augmenter:
        original, done = augmenter._distorter.distort, []

        def faulty(rows, key, out):
            if rows[0] == 0:
                raise MemoryError("none left")
            time.sleep(0.01)
            original(rows, key, out)
            done.append(len(rows))

        augmenter._distorter.distort = faulty
        with pytest.raises(MemoryError, match="none left"):
            augmenter.prepare(np.arange(1000), 0).result()
        assert sum(done) == 1000 - augmentation._PIECE  # all others were waited for
        augmenter._distorter.distort = original
        assert augmenter.prepare([0], 0).result().shape == (1, 784)


def test_after_close():
    augmenter = Augmenter(Augment(), images(1000), threads=1)
    go_on = threading.Event()
    original = augmenter._distorter.distort
    augmenter._distorter.distort = lambda *arguments: (go_on.wait(10), original(*arguments))
    prepared = augmenter.prepare(np.arange(1000), 0)
    threading.Timer(0.05, go_on.set).start()
    augmenter.close()
    augmenter.close()
    with pytest.raises(RuntimeError, match="closed before these images"):
        prepared.result()
    with pytest.raises(RuntimeError, match="the augmenter is closed; make a new one"):
        augmenter.prepare([0], 0)


def own_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("fastnn-augment")]


def test_the_threads_end_without_close():
    Augmenter(Augment(), images(10)).prepare([0], 0).result()
    gc.collect()
    deadline = time.monotonic() + 10
    while own_threads() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert own_threads() == []


def _in_child(augmenter, expected, answer):
    result = augmenter.prepare(np.arange(1000), 1).result()
    augmenter.close()
    answer.put(bool((result == expected).all()))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_makes_threads_of_its_own():
    with Augmenter(ALL, images(1000, ALL.shape), threads=2) as augmenter:
        expected = augmenter.prepare(np.arange(1000), 1).result()
        context = multiprocessing.get_context("fork")
        answer = context.SimpleQueue()
        child = context.Process(target=_in_child, args=(augmenter, expected, answer))
        child.start()
        child.join(30)
        assert child.exitcode == 0
        assert answer.get()
        assert (augmenter.prepare(np.arange(1000), 1).result() == expected).all()


@pytest.mark.parametrize(
    "settings, error, words",
    [
        ({"shift": -1}, ValueError, "shift is -1; it must be a number from 0 to 10000"),
        ({"shift": math.nan}, ValueError, "shift is nan"),
        ({"shift": "2"}, TypeError, "shift is '2'"),
        ({"rotation": 181}, ValueError, "rotation is 181; it must be a number from 0 to 180"),
        ({"scale": 1}, ValueError, "scale is 1; it must be a number from 0 to below 1"),
        ({"shear": 3}, ValueError, "shear is 3"),
        ({"probability": 1.5}, ValueError, "probability is 1.5"),
        ({"elastic": 34}, TypeError, r"elastic is 34; a pair \(alpha, sigma\) or None is needed"),
        ({"elastic": (34, 4, 1)}, ValueError, "elastic has 3 numbers"),
        ({"elastic": (-1, 4)}, ValueError, r"elastic\[0\] is -1"),
        ({"elastic": (34, 0)}, ValueError, r"elastic\[1\] is 0; it must be a number from 0.1 to 28"),
        ({"elastic": (34, 29)}, ValueError, r"elastic\[1\] is 29"),
        ({"shape": 28}, TypeError, "shape is 28; a pair"),
        ({"shape": (28, 0)}, ValueError, r"shape\[1\] is 0"),
        ({"shape": (28,)}, ValueError, "shape has 1 numbers"),
    ],
)
def test_wrong_settings(settings, error, words):
    with pytest.raises(error, match=words):
        Augment(**settings)


def test_settings_make_the_same_augment():
    for augment in (Augment(), ALL):
        assert augmentation.resolve(augment.settings()) == augment
    assert "elastic" not in Augment().settings()
    assert augmentation.resolve(ALL) is ALL
    with pytest.raises(ValueError, match="a setting of augment is 'turn'; it must be one of 'shift'"):
        augmentation.resolve({"turn": 3})
    with pytest.raises(TypeError, match="augment is 3"):
        augmentation.resolve(3)


def test_wrong_arguments():
    X = images(10)
    with pytest.raises(TypeError, match="augment is None; an Augment is needed"):
        Augmenter(None, X)
    with pytest.raises(ValueError, match="X has 783 columns"):
        Augmenter(Augment(), X[:, 1:])
    with pytest.raises(ValueError, match=r"X\[2, 3\] is nan"):
        damaged = X.copy()
        damaged[2, 3] = np.nan
        Augmenter(Augment(), damaged)
    with pytest.raises(ValueError, match="seed is -1"):
        Augmenter(Augment(), X, seed=-1)
    with Augmenter(Augment(), X) as augmenter:
        with pytest.raises(ValueError, match=r"rows\[1\] is 10; whole numbers from 0 to 9 are needed"):
            augmenter.prepare([0, 10], 0)
        with pytest.raises(ValueError, match=r"rows\[0\] is -1"):
            augmenter.prepare([-1], 0)
        with pytest.raises(TypeError, match="rows holds values of type float64"):
            augmenter.prepare([0.5], 0)
        with pytest.raises(ValueError, match="epoch is -1"):
            augmenter.prepare([0], -1)
        for out in (
            np.empty((2, 784), np.float64),
            np.empty((1, 784), np.float32),
            np.empty((784, 2), np.float32).T,
        ):
            with pytest.raises(ValueError, match="out is an array of shape"):
                augmenter.prepare([0, 1], 0, out=out)


def test_sparse_data_is_refused_with_advice():
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(TypeError, match=r"pass X.toarray\(\)"):
        Augmenter(Augment(), sparse.csr_matrix(images(2)))
