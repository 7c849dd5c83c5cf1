"""`fastnn evaluate`: how good a model is on data whose labels are known."""

import numpy as np

import fastnn
from fastnn.cli.data import test_data
from fastnn.cli.display import percent, print_table
from fastnn.cli.scores import class_names, print_halves


def run(args) -> int:
    """Print accuracy, loss, and the accuracy on each class."""
    net = fastnn.load(args.model)
    test = test_data(args, net)
    result = net.evaluate(test.X, test.y)
    right = net.predict(test.X) == test.y
    rows = []
    for index, name in enumerate(class_names(net)):
        of_class = test.y == index
        count, correct = int(of_class.sum()), int(np.count_nonzero(right & of_class))
        rows.append([name, f"{count:,}", f"{correct:,}", percent(correct / count) if count else "-"])
    print_table(["class", "rows", "correct", "accuracy"], rows)
    print(f"accuracy: {percent(result.accuracy)} of {result.samples:,}")
    print_halves(net, test, args.dataset)
    print(f"loss: {result.loss:.4f}")
    return 0
