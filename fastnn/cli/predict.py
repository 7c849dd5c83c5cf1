"""`fastnn predict`: what a model says about every row of a file."""

import csv
import sys
from contextlib import nullcontext
from pathlib import Path

import numpy as np

import fastnn
from fastnn.cli.data import unlabelled_data
from fastnn.cli.scores import class_names, values


def run(args) -> int:
    """Print a class a line, or a row of probabilities or of predicted numbers a line."""
    net = fastnn.load(args.model)
    if args.proba and net.loss.kind == "values":
        raise ValueError(f"--proba is for classes; {args.model} predicts numbers")
    rows = unlabelled_data(args.file, args.label)
    text = probabilities(net, rows.X) if args.proba else predictions(net, rows.X)
    output = None if args.output is None else Path(args.output)
    # Everything is computed by now: an error above leaves a file that is there untouched.
    with nullcontext(sys.stdout) if output is None else output.open("w", encoding="utf-8") as file:
        if args.proba:
            csv.writer(file, lineterminator="\n").writerows(text)
        else:
            file.writelines(f"{line}\n" for line in text)
    return 0


def probabilities(net: fastnn.MLP, X: np.ndarray) -> list:
    """Return the names of the classes, and the probabilities of each row."""
    proba = net.predict_proba(X)
    if proba.shape[1] == 1:  # of the second of two classes
        proba = np.hstack([1 - proba, proba])
    return [class_names(net), *proba.astype(str)]


def predictions(net: fastnn.MLP, X: np.ndarray) -> list[str]:
    """Return the class of each row, or its numbers with commas between."""
    if net.loss.kind == "classes" or (net.loss.kind == "labels" and net.sizes[-1] == 1):
        names = class_names(net)
        return [names[label] for label in net.predict(X)]
    return [",".join(row) for row in values(net, X).astype(str)]
