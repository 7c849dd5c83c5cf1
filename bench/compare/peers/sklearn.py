"""scikit-learn's MLPClassifier: plain SGD, neither momentum nor weight decay nor early stopping."""

import numpy as np
from sklearn.neural_network import MLPClassifier


class ScikitLearn:
    """`partial_fit` once an epoch, which goes through the data in batches; OPENBLAS_NUM_THREADS sets its threads."""

    def __init__(self, threads):
        pass

    def train(self, X, y, layers, batch, learning_rate, epochs, shuffle):
        """Train; see peers."""
        model = _model(layers, batch, learning_rate, shuffle)
        for _ in range(epochs):
            model.partial_fit(X, y)
        return list(zip(model.coefs_, model.intercepts_, strict=True))

    def classifier(self, layers):
        """Return two functions; see peers."""
        model = _model(layers)
        return model.predict_proba, model.predict


def _model(layers, batch=1, learning_rate=0.01, shuffle=True):
    """Return a classifier that starts from these layers."""
    inputs, classes = len(layers[0][0]), len(layers[-1][1])
    model = MLPClassifier(
        [len(b) for _, b in layers[:-1]],
        solver="sgd",
        alpha=0,
        momentum=0,
        nesterovs_momentum=False,
        learning_rate_init=learning_rate,
        shuffle=shuffle,
        random_state=0,
    )
    # Only a first call makes the arrays; it is made on a single row, and then the arrays are overwritten.
    model.batch_size = 1
    model.partial_fit(np.zeros((1, inputs), np.float32), [0], classes=np.arange(classes))
    model.batch_size = batch
    for own, given in zip(
        (*model.coefs_, *model.intercepts_), (*[W for W, _ in layers], *[b for _, b in layers]), strict=True
    ):
        own[...] = given
    return model
