"""Preparations of inputs: their formulas, what they learn and from where, sparse matrices, settings, and errors."""

import hashlib
import json
import math

import numpy as np
import pytest

import fastnn
from fastnn.preparation import (
    Binarize,
    CenterCrop,
    CropBorder,
    Downscale14,
    LostInk,
    Pipeline,
    ScaleToUnit,
    Standardize,
    names,
    resolve,
)
from fastnn.preparation.downscale import lanczos_weights

EVERY = [
    ScaleToUnit(0, 255),
    ScaleToUnit(per_feature=True),
    Standardize(),
    Standardize(per_feature=True),
    Binarize(0.25),
    CropBorder(3),
    CenterCrop(8),
    Downscale14(),
]


def pixels(n=30, dtype=np.float32, ink=0.2, width=784):
    """Images that are mostly 0."""
    rng = np.random.default_rng(2)
    return (rng.random((n, width)) * (rng.random((n, width)) < ink)).astype(dtype)


def tables(dtype=np.float64):
    """Features of very different size; the third is constant, the fourth all zero."""
    rng = np.random.default_rng(4)
    X = rng.standard_normal((200, 5)) * [1, 1e3, 0, 0, 1e-3] + [0, 1e6, 0.1, 0, 5]
    return X.astype(dtype)


@pytest.fixture
def scipy_sparse():
    return pytest.importorskip("scipy.sparse")


def test_standardize_has_one_mean_and_deviation():
    X = tables()
    Y = Standardize().fit_transform(X)
    np.testing.assert_allclose(Y, (X - X.mean()) / X.std(), rtol=1e-12)
    assert Y.mean() == pytest.approx(0, abs=1e-12) and Y.std() == pytest.approx(1)


def test_standardize_by_feature_leaves_constants_at_zero():
    X = tables()
    Y = Standardize(per_feature=True).fit_transform(X)
    moving = [0, 1, 4]
    expected = (X - X.mean(0))[:, moving] / X.std(0)[moving]
    np.testing.assert_allclose(Y[:, moving], expected, rtol=1e-8, atol=1e-9)
    assert (Y[:, 2:4] == 0).all()  # 0.1 two hundred times: its mean in floats is not exactly 0.1


def test_a_constant_feature_that_changes_later_is_only_moved():
    prepared = Standardize(per_feature=True).fit(tables()).transform([[0, 1e6, 3.1, -2, 5]])
    np.testing.assert_allclose(prepared[0, 2:4], [3, -2])


def test_large_means_keep_their_digits():
    X = np.random.default_rng(0).standard_normal((1000, 1)) + 1e9
    assert Standardize().fit(X).state()["divisor"] == pytest.approx(np.std(X - 1e9), rel=1e-6)


def test_many_rows_are_taken_in_blocks(monkeypatch):
    monkeypatch.setattr("fastnn.preparation.statistics._BLOCK", 64)
    X = tables()
    for per_feature, axis in ((False, None), (True, 0)):
        state = Standardize(per_feature).fit(X).state()
        np.testing.assert_allclose(state["offset"], X.mean(axis), rtol=1e-12)
        expected = X.std(axis)
        np.testing.assert_allclose(state["divisor"], np.where(expected < 1e-9, 1, expected), rtol=1e-9)


def test_float32_sums_are_made_in_float64():
    X = np.full((2**18, 10), 0.1, np.float32)
    X[::2] = 0.3
    offset = Standardize().fit(X).state()["offset"]
    assert offset == pytest.approx((float(np.float32(0.1)) + float(np.float32(0.3))) / 2, rel=1e-12)


def test_only_training_data_is_learned_from():
    step = Standardize().fit([[0.0, 2.0], [4.0, 2.0]])
    before = step.state()
    np.testing.assert_allclose(step.transform([[100.0, 2.0]]), [[98 / math.sqrt(2), 0]])
    assert step.state() == before


def test_scale_bytes_as_the_data_sets_do():
    bytes_ = np.arange(256, dtype=np.uint8).reshape(2, 128)
    Y = ScaleToUnit(0, 255).transform(bytes_)  # needs no fit
    assert Y.dtype == np.float32
    assert np.array_equal(Y, bytes_ / np.float32(255))


def test_scale_from_the_training_data():
    X = [[1.0, -3.0, 7.0], [3.0, -1.0, 7.0]]
    np.testing.assert_allclose(ScaleToUnit().fit_transform(X), (np.array(X) + 3) / 10, rtol=1e-15)
    step = ScaleToUnit(per_feature=True).fit(X)
    assert (step.transform(X) == [[0, 0, 0], [1, 1, 0]]).all()
    assert (step.transform([[5.0, -2.0, 8.0]]) == [[2, 0.5, 1]]).all()  # nothing is cut off


def test_binarize_at_the_threshold_itself():
    assert (Binarize(0.5).transform([[0.49, 0.5, 0.51, -1]]) == [[0, 1, 1, 0]]).all()
    assert (Binarize(128).transform(np.array([[127, 128]], np.uint8)) == [[0, 1]]).all()


def test_crop_border():
    image = np.arange(30.0).reshape(5, 6)
    step = CropBorder(1, shape=(5, 6))
    assert (step.transform(image.reshape(1, -1)) == image[1:4, 1:5].reshape(1, -1)).all()
    assert step.cropped_shape == (3, 4)
    assert (CropBorder(0, (5, 6)).transform(image.reshape(1, -1)) == image.reshape(1, -1)).all()
    assert CropBorder(1).transform(pixels()).shape == (30, 784 - 108)


def test_center_crop():
    image = np.arange(784.0).reshape(28, 28)
    assert (CenterCrop(8).transform(image.reshape(1, -1)) == image[10:18, 10:18].reshape(1, -1)).all()
    small = np.arange(30.0).reshape(5, 6)
    assert (CenterCrop((2, 6), (5, 6)).transform(small.reshape(1, -1)) == small[1:3].reshape(1, -1)).all()


def test_lost_ink():
    X = np.zeros((3, 16))
    X[0, [5, 6]] = 1  # inside
    X[1, [0, 5]] = [0.25, 0.75]  # a corner
    step = CropBorder(1, (4, 4))
    assert step.lost_ink(X) == LostInk(images=3, losing=1, fraction=0.25 / 3)
    assert str(step.lost_ink(X)) == "1 of 3 images lose ink, 8.3 % of all"
    assert step.lost_ink(np.zeros((2, 16))) == LostInk(2, 0, 0.0)


def test_ink_at_the_border_of_real_digits():
    train, _ = fastnn.datasets.load("mnist-small")
    lost = [CropBorder(k).lost_ink(train.X) for k in range(4)]
    assert [one.losing for one in lost] == [0, 137, 1200, 3515]
    np.testing.assert_allclose([one.fraction for one in lost], [0, 0.0002, 0.0024, 0.0100], atol=1e-4)


def downscaled_by_hand(image):
    """Lanczos' sum pixel by pixel, as image libraries make it: along rows, then along columns, rounded after each."""

    def kernel(x):
        return 1.0 if x == 0 else 3 * math.sin(math.pi * x) * math.sin(math.pi * x / 3) / (math.pi * x) ** 2

    def line(values):
        result = []
        for i in range(14):
            near = [j for j in range(28) if abs(j + 0.5 - (2 * i + 1)) < 6]
            weights = [kernel((j + 0.5 - (2 * i + 1)) / 2) for j in near]
            total = sum(w * values[j] for w, j in zip(weights, near, strict=True)) / sum(weights)
            result.append(min(max(math.floor(total + 0.5), 0), 255))
        return result

    narrow = [line(row) for row in image]
    columns = [line([row[j] for row in narrow]) for j in range(14)]
    return [[int(columns[j][i] >= 128) for j in range(14)] for i in range(14)]


def test_downscale_by_hand():
    rng = np.random.default_rng(6)
    images = rng.integers(0, 256, (3, 28, 28), np.uint8)
    Y = Downscale14(white=255).transform(images.reshape(3, -1))
    assert Y.reshape(3, 14, 14).tolist() == [downscaled_by_hand(image.tolist()) for image in images]
    assert 0.2 < Y.mean() < 0.8


def test_downscale_weights():
    W = lanczos_weights()
    assert np.array_equal(W, np.rint(W))
    np.testing.assert_allclose(W.sum(axis=1), 2**22, atol=12)
    # Six old pixels to each side of the middle of two, fewer at the edges.
    assert (W != 0).sum(axis=1).tolist() == [7, 9, 11, *[12] * 8, 11, 9, 7]
    assert np.array_equal(W, W[::-1, ::-1])


def test_downscale_gives_the_pixels_of_an_image_library():
    # Pillow 13: resize((14, 14), LANCZOS) of the 2,000 test images as bytes, then >= 128.
    _, test = fastnn.datasets.load("mnist-small")
    Y = Downscale14().transform(test.X)
    assert Y.sum() == 52750
    digest = hashlib.sha256(np.packbits(Y.reshape(2000, 14, 14).astype(bool)).tobytes()).hexdigest()
    assert digest == "9106066d15120481daaf50677c06b521cc754bafdb8926427c0ed3c7f267f1b1"
    raw = np.rint(255 * test.X[:50]).astype(np.uint8)
    assert (Downscale14(white=255).transform(raw) == Y[:50]).all()


@pytest.mark.parametrize("step", EVERY, ids=repr)
@pytest.mark.parametrize(
    "dtype, result",
    [
        (np.float32, np.float32),
        (np.float64, np.float64),
        (np.uint8, np.float32),
        (bool, np.float32),
        (np.float16, np.float32),
        (np.int64, np.float64),
    ],
)
def test_types_and_inputs_that_stay_as_they_are(step, dtype, result):
    X = (255 * pixels()).astype(dtype)
    before = X.copy()
    X.flags.writeable = False
    Y = resolve(step.settings()).fit_transform(X)
    assert Y.dtype == result
    assert Y.flags.c_contiguous and Y.flags.writeable
    assert np.array_equal(X, before)


@pytest.mark.parametrize("step", EVERY, ids=repr)
def test_fit_then_transform_is_fit_transform(step):
    X = pixels()
    first, second = (resolve(step.settings()) for _ in range(2))
    assert first.fit(X) is first
    assert (first.transform(X) == second.fit_transform(X)).all()


@pytest.mark.parametrize("step", EVERY, ids=repr)
def test_sparse_matrices_stay_sparse_and_give_the_same(step, scipy_sparse):
    X = pixels()
    X[:, :3] = 0
    for make in (scipy_sparse.csr_matrix, scipy_sparse.csr_array, scipy_sparse.coo_matrix):
        sparse = make(X)
        dense, own = (resolve(step.settings()) for _ in range(2))
        expected = dense.fit_transform(X)
        if isinstance(step, Standardize):
            own.fit(sparse)
            np.testing.assert_allclose(own.state()["offset"], dense.state()["offset"], rtol=1e-12, atol=1e-18)
            np.testing.assert_allclose(own.state()["divisor"], dense.state()["divisor"], rtol=1e-12)
            with pytest.raises(TypeError, match=r"no zero would stay a zero: pass X.toarray\(\)"):
                own.transform(sparse)
        else:
            prepared = own.fit_transform(sparse)
            assert scipy_sparse.issparse(prepared) and prepared.format == "csr"
            assert prepared.dtype == expected.dtype
            assert (prepared.toarray() == expected).all()
            assert prepared.nnz == np.count_nonzero(expected)
        assert (sparse.toarray() == X).all()


def test_sparse_statistics_count_what_is_not_stored(scipy_sparse):
    X = np.array([[0.0, 2, 0, -1], [0, 2, 3, 0], [0, 2, 0, -5]])
    for per_feature in (False, True):
        for kind in (Standardize, ScaleToUnit):
            dense, sparse = kind(per_feature=per_feature).fit(X), kind(per_feature=per_feature)
            state = sparse.fit(scipy_sparse.csr_matrix(X)).state()
            for key, value in dense.state().items():
                np.testing.assert_allclose(state[key], value, rtol=1e-14)


def test_sparse_duplicates_count_as_their_sum(scipy_sparse):
    twice = scipy_sparse.csr_matrix(
        (np.array([1.0, 2.0]), np.array([1, 1]), np.array([0, 2, 2])), shape=(2, 2)
    )
    assert Standardize().fit(twice).state() == Standardize().fit([[0.0, 3.0], [0.0, 0.0]]).state()
    assert twice.nnz == 2


def test_sparse_data_that_would_not_stay_sparse(scipy_sparse):
    X = scipy_sparse.csr_matrix(pixels())
    with pytest.raises(TypeError, match="its zeros would be ones"):
        Binarize(0).transform(X)
    with pytest.raises(TypeError, match="no zero would stay a zero"):
        ScaleToUnit(-1, 1).transform(X)


def digits_net(dtype, inputs):
    net = fastnn.MLP([inputs, 16, 3], dtype=dtype, seed=1)
    net.biases[0] = np.linspace(-1, 1, 16)
    return net


def logits(net, X):
    """The first layer's outputs, in float64."""
    return np.asarray(X, np.float64) @ net.weights[0].astype(np.float64) + net.biases[0].astype(np.float64)


@pytest.mark.parametrize("dtype, tolerance", [("float32", 1e-5), ("float64", 1e-13)])
@pytest.mark.parametrize(
    "step",
    [Standardize(), Standardize(True), ScaleToUnit(), ScaleToUnit(0, 255), ScaleToUnit(per_feature=True),
     Pipeline([ScaleToUnit(0, 255), Standardize(True)])],
    ids=repr,
)  # fmt: skip
def test_fold_moves_the_preparation_into_the_first_layer(step, dtype, tolerance):
    X = 255 * pixels(60, np.float64, width=20)
    prepared = step.fit_transform(X)
    net = digits_net(dtype, 20)
    given = net.weights[0].copy(), net.biases[0].copy()
    expected = logits(net, prepared)
    step.fold(net)
    size = abs(expected).max()
    np.testing.assert_allclose(logits(net, X), expected, atol=20 * tolerance * size)
    assert abs(net.weights[0] - given[0]).max() > 0.01
    step.unfold(net)
    np.testing.assert_allclose(net.weights[0], given[0], rtol=tolerance)
    np.testing.assert_allclose(net.biases[0], given[1], atol=10 * tolerance)


def test_a_folded_network_takes_raw_sparse_inputs(scipy_sparse):
    X = (255 * pixels(60, width=20)).astype(np.float32)
    step = Standardize().fit(scipy_sparse.csr_matrix(X))
    net = digits_net("float64", 20)
    expected = net.predict_proba(step.transform(X.astype(np.float64)))
    step.fold(net)
    np.testing.assert_allclose(net.predict_proba(scipy_sparse.csr_matrix(X)), expected, rtol=1e-9)


def test_what_cannot_be_folded():
    with pytest.raises(ValueError, match=r"Standardize\(per_feature=False\) was not fitted"):
        Standardize().fold(digits_net("float32", 20))
    step = Standardize(per_feature=True).fit(tables())
    with pytest.raises(ValueError, match=r"net takes 20 inputs; .* was fitted on 5 features"):
        step.fold(digits_net("float32", 20))
    with pytest.raises(TypeError, match="steps that are no scalings"):
        Pipeline([CropBorder(1), Standardize()]).fit(pixels()).fold(digits_net("float32", 20))


def test_a_pipeline_fits_each_step_on_what_the_one_before_makes():
    X = 255 * pixels(50, np.float64)
    steps = Pipeline([CropBorder(2), ScaleToUnit(0, 255), Standardize()])
    cropped = CropBorder(2).transform(X) / 255
    expected = (cropped - cropped.mean()) / cropped.std()
    np.testing.assert_allclose(steps.fit_transform(X), expected, atol=1e-12)
    np.testing.assert_allclose(steps.transform(X), expected, atol=1e-12)
    again = Pipeline(steps.settings()["steps"]).fit(X)
    assert again.state() == steps.state()


@pytest.mark.parametrize("step", [*EVERY, Pipeline([CropBorder(2), Standardize(True)])], ids=repr)
def test_settings_and_state_through_json(step):
    X = pixels()
    expected = step.fit_transform(X)
    settings, state = json.loads(json.dumps([step.settings(), step.state()]))
    again = resolve(settings).restore(state)
    assert type(again) is type(step)
    assert (again.transform(X) == expected).all()
    assert again.state() == step.state() and again.settings() == step.settings()


def test_resolve():
    assert set(names()) == {type(step).name for step in EVERY} | {"pipeline"}
    assert resolve("standardize").settings() == Standardize().settings()
    assert [type(step) for step in resolve(["binarize", {"name": "crop_border", "k": 1}]).steps] == [
        Binarize,
        CropBorder,
    ]
    assert resolve({"name": "center_crop", "size": [4, 5], "shape": [6, 7]}).cropped_shape == (4, 5)
    step = Binarize()
    assert resolve(step) is step
    assert repr(ScaleToUnit(0, 255)) == "ScaleToUnit(low=0.0, high=255.0)"


@pytest.mark.parametrize(
    "make, error, words",
    [
        (lambda: resolve("whiten"), ValueError, "preparation.name is 'whiten'; it must be one of 'scale_to_unit'"),
        (lambda: resolve(3), TypeError, "preparation is 3; an object of fastnn.preparation"),
        (lambda: resolve({"k": 1}), ValueError, "preparation has no 'name'"),
        (lambda: resolve({"name": "crop_border"}), TypeError, "'crop_border' with .*missing a required argument: 'k'"),
        (lambda: resolve({"name": "binarize", "at": 1}), TypeError, "unexpected keyword argument 'at'"),
        (lambda: Pipeline([]), ValueError, "steps is empty"),
        (lambda: Pipeline("binarize"), TypeError, "steps is 'binarize'; a list"),
        (lambda: Pipeline([None]), TypeError, r"steps\[0\] is None"),
        (lambda: Standardize(per_feature=1), TypeError, "per_feature is 1"),
        (lambda: ScaleToUnit(0), ValueError, "low is 0 and high None; give both or neither"),
        (lambda: ScaleToUnit(1, 1), ValueError, "low is 1 and high 1; low must be below high"),
        (lambda: ScaleToUnit(0, math.inf), ValueError, "high is inf"),
        (lambda: ScaleToUnit(-1e308, 1e308), ValueError, "low must be below high"),
        (lambda: ScaleToUnit(0, 1, per_feature=True), ValueError, "per_feature is True, and low and high are given"),
        (lambda: Binarize(math.nan), ValueError, "threshold is nan"),
        (lambda: CropBorder(14), ValueError, "k is 14; a whole number from 0 to 13 is needed"),
        (lambda: CropBorder(-1), ValueError, "k is -1"),
        (lambda: CenterCrop(29), ValueError, r"size is \(29, 29\); the images have \(28, 28\)"),
        (lambda: CenterCrop(0), ValueError, r"size\[0\] is 0"),
        (lambda: CenterCrop(8, shape=(28,)), ValueError, "shape has 1 numbers"),
        (lambda: Downscale14(white=0), ValueError, "white is 0"),
        (lambda: Standardize().transform([[1.0]]), ValueError, "was not fitted; call fit"),
        (lambda: Standardize().fit([1.0, 2.0]), ValueError, r"X has shape \(2,\); two dimensions are needed"),
        (lambda: Standardize().fit(np.empty((0, 3))), ValueError, "X has no rows"),
        (lambda: Standardize().fit([[1.0, math.nan]]), ValueError, r"X\[0, 1\] is nan"),
        (lambda: Standardize().fit([["a"]]), TypeError, "X holds strings"),
        (lambda: Standardize(True).fit([[1.0, 2], [3, 4]]).transform([[1.0]]), ValueError, "X has 1 columns; 2 are needed"),
        (lambda: CropBorder(1).transform([[1.0]]), ValueError, "X has 1 columns; 784 are needed"),
        (lambda: Downscale14().transform([[1.0]]), ValueError, "X has 1 columns; 784 are needed"),
        (lambda: CropBorder(1).lost_ink([[1.0]]), ValueError, "X has 1 columns; 784 are needed"),
        (lambda: Binarize().restore({"offset": 1}), ValueError, "binarize learns nothing"),
        (lambda: ScaleToUnit(0, 1).restore({"offset": 0}), ValueError, "scale_to_unit learns nothing"),
        (lambda: Standardize().restore({"offset": 1}), ValueError, "'divisor' and 'offset' are needed"),
        (lambda: Standardize().restore({"offset": 1, "divisor": 0}), ValueError, "divisor greater than 0"),
        (lambda: Standardize().restore({"divisor": [1, 2], "offset": 0}), ValueError, "shapes"),
        (lambda: Pipeline(["binarize"]).restore({"steps": []}), ValueError, "this one has 1 steps"),
    ],
)  # fmt: skip
def test_errors_say_what_is_needed(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_sparse_errors(scipy_sparse):
    damaged = scipy_sparse.csr_matrix(pixels())
    damaged.data[3] = np.inf
    with pytest.raises(ValueError, match=r"X.data\[3\] is inf"):
        Standardize().fit(damaged)
    damaged = scipy_sparse.csr_matrix(pixels())
    damaged.indices[0] = 784
    with pytest.raises(ValueError, match="X is a damaged SciPy sparse matrix"):
        Binarize().transform(damaged)
