"""fastnn.metrics: against counts made by hand, against definitions written as loops, and against scikit-learn."""

import math
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastnn import metrics

# Three classes; by hand: (true, predicted) pairs are 0-0 twice, 0-1, 0-2, 1-1 three times, 2-0, 2-1, 2-2.
Y = [0, 0, 0, 0, 1, 1, 1, 2, 2, 2]
PREDICTED = [0, 0, 1, 2, 1, 1, 1, 0, 1, 2]
CONFUSION = [[2, 1, 1], [0, 3, 0], [1, 1, 1]]
NAMES = ("ant", "bee", "cat")

TABLE = """\
class             rows  TP  FP  FN  TN  precision  recall  specificity      F1
ant                  4   2   1   2   5     0.6667  0.5000       0.8333  0.5714
bee                  3   3   2   0   5     0.6000  1.0000       0.7143  0.7500
cat                  3   1   1   2   6     0.5000  0.3333       0.8571  0.4000
macro average       10                     0.5889  0.6111       0.8016  0.5738
weighted average    10                     0.5967  0.6000       0.8048  0.5736
accuracy: 60.00 % of 10"""

CONFUSION_TABLE = """\
true \\ predicted  ant  bee  cat
ant                 2    1    1
bee                 0    3    0
cat                 1    1    1"""


@pytest.fixture(scope="module")
def sk():
    return pytest.importorskip("sklearn.metrics")


def drawn(seed, n=200, k=5, weighted=False):
    """Labels, predictions that are right half of the time, probabilities, and weights or None."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, k, n)
    predicted = np.where(rng.random(n) < 0.5, y, rng.integers(0, k, n))
    proba = rng.dirichlet(np.full(k, 0.7), n)
    return y, predicted, proba, rng.random(n) * (rng.random(n) < 0.8) if weighted else None


# counts by hand


def test_confusion_matrix_by_hand():
    C = metrics.confusion_matrix(Y, PREDICTED)
    assert C.tolist() == CONFUSION
    assert C.dtype == np.int64


def test_every_count_is_in_its_place():
    report = metrics.classification_report(Y, PREDICTED, NAMES)
    assert report.classes == NAMES
    assert report.tp.tolist() == [2, 3, 1]
    assert report.fp.tolist() == [1, 2, 1]
    assert report.fn.tolist() == [2, 0, 2]
    assert report.tn.tolist() == [5, 5, 6]
    assert report.support.tolist() == [4, 3, 3]
    np.testing.assert_allclose(report.precision, [2 / 3, 3 / 5, 1 / 2])
    np.testing.assert_allclose(report.recall, [2 / 4, 3 / 3, 1 / 3])
    np.testing.assert_allclose(report.specificity, [5 / 6, 5 / 7, 6 / 7])
    np.testing.assert_allclose(report.f1, [4 / 7, 6 / 8, 2 / 5])
    assert report.accuracy == 0.6


def test_averages_by_hand():
    assert metrics.precision(Y, PREDICTED, "macro") == pytest.approx((2 / 3 + 3 / 5 + 1 / 2) / 3)
    assert metrics.recall(Y, PREDICTED, "weighted") == pytest.approx((4 / 2 + 3 + 3 / 3) / 10)
    assert metrics.specificity(Y, PREDICTED, "micro") == pytest.approx(16 / 20)
    assert metrics.f1(Y, PREDICTED, "micro") == pytest.approx(0.6)


def test_table():
    report = metrics.classification_report(Y, PREDICTED, NAMES)
    assert str(report) == TABLE
    assert report.confusion_table() == CONFUSION_TABLE


def test_table_shows_what_is_not_defined_as_a_dash():
    report = metrics.classification_report([0, 0], [0, 0], ["all", "none"])
    lines = str(report).splitlines()
    assert lines[1].split() == ["all", "2", "2", "0", "0", "0", "1.0000", "1.0000", "-", "1.0000"]
    assert lines[2].split() == ["none", "0", "0", "0", "0", "2", "-", "-", "1.0000", "-"]


def test_table_of_weights():
    report = metrics.classification_report([0, 1], [0, 0], sample_weight=[0.25, 1234.5])
    assert str(report).splitlines()[1].split()[:6] == ["0", "0.25", "0.25", "1,234.5", "0", "0"]
    assert str(report).endswith("accuracy: 0.02 % of 1,234.75")


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40))
def test_counts_are_what_their_names_say(pairs):
    y, predicted = (list(labels) for labels in zip(*pairs, strict=True))
    report = metrics.classification_report(y, predicted, 4)
    for label in range(4):
        kinds = [(t == label, p == label) for t, p in pairs]
        counts = [report.tp[label], report.fn[label], report.fp[label], report.tn[label]]
        assert counts == [
            kinds.count(kind) for kind in ((True, True), (True, False), (False, True), (False, False))
        ]


def test_what_cannot_be_divided_is_zero():
    # Class 1 has no rows, class 2 is never predicted, class 3 neither.
    y, predicted = [0, 0, 2], [0, 1, 0]
    assert metrics.precision(y, predicted, classes=4).tolist() == [1 / 2, 0, 0, 0]
    assert metrics.recall(y, predicted, classes=4).tolist() == [1 / 2, 0, 0, 0]
    assert metrics.f1(y, predicted, classes=4).tolist() == [1 / 2, 0, 0, 0]
    assert metrics.specificity([0, 0], [0, 0]).tolist() == [0]
    assert metrics.precision(y, predicted, "macro", classes=4) == 1 / 8


# what is taken for a prediction


def test_scores_are_predictions_of_the_first_largest():
    scores = [[0.1, 0.8, 0.1], [-4.0, -9.0, -4.0], [3, 1, 2]]
    assert metrics.confusion_matrix([1, 0, 2], scores).tolist() == [[1, 0, 0], [0, 1, 0], [1, 0, 0]]


def test_one_column_is_the_probability_of_class_1():
    assert metrics.confusion_matrix([0, 1, 1], [[0.5], [0.51], [0.2]]).tolist() == [[1, 0], [1, 1]]


@pytest.mark.parametrize("classes", [5, list("abcde")])
def test_classes_that_do_not_occur(classes):
    report = metrics.classification_report([0, 1], [0, 1], classes)
    assert report.confusion.shape == (5, 5)
    assert report.classes == tuple("01234" if classes == 5 else "abcde")


def test_labels_of_any_integer_type():
    y, predicted = np.array(Y, np.uint8), np.array(PREDICTED, np.float32)
    assert metrics.confusion_matrix(y, predicted).tolist() == CONFUSION
    large = np.array([200, 250], np.uint8)  # 200 * 251 is no uint8
    assert metrics.confusion_matrix(large, large)[200, 200] == 1


# scikit-learn


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("average", [None, "macro", "weighted", "micro"])
@pytest.mark.parametrize("k", [2, 3, 12])
def test_class_measures_agree_with_scikit_learn(sk, average, weighted, k):
    y, predicted, _, weights = drawn(k, 60, k, weighted)
    y, predicted = np.where(y == 1, 0, y), predicted.copy()  # class 1 has no rows
    options = {"labels": range(k), "average": average, "zero_division": 0, "sample_weight": weights}
    expected = sk.precision_recall_fscore_support(y, predicted, **options)
    for measure, value in zip((metrics.precision, metrics.recall, metrics.f1), expected, strict=False):
        actual = measure(y, predicted, average, k, weights)
        np.testing.assert_allclose(actual, value, rtol=1e-12)
        assert isinstance(actual, float) == (average is not None)


@pytest.mark.parametrize("weighted", [False, True])
def test_confusion_and_specificity_agree_with_scikit_learn(sk, weighted):
    y, predicted, _, weights = drawn(3, weighted=weighted)
    C = metrics.confusion_matrix(y, predicted, 5, weights)
    np.testing.assert_allclose(C, sk.confusion_matrix(y, predicted, sample_weight=weights), rtol=1e-12)
    counts = sk.multilabel_confusion_matrix(y, predicted, sample_weight=weights)
    report = metrics.classification_report(y, predicted, 5, weights)
    for name, (row, column) in {"tn": (0, 0), "fp": (0, 1), "fn": (1, 0), "tp": (1, 1)}.items():
        np.testing.assert_allclose(getattr(report, name), counts[:, row, column], rtol=1e-12)
    expected = counts[:, 0, 0] / counts[:, 0].sum(axis=1)
    np.testing.assert_allclose(metrics.specificity(y, predicted, None, 5, weights), expected, rtol=1e-12)
    assert report.accuracy == pytest.approx(sk.accuracy_score(y, predicted, sample_weight=weights))


@pytest.mark.parametrize("weighted", [False, True])
def test_measures_of_probabilities_agree_with_scikit_learn(sk, weighted):
    y, _, proba, weights = drawn(4, weighted=weighted)
    options = {"labels": range(5), "sample_weight": weights}
    assert metrics.log_loss(y, proba, weights) == pytest.approx(sk.log_loss(y, proba, **options), rel=1e-12)
    for k in range(1, 5):
        expected = sk.top_k_accuracy_score(y, proba, k=k, **options)
        assert metrics.top_k_accuracy(y, proba, k, weights) == pytest.approx(expected, rel=1e-12)
    assert metrics.top_k_accuracy(y, proba, 5, weights) == 1


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", [(50,), (50, 1), (50, 3)])
def test_measures_of_values_agree_with_scikit_learn(sk, shape, weighted):
    rng = np.random.default_rng(6)
    y = rng.standard_normal(shape)
    predicted = y + 0.5 * rng.standard_normal(shape)
    weights = rng.random(50) if weighted else None
    for name in ("mean_squared_error", "mean_absolute_error", "r2_score"):
        ours, theirs = getattr(metrics, name), getattr(sk, name)
        expected = theirs(y, predicted, sample_weight=weights)
        assert ours(y, predicted, weights) == pytest.approx(expected, rel=1e-12)
        expected = theirs(y, predicted, sample_weight=weights, multioutput="raw_values")
        actual = ours(y, predicted, weights, per_output=True)
        assert actual.shape == expected.shape
        np.testing.assert_allclose(actual, expected, rtol=1e-12)


# weights


def test_a_weight_is_a_repetition():
    y, predicted, proba, _ = drawn(8, 40)
    counts = np.random.default_rng(8).integers(0, 4, 40)
    many, values = np.repeat(np.arange(40), counts), proba[:, :2]
    for measure, truth, guess in (
        (partial(metrics.top_k_accuracy, k=2), y, proba),
        (metrics.log_loss, y, proba),
        (metrics.expected_calibration_error, y, proba),
        (metrics.mean_squared_error, values[::-1], values),
        (metrics.r2_score, values[::-1], values),
    ):
        weighted = measure(truth, guess, sample_weight=counts)
        assert weighted == pytest.approx(measure(truth[many], guess[many]), rel=1e-12)
        assert weighted != pytest.approx(measure(truth, guess), rel=1e-6)
    weighted = metrics.confusion_matrix(y, predicted, 5, counts)
    assert np.array_equal(weighted, metrics.confusion_matrix(y[many], predicted[many], 5))


def test_rounded_weights_leave_no_negative_count():
    rng = np.random.default_rng(10)
    for _ in range(20):
        # All is taken for class 0, so that it has no true negatives.
        report = metrics.classification_report(rng.integers(0, 3, 30), [0] * 30, 3, rng.random(30))
        assert 0 <= report.tn[0] < 1e-13


# probabilities


def test_log_loss_by_hand():
    assert metrics.log_loss([0, 1], [[0.25, 0.75], [0.5, 0.5]]) == pytest.approx(math.log(8) / 2)
    assert metrics.log_loss([0, 1], [0.75, 0.5]) == pytest.approx(math.log(8) / 2)
    assert metrics.log_loss([0, 1], [[0.75], [0.5]]) == pytest.approx(math.log(8) / 2)


def test_log_loss_is_not_clipped():
    proba = [[1.0, 0.0], [1.0, 0.0]]
    assert metrics.log_loss([0, 0], proba) == 0
    assert metrics.log_loss([0, 1], proba) == math.inf
    assert metrics.log_loss([0, 1], proba, sample_weight=[1, 0]) == 0
    assert metrics.log_loss([0], [[1e-300, 1.0]]) == pytest.approx(300 * math.log(10))


def test_probabilities_that_float32_rounded():
    third = np.full((2, 3), 1 / 3, np.float32)
    assert metrics.log_loss([0, 2], third) == pytest.approx(math.log(3), rel=1e-7)
    above = np.array([[np.nextafter(np.float32(1), np.float32(2)), 0]], np.float32)
    assert metrics.log_loss([0], above) == 0


def test_top_k_takes_the_first_of_equals():
    for k in (1, 2, 3, 4):
        right = [metrics.top_k_accuracy([label], np.zeros((1, 4)), k) for label in range(4)]
        assert right == [1] * k + [0] * (4 - k)
    assert metrics.top_k_accuracy([2, 2], [[1, 5, 3], [-1, -3, -2]], 2) == 1


def calibration_error(y, proba, bins):
    """Return the error by the definition of Guo et al. 2017: a loop over the bins."""
    rows = [(max(row), row.index(max(row)) == label) for row, label in zip(proba, y, strict=True)]
    error = 0.0
    for b in range(1, bins + 1):
        bin_b = [(c, right) for c, right in rows if (b - 1) / bins < c <= b / bins]
        if bin_b:
            accuracy = sum(right for _, right in bin_b) / len(bin_b)
            confidence = sum(c for c, _ in bin_b) / len(bin_b)
            error += len(bin_b) / len(rows) * abs(accuracy - confidence)
    return error


@pytest.mark.parametrize("bins", [1, 2, 15, 100])
def test_calibration_error_by_its_definition(bins):
    y, _, proba, _ = drawn(9)
    expected = calibration_error(y.tolist(), proba.tolist(), bins)
    assert metrics.expected_calibration_error(y, proba, bins) == pytest.approx(expected, rel=1e-12)


def test_calibration_error_by_hand():
    # Two rows at 0.75, one of them right; one at 1, right. |1/2 - 3/4| 2/3.
    proba = [[0.75, 0.25], [0.25, 0.75], [1.0, 0.0]]
    assert metrics.expected_calibration_error([0, 0, 0], proba) == pytest.approx(1 / 6)
    # A bound belongs to the bin below it: 0.5 and 0.75 apart, or in one bin of (0.5, 1].
    proba = [[0.5, 0.5], [0.75, 0.25]]
    assert metrics.expected_calibration_error([1, 0], proba, bins=2) == pytest.approx((0.5 + 0.25) / 2)
    assert metrics.expected_calibration_error([1, 0], proba, bins=1) == pytest.approx(0.125)


# values


def test_r2_of_a_constant():
    constant = np.full(3, 0.1)  # whose mean, and so whose spread, is rounded
    assert metrics.r2_score(constant, constant) == 1
    assert metrics.r2_score(constant, constant + 1e-3) == 0
    assert metrics.r2_score([0.1, 0.1, 7], [0.1, 0.1, 0], sample_weight=[1, 1, 0]) == 1
    y = np.column_stack([constant, [1.0, 2.0, 3.0]])
    assert metrics.r2_score(y, np.full((3, 2), 2.0), per_output=True).tolist() == [0, 0]


def test_a_column_is_not_broadcast_against_a_row():
    y = np.array([1.0, 2.0, 4.0])
    assert metrics.mean_squared_error(y, y[:, None]) == 0
    assert metrics.r2_score(y[:, None], y) == 1


# errors


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: metrics.confusion_matrix([0, 1], [0]), ValueError, "y has 2 labels; 1 are needed"),
        (lambda: metrics.confusion_matrix([0, 1], [0, 0.5]), ValueError, "predicted[1] is 0.5"),
        (lambda: metrics.confusion_matrix([0, -1], [0, 0]), ValueError, "y[1] is -1"),
        (lambda: metrics.confusion_matrix([0, 2], [0, 1], 2), ValueError, "y[1] is 2"),
        (
            lambda: metrics.confusion_matrix([0], [[0.2, 0.8]], 3),
            ValueError,
            "predicted has 2 columns; 3 are",
        ),
        (lambda: metrics.confusion_matrix([0], [[0.2, np.nan]]), ValueError, "predicted[0, 1] is nan"),
        (lambda: metrics.confusion_matrix([], []), ValueError, "predicted has no labels"),
        (lambda: metrics.confusion_matrix(["a"], ["a"]), TypeError, "predicted holds strings"),
        (lambda: metrics.confusion_matrix([10**6], [0]), ValueError, "1000001 classes"),
        (lambda: metrics.confusion_matrix([0], [0], 10**6), ValueError, "1000000 classes"),
        (lambda: metrics.confusion_matrix([0], [0], "ab"), TypeError, "classes is 'ab'"),
        (lambda: metrics.confusion_matrix([0], [0], []), ValueError, "classes has no names"),
        (lambda: metrics.confusion_matrix([0], [0], ["a", "a"]), ValueError, "classes has a name twice"),
        (lambda: metrics.f1([0], [0], "mean"), ValueError, "average is 'mean'"),
        (lambda: metrics.f1([0], [0], sample_weight=[-1]), ValueError, "sample_weight[0] is -1"),
        (lambda: metrics.f1([0], [0], sample_weight=[0]), ValueError, "sample_weight is 0 for every row"),
        (lambda: metrics.f1([0], [0], sample_weight=[1, 1]), ValueError, "sample_weight has shape (2,)"),
        (lambda: metrics.f1([0], [0], sample_weight=[np.inf]), ValueError, "sample_weight[0] is inf"),
        (lambda: metrics.top_k_accuracy([0], [[1, 2]], 3), ValueError, "k is 3"),
        (lambda: metrics.top_k_accuracy([0], [1, 2]), ValueError, "scores has shape (2,)"),
        (lambda: metrics.log_loss([0], [[0.5, 0.6]]), ValueError, "proba[0] adds up to 1.1"),
        (lambda: metrics.log_loss([0, 0], [0.5, 1.5]), ValueError, "proba[1] is 1.5"),
        (lambda: metrics.log_loss([0], [[2.0, -1.0]]), ValueError, "proba[0, 0] is 2"),
        (lambda: metrics.log_loss([2], [0.5]), ValueError, "y[0] is 2"),
        (lambda: metrics.expected_calibration_error([0], [0.5], 0), ValueError, "bins is 0"),
        (lambda: metrics.r2_score([1, 2], [1]), ValueError, "predicted has 1 rows and 1 outputs; 2 and 1"),
        (lambda: metrics.r2_score([], []), ValueError, "y has shape (0,)"),
        (lambda: metrics.r2_score([1], [np.nan]), ValueError, "predicted[0] is nan"),
        (lambda: metrics.r2_score([1], [1], per_output=1), TypeError, "per_output is 1"),
    ],
)
def test_errors_name_what_came(call, error, words):
    with pytest.raises(error) as caught:
        call()
    assert words in str(caught.value)
