"""MLP, the dense network: its architecture and parameters, and what a user does with it."""

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from . import activations, backends, checks, initializers, losses, optimizers, trainer
from .augmentation import Augment
from .callbacks import Callback
from .checkpoint import Checkpoint
from .history import Evaluation, History
from .initializers import generator
from .parameters import ParameterList, Parameters
from .progress import Reporter
from .run import prepare


class MLP:
    """A network of dense layers, Z = A W + b, with an activation between them and a loss at the end.

    Parameters
    ----------
    sizes: the number of inputs, of units in each hidden layer, and of outputs, as in [784, 512, 10].
    activation: what follows the hidden layers, a name such as "relu", "gelu" or "tanh" (`fastnn.activations.names()`
        has all), an object of `fastnn.activations`, or a function of one number; or a list with one for each of them.
    init: how the weights start: "he_normal", "he_uniform", "glorot_normal", "glorot_uniform", "lecun_normal", "zeros",
        settings such as {"name": "uniform", "low": -1, "high": 1}, or a list of arrays, one (fan_in, fan_out) for each
        layer. Biases start at 0.
    dtype: "float32" or "float64", of the parameters and of all arithmetic.
    seed: a whole number of at least 0; it decides all that is random: initial weights, shuffling, dropout, augmentation.
    loss: "cross_entropy" (one of several classes), "binary_cross_entropy" (one output for two classes, or labels of
        which a row may have any number), "mean_squared_error", "mean_absolute_error", "huber", or an object of
        `fastnn.losses`.

    Attributes
    ----------
    sizes, activation, activations, init, dtype, seed, loss: as given; fixed. `init` is "given" where arrays were;
        `activations` is a tuple of objects, one for each hidden layer, and `loss` an object.
    weights, biases: lists of arrays, (fan_in, fan_out) and (fan_out,). The arrays are the parameters
        themselves: what is written into them counts. Assigning a list or an item checks and copies.
    classes: the names of the classes, a tuple of strings, or None.
    epochs_trained: how many epochs `fit` completed so far; it selects the next epoch's shuffle.
    history: the History of the latest `fit`, there also after Ctrl-C, or None.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        activation: Any = "relu",
        init: Any = "he_normal",
        dtype: Any = "float32",
        seed: int = 0,
        loss: Any = "cross_entropy",
    ):
        self._sizes = checks.check_sizes(sizes)
        self._activations = _activations(activation, len(self._sizes) - 2)
        self._loss = losses.resolve(loss)
        if self._sizes[-1] == 1 and self._loss.kind == "classes":
            raise ValueError(
                f"sizes[{len(self._sizes) - 1}] is 1; at least two classes are needed: the softmax of one is always 1; "
                "for yes or no, take loss='binary_cross_entropy'"
            )
        self._dtype = checks.check_dtype(dtype)
        self._seed = checks.whole_number(seed, "seed", least=0, most=None)
        initializer = None if isinstance(init, list | tuple) else initializers.resolve(init)
        self._init = "given" if initializer is None else initializer.written
        self._parameters = Parameters(self._sizes, self._dtype)
        self._classes: tuple[str, ...] | None = None
        self._epochs_trained = 0
        self.history: History | None = None
        if initializer is None:
            self.weights = init
        else:
            rng = generator(self._seed, 0)
            for W in self.weights:
                initializer.fill(rng, W)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of inputs, of units in each hidden layer, and of classes."""
        return self._sizes

    @property
    def activation(self) -> str | tuple[str, ...]:
        """The name of the hidden layers' activation, or where they differ a tuple of names."""
        names = tuple(activation.name for activation in self._activations)
        if len(set(names)) > 1:
            return names
        return names[0] if names else "relu"

    @property
    def activations(self) -> tuple[activations.Activation, ...]:
        """The activation of each hidden layer."""
        return self._activations

    @property
    def loss(self) -> losses.Loss:
        """What `fit` lowers."""
        return self._loss

    @property
    def init(self) -> Any:
        """The name of the initialiser, or its settings."""
        return self._init

    @property
    def dtype(self) -> np.dtype:
        """The NumPy dtype of the parameters."""
        return self._dtype

    @property
    def seed(self) -> int:
        """The seed of the initial weights and of the shuffling."""
        return self._seed

    @property
    def weights(self) -> ParameterList:
        """The weights, (fan_in, fan_out) for each layer."""
        return self._parameters.weights

    @weights.setter
    def weights(self, arrays: Any) -> None:
        self._parameters.weights[:] = arrays

    @property
    def biases(self) -> ParameterList:
        """The biases, (fan_out,) for each layer."""
        return self._parameters.biases

    @biases.setter
    def biases(self, arrays: Any) -> None:
        self._parameters.biases[:] = arrays

    @property
    def arena(self) -> np.ndarray:
        """All weights and biases as one 1-D array; see `fastnn.parameters.Parameters`."""
        return self._parameters.arena

    @property
    def classes(self) -> tuple[str, ...] | None:
        """The names of the classes, or None."""
        return self._classes

    @classes.setter
    def classes(self, names: Sequence[str] | None) -> None:
        self._classes = None if names is None else checks.check_classes(names, self.sizes[-1])

    @property
    def epochs_trained(self) -> int:
        """How many epochs were completed so far."""
        return self._epochs_trained

    @epochs_trained.setter
    def epochs_trained(self, epochs: int) -> None:
        self._epochs_trained = checks.whole_number(epochs, "epochs_trained", least=0, most=None)

    def fit(
        self,
        X: Any,
        y: Any,
        epochs: int = 5,
        batch_size: Any = 128,
        optimizer: Any = "sgd",
        learning_rate: optimizers.LearningRate | None = None,
        shuffle: bool = True,
        validation: tuple[Any, Any] | None = None,
        threads: int | None = None,
        backend: str = "jit",
        callbacks: Sequence[Callback | Callable[["MLP", History], bool | None]] = (),
        progress: bool | Reporter = False,
        sparse: bool | None = None,
        *,
        sample_weight: Any = None,
        class_weight: Any = None,
        dropout: float | Sequence[float] = 0.0,
        input_dropout: float = 0.0,
        augment: Augment | None = None,
        time_budget: float | None = None,
        checkpoint: Checkpoint | None = None,
        norms: bool = False,
        anomalies: str = "warn",
    ) -> History:
        """Lower the mean loss over (X, y), batch by batch.

        Parameters
        ----------
        X: (n, sizes[0]) finite numbers; a C-contiguous array of the network's dtype is not copied. A SciPy
            sparse matrix will do as well, and is never made dense.
        y: for cross-entropy (n,) labels, whole numbers from 0 to sizes[-1] - 1, or (n, sizes[-1]) probabilities; for
            the other losses (n, sizes[-1]) numbers, from 0 to 1 for binary cross-entropy; (n,) where there is one
            output. X itself makes an autoencoder.
        epochs: how often all of X is gone through.
        batch_size: rows in a step, or a schedule of them by step or epoch, such as `fastnn.schedules.BatchRamp(20, 256)`,
            or a function of the step; the last batch of an epoch may be smaller, and counts by its own mean.
        optimizer: "sgd", "adam", "adamw", "rmsprop", "adagrad", "lion", or an object of `fastnn.optimizers`, which has
            weight decay, clipping, max-norm and averaging as well; its state starts afresh.
        learning_rate: only with an optimiser's name: a number greater than 0 (if None, the optimiser's own), a schedule
            of `fastnn.schedules`, or a function of the step, counted from 0 in this call.
        shuffle: draw the order of the samples anew each epoch, from the seed; otherwise keep that of X.
        validation: (X, y) to evaluate at each epoch's end, never trained on.
        threads: how many to use at most; if None, as many as `fastnn.get_num_threads()` says.
        backend: "jit", or "reference" for the slow one in plain Python.
        callbacks: objects of `fastnn.callbacks`, or functions of (net, history), called at each epoch's end; one that
            returns True stops.
        progress: True prints a line an epoch; or a `fastnn.progress.Reporter`.
        sparse: True trains the first layer over the non-zeros of X alone, False over all of X; if None, what
            is faster: `history.inputs` tells. The results agree but for rounding.
        sample_weight: (n,) weights of at least 0: a batch's loss is the mean weighted by them.
        class_weight: a dict {label: weight}, a list, or "balanced", which weighs every class alike.
        dropout: the fraction of the hidden layers' outputs that a step leaves out, from 0 to below 1, or a list of them.
        input_dropout: the same for the inputs.
        augment: a `fastnn.augmentation.Augment`, which shifts, turns and bends the images anew each epoch.
        time_budget: stop after so many seconds.
        checkpoint: a `fastnn.checkpoint.Checkpoint`: a file that is written now and then, from which training resumes.
        norms: record the norms of each layer's weights and gradients in the history.
        anomalies: what to do about a layer that is dead or saturated, and gradients that vanish or explode: "warn",
            "stop" (raise TrainingStopped) or "ignore".

        Raises
        ------
        TypeError, ValueError: for what is not as above, before anything is trained.
        TrainingDiverged: when a number is no longer finite; it says where, and the parameters are those before that step.
        RuntimeError: when this network is being trained already.

        Ctrl-C, like any error in between, keeps the parameters trained so far, and is raised on.
        """
        arguments = {name: value for name, value in locals().items() if name not in ("self", "X", "y")}
        run = prepare(self, X, y, **arguments)
        self._parameters.check_finite(run.look)
        return trainer.train(self, self._parameters, run)

    def predict_proba(self, X: Any, threads: int | None = None) -> np.ndarray:
        """Return the outputs (n, sizes[-1]): probabilities after softmax or sigmoid, where the loss has one."""
        checked = checks.check_X(X, self.sizes[0], self.dtype, look=None)
        outputs, finite = backends.get("jit").predict_and_look(self, checked, checks.check_threads(threads))
        if not finite:
            checks.check_X(X, self.sizes[0], self.dtype)
            self._check_result(False)
        return outputs

    def predict(self, X: Any, threads: int | None = None) -> np.ndarray:
        """Return what each row is taken for.

        The most probable class, int64 (n,); for binary cross-entropy 0 or 1 for each output, int64 (n, sizes[-1]); for
        the losses of values the outputs. Where there is one output, (n,).
        """
        outputs = self.predict_proba(X, threads)
        if self.loss.kind == "classes":
            return outputs.argmax(axis=1)
        if self.loss.kind == "labels":
            outputs = (outputs > 0.5).astype(np.int64)
        return outputs[:, 0] if self.sizes[-1] == 1 else outputs

    def evaluate(self, X: Any, y: Any, threads: int | None = None) -> Evaluation:
        """Return the mean loss, the accuracy (None for losses of values) and the number of samples of (X, y)."""
        backend, threads = backends.get("jit"), checks.check_threads(threads)
        X, y = self.check_samples(X, y, look=partial(backend.all_finite, threads=threads))
        row_losses, correct = backend.losses(self, X, y, threads)
        self._check_result(bool(np.isfinite(row_losses).all()))
        return Evaluation.of(self.loss, row_losses, correct)

    def check_samples(
        self, X: Any, y: Any, names: tuple[str, str] = ("X", "y"), look: checks.Look = checks.all_finite
    ) -> tuple[Any, np.ndarray]:
        """Return X and the targets y as the backends take them. Raises TypeError and ValueError, which name them."""
        X = checks.check_X(X, self.sizes[0], self.dtype, names[0], look)
        return X, losses.check_targets(self.loss, y, len(X), self.sizes[-1], self.dtype, names[1])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the network to a safetensors file; see `fastnn.model_file.save`."""
        from .model_file import save

        save(self, path)

    def _check_result(self, finite: bool) -> None:
        # Parameters that are not finite show in the result, and looking there is quicker.
        if not finite:
            self._parameters.check_finite()
            raise ValueError(
                f"X and the parameters are so large that the network's outputs overflow {self.dtype}; "
                "scale them, or use dtype 'float64'"
            )

    def __repr__(self) -> str:
        count = sum(array.size for array in (*self.weights, *self.biases))
        return (
            f"MLP({list(self.sizes)}, activation={self.activation!r}, dtype={self.dtype.name!r}): "
            f"{count:,} parameters"
        )

    def __getstate__(self) -> dict[str, Any]:
        state = {name: value for name, value in vars(self).items() if name != "_parameters"}
        return {**state, "weights": list(self.weights), "biases": list(self.biases)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        arrays = (*state.pop("weights"), *state.pop("biases"))
        vars(self).update(state)
        self._parameters = Parameters(self._sizes, self._dtype)
        for view, array in zip((*self.weights, *self.biases), arrays, strict=True):
            view[...] = array


def _activations(value: Any, hidden: int) -> tuple[activations.Activation, ...]:
    """Return the activation of each hidden layer."""
    if not isinstance(value, list | tuple):
        return (activations.resolve(value),) * hidden
    if len(value) != hidden:
        raise ValueError(f"activation has {len(value)} items; {hidden} are needed, one for each hidden layer")
    return tuple(activations.resolve(each, f"activation[{i}]") for i, each in enumerate(value))
