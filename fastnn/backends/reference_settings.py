"""What the reference is to compute, from the settings of networks and optimisers."""

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ..activations import Activation, Custom
from ..optimizers import Optimizer
from ..reference import optimizers as rules
from ..reference.activations import ACTIVATIONS
from ..reference.network import Pair

if TYPE_CHECKING:
    from ..mlp import MLP

_RULES = {
    "sgd": lambda settings: rules.SGD(settings.momentum, settings.nesterov),
    "adam": lambda settings: rules.Adam(settings.beta1, settings.beta2, settings.epsilon),
    "adamw": lambda settings: rules.Adam(settings.beta1, settings.beta2, settings.epsilon),
    "rmsprop": lambda settings: rules.RMSprop(settings.alpha, settings.epsilon, settings.momentum),
    "adagrad": lambda settings: rules.Adagrad(settings.epsilon),
    "lion": lambda settings: rules.Lion(settings.beta1, settings.beta2),
}

_MOMENTS = {
    rules.SGD: ("velocities",),
    rules.Adam: ("first_moments", "second_moments"),
    rules.RMSprop: ("squares", "velocities"),
    rules.Adagrad: ("sums",),
    rules.Lion: ("moments",),
}


def rule(settings: Optimizer) -> rules.Regularised:
    """Return the reference's optimiser of these settings, before its first step."""
    return rules.Regularised(
        _RULES[settings.name](settings),
        settings.weight_decay,
        settings.decoupled,
        settings.l1,
        settings.clip_value,
        settings.clip_norm,
        settings.max_norm,
        settings.average,
    )


def moments(settings: Optimizer, rule: rules.Regularised) -> dict[str, str]:
    """Return the attributes of `rule.optimizer` that hold its moments, by the names that files have for them."""
    names = ("first", "second")[: settings.state_arrays]
    return dict(zip(names, _MOMENTS[type(rule.optimizer)], strict=False))


def what(net: "MLP") -> dict[str, Any]:
    """Return a network's activations and its loss as arguments of `fastnn.reference.train_step`."""
    return {"activation": [_pair(each) for each in net.activations], "loss": net.loss.settings()}


def _pair(activation: Activation) -> Pair:
    if isinstance(activation, Custom):
        return _plain(activation.function), _plain(activation.slope)
    a, b = activation.parameters
    f, slope = ACTIVATIONS[activation.name]
    return partial(f, a=a, b=b), partial(slope, a=a, b=b)


def _plain(function: Any) -> Any:
    function = getattr(function, "py_func", function)

    def at(x: float) -> float:
        # A NumPy number: like a compiled function it has infinities where a Python float raises.
        with np.errstate(all="ignore"):
            return float(function(np.float64(x)))

    return at
