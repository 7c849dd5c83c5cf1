"""MLP, the dense network: its architecture and parameters, and what a user does with it."""

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import backends, checks, optimizers, trainer
from .history import Evaluation, History
from .initializers import INITIALIZERS, generator
from .parameters import ParameterList, Parameters
from .progress import Reporter
from .progress import reporter as choose_reporter

ACTIVATIONS = ("relu", "identity")


class MLP:
    """A network of dense layers, Z = A W + b, with an activation between them and a softmax at the end.

    Parameters
    ----------
    sizes: the number of inputs, of units in each hidden layer, and of classes, as in [784, 512, 10].
    activation: "relu", max(Z, 0), or "identity", after every hidden layer.
    init: how the weights start: "he_normal", "he_uniform", "glorot_normal", "glorot_uniform", "zeros", or a
        list of arrays, one (fan_in, fan_out) for each layer. Biases start at 0.
    dtype: "float32" or "float64", of the parameters and of all arithmetic.
    seed: a whole number of at least 0; it decides the initial weights and the order of the training samples.

    Attributes
    ----------
    sizes, activation, init, dtype, seed: as given; fixed. `init` is "given" where arrays were.
    weights, biases: lists of arrays, (fan_in, fan_out) and (fan_out,). The arrays are the parameters
        themselves: what is written into them counts. Assigning a list or an item checks and copies.
    classes: the names of the classes, a tuple of strings, or None.
    epochs_trained: how many epochs `fit` completed so far; it selects the next epoch's shuffle.
    history: the History of the latest `fit`, there also after Ctrl-C, or None.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        activation: str = "relu",
        init: str | Sequence[Any] = "he_normal",
        dtype: Any = "float32",
        seed: int = 0,
    ):
        self._sizes = checks.check_sizes(sizes)
        self._activation = checks.one_of(activation, "activation", ACTIVATIONS)
        self._dtype = checks.check_dtype(dtype)
        self._seed = checks.whole_number(seed, "seed", least=0, most=None)
        self._init = "given"
        if isinstance(init, str):
            self._init = checks.one_of(init, "init", tuple(INITIALIZERS))
        elif not isinstance(init, list | tuple):
            raise TypeError(
                f"init is {checks.describe(init)}; it must be one of {', '.join(map(repr, INITIALIZERS))}, "
                "or a list of weight arrays, one for each layer"
            )
        self._parameters = Parameters(self._sizes, self._dtype)
        self._classes: tuple[str, ...] | None = None
        self._epochs_trained = 0
        self.history: History | None = None
        if self._init == "given":
            self.weights = init
        else:
            rng = generator(self._seed, 0)
            for W in self.weights:
                INITIALIZERS[self._init](rng, W)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of inputs, of units in each hidden layer, and of classes."""
        return self._sizes

    @property
    def activation(self) -> str:
        """The name of the hidden layers' activation."""
        return self._activation

    @property
    def init(self) -> str:
        """The name of the initialiser."""
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
        batch_size: int = 128,
        optimizer: str | optimizers.Optimizer = "sgd",
        learning_rate: optimizers.LearningRate | None = None,
        shuffle: bool = True,
        validation: tuple[Any, Any] | None = None,
        threads: int | None = None,
        backend: str = "jit",
        callbacks: Sequence[Callable[["MLP", History], bool | None]] = (),
        progress: bool | Reporter = False,
        sparse: bool | None = None,
    ) -> History:
        """Lower the mean cross-entropy of softmax over (X, y), batch by batch.

        Parameters
        ----------
        X: (n, sizes[0]) finite numbers; a C-contiguous array of the network's dtype is not copied. A SciPy
            sparse matrix will do as well, and is never made dense.
        y: (n,) labels, whole numbers from 0 to sizes[-1] - 1.
        epochs: how often all of X is gone through.
        batch_size: rows in a step; the last batch of an epoch may be smaller, and counts by its own mean.
        optimizer: "sgd", "adam", or an object of `fastnn.optimizers`; its state starts afresh.
        learning_rate: only with an optimiser's name: a number greater than 0 (if None, 0.1 for SGD and 0.001
            for Adam), or a function of the step, counted from 0 in this call.
        shuffle: draw the order of the samples anew each epoch, from the seed; otherwise keep that of X.
        validation: (X, y) to evaluate at each epoch's end, never trained on.
        threads: how many to use at most; if None, as many as `fastnn.get_num_threads()` says.
        backend: "jit", or "reference" for the slow one in plain Python.
        callbacks: functions of (net, history), called at each epoch's end; one that returns True stops.
        progress: True prints a line an epoch; or a `fastnn.progress.Reporter`.
        sparse: True trains the first layer over the non-zeros of X alone, False over all of X; if None, what
            is faster: `history.inputs` tells. The results agree but for rounding.

        Raises
        ------
        TypeError, ValueError: for what is not as above, before anything is trained.
        TrainingDiverged: when the loss is no longer finite; the parameters are those of the epoch before.
        RuntimeError: when this network is being trained already.

        Ctrl-C, like any error in between, keeps the parameters trained so far, and is raised on.
        """
        X, y = checks.check_samples(X, y, self.sizes[0], self.sizes[-1], self.dtype)
        run = trainer.Run(
            backend=backends.get(backend),
            samples=(X, y),
            validation=self._check_validation(validation),
            epochs=checks.whole_number(epochs, "epochs"),
            batch_size=checks.check_batch_size(batch_size, len(X), self.sizes, self.dtype),
            optimizer=optimizers.resolve(optimizer, learning_rate),
            shuffle=checks.flag(shuffle, "shuffle"),
            threads=checks.check_threads(threads),
            callbacks=trainer.check_callbacks(callbacks),
            reporter=choose_reporter(progress),
            sparse=None if sparse is None else checks.flag(sparse, "sparse"),
        )
        self._parameters.check_finite()
        return trainer.train(self, self._parameters, run)

    def predict_proba(self, X: Any, threads: int | None = None) -> np.ndarray:
        """Return softmax of the logits: each row's probabilities of the classes, (n, classes)."""
        X = checks.check_X(X, self.sizes[0], self.dtype)
        threads = checks.check_threads(threads)
        proba = backends.get("jit").predict_proba(self, X, threads)
        self._check_result(checks.first_not_finite(proba) is None)
        return proba

    def predict(self, X: Any, threads: int | None = None) -> np.ndarray:
        """Return each row's most probable class, int64 (n,)."""
        return self.predict_proba(X, threads).argmax(axis=1)

    def evaluate(self, X: Any, y: Any, threads: int | None = None) -> Evaluation:
        """Return the mean loss, the accuracy and the number of samples of (X, y)."""
        X, y = checks.check_samples(X, y, self.sizes[0], self.sizes[-1], self.dtype)
        threads = checks.check_threads(threads)
        loss, correct = backends.get("jit").evaluate(self, X, y, threads)
        self._check_result(bool(np.isfinite(loss)))
        return Evaluation(loss=float(loss), accuracy=int(correct) / len(y), samples=len(y))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the network to a safetensors file; see `fastnn.model_file.save`."""
        from .model_file import save

        save(self, path)

    def _check_validation(self, validation: Any) -> tuple[np.ndarray, np.ndarray] | None:
        if validation is None:
            return None
        if not isinstance(validation, tuple | list):
            raise TypeError(f"validation is {checks.describe(validation)}; a pair (X, y) is needed")
        if len(validation) != 2:
            raise ValueError(f"validation has {len(validation)} items; a pair (X, y) is needed")
        names = ("validation X", "validation y")
        return checks.check_samples(*validation, self.sizes[0], self.sizes[-1], self.dtype, names)

    def _check_result(self, finite: bool) -> None:
        # Parameters that are not finite show in the result, and looking there is quicker: of one row, by half.
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
