"""The figures of a model on test data that `train` and `evaluate` both print."""

from fastnn.cli.display import percent

MNIST_HALF = 5000


def class_names(net) -> list[str]:
    """Return the name of each class, which is its number where the model has no names."""
    return list(net.classes) if net.classes is not None else [str(label) for label in range(net.sizes[-1])]


def print_halves(net, test, name: str) -> None:
    """For the official test images of MNIST print each half: the last 5,000 are the easier ones."""
    if name != "mnist":
        return
    first = net.evaluate(test.X[:MNIST_HALF], test.y[:MNIST_HALF])
    last = net.evaluate(test.X[MNIST_HALF:], test.y[MNIST_HALF:])
    print(f"first 5,000: {percent(first.accuracy)}, last 5,000: {percent(last.accuracy)}")
