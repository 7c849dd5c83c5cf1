"""`fastnn gradcheck`: the gradients of backpropagation beside the measured slopes of the loss."""

import numpy as np

import fastnn
from fastnn.cli.display import print_table

TOLERANCE = 1e-6  # what fastnn.gradient_check promises of right gradients


def run(args) -> int:
    """Print the worst relative error of each parameter array; return 1 if one is not below the tolerance."""
    if args.rows < 1:
        raise ValueError(f"--rows is {args.rows}; a whole number of 1 or more is needed")
    net = fastnn.MLP(args.sizes, seed=args.seed) if args.model is None else fastnn.load(args.model)
    X, y, source = make_data(net, args.rows, args.seed)
    errors = fastnn.gradient_check(net, X, y, seed=args.seed)
    wrong = [name for name, error in errors.items() if not error < TOLERANCE]
    print(f"{'-'.join(map(str, net.sizes))} in float64, {len(y)} rows of {source}")
    rows = [[name, f"{error:.1e}", "wrong" if name in wrong else "right"] for name, error in errors.items()]
    print_table(["gradient", "worst relative error", ""], rows)
    if wrong:
        print(f"{len(wrong)} of {len(errors)} gradients are wrong: the error is not below {TOLERANCE:g}")
        return 1
    print(f"all {len(errors)} gradients are right: every error is below {TOLERANCE:g}")
    return 0


def make_data(net, rows: int, seed: int) -> tuple[np.ndarray, np.ndarray, str]:
    """Return X, y and their name: embedded digits for a network of digits, random numbers for any other."""
    inputs, classes = net.sizes[0], net.sizes[-1]
    if (inputs, classes) == (784, 10):
        test = fastnn.datasets.load("mnist-small")[1]
        return test.X[:rows], test.y[:rows], "mnist-small"
    rng = np.random.default_rng(seed)
    return rng.standard_normal((rows, inputs)), rng.integers(classes, size=rows), "random numbers"
