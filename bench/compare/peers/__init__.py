"""The libraries that are compared: one file each, written as those who know the library would write it.

A peer is a class. One instance lives in one process, and is told there how many threads it may use. It has any of:

train(X, y, layers, batch, learning_rate, epochs, shuffle) -> layers
    X float32 (n, inputs), y int64 (n,) and the layers (W, b), W float32 (fan_in, fan_out), are NumPy arrays that stay as
    they are; so are the layers that come back. All that happens in between is timed.
classifier(layers) -> (predict_proba, predict)
    two functions of X, a NumPy array like theirs: probabilities (n, classes) and classes (n,).
matmul(layout, a, b, out) -> a function without arguments
    writes to `out` the product of a and b, the first ("tn") or the second ("nt") being stored transposed.
peak(cores, seconds) -> float
    operations per second that so many cores can do at most.
"""

import importlib

OURS = "fastnn"

# By name, in the order of the tables: module and class. A module imports its library, which may be missing.
PEERS = {
    OURS: ("fastnn", "Fastnn"),
    "NumPy": ("numpy", "Numpy"),
    "PyTorch": ("torch", "Eager"),
    "torch.compile": ("torch", "Compiled"),
    "JAX": ("jax", "Jax"),
    "scikit-learn": ("sklearn", "ScikitLearn"),
    "onnxruntime": ("onnxruntime", "OnnxRuntime"),
}
TRAINING = tuple(name for name in PEERS if name != "onnxruntime")
INFERENCE = tuple(name for name in PEERS if name != "torch.compile")

# The package on the index that says which version is there.
DISTRIBUTIONS = {
    OURS: "fastnn-cpu",
    "NumPy": "numpy",
    "PyTorch": "torch",
    "torch.compile": "torch",
    "JAX": "jax",
    "scikit-learn": "scikit-learn",
    "onnxruntime": "onnxruntime",
}


def load(name: str, threads: int):
    """Return the peer of that name; ImportError with the reason where it cannot be used here."""
    module, kind = PEERS[name]
    return getattr(importlib.import_module(f".{module}", __name__), kind)(threads)
