"""One call of `fit`: its arguments, checked and put together."""

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from . import augmentation, backends, checks, losses, optimizers
from .augmentation import Augment
from .backends import Backend
from .batches import Batches, lay_out
from .callbacks import Callback, check_callbacks
from .checkpoint import Checkpoint
from .csr import CSR
from .progress import Reporter
from .progress import reporter as choose_reporter

if TYPE_CHECKING:
    from .mlp import MLP

ANOMALIES = ("warn", "stop", "ignore")


@dataclass(frozen=True)
class Run:
    """The checked arguments of one call of `fit`."""

    backend: type[Backend]
    look: checks.Look
    """Whether numbers are finite, as the backend finds it out."""
    X: np.ndarray | CSR
    targets: np.ndarray
    row_weights: np.ndarray | None
    validation: tuple[np.ndarray | CSR, np.ndarray] | None
    epochs: int
    batches: Batches
    optimizer: optimizers.Optimizer
    shuffle: bool
    dropout: tuple[float, ...]
    """Of the inputs and of each hidden layer; empty where nothing is dropped."""
    augment: Augment | None
    threads: int | None
    sparse: bool | None
    callbacks: tuple[Callback, ...]
    reporter: Reporter
    time_budget: float
    checkpoint: Checkpoint | None
    norms: bool
    anomalies: str

    @property
    def rows(self) -> int:
        """How many rows X has."""
        return len(self.targets)


def prepare(
    net: "MLP",
    X: Any,
    y: Any,
    *,
    epochs: Any,
    batch_size: Any,
    optimizer: Any,
    learning_rate: Any,
    shuffle: Any,
    validation: Any,
    threads: Any,
    backend: Any,
    callbacks: Any,
    progress: Any,
    sparse: Any,
    sample_weight: Any,
    class_weight: Any,
    dropout: Any,
    input_dropout: Any,
    augment: Any,
    time_budget: Any,
    checkpoint: Any,
    norms: Any,
    anomalies: Any,
) -> Run:
    """Check the arguments of `fit`, which says what they are. Raises TypeError and ValueError, which name them."""
    chosen_backend, threads = backends.get(backend), checks.check_threads(threads)
    look = partial(chosen_backend.all_finite, threads=threads)
    X, targets = net.check_samples(X, y, look=look)
    epochs = checks.whole_number(epochs, "epochs")
    chosen = optimizers.resolve(optimizer, learning_rate)
    budget = time_budget
    if budget is not None:
        budget = checks.real_number(
            budget, "time_budget", lambda x: 0 < x < math.inf, "of seconds, greater than 0"
        )
    return Run(
        backend=chosen_backend,
        look=look,
        X=X,
        targets=targets,
        row_weights=_row_weights(net, targets, sample_weight, class_weight),
        validation=_check_validation(net, validation, look),
        epochs=epochs,
        batches=lay_out(
            batch_size,
            len(X),
            epochs,
            lambda size: checks.check_batch_size(size, len(X), net.sizes, net.dtype),
        ),
        optimizer=chosen,
        shuffle=checks.flag(shuffle, "shuffle"),
        dropout=_dropout(net, dropout, input_dropout),
        augment=_check_augment(augment, X, net),
        threads=threads,
        sparse=None if sparse is None else checks.flag(sparse, "sparse"),
        callbacks=check_callbacks(callbacks),
        reporter=choose_reporter(progress),
        time_budget=math.inf if budget is None else budget,
        checkpoint=_check_checkpoint(checkpoint),
        norms=checks.flag(norms, "norms"),
        anomalies=checks.one_of(anomalies, "anomalies", ANOMALIES),
    )


def _row_weights(net: "MLP", targets: np.ndarray, sample_weight: Any, class_weight: Any) -> np.ndarray | None:
    if sample_weight is None and class_weight is None:
        return None
    weights = np.ones(len(targets), net.dtype)
    if sample_weight is not None:
        weights = weights * losses.check_sample_weight(sample_weight, len(targets), net.dtype)
    if class_weight is not None:
        if targets.dtype.kind != "i":
            raise ValueError(
                "class_weight needs labels of cross-entropy, and y holds numbers of its own for each output; "
                "give sample_weight"
            )
        classes = losses.class_weights(class_weight, targets, net.sizes[-1])
        weights = weights * classes[targets].astype(net.dtype)
    return np.ascontiguousarray(weights, net.dtype)


def _dropout(net: "MLP", dropout: Any, input_dropout: Any) -> tuple[float, ...]:
    hidden = len(net.sizes) - 2
    each = dropout if isinstance(dropout, list | tuple) else [dropout] * hidden
    if len(each) != hidden:
        raise ValueError(f"dropout has {len(each)} items; {hidden} are needed, one for each hidden layer")
    names = [f"dropout[{i}]" if isinstance(dropout, list | tuple) else "dropout" for i in range(hidden)]
    rates = [_fraction(input_dropout, "input_dropout")]
    if not isinstance(dropout, list | tuple):
        _fraction(dropout, "dropout")  # also of a network without hidden layers
    rates += [_fraction(rate, name) for rate, name in zip(each, names, strict=True)]
    return tuple(rates) if any(rates) else ()


def _fraction(value: Any, name: str) -> float:
    return checks.real_number(value, name, lambda x: 0 <= x < 1, "from 0 to below 1")


def _check_validation(
    net: "MLP", validation: Any, look: checks.Look
) -> tuple[np.ndarray | CSR, np.ndarray] | None:
    if validation is None:
        return None
    if not isinstance(validation, tuple | list):
        raise TypeError(f"validation is {checks.describe(validation)}; a pair (X, y) is needed")
    if len(validation) != 2:
        raise ValueError(f"validation has {len(validation)} items; a pair (X, y) is needed")
    return net.check_samples(*validation, ("validation X", "validation y"), look)


def _check_augment(augment: Any, X: np.ndarray | CSR, net: "MLP") -> Augment | None:
    if augment is None:
        return None
    augment = augmentation.resolve(augment)
    if isinstance(X, CSR):
        raise TypeError("X is a SciPy sparse matrix, and augment needs images: pass X.toarray()")
    height, width = augment.shape
    if height * width != net.sizes[0]:
        raise ValueError(f"augment is for images of {height} x {width}; X has {net.sizes[0]} columns")
    return augment


def _check_checkpoint(checkpoint: Any) -> Checkpoint | None:
    if checkpoint is None or isinstance(checkpoint, Checkpoint):
        return checkpoint
    raise TypeError(f"checkpoint is {checks.describe(checkpoint)}; a fastnn.checkpoint.Checkpoint is needed")
