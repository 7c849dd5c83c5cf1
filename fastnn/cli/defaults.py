"""The settings that `fastnn train` uses where the command line says nothing, and the names it accepts."""

DATA = "mnist-small"
HIDDEN = [512]
EPOCHS = 10
BATCH_SIZE = 128
LEARNING_RATE = {"sgd": 0.2, "adam": 0.001}
MOMENTUM = 0.9
TEST_PART = 0.2
SPLIT_SEED = 0  # not --seed: runs with different seeds are compared on the same test rows

# On two cores, with an empty cache.
COMPILE_SECONDS = 12

OPTIMIZERS = ("sgd", "adam")
ACTIVATIONS = ("relu", "identity")
INITIALIZERS = ("he_normal", "he_uniform", "glorot_normal", "glorot_uniform", "zeros")
DTYPES = ("float32", "float64")
BACKENDS = ("jit", "reference")

GRADCHECK_SIZES = [20, 16, 8, 4]
GRADCHECK_ROWS = 10
BENCH_ROUNDS = 5
