"""The settings that `fastnn train` uses where the command line says nothing, and the names it accepts."""

from fastnn import activations, initializers, losses, optimizers, run
from fastnn.recipes.samples import SPLIT_SEED as SPLIT_SEED
from fastnn.recipes.samples import TEST_PART as TEST_PART

DATA = "mnist-small"
HIDDEN = [512]
EPOCHS = 10
BATCH_SIZE = 128
OPTIMIZER_SETTINGS = {
    "sgd": {"learning_rate": 0.2, "momentum": 0.9},
    "adam": {"learning_rate": 0.001},
    "adamw": {"learning_rate": 0.001},
    "rmsprop": {"learning_rate": 0.001},
    "adagrad": {"learning_rate": 0.01},
    "lion": {"learning_rate": 0.0001},
}

RECIPE = {
    "data": {"name": DATA},
    "network": {"hidden": HIDDEN},
    "training": {"epochs": EPOCHS, "batch_size": BATCH_SIZE},
    "optimizer": {"name": "sgd", **OPTIMIZER_SETTINGS["sgd"]},
}
"""What `fastnn train` does without --recipe."""

# On two cores, with an empty cache.
COMPILE_SECONDS = 12

OPTIMIZERS = tuple(optimizers.OPTIMIZERS)
ACTIVATIONS = activations.names()
INITIALIZERS = tuple(initializers.INITIALIZERS)
LOSSES = tuple(losses.LOSSES)
SCHEDULES = ("constant", "cosine", "one_cycle", "plateau")
DTYPES = ("float32", "float64")
BACKENDS = ("jit", "reference")
ANOMALIES = run.ANOMALIES

GRADCHECK_SIZES = [20, 16, 8, 4]
GRADCHECK_ROWS = 10
BENCH_ROUNDS = 5
