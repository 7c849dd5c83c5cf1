"""Dataset and split: shapes and labels are checked, proportions kept, the same seed draws the same rows."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastnn.datasets import Dataset, split


def numbered(labels):
    """A data set whose only feature is the row's number."""
    labels = np.asarray(labels, dtype=np.int64)
    return Dataset(np.arange(len(labels), dtype=np.float32)[:, None], labels)


def rows(dataset):
    return dataset.X[:, 0].astype(int).tolist()


labelled = st.lists(st.integers(0, 4), min_size=2, max_size=60).map(numbered)


@given(data=st.data(), dataset=labelled, seed=st.integers(0, 2**70), stratify=st.booleans())
def test_the_parts_are_the_whole_in_order(data, dataset, seed, stratify):
    count = data.draw(st.integers(1, len(dataset) - 1))
    rest, part = split(dataset, count, seed=seed, stratify=stratify)
    assert len(part) == count
    assert sorted(rows(rest) + rows(part)) == list(range(len(dataset)))
    for result in (rest, part):
        assert rows(result) == sorted(rows(result))
        np.testing.assert_array_equal(result.y, dataset.y[rows(result)])
        assert result.X.flags.c_contiguous


@given(data=st.data(), dataset=labelled, seed=st.integers(0, 100))
def test_every_class_keeps_its_share(data, dataset, seed):
    count = data.draw(st.integers(1, len(dataset) - 1))
    _, part = split(dataset, count, seed=seed)
    for label in range(5):
        share = Fraction(count * int((dataset.y == label).sum()), len(dataset))
        assert abs(int((part.y == label).sum()) - share) < 1


def test_what_is_left_goes_to_the_largest_remainders():
    _, part = split(numbered([0] * 10 + [1] * 6 + [2] * 4), 7)  # shares 3.5, 2.1 and 1.4
    assert np.bincount(part.y).tolist() == [4, 2, 1]


def test_the_same_seed_draws_the_same_rows_and_another_seed_others():
    dataset = numbered(np.arange(1000) % 10)
    drawn = [rows(split(dataset, 0.3, seed=seed)[1]) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_rows_of_a_class_are_drawn_alike():
    """Over 300 seeds each of 10 rows is drawn about 150 times; 5 standard deviations are 43."""
    dataset = numbered([0] * 10 + [1] * 6)
    drawn = np.zeros(16)
    for seed in range(300):
        drawn[rows(split(dataset, 8, seed=seed)[1])] += 1
    assert np.abs(drawn - 150).max() < 43


def test_without_stratification_the_classes_counts_vary():
    dataset = numbered(np.arange(100) % 2)
    counts = {int(split(dataset, 50, seed=seed, stratify=False)[1].y.sum()) for seed in range(20)}
    assert len(counts) > 1


@pytest.mark.parametrize(
    ("part", "count"), [(0.2, 20), (0.254, 25), (np.float32(0.25), 25), (np.int64(7), 7), (99, 99)]
)
def test_a_fraction_or_a_count(part, count):
    assert len(split(numbered([0] * 100), part)[1]) == count


def test_names_are_kept_and_labels_may_be_absent():
    rest, part = split(Dataset(np.zeros((4, 1)), [0, 1, 0, 1], ("a", "b")), 2)
    assert rest.classes == part.classes == ("a", "b")
    rest, part = split(Dataset(np.zeros((4, 1))), 1, stratify=False)
    assert (len(rest), len(part), rest.y, part.y) == (3, 1, None, None)
    with pytest.raises(ValueError, match="stratify=False"):
        split(Dataset(np.zeros((4, 1))), 1)


@pytest.mark.parametrize(
    "part", [0, 10, 11, -1, 0.0, 1.0, -0.5, 2.0, float("nan"), float("inf"), 0.01, 0.99, np.float64("nan")]
)
def test_a_part_that_leaves_a_side_empty_is_refused(part):
    with pytest.raises(ValueError, match=f"part is {part}"):
        split(numbered([0, 1] * 5), part)


@pytest.mark.parametrize("part", [True, False, "0.5", None, 1j, [3], np.bool_(True)])
def test_a_part_of_another_type_is_refused(part):
    with pytest.raises(TypeError, match="part is"):
        split(numbered([0, 1] * 5), part)


@pytest.mark.parametrize(
    ("arguments", "error", "reason"),
    [
        ({"seed": -1}, ValueError, "seed is -1"),
        ({"seed": 1.5}, TypeError, "seed is 1.5"),
        ({"seed": True}, TypeError, "seed is True"),
        ({"seed": "a"}, TypeError, "seed is 'a'"),
        ({"seed": None}, TypeError, "seed is None"),
        ({"stratify": "yes"}, TypeError, "stratify is 'yes'"),
    ],
)
def test_other_bad_arguments_are_refused(arguments, error, reason):
    with pytest.raises(error, match=reason):
        split(numbered([0, 1] * 5), 3, **arguments)


def test_only_a_dataset_can_be_split():
    with pytest.raises(TypeError, match="dataset is an array"):
        split(np.zeros((4, 2)), 2)


@pytest.mark.parametrize("size", [0, 1])
@pytest.mark.parametrize("part", [0.5, 1])
def test_too_few_rows_cannot_be_split(size, part):
    with pytest.raises(ValueError, match="part is"):
        split(numbered(range(size)), part)


def test_a_dataset_converts_to_its_types():
    dataset = Dataset(
        np.asfortranarray(np.ones((3, 2))), np.array([0, 1, 2], dtype=np.uint8), ["a", "b", "c"]
    )
    assert dataset.X.dtype == np.float32
    assert dataset.X.flags.c_contiguous
    assert dataset.y.dtype == np.int64
    assert dataset.classes == ("a", "b", "c")
    assert len(dataset) == 3
    assert repr(dataset) == "Dataset(3 rows, 2 features, 3 classes: a, b, c)"


@pytest.mark.parametrize(
    ("dataset", "text"),
    [
        (Dataset(np.zeros((2, 3))), "Dataset(2 rows, 3 features, no labels)"),
        (Dataset(np.zeros((2, 3)), [4, 1]), "Dataset(2 rows, 3 features, labels 1 to 4)"),
        (Dataset(np.zeros((0, 3)), np.zeros(0, int)), "Dataset(0 rows, 3 features, no rows)"),
        (
            Dataset(np.zeros((1, 1)), [0], tuple("abcdefgh")),
            "Dataset(1 rows, 1 features, 8 classes: a, b, c, d, e, ...)",
        ),
    ],
)
def test_a_dataset_says_what_it_holds(dataset, text):
    assert repr(dataset) == text


def test_a_dataset_is_frozen():
    with pytest.raises(AttributeError):
        numbered([0, 1]).y = None


@pytest.mark.parametrize(
    ("X", "y", "classes", "error", "reason"),
    [
        ([["a"]], None, None, TypeError, "X holds strings"),
        ([[1j]], None, None, TypeError, "X holds complex numbers"),
        ([1.0, 2.0], None, None, ValueError, r"X has shape \(2,\)"),
        ([[1.0], [2.0]], [0, 0.5], None, ValueError, r"y\[1\] is 0.5"),
        ([[1.0]], [0, 1], None, ValueError, "y has 2 labels; 1 are needed"),
        ([[1.0]], [-1], None, ValueError, r"y\[0\] is -1"),
        ([[1.0]], [2], ("a", "b"), ValueError, r"y\[0\] is 2; labels must be whole numbers from 0 to 1"),
        ([[1.0]], np.array([2**64 - 1], dtype=np.uint64), None, ValueError, "18446744073709551615"),
        ([[1.0]], [0], "ab", TypeError, "classes is 'ab'"),
        ([[1.0]], [0], (1, 2), TypeError, "classes is"),
        ([[1.0]], [0], ("a", "a"), ValueError, "may occur once"),
    ],
)
def test_a_dataset_that_does_not_fit_is_refused(X, y, classes, error, reason):
    with pytest.raises(error, match=reason):
        Dataset(X, y, classes)


def test_relabel_numbers_the_labels_as_other_data_do():
    X = np.zeros((3, 1))
    assert Dataset(X, [1, 0, 1], ("b", "d")).relabel(("a", "b", "c", "d")).y.tolist() == [3, 1, 3]
    assert Dataset(X, [1, 0, 1], ("3", "7")).relabel(None).y.tolist() == [7, 3, 7]
    assert Dataset(X, [1, 0, 1]).relabel(("-1", "0", "1")).y.tolist() == [2, 1, 2]
    assert Dataset(X).relabel(("a", "b")).classes == ("a", "b")
    same = Dataset(X, [1, 0, 1], ("a", "b"))
    assert same.relabel(["a", "b"]).y.tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    ("own", "other", "reason"),
    [
        (("a", "b"), ("a", "c"), "label 'b'; the known classes are a, c"),
        (("0", "-1"), None, "label '-1'; labels must"),
    ],
)
def test_relabel_refuses_a_label_that_the_other_data_lack(own, other, reason):
    with pytest.raises(ValueError, match=reason):
        Dataset(np.zeros((2, 1)), [0, 1], own).relabel(other)
