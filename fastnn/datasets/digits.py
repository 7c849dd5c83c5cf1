"""digits: the 1,797 images of 8 x 8 pixels that scikit-learn brings along."""

from .dataset import Dataset
from .split import split

_TEST_FRACTION = 0.2
_SEED = 0


class MissingExtraError(ValueError):
    """A data set needs a package that is not installed."""


def load_digits() -> tuple[Dataset, Dataset]:
    """Return a training set (1,438 images) and a test set (359), stratified, the same ones each time.

    Pixels are scaled from 0..16 to 0..1. Raises MissingExtraError without scikit-learn.
    """
    try:
        from sklearn.datasets import load_digits as load
    except ImportError as error:
        raise MissingExtraError(
            f'the data set "digits" needs scikit-learn ({error}); install fastnn with its extra: '
            "python -m pip install -e '.[digits]'"
        ) from error
    X, y = load(return_X_y=True)
    return split(Dataset(X / 16, y), _TEST_FRACTION, seed=_SEED)
