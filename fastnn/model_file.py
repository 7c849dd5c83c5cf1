"""Model files: a network in a safetensors file, with its architecture and a checksum in the metadata.

The file holds the tensors weights.0, biases.0, weights.1, ... and one metadata entry, "fastnn", as `tensor_file` says:
a JSON object with the keys of `_describe`. Format 1 had "activation", one name, in place of "activations" and "loss",
which was cross-entropy; its files are read too.
"""

import os
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from . import checks, initializers, losses, tensor_file
from .activations import Activation, Custom, resolve
from .atomic_file import write_atomically

if TYPE_CHECKING:
    from .mlp import MLP

FORMAT = 2
KIND = "fastnn"
_WHAT = "model file"
_DTYPES = ("float32", "float64")
_KEYS = {"format", "sizes", "activations", "loss", "init", "dtype", "seed", "classes", "epochs_trained"}


class ModelFileError(ValueError):
    """The file is no model file, is damaged, comes from a later version, or needs a function that was not given."""


def save(net: "MLP", path: str | os.PathLike[str]) -> None:
    """Write `net` to the file `path`; one already there is replaced in one step, when the new one is whole.

    A custom activation is written by its name only: `load` asks for the function.

    Raises ValueError if a parameter is not finite, or if two different custom activations have one name, and OSError if
    the file cannot be written; the file that was there is then as before.
    """
    name = tensor_file.file_name(path)
    tensors = {}
    for key, array in _tensors(net.weights, net.biases).items():
        array = array.copy()  # a `fit` in another thread may be at work on it
        tensors[key] = checks.finite_array(array, array.dtype, "{}[{}]".format(*key.split(".")))
    write_atomically(name, tensor_file.encode(KIND, _describe(net), tensors))


def load(path: str | os.PathLike[str], activations: Mapping[str, Any] | None = None) -> "MLP":
    """Return the network in the file `path`, made by `save`.

    Parameters
    ----------
    path: the name of the file.
    activations: {name: function} for each custom activation in it: the function of one number, or an object of
        `fastnn.activations`, as the network was made with. That it is the same function cannot be checked.

    Raises FileNotFoundError if there is no such file, another OSError if it cannot be read, and ModelFileError, a
    ValueError, if it is anything but what `save` wrote, or has a custom activation that `activations` lacks.
    """
    name = tensor_file.file_name(path)
    given = _check_given(activations)
    try:
        return _network(*tensor_file.read(name, KIND, _WHAT, _check), given)
    except (TypeError, ValueError) as error:
        raise ModelFileError(f"{name!r} cannot be loaded: {error}") from None


def _check_given(activations: Any) -> dict[str, Any]:
    if activations is None:
        return {}
    if not isinstance(activations, Mapping):
        raise TypeError(
            f"activations is {checks.describe(activations)}; a dict from a custom activation's name to its function is needed"
        )
    for name, value in activations.items():
        if not isinstance(value, Activation) and (isinstance(value, type) or not callable(value)):
            raise TypeError(
                f"activations[{name!r}] is {checks.describe(value)}; a function of one number is needed"
            )
    return dict(activations)


def _tensors(weights: Sequence[Any], biases: Sequence[Any]) -> dict[str, Any]:
    """Return weights.0, biases.0, weights.1, ... and what belongs to each."""
    return {
        f"{kind}.{layer}": item
        for layer, pair in enumerate(zip(weights, biases, strict=True))
        for kind, item in zip(("weights", "biases"), pair, strict=True)
    }


def _describe(net: "MLP") -> dict[str, Any]:
    custom: dict[str, Activation] = {}
    for activation in net.activations:
        if isinstance(activation, Custom) and custom.setdefault(activation.name, activation) != activation:
            raise ValueError(
                f"two custom activations are named {activation.name!r}, and could not be told apart in a file; "
                "make them with Custom(function, name=...)"
            )
    return {
        "format": FORMAT,
        "sizes": list(net.sizes),
        "activations": [activation.settings() for activation in net.activations],
        "loss": net.loss.settings(),
        "init": net.init,
        "dtype": net.dtype.name,
        "seed": net.seed,
        "classes": None if net.classes is None else list(net.classes),
        "epochs_trained": net.epochs_trained,
    }


def _check(description: dict[str, Any], table: dict[str, Any]) -> list[str]:
    """See `tensor_file.Check`; the description is made one of the newest format, but for its number."""
    version = tensor_file.check_format(description, FORMAT)
    keys = (_KEYS - {"activations", "loss"}) | {"activation"} if version == 1 else _KEYS
    if description.keys() != keys:
        raise ValueError("the description of the network lacks an entry, or has one that is not known")
    checks.check_sizes(description["sizes"])
    checks.one_of(description["dtype"], "dtype", _DTYPES)
    if description["init"] != "given":
        initializers.resolve(description["init"])
    return _check_table(table, description)


def _check_table(table: dict[str, Any], description: dict[str, Any]) -> list[str]:
    """Return the names of the architecture's tensors, of which `table` has exactly these, of the right shapes."""
    layers = list(pairwise(description["sizes"]))
    shapes = _tensors(layers, [(units,) for _, units in layers])
    if table.keys() != shapes.keys():
        raise ValueError("its tensors are not the weights and biases of its network")
    dtype = tensor_file.DTYPES[description["dtype"]]
    for name, shape in shapes.items():
        entry = table[name]
        if not isinstance(entry, dict) or entry.get("dtype") != dtype or entry.get("shape") != list(shape):
            raise ValueError(f"{name} is not of type {dtype} and shape {shape}, which its network needs")
    return list(shapes)


def _network(description: dict[str, Any], tensors: dict[str, Any], given: dict[str, Any]) -> "MLP":
    from .mlp import MLP  # mlp imports this module when it saves

    arrays = list(tensors.values())
    net = MLP(
        description["sizes"],
        activation=_activations(description, given),
        init=arrays[0::2],
        dtype=description["dtype"],
        seed=description["seed"],
        loss=_loss(description),
    )
    net.biases = arrays[1::2]
    net.classes = description["classes"]
    net.epochs_trained = description["epochs_trained"]
    net._init = description["init"]  # what it was before the training; the weights were given only here
    return net


def _activations(description: dict[str, Any], given: dict[str, Any]) -> list[Activation]:
    """Return the activation of each hidden layer."""
    hidden = len(description["sizes"]) - 2
    if description["format"] == 1:
        name = checks.one_of(description["activation"], "activation", ("relu", "identity"))
        return [resolve(name)] * hidden
    found = description["activations"]
    if not isinstance(found, list) or len(found) != hidden:
        raise ValueError(f"activations is not a list of {hidden}, one for each hidden layer")
    return [_activation(settings, f"activations[{i}]", given) for i, settings in enumerate(found)]


def _activation(settings: Any, name: str, given: dict[str, Any]) -> Activation:
    if not isinstance(settings, dict):
        raise TypeError(f"{name} is {checks.describe(settings)}; settings are needed")
    if settings.get("name") != "custom":
        return resolve(settings, name)
    function = settings.get("function")
    if not isinstance(function, str):
        raise TypeError(f"{name}.function is {checks.describe(function)}; a name is needed")
    if function not in given:
        raise ValueError(
            f"{name} is the custom function {function!r}, which a file cannot hold; give it: "
            f"fastnn.load(path, activations={{{function!r}: function}})"
        )
    value = given[function]
    # Under the old name, so that it is asked for by that one again.
    return value if isinstance(value, Activation) else Custom(value, name=function)


def _loss(description: dict[str, Any]) -> losses.Loss:
    settings = {"name": "cross_entropy"} if description["format"] == 1 else description["loss"]
    if not isinstance(settings, dict):
        raise TypeError(f"loss is {checks.describe(settings)}; settings are needed")
    return losses.resolve(settings)
