"""The data that a command line asks for: a named set, or a person's own file."""

from pathlib import Path

import numpy as np

import fastnn
from fastnn.cli import defaults
from fastnn.datasets import NAMES, Dataset

TABLES = (".npz", ".csv")


def training_data(args) -> tuple[Dataset, Dataset, int, str]:
    """Return training rows, test rows, the number of classes, and a line that says where they come from."""
    if args.dataset in NAMES:
        for option in ("test", "test_data"):
            if getattr(args, option) is not None:
                raise ValueError(
                    f"--{option.replace('_', '-')} is for files; {args.dataset} has a test part of its own"
                )
        train, test = load_named(args)
        note = "its own test part"
    else:
        whole = load_labelled(args.dataset, args)
        if args.test_data is not None:
            train, test = whole, load_labelled(args.test_data, args).relabel(whole.classes)
            check_match(train, test, args)
            note = args.test_data
        else:
            part = defaults.TEST_PART if args.test is None else args.test
            train, test = fastnn.datasets.split(whole, part, seed=defaults.SPLIT_SEED)
            note = "set aside, drawn from every class"
    classes = len(train.classes) if train.classes is not None else 1 + int(max(train.y.max(), test.y.max()))
    rows = f"{args.dataset}: {len(train):,} rows to train on, {len(test):,} to test on ({note})"
    return train, test, classes, f"{rows}; {train.X.shape[1]:,} inputs, {classes} classes"


def test_data(args, net) -> Dataset:
    """Return the test rows of a named set, or all rows of a file, labelled with the network's classes."""
    test = load_named(args)[1] if args.dataset in NAMES else load_labelled(args.dataset, args)
    if test.X.shape[1] != net.sizes[0]:
        raise ValueError(f"{args.dataset} has {test.X.shape[1]} features; {args.model} needs {net.sizes[0]}")
    return test.relabel(net.classes)


def unlabelled_data(path: str, label: str | None) -> Dataset:
    """Return the rows of an .npz, .csv or IDX file; the labels, where there are any, do not matter."""
    if Path(path).suffix.lower() in TABLES:
        return fastnn.datasets.load_file(path, label)
    if label is not None:
        raise ValueError(f"--label is for .csv and .npz files; {path} is neither")
    images = fastnn.datasets.read_idx(path)
    if images.ndim < 2:
        raise ValueError(f"{path} has the shape {images.shape}; images, (n, ...), are needed")
    rows = images.reshape(len(images), -1).astype(np.float32)
    return Dataset(rows / np.float32(255) if images.dtype == np.uint8 else rows)


def load_named(args) -> tuple[Dataset, Dataset]:
    """Return the training and the test part of a set that fastnn knows."""
    if args.label is not None:
        raise ValueError(f"--label is for files; {args.dataset} has its labels")
    if args.data is not None and args.dataset != "mnist":
        raise ValueError(f"--data is the folder of mnist; {args.dataset} is not read from a folder")
    return fastnn.datasets.load(args.dataset, args.data)


def load_labelled(path: str, args) -> Dataset:
    """Return the rows of an .npz or .csv file, which must have labels."""
    suffix = Path(path).suffix.lower()
    if args.data is not None:
        raise ValueError(f"--data is the folder of mnist; {path} is a file")
    if suffix not in TABLES:
        raise ValueError(f"DATA is {path!r}; {', '.join(NAMES)}, or an .npz or .csv file is needed")
    if suffix == ".csv" and args.label is None:
        raise ValueError(f"{path} needs --label NAME, the name of the column with the labels")
    dataset = fastnn.datasets.load_file(path, args.label)
    if dataset.y is None:
        raise ValueError(f"{path} has no array y; --label NAME must name the array with the labels")
    return dataset


def check_match(train: Dataset, test: Dataset, args) -> None:
    """Refuse a test file that no network trained on the other could be tested on."""
    if test.X.shape[1] != train.X.shape[1]:
        raise ValueError(
            f"{args.test_data} has {test.X.shape[1]} features; {args.dataset} has {train.X.shape[1]}"
        )
    if test.y.max() > train.y.max():
        raise ValueError(f"{args.test_data} has the label {test.y.max()}, which {args.dataset} lacks")
