"""`fastnn predict`: the class of every row of a file."""

import csv
import sys
from contextlib import nullcontext
from pathlib import Path

import fastnn
from fastnn.cli.data import unlabelled_data
from fastnn.cli.scores import class_names


def run(args) -> int:
    """Print a class a line, or a row of probabilities a line."""
    net = fastnn.load(args.model)
    rows = unlabelled_data(args.file, args.label)
    proba = net.predict_proba(rows.X)
    names = class_names(net)
    output = None if args.output is None else Path(args.output)
    # Everything is computed by now: an error above leaves a file that is there untouched.
    with nullcontext(sys.stdout) if output is None else output.open("w", encoding="utf-8") as file:
        if args.proba:
            lines = csv.writer(file, lineterminator="\n")
            lines.writerow(names)
            lines.writerows(proba.astype(str))
        else:
            file.writelines(f"{names[label]}\n" for label in proba.argmax(axis=1))
    return 0
