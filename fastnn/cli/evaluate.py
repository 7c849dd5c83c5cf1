"""`fastnn evaluate`: how good a model is on data whose labels are known."""

import fastnn
from fastnn.cli.data import test_data
from fastnn.cli.display import percent
from fastnn.cli.scores import class_names, print_halves, values
from fastnn.metrics import classification_report, mean_absolute_error, r2_score


def run(args) -> int:
    """Print the counts and measures of each class, accuracy and loss; with --confusion the matrix, too."""
    net = fastnn.load(args.model)
    test = test_data(args, net)
    result = net.evaluate(test.X, test.y)
    if test.y.ndim == 1:
        report = classification_report(test.y, net.predict(test.X), class_names(net))
        if args.confusion:
            print(f"{report.confusion_table()}\n")
        print(report)  # its last line is the accuracy
        print_halves(net, test, args.dataset)
    elif args.confusion:
        raise ValueError(f"--confusion is for classes; {args.model} predicts numbers")
    elif result.accuracy is not None:
        print(f"accuracy: {percent(result.accuracy)} of {len(test):,}")
    else:
        predicted = values(net, test.X)
        print(f"R²: {r2_score(test.y, predicted):.4f} over {len(test):,} rows")
        print(f"mean absolute error: {mean_absolute_error(test.y, predicted):.4g}")
    print(f"loss: {result.loss:.4f}")
    return 0
