"""The recipe that a command line asks for: the one it names, or the default one, with the options' changes."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from fastnn import checks, optimizers, recipes
from fastnn.cli import defaults
from fastnn.datasets import NAMES

SPARSE = {"auto": None, "always": True, "never": False}
TABLES = (".npz", ".csv")

# Options that are keys of a recipe's table, under the same name.
SAME_NAME = {
    "network": ("activation", "init", "loss", "dtype", "seed"),
    "training": (
        "epochs",
        "batch_size",
        "threads",
        "backend",
        "dropout",
        "class_weight",
        "time_budget",
        "anomalies",
    ),
}
OF_FILES = {"label": "--label", "targets": "--target", "test": "--test", "test_data": "--test-data"}
OF_OPTIMIZERS = ("weight_decay", "momentum", "nesterov")


def make_recipe(args) -> recipes.Recipe:
    """Return the recipe of `fastnn train`."""
    for option in ("epochs", "batch_size", "threads"):
        if getattr(args, option) is not None:
            checks.whole_number(getattr(args, option), f"--{option.replace('_', '-')}")
    recipe = recipes.Recipe(defaults.RECIPE) if args.recipe is None else recipes.load(args.recipe)
    return recipe.change(changes(args, recipe))


def changes(args, recipe: recipes.Recipe) -> dict[str, dict[str, Any]]:
    """Return what the options change of the recipe, for `Recipe.change`."""
    found: dict[str, dict[str, Any]] = {
        table: {key: getattr(args, key) for key in keys if getattr(args, key) is not None}
        for table, keys in SAME_NAME.items()
    }
    if args.hidden is not None:
        found["network"]["hidden"] = hidden_sizes(args.hidden)
    if args.targets is not None and args.loss is None and "loss" not in recipe.tables["network"]:
        found["network"]["loss"] = "mean_squared_error"
    if args.sparse is not None:
        found["training"]["sparse"] = SPARSE[args.sparse]
    found["data"] = data_changes(args, recipe)
    found["optimizer"] = optimizer_changes(args, recipe.tables.get("optimizer", {}))
    if args.augment:
        found["augment"] = {}
    if args.early_stopping is not None:
        found["early_stopping"] = {"patience": args.early_stopping}
        if not {**recipe.tables["data"], **found["data"]}.get("validation"):
            raise ValueError("--early-stopping needs --validation PART, the rows to judge by")
    if args.resume or args.checkpoint is not None:
        if args.checkpoint is None and "checkpoint" not in recipe.tables:
            raise ValueError("--resume needs --checkpoint FILE, which tells from where")
        file = {} if args.checkpoint is None else {"file": args.checkpoint}
        found["checkpoint"] = {**file, "resume": args.resume}
    return {table: content for table, content in found.items() if content or table == "augment"}


def data_changes(args, recipe: recipes.Recipe) -> dict[str, Any]:
    """Return the [data] that the options describe: another data set, or parts of the recipe's."""
    table = recipe.tables["data"]
    named = table.get("name", table.get("file")) if args.dataset is None else args.dataset
    is_file = "file" in table if args.dataset is None else named not in NAMES
    for option, written in OF_FILES.items():
        if getattr(args, option) is not None and not is_file:
            own = "labels" if option in ("label", "targets") else "a test part"
            raise ValueError(f"{written} is for files; {named} has {own} of its own")
    if args.data is not None and named != "mnist":
        what = "is a file" if is_file else "is not read from a folder"
        raise ValueError(f"--data is the folder of mnist; {named} {what}")
    found: dict[str, Any] = {}
    if args.dataset is not None:
        if is_file:
            check_file(named, args.label, args.targets)
        found = dict.fromkeys(("name", "folder", "file", "label", "targets", "test", "test_file"))
        found |= {"file": _from_here(named, recipe)} if is_file else {"name": named}
    if args.test is not None or args.test_data is not None:
        test_file = None if args.test_data is None else _from_here(args.test_data, recipe)
        found |= {"test": args.test, "test_file": test_file}
    if args.label is not None or args.targets is not None:
        found |= {"label": args.label, "targets": args.targets}
    given = {"folder": args.data, "validation": args.validation}
    return found | {key: value for key, value in given.items() if value is not None}


def _from_here(path: str, recipe: recipes.Recipe) -> str:
    """Return a path that is the same seen from the recipe's folder."""
    return path if recipe.folder is None else str(Path(path).absolute())


def check_file(path: str, label: str | None, targets: list[str] | None) -> None:
    """Refuse what is neither a data set that fastnn knows nor a file that it reads."""
    suffix = Path(path).suffix.lower()
    if suffix not in TABLES:
        raise ValueError(f"DATA is {path!r}; {', '.join(NAMES)}, or an .npz or .csv file is needed")
    if suffix == ".csv" and label is None and targets is None:
        raise ValueError(f"{path} needs --label NAME, the name of the column with the labels")


def hidden_sizes(layers: list[int]) -> list[int]:
    """Return the sizes of the hidden layers; 0 is the parser's `none`."""
    if 0 in layers and len(layers) > 1:
        raise ValueError("--hidden has none beside other sizes; either none or sizes are needed")
    return [size for size in layers if size]


def optimizer_changes(args, table: Mapping[str, Any]) -> dict[str, Any]:
    """Return the [optimizer] that the options describe: another one, or other settings of the recipe's."""
    before = table.get("name", "sgd")
    name = before if args.optimizer is None else args.optimizer
    found: dict[str, Any] = {}
    if name != before:
        found = dict.fromkeys(table) | defaults.OPTIMIZER_SETTINGS[name] | {"name": name}
    for option in OF_OPTIMIZERS:
        value = getattr(args, option)
        if value is None:
            continue
        having = [each for each, kind in optimizers.OPTIMIZERS.items() if option in _names(kind)]
        if name not in having:
            raise ValueError(f"--{option} is a setting of {' and '.join(having)}; {name} has none")
        found[option] = value
    rate = {**table, **found}.get("learning_rate", optimizers.OPTIMIZERS[name]().learning_rate)
    if args.learning_rate is not None:
        found["learning_rate"] = rate = with_rate(rate, args.learning_rate)
    if args.schedule is not None:
        found["learning_rate"] = scheduled(args.schedule, rate_of(rate), args.validation is not None)
    return found


def _names(kind: type) -> list[str]:
    return [field.name for field in fields(kind)]


def with_rate(settings: Any, rate: float) -> Any:
    """Return a learning rate's settings with another rate to start from, or to reach."""
    if not isinstance(settings, Mapping):
        return rate
    if "then" in settings:
        return {**settings, "then": with_rate(settings["then"], rate)}
    return {**settings, "peak" if "peak" in settings else "start": rate}


def rate_of(settings: Any) -> float:
    """Return the rate that a learning rate's settings start from, or reach."""
    if not isinstance(settings, Mapping):
        return settings
    return rate_of(settings["then"]) if "then" in settings else settings.get("peak", settings.get("start"))


def scheduled(name: str, rate: float, validation: bool) -> Any:
    """Return the settings of a learning rate that changes over the whole training."""
    if name == "constant":
        return rate
    if name == "plateau":
        return {"name": name, "start": rate, "metric": "val_loss" if validation else "loss"}
    return {"name": name, "peak" if name == "one_cycle" else "start": rate}
