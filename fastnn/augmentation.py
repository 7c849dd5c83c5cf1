"""Distorted copies of training images, other ones in each epoch, made in the background while the network trains."""

import os
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from . import checks
from .preparation.transform import check_shape, float_type

if TYPE_CHECKING:
    pass

_PIECE = 256  # images that a thread takes at a time: about a millisecond of work
_MOST_PIXELS = 1e4


@dataclass(frozen=True)
class Augment:
    """How images are distorted: every number is drawn evenly from minus to plus the setting, anew for each image and epoch.

    Enlarged by 1 ± scale, slanted by shear columns a row, turned about the centre, shifted, and displaced, in one
    bilinear interpolation; what comes in from outside is 0.

    Parameters
    ----------
    shift: pixels, in both directions.
    rotation: degrees, from 0 to 180.
    scale: the part by which the image grows or shrinks, from 0 to below 1.
    shear: columns by which a row is moved against the next, from 0 to 2.
    elastic: (alpha, sigma) moves every pixel by itself: random numbers from -1 to 1, smoothed by a Gaussian of
        deviation sigma pixels (above 0, at most the image's smaller side) and multiplied by alpha. For MNIST,
        (34, 4) moves pixels by 1.4 in each direction (root mean square); None moves none. Source: Simard,
        Steinkraus and Platt, Best practices for convolutional neural networks applied to visual document
        analysis, 2003, section 2.
    shape: height and width of the images, each one row of X.
    probability: of distorting an image at all, from 0 to 1.
    """

    shift: float = 2.0
    rotation: float = 10.0
    scale: float = 0.1
    shear: float = 0.0
    elastic: tuple[float, float] | None = None
    shape: tuple[int, int] = (28, 28)
    probability: float = 1.0

    def __post_init__(self) -> None:
        self._check("shift", lambda x: 0 <= x <= _MOST_PIXELS, f"from 0 to {_MOST_PIXELS:g}")
        self._check("rotation", lambda x: 0 <= x <= 180, "from 0 to 180")
        self._check("scale", lambda x: 0 <= x < 1, "from 0 to below 1")
        self._check("shear", lambda x: 0 <= x <= 2, "from 0 to 2")
        self._check("probability", lambda x: 0 <= x <= 1, "from 0 to 1")
        object.__setattr__(self, "shape", check_shape(self.shape))
        if self.elastic is not None:
            object.__setattr__(self, "elastic", self._check_elastic())

    def _check(self, name: str, accept: Any, need: str) -> None:
        object.__setattr__(self, name, checks.real_number(getattr(self, name), name, accept, need))

    def _check_elastic(self) -> tuple[float, float]:
        pair = self.elastic
        if not isinstance(pair, tuple | list):
            raise TypeError(f"elastic is {checks.describe(pair)}; a pair (alpha, sigma) or None is needed")
        if len(pair) != 2:
            raise ValueError(f"elastic has {len(pair)} numbers; a pair (alpha, sigma) is needed")
        side = min(self.shape)
        alpha = checks.real_number(
            pair[0], "elastic[0]", lambda x: 0 <= x <= _MOST_PIXELS, f"from 0 to {_MOST_PIXELS:g}"
        )
        sigma = checks.real_number(
            pair[1], "elastic[1]", lambda x: 0.1 <= x <= side, f"from 0.1 to {side}, the image's smaller side"
        )
        return alpha, sigma

    def settings(self) -> dict[str, Any]:
        """Return the settings such as TOML and JSON can hold; `resolve` reads them."""
        given = {
            name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()
        }
        return {name: value for name, value in given.items() if value is not None}

    def images(self, X: Any, seed: int = 0, epoch: int = 0, threads: int | None = None) -> np.ndarray:
        """Return distorted copies of all images X (n, height width), to look at: those of `epoch` in a training with `seed`."""
        array = checks.real_array(X, "X")
        with Augmenter(self, array, seed, float_type(array.dtype), threads) as augmenter:
            return augmenter.prepare(np.arange(len(array)), epoch).result()


def resolve(value: Any, name: str = "augment") -> Augment:
    """Return the Augment that `value` is, or that its settings, a dict, describe."""
    if isinstance(value, Augment):
        return value
    if not isinstance(value, dict):
        raise TypeError(f"{name} is {checks.describe(value)}; an Augment or a dict of its settings is needed")
    known = tuple(field.name for field in fields(Augment))
    for key in value:
        checks.one_of(key, f"a setting of {name}", known)
    return Augment(**value)


class Prepared:
    """Images that are being made; `result` waits for them."""

    def __init__(self, pieces: Sequence["Future[None]"], images: np.ndarray):
        self._pieces, self._images = pieces, images

    def result(self) -> np.ndarray:
        """Return the images (rows, height width), once all are made.

        Raises RuntimeError if the augmenter was closed before.
        """
        # One by one, and not by concurrent.futures.wait: that never hears of futures cancelled by the pool's shutdown.
        errors = [error for error in map(_error, self._pieces) if error is not None]
        if errors:
            raise errors[0]
        return self._images


def _error(piece: "Future[None]") -> BaseException | None:
    """Wait for a piece; return what went wrong."""
    try:
        return piece.exception()
    except CancelledError:
        return RuntimeError("the augmenter was closed before these images were made")


class Augmenter:
    """Makes distorted copies of images in threads of its own: ask for the next rows, train on these, then take them.

    Which copy of image r comes in an epoch depends on (seed, epoch, r) alone: not on the order or grouping of rows,
    nor on the number of threads. The threads end with `close`, or with this object.

    Parameters
    ----------
    augment: what to do.
    X: (n, height width) finite numbers; a C-contiguous array of `dtype` is not copied. Not sparse.
    seed: a whole number of at least 0.
    dtype: "float32" or "float64", of the copies.
    threads: how many; if None, as many as `fastnn.get_num_threads()` says.
    """

    def __init__(
        self, augment: Augment, X: Any, seed: int = 0, dtype: Any = "float32", threads: int | None = None
    ):
        from .backends.augment import Distorter, get_num_threads

        if not isinstance(augment, Augment):
            raise TypeError(f"augment is {checks.describe(augment)}; an Augment is needed")
        height, width = augment.shape
        dtype = checks.check_dtype(dtype)
        X = checks.check_X(checks.real_array(X, "X"), height * width, dtype)
        self._seed = checks.whole_number(seed, "seed", least=0, most=None)
        self._rows, self._width, self._dtype = len(X), height * width, dtype
        self._distorter: Distorter = Distorter(augment, X)
        self._threads = get_num_threads(checks.check_threads(threads))
        self._pool: ThreadPoolExecutor | None = self._new_pool()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def prepare(self, rows: Any, epoch: int, out: np.ndarray | None = None) -> Prepared:
        """Begin to make the copies of images X[rows] for an epoch, and return at once.

        Parameters
        ----------
        rows: row numbers, whole numbers from 0 to n - 1.
        epoch: a whole number of at least 0.
        out: an array (len(rows), height width) of `dtype`, C-contiguous, to write to, which saves the time of getting
            fresh memory; nothing else may use it until `result()` returned. If None, a new one.

        Raises RuntimeError after `close`.
        """
        rows = self._check_rows(rows)
        epoch = checks.whole_number(epoch, "epoch", least=0)
        if out is None:
            out = np.empty((rows.size, self._width), self._dtype)
        self._check_out(out, rows.size)
        if self._pool is None:
            raise RuntimeError("the augmenter is closed; make a new one")
        if self._process != os.getpid():  # a forked child, in which the threads are not
            self._pool = self._new_pool()
        key = self._distorter.key(self._seed, epoch)
        pieces = [
            self._pool.submit(
                self._distorter.distort, rows[start : start + _PIECE], key, out[start : start + _PIECE]
            )
            for start in range(0, rows.size, _PIECE)
        ]
        return Prepared(pieces, out)

    def close(self) -> None:
        """End the threads: what they have begun is finished, the rest is dropped. May be called more than once."""
        pool, self._pool = self._pool, None
        if pool is not None and self._process == os.getpid():
            pool.shutdown(wait=True, cancel_futures=True)

    def _new_pool(self) -> ThreadPoolExecutor:
        self._process = os.getpid()
        return ThreadPoolExecutor(self._threads, thread_name_prefix="fastnn-augment")

    def _check_rows(self, rows: Any) -> np.ndarray:
        need = f"whole numbers from 0 to {self._rows - 1} are needed"
        numbers = checks.real_array(rows, "rows", need)
        if numbers.ndim != 1:
            raise ValueError(f"rows has shape {numbers.shape}; one dimension is needed")
        if numbers.size and numbers.dtype.kind not in "iu":
            raise TypeError(f"rows holds values of type {numbers.dtype}; {need}")
        bad = (numbers < 0) | (numbers >= self._rows)
        if bad.any():
            place = int(bad.argmax())
            raise ValueError(f"rows[{place}] is {numbers[place]}; {need}")
        # A copy: the threads read it later, when the caller may have changed it.
        return np.array(numbers, np.int64)

    def _check_out(self, out: Any, rows: int) -> None:
        need = (
            f"a writeable C-contiguous array of shape {(rows, self._width)} and type {self._dtype} is needed"
        )
        if not isinstance(out, np.ndarray):
            raise TypeError(f"out is {checks.describe(out)}; {need}")
        right = out.shape == (rows, self._width) and out.dtype == self._dtype
        if not (right and out.flags.c_contiguous and out.flags.aligned and out.flags.writeable):
            raise ValueError(f"out is {checks.describe(out)}; {need}")
