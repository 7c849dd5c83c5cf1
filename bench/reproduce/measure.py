"""Training a recipe with several seeds, and its figures."""

import itertools
import math
import statistics
import time
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

import fastnn
from fastnn.callbacks import Callback
from fastnn.recipes import Recipe

from .systems import PARTS

QUICK = {"rows": 2000}


class Curve(Callback):
    """The test accuracy after every epoch. It is told, and nothing is chosen by it."""

    def __init__(self, test):
        self.test, self.accuracies = test, []

    def on_epoch_end(self, net, history):
        """Evaluate; the time that it takes counts as nobody's."""
        self.accuracies.append(net.evaluate(self.test.X, self.test.y).accuracy)


def measure(recipe: Recipe, seeds: range, curve: bool = False, quick: bool = False) -> dict[str, Any]:
    """Return the figures of every seed; see `train`. The first training of all is a short one, to compile."""
    recipe = shortened(recipe) if quick else recipe
    train(shortened(recipe), False)
    runs = [train(recipe.change({"network": {"seed": seed}}), curve) for seed in seeds]
    return {"description": recipe.description, "runs": runs}


def shortened(recipe: Recipe) -> Recipe:
    """Return the recipe for few rows and one epoch: for those who wait."""
    table = recipe.tables["data"]
    rows = min(QUICK["rows"], table.get("rows", QUICK["rows"]))
    data = {"name": "mnist-small" if table["name"] == "mnist" else table["name"], "rows": rows}
    short = recipe.change({"data": data | {"validation": None}, "training": {"epochs": 1}})
    return short.change({"early_stopping": None})


def train(recipe: Recipe, curve: bool) -> dict[str, Any]:
    """Train once; return seconds of `fit` as a whole, per cent right by part of the test images, and what went wrong."""
    data = recipe.data()
    net = recipe.network(data)
    follow = Curve(data.test)
    changes: dict[str, Any] = {}
    if curve:
        changes["callbacks"] = [*recipe.arguments(net, data).get("callbacks", []), follow]
    report: dict[str, Any] = {"seed": recipe.seed}
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        start = time.perf_counter()
        try:
            history = recipe.train(net, data, **changes)
        except ArithmeticError as error:
            report["stopped"] = f"{type(error).__name__}: {error}"
            history = net.history
        report["seconds"] = time.perf_counter() - start
    report["warnings"] = [str(warning.message) for warning in warned]
    report["epochs"] = len(history.loss)
    report["right"] = {name: right(net, data.test, part) for name, part in PARTS.items()}
    report["weights"] = [float(np.sqrt(np.square(W, dtype=np.float64).mean())) for W in net.weights]
    if curve:
        # The callback's own time is in the clock's, and not in the history's.
        report["seconds"] = sum(history.seconds)
        report["curve"] = [
            [seconds, 100 * accuracy]
            for seconds, accuracy in zip(
                itertools.accumulate(history.seconds), follow.accuracies, strict=True
            )
        ]
    return report


def right(net: fastnn.MLP, test: fastnn.datasets.Dataset, part: slice) -> float | None:
    """Return the per cent of a part of the test images that are right, None where there are too few."""
    if len(test) < (part.stop or 0) or len(test.y[part]) == 0:
        return None
    return 100 * net.evaluate(test.X[part], test.y[part]).accuracy


def mean_and_spread(numbers: list[float]) -> tuple[float, float]:
    """Return the mean and the deviation of a sample, NaN for one number."""
    return statistics.fmean(numbers), statistics.stdev(numbers) if len(numbers) > 1 else math.nan


def column(figures: Mapping[str, Any], part: str) -> list[float]:
    """Return every seed's per cent of a part."""
    return [run["right"][part] for run in figures["runs"] if run["right"][part] is not None]
