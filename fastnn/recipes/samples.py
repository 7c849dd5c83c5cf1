"""The [data] of a recipe: loaded, split, shuffled once if asked for, and prepared."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import checks, datasets, losses, preparation
from ..datasets import Dataset
from ..initializers import generator

TEST_PART = 0.2
"""The part of a file's rows that is set aside to test on, where nothing is said."""

SPLIT_SEED = 0  # not the network's: trainings with different seeds are compared on the same rows
_SHUFFLE_STREAM = 2  # of the network's seed; 0 draws weights, 1 the order of each epoch

INPUTS = "inputs"
"""What `targets` is for an autoencoder."""


@dataclass(frozen=True)
class Samples:
    """What a network is trained, validated and tested on.

    outputs: how many the network needs. preparation: what was done to the inputs, fitted, or None; notes: what it cost.
    source: where the rows come from. test_note: where those to test on do.
    """

    train: Dataset
    validation: Dataset | None
    test: Dataset
    outputs: int
    preparation: preparation.Transform | None
    notes: tuple[str, ...]
    source: str
    test_note: str

    @property
    def classes(self) -> tuple[str, ...] | None:
        """The names of the classes, one for each output, or None."""
        names = self.train.classes
        return names if names is not None and len(names) == self.outputs else None


def foldable(table: Mapping[str, Any]) -> bool:
    """Whether the preparation can be put into the first layer, for a network that takes inputs as they are."""
    prepare = check(table)
    steps = getattr(prepare, "steps", (prepare,))
    scalings = preparation.Standardize | preparation.ScaleToUnit
    # An autoencoder's outputs would still be prepared inputs.
    return all(isinstance(step, scalings) for step in steps) and table.get("targets") != INPUTS


def check(table: Mapping[str, Any]) -> preparation.Transform | None:
    """Look at what can be known before anything is loaded; return the preparation, not fitted yet."""
    if ("name" in table) == ("file" in table):
        raise ValueError("has to name the data: give either 'name' or 'file'")
    if "name" in table:
        checks.one_of(table["name"], "name", datasets.NAMES)
        for key in ("label", "test", "test_file"):
            if key in table:
                raise ValueError(f"{key} is for files; {table['name']} has labels and a test part of its own")
        if "folder" in table and table["name"] != "mnist":
            raise ValueError(f"folder is for mnist; {table['name']} is not read from a folder")
    elif "folder" in table:
        raise ValueError("folder is for mnist; file is the name of a file")
    for key in ("folder", "file", "label", "test_file"):
        if not isinstance(table.get(key, ""), str):
            raise TypeError(f"{key} is {checks.describe(table[key])}; a string is needed")
    if "test" in table and "test_file" in table:
        raise ValueError("test and test_file are given; give one of the two")
    _check_targets(table)
    checks.flag(table.get("shuffled", False), "shuffled")
    if "rows" in table:
        checks.whole_number(table["rows"], "rows")
    return preparation.resolve(table["prepare"], "prepare") if table.get("prepare") else None


def _check_targets(table: Mapping[str, Any]) -> None:
    targets = table.get("targets")
    if targets is None or targets == INPUTS:
        return
    if not isinstance(targets, list) or not all(isinstance(name, str) for name in targets):
        raise TypeError(f"targets is {checks.describe(targets)}; a list of names, or {INPUTS!r}, is needed")
    if "name" in table or "label" in table:
        raise ValueError(
            "targets are columns of a file without label; of another data set, only 'inputs' can be"
        )


def load(table: Mapping[str, Any], folder: Path | None, loss: losses.Loss, seed: int) -> Samples:
    """Return the samples that a checked [data] table describes, for a network with this loss and seed."""
    prepare = check(table)
    if "name" in table:
        train, test = datasets.load(table["name"], table.get("folder"))
        note = "its own test part"
    else:
        train, test, note = _load_file(table, folder)
    classes = _classes(train, test)
    if "rows" in table:
        if table["rows"] > len(train):
            raise ValueError(f"rows is {table['rows']}; there are {len(train):,} rows to train on")
        train = _rows(train, np.arange(table["rows"]))
    validation = None
    if table.get("validation") is not None:
        train, validation = _split(train, table["validation"])
    if table.get("shuffled"):
        train = _rows(train, generator(seed, _SHUFFLE_STREAM).permutation(len(train)))
    notes: list[str] = []
    if prepare is not None:
        train = replace(train, X=_fit_transform(prepare, train.X, notes))
        test = replace(test, X=prepare.transform(test.X))
        validation = validation and replace(validation, X=prepare.transform(validation.X))
    if table.get("targets") == INPUTS:
        train, test = _autoencode(train), _autoencode(test)
        validation = validation and _autoencode(validation)
    outputs = _outputs(train, classes, loss)
    return Samples(
        train, validation, test, outputs, prepare, tuple(notes), table.get("name") or table["file"], note
    )


def _load_file(table: Mapping[str, Any], folder: Path | None) -> tuple[Dataset, Dataset, str]:
    whole = _load_one(table["file"], table, folder)
    if "test_file" in table:
        test = _load_one(table["test_file"], table, folder)
        test = test if test.y is None or test.y.ndim == 2 else test.relabel(whole.classes)
        _check_match(whole, test, table)
        return whole, test, table["test_file"]
    train, test = _split(whole, table.get("test", TEST_PART))
    return train, test, "set aside, drawn from every class" if _labelled(whole) else "set aside"


def _load_one(name: str, table: Mapping[str, Any], folder: Path | None) -> Dataset:
    path = Path(name) if folder is None else folder / name
    targets = table.get("targets")
    if path.suffix.lower() == ".csv" and targets is None and "label" not in table:
        raise ValueError(f"{path} needs label, the name of the column with the labels, or targets")
    found = datasets.load_file(path, table.get("label"), targets if isinstance(targets, list) else None)
    if found.y is None and targets != INPUTS:
        raise ValueError(f"{path} has no array y; label must name the array with the labels")
    return found


def _check_match(train: Dataset, test: Dataset, table: Mapping[str, Any]) -> None:
    """Refuse a test file that no network trained on the other could be tested on."""
    if test.X.shape[1] != train.X.shape[1]:
        raise ValueError(
            f"{table['test_file']} has {test.X.shape[1]} features; {table['file']} has {train.X.shape[1]}"
        )
    if _labelled(train) and test.y.max() > train.y.max():
        raise ValueError(f"{table['test_file']} has the label {test.y.max()}, which {table['file']} lacks")


def _labelled(data: Dataset) -> bool:
    return data.y is not None and data.y.ndim == 1


def _split(data: Dataset, part: Any) -> tuple[Dataset, Dataset]:
    return datasets.split(data, part, seed=SPLIT_SEED, stratify=_labelled(data))


def _rows(data: Dataset, rows: np.ndarray) -> Dataset:
    return replace(data, X=data.X[rows], y=None if data.y is None else data.y[rows])


def _fit_transform(prepare: preparation.Transform, X: np.ndarray, notes: list[str]) -> np.ndarray:
    """Fit the preparation on X and return X prepared; note the ink that is cut off."""
    for step in getattr(prepare, "steps", (prepare,)):
        if isinstance(step, preparation.CropBorder | preparation.CenterCrop):
            notes.append(f"{step!r}: {step.lost_ink(X)}")
        X = step.fit_transform(X)
    return X


def _autoencode(data: Dataset) -> Dataset:
    return Dataset(data.X, data.X)


def _classes(train: Dataset, test: Dataset) -> int:
    """Return how many classes there are, 0 where there are no labels."""
    if train.classes is not None:
        return len(train.classes)
    return 1 + int(max(train.y.max(), test.y.max())) if _labelled(train) else 0


def _outputs(train: Dataset, classes: int, loss: losses.Loss) -> int:
    """Return how many outputs a network for these targets has. Raises ValueError where they are not the loss's."""
    if not _labelled(train):
        return train.y.shape[1]
    if loss.kind == "values":
        raise ValueError(f"holds labels, and the loss {loss.name} is for numbers: name them in targets")
    if loss.kind == "labels":
        if classes != 2:
            raise ValueError(
                f"holds {classes} classes; the loss {loss.name} takes 2, or columns named in targets"
            )
        return 1
    return classes
