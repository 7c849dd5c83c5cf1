"""Which tables a recipe has, and which keys each of them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from inspect import signature
from typing import Any

from .. import checks
from ..augmentation import Augment
from ..callbacks import EarlyStopping

TRAINING = (
    "epochs",
    "batch_size",
    "shuffle",
    "threads",
    "backend",
    "sparse",
    "class_weight",
    "dropout",
    "input_dropout",
    "time_budget",
    "norms",
    "anomalies",
)
"""Arguments of `MLP.fit`."""

# None: what the table holds is checked where it is read, as its keys depend on one another.
KEYS: dict[str, tuple[str, ...] | None] = {
    "data": (
        "name",
        "folder",
        "file",
        "label",
        "targets",
        "test",
        "test_file",
        "rows",
        "validation",
        "shuffled",
        "prepare",
    ),
    "network": ("hidden", "activation", "init", "loss", "dtype", "seed"),
    "training": TRAINING,
    "optimizer": None,
    "augment": tuple(field.name for field in fields(Augment)),
    "early_stopping": tuple(signature(EarlyStopping).parameters),
    "checkpoint": ("file", "steps", "seconds", "resume"),
}
"""The keys of every table."""

NEEDED = ("data", "network")


class RecipeError(ValueError):
    """A recipe that cannot be used; the message names it, and the table that is wrong."""


@contextmanager
def within(name: str | None, table: str) -> Iterator[None]:
    """Within it what is wrong is said to be in this table of the recipe `name`, unless there is no name."""
    try:
        yield
    except RecipeError:
        raise
    except (TypeError, ValueError) as error:
        if name is None:
            raise
        raise RecipeError(f"{name}: [{table}] {error}") from error


def check_tables(tables: Mapping[str, Any], name: str | None) -> None:
    """Raise RecipeError for tables and keys that there are not, and where a table is missing."""
    where = "the recipe" if name is None else name
    if not isinstance(tables.get("description", ""), str):
        raise RecipeError(
            f"{where}: description is {checks.describe(tables['description'])}; a string is needed"
        )
    for table, content in tables.items():
        if table == "description":
            continue
        if table not in KEYS:
            kind = "table" if isinstance(content, Mapping) else "key"
            raise RecipeError(f"{where} has the {kind} {table!r}; it may have description, {', '.join(KEYS)}")
        if not isinstance(content, Mapping):
            raise RecipeError(f"{where}: {table} is {checks.describe(content)}; a table [{table}] is needed")
        known = KEYS[table]
        for key in content if known is not None else ():
            if key not in known:
                raise RecipeError(f"{where}: [{table}] has the key {key!r}; it may have {', '.join(known)}")
    for table in NEEDED:
        if table not in tables:
            raise RecipeError(f"{where} has no table [{table}], which every recipe needs")
