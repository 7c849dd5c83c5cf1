"""The figures of a model on test data that `train` and `evaluate` both print."""

import numpy as np

from fastnn.cli.display import percent
from fastnn.metrics import r2_score

MNIST_HALF = 5000


def class_names(net) -> list[str]:
    """Return the name of each class, which is its number where the model has no names."""
    count = 2 if net.sizes[-1] == 1 else net.sizes[-1]
    return list(net.classes) if net.classes is not None else [str(label) for label in range(count)]


def print_test(net, test) -> None:
    """Print how good a trained model is on its test rows."""
    result = net.evaluate(test.X, test.y)
    if result.accuracy is not None:
        print(f"test accuracy: {percent(result.accuracy)}")
    else:
        print(f"test R²: {r2_score(test.y, values(net, test.X)):.4f}")
    print(f"test loss: {result.loss:.4f}")


def values(net, X) -> np.ndarray:
    """Return the predictions of a network for numbers, (n, outputs)."""
    return net.predict(X).reshape(len(X), -1)


def print_halves(net, test, name: str) -> None:
    """For the official test images of MNIST print each half: the last 5,000 are the easier ones."""
    if name != "mnist" or len(test) != 2 * MNIST_HALF:
        return
    first = net.evaluate(test.X[:MNIST_HALF], test.y[:MNIST_HALF])
    last = net.evaluate(test.X[MNIST_HALF:], test.y[MNIST_HALF:])
    print(f"first 5,000: {percent(first.accuracy)}, last 5,000: {percent(last.accuracy)}")
