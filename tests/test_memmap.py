"""Data that memory does not hold: a memory-mapped file is trained on where it lies."""

import sys

import numpy as np
import pytest
from programs import run

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="RLIMIT_DATA counts private memory, and no mapped files, on Linux"
)

MEGABYTES = 400
COLUMNS = 2500
LIMIT = 150
SIZES = (MEGABYTES, COLUMNS, LIMIT)

# The file is one hole but for a hundred rows: it takes no room on disk. The limit is on the memory that is the process's
# own, which a copy of the file would be, and the file itself, mapped, is not.
PROGRAM = """
import re, resource, sys, warnings
import numpy as np
import fastnn
from fastnn.monitor import TrainingWarning

warnings.simplefilter("ignore", TrainingWarning)  # nearly all rows are zeros, of which nothing can be learnt

path, task = sys.argv[1:3]
megabytes, columns, limit = map(int, sys.argv[3:])
rows = megabytes * 10**6 // (4 * columns)
X = np.memmap(path, np.float32, "r", shape=(rows, columns))
y = np.arange(rows) % 3
net = fastnn.MLP([columns, 16, 3])
# Compiles, or loads from the cache, outside the limit.
warm = dict(epochs=1, batch_size=2000, sparse=False, validation=(X[:9], y[:9]))
net.fit(X[:4000], y[:4000], **warm)
net.predict(X[:100])

used = int(re.search(r"VmData:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) * 1024
resource.setrlimit(resource.RLIMIT_DATA, (used + limit * 10**6,) * 2)
if task == "copy":
    X = np.array(X)
    print("copied")
elif task == "train":
    before = net.weights[0].copy()
    history = net.fit(X, y, epochs=1, batch_size=2000, sparse=False, validation=(X, y))
    assert history.inputs == "dense" and np.isfinite(history.loss + history.val_loss).all()
    assert not np.array_equal(net.weights[0], before)
    print(net.evaluate(X, y).samples, len(net.predict(X)))
else:
    try:
        net.fit(X, y, epochs=1)
    except ValueError as error:
        print(error)
"""


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "X.f32"
    with open(path, "wb") as file:
        file.write(np.random.default_rng(0).random((100, COLUMNS), np.float32).tobytes())
        file.truncate(MEGABYTES * 10**6)
    yield path
    path.unlink()  # pytest keeps the folders of its last three runs


def test_the_limit_holds(data):
    with pytest.raises(AssertionError, match="Unable to allocate"):
        run(PROGRAM, data, "copy", *SIZES)


def test_training_and_evaluating_do_not_load_the_file(data):
    assert run(PROGRAM, data, "train", *SIZES) == "40000 40000"


def test_the_look_for_nan_does_not_load_the_file(data):
    with open(data, "r+b") as file:
        file.seek(-4, 2)
        file.write(b"\0\0\xc0\x7f")  # NaN in float32
    message = "X[39999, 2499] is nan; every value must be finite"
    assert run(PROGRAM, data, "check", *SIZES) == message
