"""The strict IDX reader: every fault is refused, every array comes back, nothing is read without bound."""

import gzip
import hashlib
import io
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fastnn.datasets import IdxError, read_idx
from fastnn.datasets.idx import MAX_BYTES, idx_sha256, parse_idx, write_idx

DTYPES = ["uint8", "int8", "int16", "int32", "float32", "float64"]
# Two rows of three bytes, written out by hand from the format's description.
SMALL = bytes([0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 255])


def header(*sizes, code=8):
    return bytes([0, 0, code, len(sizes)]) + b"".join(size.to_bytes(4, "big") for size in sizes)


@pytest.fixture(params=[bytes, gzip.compress], ids=["raw", "gzipped"])
def refuses(request, tmp_path):
    """Assert that a file with this content is refused with a message that names the file."""

    def check(content, reason):
        path = tmp_path / "digits"
        path.write_bytes(request.param(content))
        with pytest.raises(IdxError, match=reason) as caught:
            read_idx(path)
        assert str(path) in str(caught.value)

    return check


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_reads_what_the_format_describes(tmp_path, pack):
    (tmp_path / "a").write_bytes(pack(SMALL))
    actual = read_idx(tmp_path / "a")
    assert actual.dtype == np.uint8
    assert actual.tolist() == [[1, 2, 3], [4, 5, 255]]


@pytest.mark.parametrize(
    ("code", "data", "expected"),
    [
        (0x09, b"\xff", np.int8(-1)),
        (0x0B, b"\x01\x02", np.int16(258)),
        (0x0C, b"\xff\xff\xff\xfe", np.int32(-2)),
        (0x0D, b"\x3f\xc0\x00\x00", np.float32(1.5)),
        (0x0E, b"\xc0\x04" + bytes(6), np.float64(-2.5)),
    ],
)
def test_reads_every_type_in_native_order(tmp_path, code, data, expected):
    (tmp_path / "a").write_bytes(header(1, code=code) + data)
    actual = read_idx(str(tmp_path / "a"))
    assert actual.dtype == expected.dtype
    assert actual.dtype.isnative
    assert actual[0] == expected


@given(
    array=st.sampled_from(DTYPES).flatmap(
        lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5))
    ),
    suffix=st.sampled_from(["", ".gz"]),
)
def test_what_is_written_is_read_again(tmp_path_factory, array, suffix):
    path = tmp_path_factory.mktemp("idx") / f"array{suffix}"
    write_idx(path, array)
    actual = read_idx(path)
    assert actual.dtype == array.dtype
    assert actual.shape == array.shape
    assert actual.tobytes() == array.tobytes()
    content = gzip.decompress(path.read_bytes()) if suffix else path.read_bytes()
    assert idx_sha256(array) == hashlib.sha256(content).hexdigest()


def test_writing_twice_gives_the_same_bytes_and_leaves_nothing_else(tmp_path):
    array = np.arange(200, dtype=np.int32).reshape(10, 20)
    contents = set()
    for name in ("a.gz", "b.gz"):
        write_idx(tmp_path / name, array)
        contents.add((tmp_path / name).read_bytes())
    assert len(contents) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.gz", "b.gz"]


def test_a_written_array_need_not_be_contiguous_or_native(tmp_path):
    array = np.arange(12, dtype=">i2").reshape(3, 4).T[::2]
    write_idx(tmp_path / "a", array)
    np.testing.assert_array_equal(read_idx(tmp_path / "a"), array)


@pytest.mark.parametrize(
    ("array", "error", "reason"),
    [
        (np.zeros(3, dtype=np.uint16), TypeError, "uint16"),
        (np.zeros(3, dtype=complex), TypeError, "complex128"),
        (np.uint8(3) + np.zeros((), np.uint8), ValueError, "0 dimensions"),
    ],
)
def test_an_array_that_idx_cannot_hold_is_not_written(tmp_path, array, error, reason):
    with pytest.raises(error, match=reason):
        write_idx(tmp_path / "a", np.asarray(array))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("length", range(len(SMALL)))
def test_every_truncation_is_refused(refuses, length):
    refuses(
        SMALL[:length], "starts with" if length < 4 else "within its header" if length < 12 else "ends after"
    )


@pytest.mark.parametrize("more", [b"\0", b"\n", b"\1" * 5000])
def test_trailing_bytes_are_refused(refuses, more):
    refuses(SMALL + more, "goes on after the 6 bytes")


@pytest.mark.parametrize("position", [0, 1])
def test_a_wrong_magic_number_is_refused(refuses, position):
    wrong = bytearray(SMALL)
    wrong[position] = 7
    refuses(bytes(wrong), "starts with the bytes")


@pytest.mark.parametrize("code", [0, 7, 0x0A, 0x0F, 0xFF])
def test_an_unknown_type_is_refused(refuses, code):
    refuses(header(1, code=code) + bytes(8), "starts with the bytes")


@pytest.mark.parametrize("dimensions", [0, 33, 255])
def test_a_number_of_dimensions_beyond_numpys_is_refused(refuses, dimensions):
    refuses(
        bytes([0, 0, 8, dimensions]) + b"\0\0\0\1" * dimensions + b"\1", f"declares {dimensions} dimensions"
    )


@pytest.mark.parametrize(
    "sizes",
    [
        (MAX_BYTES + 1,),
        (2**32 - 1, 2**32 - 1),
        (2**31, 2**31, 4),  # 2**64: nothing, were it multiplied in 64 bits
        (0, 2**32 - 1, 2**32 - 1),
    ],
)
def test_a_size_beyond_the_cap_is_refused(refuses, sizes):
    refuses(header(*sizes), "more than 2147483648 bytes")


def test_a_size_beyond_the_cap_is_refused_before_any_data_are_read():
    class Counted(io.BytesIO):
        taken = 0

        def read(self, size=-1):
            data = super().read(size)
            self.taken = max(self.taken, self.tell())
            return data

    file = Counted(header(2**31, 2) + bytes(10_000))
    with pytest.raises(IdxError, match="more than"):
        parse_idx(file, "huge")
    assert file.taken == len(header(1, 1))


def test_a_declared_size_is_not_allocated_before_it_is_there(tmp_path):
    (tmp_path / "a").write_bytes(header(MAX_BYTES) + bytes(100))
    assert peak_of_refusal(tmp_path / "a", "ends after 100 bytes") < 8 * 2**20


def test_a_gzip_bomb_is_not_inflated(tmp_path):
    squeezed = io.BytesIO()
    with gzip.GzipFile(fileobj=squeezed, mode="wb", compresslevel=1) as file:
        file.write(header(1000))
        for _ in range(64):
            file.write(bytes(2**20))
    (tmp_path / "bomb").write_bytes(squeezed.getvalue())
    assert peak_of_refusal(tmp_path / "bomb", "goes on after the 1000 bytes") < 8 * 2**20


def peak_of_refusal(path, reason):
    tracemalloc.start()
    try:
        with pytest.raises(IdxError, match=reason):
            read_idx(path)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@given(data=st.data())
def test_a_damaged_gzip_file_is_refused(data):
    whole = gzip.compress(header(40) + bytes(range(40)), mtime=0)
    cut = data.draw(st.integers(2, len(whole) - 1))
    with pytest.raises(IdxError, match="digits"):
        parse_idx(io.BytesIO(whole[:cut]), "digits")
    flipped = bytearray(whole)
    flipped[data.draw(st.integers(2, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        actual = parse_idx(io.BytesIO(flipped), "digits")
    except IdxError as error:
        assert "digits" in str(error)
    else:  # a bit of the time stamp, or one that only pads
        assert actual.tolist() == list(range(40))


def test_a_gzip_file_within_a_gzip_file_is_refused(tmp_path):
    (tmp_path / "a").write_bytes(gzip.compress(gzip.compress(SMALL)))
    with pytest.raises(IdxError, match="starts with the bytes '1f 8b"):
        read_idx(tmp_path / "a")


def test_a_file_that_cannot_be_read_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_idx(tmp_path / "none")
    with pytest.raises(OSError, match="not a regular file"):
        read_idx(tmp_path)
    with pytest.raises(OSError, match="not a regular file"):
        read_idx("/dev/zero")


@pytest.mark.parametrize("path", [0, True, None, b"bytes", 1.5])
def test_a_path_is_a_str_or_a_path(path):
    with pytest.raises(TypeError, match="path is"):
        read_idx(path)
