"""A network and its training in one line."""

from collections.abc import Mapping
from typing import Any

import fastnn
from fastnn import losses
from fastnn.recipes import Recipe
from fastnn.schedules import Schedule


def describe(net: fastnn.MLP, recipe: Recipe, threads: int | None) -> str:
    """Return the network and the settings of its training; of most, only what is not usual."""
    parameters = sum(array.size for array in (*net.weights, *net.biases))
    parts = ["-".join(map(str, net.sizes)), f"{parameters:,} parameters", str(net.dtype)]
    if net.activation != "relu":
        parts.append(net.activation if isinstance(net.activation, str) else " ".join(net.activation))
    if net.loss != losses.CrossEntropy():
        parts.append(_settings(net.loss.settings()))
    parts += _optimizer(recipe.optimizer)
    training = recipe.tables.get("training", {})
    batch = training.get("batch_size", 128)
    parts.append(f"batches of {_settings(batch)}")
    dropout = training.get("dropout")
    if dropout:
        rates = dropout if isinstance(dropout, list) else [dropout]
        parts.append(f"dropout {' '.join(f'{rate:g}' for rate in rates)}")
    if "augment" in recipe.tables:
        parts.append("distorted images")
    parts.append(f"seed {net.seed}")
    if training.get("backend", "jit") == "jit":
        count = fastnn.get_num_threads(training.get("threads", threads))
        parts.append(f"up to {count} threads" if count > 1 else "1 thread")
    else:
        parts.append("in plain Python")
    return ", ".join(parts)


def _optimizer(optimizer: Any) -> list[str]:
    rate = optimizer.learning_rate
    shown = _settings(rate.settings()) if isinstance(rate, Schedule) else f"{rate:g}"
    parts = [optimizer.name, f"learning rate {shown}"]
    if getattr(optimizer, "momentum", 0):
        parts.append(
            f"{'Nesterov ' if getattr(optimizer, 'nesterov', False) else ''}momentum {optimizer.momentum:g}"
        )
    if optimizer.weight_decay:
        parts.append(f"weight decay {optimizer.weight_decay:g}")
    return parts


def _settings(value: Any) -> str:
    """Write a number as it is, and settings as `cosine (start 0.1)`."""
    if not isinstance(value, Mapping):
        return f"{value:g}" if isinstance(value, float) else str(value)
    numbers = [f"{key} {_settings(item)}" for key, item in value.items() if key != "name"]
    return f"{value['name']} ({', '.join(numbers)})" if numbers else str(value["name"])
