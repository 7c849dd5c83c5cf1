"""The same training in NumPy, written to be as fast as NumPy is: nothing of a layer's size is allocated in a step."""

import numpy as np


class NumpyTrainer:
    """Plain SGD on a dense ReLU network with softmax cross-entropy; the loss itself is not computed.

    weights, biases : the parameters to start from; copied.
    batch : rows in a step; only whole batches are trained on.
    """

    def __init__(self, weights, biases, batch, learning_rate):
        self.weights, self.biases = [W.copy() for W in weights], [b.copy() for b in biases]
        self._batch = batch
        # dZ carries the learning rate, so that the gradients come out as the steps to take.
        self._scale = self.weights[0].dtype.type(learning_rate / batch)
        widths = [len(self.weights[0]), *(len(b) for b in self.biases)]
        dtype = self.weights[0].dtype
        self._outputs = [np.empty((batch, width), dtype) for width in widths]
        self._gradients = [np.empty((batch, width), dtype) for width in widths]
        self._active = [np.empty((batch, width), bool) for width in widths]
        self._steps = [np.empty_like(W) for W in self.weights]
        self._ones, self._each = np.ones(batch, dtype), np.arange(batch)

    def fit(self, X, y, epochs, shuffle=True, seed=0):
        """Train on X (n, inputs), y (n,)."""
        rng = np.random.default_rng(seed)
        for _ in range(epochs):
            order = rng.permutation(len(X)) if shuffle else np.arange(len(X))
            for start in range(0, len(X) - self._batch + 1, self._batch):
                rows = order[start : start + self._batch]
                # Mode "raise" would copy once more.
                np.take(X, rows, axis=0, out=self._outputs[0], mode="clip")
                self._forward()
                self._backward(y[rows])

    def _forward(self):
        last = len(self.weights) - 1
        for layer, (W, b) in enumerate(zip(self.weights, self.biases, strict=True)):
            Z = self._outputs[layer + 1]
            np.dot(self._outputs[layer], W, out=Z)
            Z += b
            if layer < last:
                np.maximum(Z, 0, out=Z)

    def _backward(self, labels):
        p = self._outputs[-1]
        p -= p.max(axis=1, keepdims=True)
        np.exp(p, out=p)
        p /= p.sum(axis=1, keepdims=True)
        p[self._each, labels] -= 1
        np.multiply(p, self._scale, out=self._gradients[-1])
        for layer in reversed(range(len(self.weights))):
            A, dZ = self._outputs[layer], self._gradients[layer + 1]
            if layer > 0:
                dX = self._gradients[layer]
                np.dot(dZ, self.weights[layer].T, out=dX)
                np.greater(A, 0, out=self._active[layer])
                dX *= self._active[layer]
            np.dot(A.T, dZ, out=self._steps[layer])
            self.weights[layer] -= self._steps[layer]
            self.biases[layer] -= np.dot(self._ones, dZ)
