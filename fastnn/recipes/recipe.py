"""One recipe: its tables, checked, and what is made of them."""

import math
from collections.abc import Mapping
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np

from .. import augmentation, checks, losses, optimizers
from ..callbacks import EarlyStopping
from ..checkpoint import Checkpoint
from ..history import History
from ..mlp import MLP
from ..run import prepare
from . import samples
from .samples import Samples
from .tables import TRAINING, check_tables, within

_HAS_VALIDATION = ("val_loss", "val_accuracy")


class Recipe:
    """A training set-up. What can be checked before the data are there is checked when it is made.

    Parameters
    ----------
    tables: what the TOML file holds, as `tomllib` reads it.
    name: what it is called in errors; None leaves recipe and table out of them.
    folder: where the files of [data] are; None for the current one.
    """

    def __init__(self, tables: Mapping[str, Any], name: str | None = None, folder: Path | None = None):
        check_tables(tables, name)
        self.tables = dict(tables)
        self.name, self.folder = name, folder
        with within(name, "data"):
            samples.check(self._table("data"))
        with within(name, "network"):
            self._sizes(1, 2)
            self.loss = losses.resolve(self._table("network").get("loss", "cross_entropy"))
            self.seed = checks.whole_number(self._table("network").get("seed", 0), "seed", 0, None)
        with within(name, "optimizer"):
            self.optimizer: optimizers.Optimizer = optimizers.resolve(self._optimizer_settings(), None)
        with within(name, "early_stopping"):
            self._early_stopping()
        with within(name, "checkpoint"):
            self._checkpoint()
        with within(name, "augment"):
            if "shape" in self._table("augment"):
                augmentation.resolve(self._table("augment"))

    @property
    def description(self) -> str:
        """What the recipe is for, in a sentence."""
        return self.tables.get("description", "")

    @property
    def epochs(self) -> int:
        """How many epochs are trained at most."""
        return self._table("training").get("epochs", signature(MLP.fit).parameters["epochs"].default)

    def change(self, changes: Mapping[str, Mapping[str, Any] | None]) -> "Recipe":
        """Return the recipe with other settings: a key replaces that of the same table, None removes a key or a table."""
        tables = dict(self.tables)
        for table, content in changes.items():
            if content is None:
                tables.pop(table, None)
                continue
            merged = {**tables.get(table, {}), **content}
            tables[table] = {key: value for key, value in merged.items() if value is not None}
        return Recipe(tables, self.name, self.folder)

    @property
    def folds(self) -> bool:
        """Whether `fold` can be called: there is a preparation, and all of it is scaling."""
        return samples.foldable(self._table("data"))

    def fold(self, net: MLP, data: Samples) -> None:
        """Put the preparation into the first layer of the trained network, which then takes inputs as they are."""
        data.preparation.fold(net)

    def data(self) -> Samples:
        """Load, split and prepare the data."""
        with within(self.name, "data"):
            return samples.load(self._table("data"), self.folder, self.loss, self.seed)

    def network(self, data: Samples) -> MLP:
        """Return the network, untrained."""
        table = self._table("network")
        chosen = {key: table[key] for key in ("activation", "init", "dtype") if key in table}
        with within(self.name, "network"):
            net = MLP(
                self._sizes(data.train.X.shape[1], data.outputs), seed=self.seed, loss=self.loss, **chosen
            )
        net.classes = data.classes
        return net

    def train(self, net: MLP, data: Samples, **changes: Any) -> History:
        """Train the network as the recipe says, with `changes` of the arguments of `fit`, and return the history.

        Raises RecipeError for settings that do not fit the data, and what `fit` raises.
        """
        arguments = {**self.arguments(net, data), **changes}
        X = np.require(data.train.X, net.dtype, "C")  # once: both of the next would
        self._check_arguments(net, X, data.train.y, arguments)
        return net.fit(X, data.train.y, **arguments)

    def arguments(self, net: MLP, data: Samples) -> dict[str, Any]:
        """Return the arguments of `fit` after X and y."""
        arguments = {key: self._table("training")[key] for key in TRAINING if key in self._table("training")}
        weights = arguments.get("class_weight")
        if isinstance(weights, Mapping):
            with within(self.name, "training"):
                arguments["class_weight"] = {_class(key, data): value for key, value in weights.items()}
        if data.validation is not None:
            arguments["validation"] = (data.validation.X, data.validation.y)
        if "augment" in self.tables:
            with within(self.name, "augment"):
                arguments["augment"] = self._augment(net.sizes[0])
        stopping = self._early_stopping()
        if stopping is not None:
            with within(self.name, "early_stopping"):
                _check_stopping(stopping, data)
            arguments["callbacks"] = [stopping]
        return {**arguments, "optimizer": self.optimizer, "checkpoint": self._checkpoint()}

    def _table(self, name: str) -> Mapping[str, Any]:
        return self.tables.get(name, {})

    def _sizes(self, inputs: int, outputs: int) -> list[int]:
        hidden = self._table("network").get("hidden")
        if not isinstance(hidden, list):
            came = "missing" if hidden is None else checks.describe(hidden)
            raise TypeError(
                f"hidden is {came}; a list of the hidden layers' sizes is needed, which may be empty"
            )
        sizes = [checks.whole_number(size, f"hidden[{i}]") for i, size in enumerate(hidden)]
        return [inputs, *sizes, outputs]

    def _optimizer_settings(self) -> Mapping[str, Any]:
        return {"name": "sgd", **self._table("optimizer")}

    def _augment(self, inputs: int) -> augmentation.Augment:
        table = self._table("augment")
        side = math.isqrt(inputs)
        if "shape" not in table and side * side != inputs:
            raise ValueError(f"needs a shape, [height, width]: {inputs} inputs are no square image")
        return augmentation.resolve({"shape": [side, side], **table})

    def _early_stopping(self) -> EarlyStopping | None:
        return EarlyStopping(**self._table("early_stopping")) if "early_stopping" in self.tables else None

    def _checkpoint(self) -> Checkpoint | None:
        if "checkpoint" not in self.tables:
            return None
        table = dict(self._table("checkpoint"))
        if "file" not in table:
            raise ValueError("lacks 'file', the name of the file to write")
        return Checkpoint(table.pop("file"), **table)

    def _check_arguments(self, net: MLP, X: Any, y: Any, arguments: Mapping[str, Any]) -> None:
        """Have `fit` look at its arguments before it begins, to say in which table one is wrong."""
        given = {name: item.default for name, item in signature(MLP.fit).parameters.items()}
        for name in ("self", "X", "y"):
            del given[name]
        try:
            prepare(net, X, y, **{**given, **arguments})
        except (TypeError, ValueError) as error:
            tables = {
                **dict.fromkeys(TRAINING, "training"),
                "augment": "augment",
                "a class of class_weight": "training",
            }
            table = next((table for key, table in tables.items() if str(error).startswith(key)), None)
            with within(self.name if table else None, table or ""):
                raise


def _class(key: str, data: Samples) -> int:
    """Return the label that a key of class_weight means: a name of a class, or its number."""
    names = data.train.classes
    if names is not None:
        return names.index(checks.one_of(key, "a class of class_weight", names))
    try:
        return int(key)
    except ValueError:
        raise ValueError(f"class_weight has the class {key!r}; whole numbers are needed") from None


def _check_stopping(stopping: EarlyStopping, data: Samples) -> None:
    if stopping.metric in _HAS_VALIDATION and data.validation is None:
        raise ValueError(
            f"metric is {stopping.metric!r}, and no rows are for validation; "
            "set validation in [data], or follow 'loss'"
        )
