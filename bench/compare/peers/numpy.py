"""NumPy with OpenBLAS: gradients by hand, every array of a step allocated once, the learning rate folded into dZ."""

import numpy as np


class Numpy:
    """A training loop without an allocation of the size of a layer; OPENBLAS_NUM_THREADS sets its threads."""

    def __init__(self, threads):
        pass

    def train(self, X, y, layers, batch, learning_rate, epochs, shuffle):
        """Train; see peers."""
        layers = [(W.copy(), b.copy()) for W, b in layers]
        n = len(y)
        rng = np.random.default_rng(0)
        steps = {}
        for _ in range(epochs):
            order = rng.permutation(n) if shuffle else np.arange(n)
            for start in range(0, n, batch):
                rows = order[start : start + batch]
                if len(rows) not in steps:
                    steps[len(rows)] = _Step(layers, len(rows), X.shape[1], learning_rate)
                steps[len(rows)](X, y, rows)
        return layers

    def classifier(self, layers):
        """Return two functions; see peers."""

        def logits(A):
            for W, b in layers[:-1]:
                A = A @ W
                A += b
                np.maximum(A, 0, out=A)
            W, b = layers[-1]
            return A @ W + b

        def predict_proba(X):
            Z = logits(X)
            _softmax(Z)
            return Z

        return predict_proba, lambda X: logits(X).argmax(axis=1)

    def matmul(self, layout, a, b, out):
        """Return the product as a function; see peers."""
        a, b = (array.T if side == "t" else array for array, side in zip((a, b), layout, strict=True))
        return lambda: np.matmul(a, b, out=out)


class _Step:
    """One step on batches of one size, and the arrays it writes to."""

    def __init__(self, layers, batch, inputs, learning_rate):
        self.layers, self.scale = layers, np.float32(learning_rate / batch)
        widths = [inputs, *(len(b) for _, b in layers)]
        self.A = [np.empty((batch, width), np.float32) for width in widths]
        self.dA = [np.empty((batch, width), np.float32) for width in widths[:-1]]
        self.active = [np.empty((batch, width), bool) for width in widths[:-1]]
        self.dW = [np.empty_like(W) for W, _ in layers]
        self.ones, self.each = np.ones(batch, np.float32), np.arange(batch)

    def __call__(self, X, y, rows):
        A, last = self.A, len(self.layers) - 1
        np.take(X, rows, axis=0, out=A[0], mode="clip")  # "raise" would copy once more
        for i, (W, b) in enumerate(self.layers):
            np.matmul(A[i], W, out=A[i + 1])
            A[i + 1] += b
            if i < last:
                np.maximum(A[i + 1], 0, out=A[i + 1])
        dZ = A[-1]
        _softmax(dZ)
        dZ[self.each, y[rows]] -= 1
        dZ *= self.scale
        for i in range(last, -1, -1):
            W, b = self.layers[i]
            if i:
                np.matmul(dZ, W.T, out=self.dA[i])
                np.greater(A[i], 0, out=self.active[i])
                np.multiply(self.dA[i], self.active[i], out=self.dA[i])
            np.matmul(A[i].T, dZ, out=self.dW[i])
            W -= self.dW[i]
            b -= self.ones @ dZ
            dZ = self.dA[i]


def _softmax(Z):
    """Replace each row of logits by its probabilities."""
    Z -= Z.max(axis=1, keepdims=True)
    np.exp(Z, out=Z)
    Z /= Z.sum(axis=1, keepdims=True)
