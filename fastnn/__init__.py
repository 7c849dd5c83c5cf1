"""Dense neural networks trained on CPUs, fast, from plain Python."""

import importlib
from typing import TYPE_CHECKING, Any

from . import activations as activations
from . import augmentation as augmentation
from . import callbacks as callbacks
from . import losses as losses
from . import optimizers as optimizers
from . import schedules as schedules
from .checkpoint import Checkpoint as Checkpoint
from .history import Evaluation as Evaluation
from .history import History as History
from .mlp import MLP as MLP
from .monitor import TrainingDiverged as TrainingDiverged
from .monitor import TrainingStopped as TrainingStopped

if TYPE_CHECKING:
    from . import datasets as datasets
    from . import inspection as inspection
    from . import kernels as kernels
    from . import metrics as metrics
    from . import preparation as preparation
    from . import reference as reference
    from .backends.jit import get_num_threads as get_num_threads
    from .backends.jit import set_num_threads as set_num_threads
    from .gradcheck import gradient_check as gradient_check
    from .model_file import load as load

# Imported at first use, so that `import fastnn` is quick: Numba alone takes half a second.
_MODULES = ("datasets", "inspection", "kernels", "metrics", "preparation", "reference")
_FUNCTIONS = {
    "get_num_threads": ".backends.jit",
    "set_num_threads": ".backends.jit",
    "gradient_check": ".gradcheck",
    "load": ".model_file",
}

__all__ = [
    "MLP",
    "Checkpoint",
    "Evaluation",
    "History",
    "TrainingDiverged",
    "TrainingStopped",
    "activations",
    "augmentation",
    "callbacks",
    "datasets",
    "get_num_threads",
    "gradient_check",
    "inspection",
    "kernels",
    "load",
    "losses",
    "metrics",
    "optimizers",
    "preparation",
    "reference",
    "schedules",
    "set_num_threads",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("fastnn-cpu")
    if name in _MODULES:
        return importlib.import_module(f".{name}", __name__)
    if name in _FUNCTIONS:
        return getattr(importlib.import_module(_FUNCTIONS[name], __name__), name)
    raise AttributeError(f"module 'fastnn' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})
