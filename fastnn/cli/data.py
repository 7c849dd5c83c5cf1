"""The data that a command line asks for: a named set, or a person's own file."""

from pathlib import Path

import numpy as np

import fastnn
from fastnn import recipes
from fastnn.cli.recipe import TABLES, check_file
from fastnn.datasets import NAMES, Dataset


def test_data(args, net) -> Dataset:
    """Return the test rows of a named set or a recipe, or all rows of a file, labelled with the network's classes."""
    if args.recipe is not None:
        test = recipe_data(args)
    else:
        test = load_named(args)[1] if args.dataset in NAMES else load_labelled(args.dataset, args)
    if test.X.shape[1] != net.sizes[0]:
        name = args.recipe or args.dataset
        raise ValueError(f"{name} has {test.X.shape[1]} features; {args.model} needs {net.sizes[0]}")
    return test if test.y.ndim == 2 else test.relabel(net.classes)


def recipe_data(args) -> Dataset:
    """Return the test rows of a recipe as a model that `fastnn train` made of it takes them."""
    if args.label is not None or args.targets is not None:
        raise ValueError("--recipe says what the labels are; leave --label and --target out")
    recipe = recipes.load(args.recipe)
    changes = {} if args.data is None else {"folder": args.data}
    if recipe.folds:  # such a preparation is in the model
        changes["prepare"] = None
    return recipe.change({"data": changes}).data().test


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
    for option, value in (("--label", args.label), ("--target", getattr(args, "targets", None))):
        if value is not None:
            raise ValueError(f"{option} is for files; {args.dataset} has its labels")
    if args.data is not None and args.dataset != "mnist":
        raise ValueError(f"--data is the folder of mnist; {args.dataset} is not read from a folder")
    return fastnn.datasets.load(args.dataset, args.data)


def load_labelled(path: str, args) -> Dataset:
    """Return the rows of an .npz or .csv file, which must have labels."""
    if args.data is not None:
        raise ValueError(f"--data is the folder of mnist; {path} is a file")
    check_file(path, args.label, args.targets)
    dataset = fastnn.datasets.load_file(path, args.label, args.targets)
    if dataset.y is None:
        raise ValueError(f"{path} has no array y; --label NAME must name the array with the labels")
    return dataset
