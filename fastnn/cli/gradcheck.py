"""`fastnn gradcheck`: the gradients of backpropagation beside the measured slopes of the loss."""

import numpy as np

import fastnn
from fastnn.cli.display import print_table

TOLERANCE = 1e-6  # what fastnn.gradient_check promises of right gradients


def run(args) -> int:
    """Print the worst relative error of each parameter array; return 1 if one is not below the tolerance."""
    if args.rows < 1:
        raise ValueError(f"--rows is {args.rows}; a whole number of 1 or more is needed")
    net = make_net(args)
    X, y, source = make_data(net, args.rows, args.seed)
    errors = fastnn.gradient_check(net, X, y, seed=args.seed)
    wrong = [name for name, error in errors.items() if not error < TOLERANCE]
    shape, activation = "-".join(map(str, net.sizes)), net.activation
    functions = f"{activation if isinstance(activation, str) else ' '.join(activation)}, {net.loss.name}"
    print(f"{shape} in float64, {len(y)} rows of {source}; {functions}")
    rows = [[name, f"{error:.1e}", "wrong" if name in wrong else "right"] for name, error in errors.items()]
    print_table(["gradient", "worst relative error", ""], rows)
    if wrong:
        print(f"{len(wrong)} of {len(errors)} gradients are wrong: the error is not below {TOLERANCE:g}")
        return 1
    print(f"all {len(errors)} gradients are right: every error is below {TOLERANCE:g}")
    return 0


def make_net(args) -> fastnn.MLP:
    """Return the network that the options describe."""
    if args.model is None:
        return fastnn.MLP(
            args.sizes, args.activation or "relu", seed=args.seed, loss=args.loss or "cross_entropy"
        )
    for option in ("activation", "loss"):
        if getattr(args, option) is not None:
            raise ValueError(f"--{option} is for --sizes; {args.model} has its own")
    return fastnn.load(args.model)


def make_data(net, rows: int, seed: int) -> tuple[np.ndarray, np.ndarray, str]:
    """Return X, y and their name: embedded digits for a network of digits, random numbers for any other."""
    inputs, outputs = net.sizes[0], net.sizes[-1]
    if (inputs, outputs, net.loss.kind) == (784, 10, "classes"):
        test = fastnn.datasets.load("mnist-small")[1]
        return test.X[:rows], test.y[:rows], "mnist-small"
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((rows, inputs))
    labels = net.loss.kind == "classes"
    # For the others numbers from 0 to 1: they are probabilities as well as values.
    y = rng.integers(outputs, size=rows) if labels else rng.random((rows, outputs))
    return X, y, "random numbers"
