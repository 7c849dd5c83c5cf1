"""Recipes: whole training set-ups as TOML files, those that come with fastnn and a person's own.

    recipe = fastnn.recipes.load("deriv8-ours")     # or the path of a .toml file
    data = recipe.data()
    net = recipe.network(data)
    recipe.train(net, data)
    net.evaluate(data.test.X, data.test.y)

`fastnn recipes` lists them, `fastnn recipes NAME` prints one, `fastnn train --recipe NAME` trains it. A file has the
tables of `fastnn.recipes.tables.KEYS`, of which [data] and [network] are needed.
"""

import os
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

from .. import checks
from .recipe import Recipe as Recipe
from .samples import Samples as Samples
from .tables import RecipeError as RecipeError


def names() -> tuple[str, ...]:
    """Return the names of the recipes that come with fastnn."""
    files = (entry.name for entry in resources.files(__package__).iterdir())
    return tuple(sorted(name.removesuffix(".toml") for name in files if name.endswith(".toml")))


def text(name: str) -> str:
    """Return the TOML of a recipe that comes with fastnn."""
    checks.one_of(name, "recipe", names())
    return resources.files(__package__).joinpath(f"{name}.toml").read_text(encoding="utf-8")


def load(source: str | os.PathLike[str]) -> Recipe:
    """Return the recipe of this name, or in this file, whose name ends in .toml.

    Data files named in it are looked for in its own folder. Raises RecipeError, a ValueError that names file and table,
    for what is no recipe; OSError where the file cannot be read.
    """
    if isinstance(source, os.PathLike) or (isinstance(source, str) and source.endswith(".toml")):
        path = Path(source)
        return parse(_read(path), str(path), path.parent)
    return parse(text(source), checks.one_of(source, "recipe", names()))


def parse(toml: str, name: str, folder: Path | None = None) -> Recipe:
    """Return the recipe that `toml` is; `name` names it in errors, `folder` has its data files."""
    try:
        tables: dict[str, Any] = tomllib.loads(toml)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{name} is not TOML: {error}") from None
    return Recipe(tables, name, folder)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise RecipeError(f"{path} is not TOML: it is not UTF-8") from None
