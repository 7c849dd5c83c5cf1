"""A person's own .npz and .csv files: what is read, and that every fault is refused by name."""

import io
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastnn.datasets import DataError, Dataset, load_file, split


@pytest.fixture
def npz(tmp_path):
    def write(**arrays):
        np.savez_compressed(tmp_path / "data.npz", **arrays)
        return tmp_path / "data.npz"

    return write


@pytest.fixture
def csv(tmp_path):
    def write(text, encoding="utf-8"):
        (tmp_path / "data.csv").write_bytes(text.encode(encoding))
        return tmp_path / "data.csv"

    return write


def refused(path, reason, label=None):
    with pytest.raises(DataError, match=reason) as caught:
        load_file(path, label)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint16", "int64", ">i4", "float16", "float32", ">f8"])
def test_npz_features_of_any_real_dtype_become_float32(npz, dtype):
    X = np.array([[0, 1, 1], [1, 0, 1]], dtype=dtype)
    dataset = load_file(npz(X=X, y=[1, 0]))
    assert dataset.X.dtype == np.float32
    assert dataset.X.tolist() == [[0, 1, 1], [1, 0, 1]]
    assert dataset.y.dtype == np.int64
    assert dataset.y.tolist() == [1, 0]
    assert dataset.classes is None


@pytest.mark.parametrize("shape", [(2, 3, 4), (2, 12), (2, 2, 3, 2)])
def test_npz_bytes_are_pixels(npz, shape):
    dataset = load_file(npz(X=np.linspace(0, 255, 24).astype(np.uint8).reshape(shape)))
    assert dataset.X.shape == (2, 12)
    assert dataset.X.flags.c_contiguous
    expected = np.linspace(0, 255, 24).astype(np.uint8).astype(np.float32) / np.float32(255)
    np.testing.assert_array_equal(dataset.X.ravel(), expected)
    assert dataset.X.max() == 1
    assert dataset.y is None


def test_npz_in_fortran_order_keeps_its_rows(npz):
    X = np.arange(24, dtype=np.float64).reshape(2, 3, 4)
    np.testing.assert_array_equal(load_file(npz(X=np.asfortranarray(X))).X, X.reshape(2, 12))


def test_npz_label_names_the_array(npz):
    path = npz(X=np.eye(2), y=[0, 0], digit=[0, 1], objects=np.array([None]))
    assert load_file(path, "digit").y.tolist() == [0, 1]
    assert load_file(path).y.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("labels", "y", "classes"),
    [
        ([0, 2, 1, 0], [0, 2, 1, 0], None),
        ([0, 0, 0, 0], [0, 0, 0, 0], None),
        ([True, False, True, True], [1, 0, 1, 1], None),
        ([1.0, 0.0, 1.0, 0.0], [1, 0, 1, 0], None),
        ([1, 2, 10, 2], [0, 1, 2, 1], ("1", "2", "10")),
        ([-1, 1, 1, -1], [0, 1, 1, 0], ("-1", "1")),
        ([0, 3, 1, 0], [0, 2, 1, 0], ("0", "1", "3")),
        (["dog", "cat", "dog", "eel"], [1, 0, 1, 2], ("cat", "dog", "eel")),
        (["1", "cat", "10", "2"], [0, 3, 1, 2], ("1", "10", "2", "cat")),
        (np.array([0, 2**64 - 1, 5, 0], dtype=np.uint64), [0, 2, 1, 0], ("0", "5", str(2**64 - 1))),
    ],
)
def test_labels_are_kept_or_numbered_alike_in_both_formats(npz, csv, labels, y, classes):
    from_npz = load_file(npz(X=np.eye(4), y=labels))
    lines = [f"{feature},{label}" for feature, label in enumerate(np.asarray(labels).tolist())]
    if isinstance(labels[0], bool):
        lines = [line.replace("True", "1").replace("False", "0") for line in lines]
    from_csv = load_file(csv("x,kind\n" + "\n".join(lines)), "kind")
    for dataset in (from_npz, from_csv):
        assert dataset.y.tolist() == y
        assert dataset.classes == classes


@pytest.mark.parametrize(
    ("arrays", "label", "reason"),
    [
        ({"x": [[1.0]]}, None, "no array 'X'; it holds 'x'"),
        ({}, None, "no array 'X'; it holds none"),
        ({"X": [[1.0]], "y": [0]}, "digit", "no array 'digit'; it holds 'X', 'y'"),
        ({"X": [[1.0]], "y": [0]}, "", "no array ''"),
        ({"X": [[1.0]]}, "X", "label is 'X'"),
        ({"X": [1.0, 2.0]}, None, r"X has shape \(2,\)"),
        ({"X": 1.0}, None, r"X has shape \(\)"),
        ({"X": np.zeros((0, 3))}, None, r"X has shape \(0, 3\)"),
        ({"X": np.zeros((3, 0))}, None, r"X has shape \(3, 0\)"),
        ({"X": [[1 + 2j]]}, None, "X has dtype complex128"),
        ({"X": [["a"]]}, None, "X has dtype <U1"),
        ({"X": np.zeros((2, 2), dtype="datetime64[s]")}, None, "X has dtype datetime64"),
        ({"X": np.zeros((2, 2), dtype=[("a", "f4")])}, None, "X has dtype"),
        ({"X": np.array([[None]])}, None, "cannot be read.*Object arrays"),
        ({"X": [[1.0], [2.0]], "y": np.array([None, 1])}, None, "cannot be read.*Object arrays"),
        ({"X": [[1.0, 2.0], [3.0, np.nan]]}, None, r"X\[1, 1\] is nan"),
        ({"X": [[1.0, -np.inf], [3.0, 4.0]]}, None, r"X\[0, 1\] is -inf"),
        ({"X": [[1e300]]}, None, r"X\[0, 0\] is inf; a finite number that float32 holds"),
        ({"X": [[1.0], [2.0]], "y": [0]}, None, r"y has shape \(1,\); X has 2 rows"),
        ({"X": [[1.0], [2.0]], "y": [[0], [1]]}, None, r"y has shape \(2, 1\)"),
        (
            {"X": [[1.0], [2.0]], "y": [0.0, 0.5]},
            None,
            r"y\[1\] is 0.5; labels must be whole numbers or names",
        ),
        ({"X": [[1.0], [2.0]], "y": [0.0, np.nan]}, None, r"y\[1\] is nan"),
        ({"X": [[1.0], [2.0]], "y": [np.inf, 0]}, None, r"y\[0\] is inf"),
        ({"X": [[1.0], [2.0]], "y": [1j, 0]}, None, "y has dtype complex128"),
        ({"X": [[1.0], [2.0]], "y": [b"a", b"b"]}, None, r"y has dtype \|S1"),
        ({"X": [[1.0], [2.0]], "y": ["a", ""]}, None, r"y\[1\] is ''"),
        ({"X": [[1.0], [2.0]], "y": ["0", "0.5"]}, None, r"y\[1\] is '0.5'"),
    ],
)
def test_npz_that_does_not_fit_is_refused(npz, arrays, label, reason):
    refused(npz(**arrays), reason, label)


@pytest.mark.parametrize("content", [b"", b"PK", b"hello, this is no archive", b"\x80\x04N."])
def test_what_is_no_archive_is_refused(tmp_path, content):
    (tmp_path / "data.npz").write_bytes(content)
    refused(tmp_path / "data.npz", "not a whole .npz archive")


def test_a_single_array_under_the_name_of_an_archive_is_refused(tmp_path):
    with (tmp_path / "data.npz").open("wb") as file:
        np.save(file, np.eye(3))
    refused(tmp_path / "data.npz", "not a whole .npz archive")


def test_an_archive_of_something_else_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "data.npz", "w") as archive:
        archive.writestr("X", "no array at all")
    refused(tmp_path / "data.npz", "X has dtype")


def test_a_size_beyond_memory_is_refused(tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f4", "fortran_order": False, "shape": (2**40, 2**10)}
    )
    with zipfile.ZipFile(tmp_path / "data.npz", "w") as archive:
        archive.writestr("X.npy", header.getvalue())
    refused(tmp_path / "data.npz", "cannot be read")


@given(data=st.data())
def test_a_damaged_archive_is_refused_or_read_right(tmp_path_factory, data):
    whole = io.BytesIO()
    X, y = np.arange(12, dtype=np.float32).reshape(4, 3), np.array([0, 1, 1, 0])
    data.draw(st.sampled_from([np.savez, np.savez_compressed]))(whole, X=X, y=y)
    damaged = bytearray(whole.getvalue())
    if data.draw(st.booleans()):
        del damaged[data.draw(st.integers(0, len(damaged) - 1)) :]
    else:
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("npz") / "data.npz"
    path.write_bytes(damaged)
    try:
        dataset = load_file(path)
    except DataError as error:
        assert str(path) in str(error)
    else:
        np.testing.assert_array_equal(dataset.X, X)
        assert dataset.y is None or dataset.y.tolist() == y.tolist()  # the name of y may be what was hit


def test_csv_takes_its_label_from_any_column(csv):
    text = "height, kind ,width\n1.5,rose,2\n-3e-1, tulip ,4\n"
    dataset = load_file(csv(text), "kind")
    assert dataset.X.dtype == np.float32
    np.testing.assert_array_equal(dataset.X, np.array([[1.5, 2], [-0.3, 4]], dtype=np.float32))
    assert dataset.y.tolist() == [0, 1]
    assert dataset.classes == ("rose", "tulip")


def test_csv_without_label_has_no_labels(csv):
    dataset = load_file(csv("a,b\n1,2\n3,4\n"))
    assert dataset.X.tolist() == [[1, 2], [3, 4]]
    assert (dataset.y, dataset.classes) == (None, None)


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffa,b\n1,2\n",
        "a,b\r\n1,2\r\n",
        "a,b\n1,2",
        '"a","b"\n"1","2"\n',
        "a,b\n\n1,2\n\n\n",
        "a,b\n 1 ,\t2\n",
    ],
)
def test_csv_in_the_forms_that_programs_write(csv, text):
    dataset = load_file(csv(text), "b")
    assert dataset.X.tolist() == [[1]]
    assert dataset.classes == ("2",)


@given(
    rows=st.lists(
        st.tuples(st.floats(width=32, allow_nan=False, allow_infinity=False), st.integers(-(2**70), 2**70)),
        min_size=1,
    )
)
def test_csv_holds_what_was_written(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("csv") / "data.CSV"
    path.write_text("\n".join(["x,label", *(f"{x!r},{label}" for x, label in rows)]))
    dataset = load_file(str(path), "label")
    assert dataset.X[:, 0].tolist() == [x for x, _ in rows]
    names = dataset.classes or [str(i) for i in range(len(rows))]
    assert [names[i] for i in dataset.y] == [str(label) for _, label in rows]


@pytest.mark.parametrize(
    ("text", "label", "reason"),
    [
        ("", None, "is empty"),
        ("\n1,2\n", None, "is empty or starts with an empty line"),
        ("a,b\n", None, "a header but no rows"),
        ("a,b\n\n\n", "b", "a header but no rows"),
        ("5.1,3.5,1e-3\n4.9,3.0,1.4\n", None, "starts with a row of numbers"),
        ("a,b,a\n1,2,3\n", None, "names 'a' twice"),
        (",a,b\n0,1,2\n", None, "column 1 has no name"),
        ("a,b\n1,2\n", "kind", "no column 'kind'; it holds 'a', 'b'"),
        ("a,b\n1,2\n", "", "no column ''"),
        ("kind\n1\n", "kind", "only the column 'kind'"),
        (",".join(f"p{i}" for i in range(784)) + "\n", "label", r"'p9' and 774 more"),
        ("a,b\n1,2\n3\n", None, "line 3: 1 values; the header names 2"),
        ("a,b\n1,2\n3,4,5\n", "b", "line 3: 3 values; the header names 2"),
        ("a,b\n1,\n", None, "line 2, column 'b' is ''; a real number"),
        ("a,b\n\n1,2\n1,x\n", None, "line 4, column 'b' is 'x'"),
        ('a,b\n"1\n",2\n1,x\n', None, "line 4, column 'b' is 'x'"),
        ("a,kind,b\n1,k,2\n1,k,1+2j\n", "kind", r"line 3, column 'b' is '1\+2j'"),
        ("a,b\n1,2\nnan,4\n", None, "line 3, column 'a' is nan; a finite number"),
        ("a,b\n1,2\n3,-inf\n", "a", "line 3, column 'b' is -inf"),
        ("a,b\n1,1e39\n", None, "line 2, column 'b' is inf; a finite number that float32 holds"),
        ("a,b\n1,0\n2,0.5\n", "b", "line 3, column 'b' is '0.5'; labels must be whole numbers or names"),
        ("a,b\n1,0\n2,nan\n", "b", "line 3, column 'b' is 'nan'"),
        ("a,b\n1,0\n2,inf\n", "b", "line 3, column 'b' is 'inf'"),
        ("a,b\n1,0\n2, \n", "b", "line 3, column 'b' is ''"),
        ("a,b\n1,cat\n2,\n", "b", "line 3, column 'b' is ''"),
        ('a,b\n1,"cat\n2,dog\n', "b", "after line 3: unexpected end of data"),
        ('a,b\n1,"cat"x\n', "b", "after line 2"),
        (f"a,b\n1,{'9' * 200_000}\n", "b", "field larger than field limit"),
        (f"a,b\n1,{'9' * 5000}\n", "b", "line 2, column 'b'"),
    ],
)
def test_csv_that_does_not_fit_is_refused(csv, text, label, reason):
    refused(csv(text), reason, label)


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_csv_of_another_encoding_is_refused(csv, encoding):
    refused(csv("größe,b\n1,2\n", encoding), "UTF-8")


@given(st.binary(max_size=200))
def test_csv_of_any_bytes_is_refused_or_read(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("csv") / "data.csv"
    path.write_bytes(content)
    try:
        dataset = load_file(path)
    except DataError as error:
        assert str(path) in str(error)
    else:
        assert np.isfinite(dataset.X).all()


def test_other_arguments_are_refused(tmp_path, csv):
    with pytest.raises(ValueError, match=r"data\.txt is neither"):
        load_file(tmp_path / "data.txt")
    with pytest.raises(FileNotFoundError):
        load_file(tmp_path / "none.csv")
    (tmp_path / "folder.npz").mkdir()
    with pytest.raises(OSError, match="not a regular file"):
        load_file(tmp_path / "folder.npz")
    for path in (0, None, b"data.csv"):
        with pytest.raises(TypeError, match="path is"):
            load_file(path)
    for label in (1, b"b", ["b"]):
        with pytest.raises(TypeError, match="label is"):
            load_file(csv("a,b\n1,2\n"), label)


# Numbers to predict.


def test_columns_of_numbers_to_predict(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("a,b,c\n1,2,3.5\n4,5,6\n")
    data = load_file(path, targets=["c", "a"])
    np.testing.assert_array_equal(data.X, np.float32([[2], [5]]))
    np.testing.assert_array_equal(data.y, np.float32([[3.5, 1], [6, 4]]))
    assert data.X.flags.c_contiguous and data.y.flags.c_contiguous
    assert repr(data) == "Dataset(2 rows, 1 features, 2 numbers to predict)"


@pytest.mark.parametrize("shape", [(3,), (3, 1), (3, 2)])
def test_an_array_of_numbers_to_predict(tmp_path, shape):
    y = np.arange(np.prod(shape)).reshape(shape) / 4
    np.savez(tmp_path / "data.npz", X=np.ones((3, 2)), z=y)
    data = load_file(tmp_path / "data.npz", targets=["z"])
    np.testing.assert_array_equal(data.y, y.reshape(3, -1).astype(np.float32))


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (["d"], "no column 'd'"),
        (["a", "b", "c"], "only the columns 'a', 'b', 'c'"),
        ([], "at least one name"),
        (["a", "a"], "each once"),
        ("a", "targets is 'a'; a list"),
        ([1], "a list of names"),
    ],
)
def test_targets_that_do_not_fit(tmp_path, targets, message):
    path = tmp_path / "data.csv"
    path.write_text("a,b,c\n1,2,3\n")
    with pytest.raises((TypeError, ValueError), match=message):
        load_file(path, targets=targets)
    with pytest.raises(ValueError, match="give one of the two"):
        load_file(path, "a", ["b"])


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.ones(2), r"z has shape \(2,\)"),
        (np.ones((3, 1, 1)), "z has shape"),
        (np.array(["x"] * 3), "dtype"),
        (np.array([1, np.nan, 1]), r"z\[1, 0\] is nan"),
        (np.array([1, 1, 1e300]), r"z\[2, 0\] is inf"),
    ],
)
def test_arrays_that_are_no_targets(tmp_path, y, message):
    np.savez(tmp_path / "data.npz", X=np.ones((3, 2)), z=y)
    with pytest.raises(ValueError, match=message):
        load_file(tmp_path / "data.npz", targets=["z"])


def test_numbers_are_no_labels(tmp_path):
    data = Dataset(np.ones((4, 2)), np.ones((4, 1)))
    with pytest.raises(ValueError, match="y holds numbers"):
        data.relabel(["a"])
    with pytest.raises(ValueError, match="stratify=False"):
        split(data, 1)
    assert [part.y.shape for part in split(data, 1, stratify=False)] == [(3, 1), (1, 1)]
    with pytest.raises(ValueError, match=r"y has shape \(3, 1\)"):
        Dataset(np.ones((4, 2)), np.ones((3, 1)))
