"""How far rounding may move a network's results: running error bounds, first order, in NumPy's float64.

Every bound is in units of eps, and holds for any order of summation: a sum of n products is off by at most
n eps times the sum of their magnitudes (Higham, Accuracy and Stability of Numerical Algorithms, 2002,
chapter 3, where the unit is eps / 2: the other half is for the reference, which rounds as well).
"""

from itertools import pairwise

import numpy as np


def matmul(a, b):
    """Bound of the error of a @ b."""
    return a.shape[1] * (np.abs(a) @ np.abs(b))


def softmax(logits, logits_error, tiny):
    """Softmax of each row, and the bound of its error; below `tiny` a number may be lost altogether."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    p = np.exp(shifted)
    p /= p.sum(axis=1, keepdims=True)
    # exp turns an absolute error of its argument into a relative one; exp itself and the division add theirs.
    relative = np.abs(shifted) + 2 * logits_error.max(axis=1, keepdims=True) + 2
    relative = relative + (p * relative).sum(axis=1, keepdims=True) + logits.shape[1] + 1
    return p, p * relative + tiny


def losses(logits, logits_error, labels):
    """Bound of the error of log sum exp(logits - m) + (m - logits[label]), row by row."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    p = np.exp(shifted)
    total = p.sum(axis=1)
    relative = np.abs(shifted) + 2 * logits_error.max(axis=1, keepdims=True) + 2
    of_total = (p * relative).sum(axis=1) / total + logits.shape[1]
    distance = np.abs(shifted[np.arange(len(labels)), labels])
    return of_total + 2 * np.log(total) + 2 * distance + 2 * logits_error.max(axis=1)


class Network:
    """A network on a batch: `logits`, probabilities `p`, gradients `dW`, `db`, and bounds of their errors."""

    def __init__(self, net, X, y):
        self.eps, self.tiny = np.finfo(net.dtype).eps, np.finfo(net.dtype).tiny / np.finfo(net.dtype).eps
        self.relu = net.activation == "relu"
        self.weights = [W.astype(np.float64) for W in net.weights]
        self.biases = [b.astype(np.float64) for b in net.biases]
        self.y = y
        self._forward(X.astype(np.float64))
        self._backward()

    def _forward(self, X):
        self.inputs, self.input_errors, self.doubtful = [X], [np.zeros_like(X)], [None]
        for (W, b), following in pairwise([*zip(self.weights, self.biases, strict=True), None]):
            A, error = self.inputs[-1], self.input_errors[-1]
            Z = A @ W + b
            error = error @ np.abs(W) + (len(W) + 1) * (np.abs(A) @ np.abs(W) + np.abs(b))
            # Where Z is 0 within its error, nobody can say on which side of ReLU's kink it falls.
            self.doubtful.append(np.abs(Z) <= self.eps * error)
            self.inputs.append(np.maximum(Z, 0) if self.relu and following else Z)
            self.input_errors.append(error)
        self.logits, self.logits_error = self.inputs.pop(), self.input_errors.pop()
        self.p, self.p_error = softmax(self.logits, self.logits_error, self.tiny)

    def _backward(self):
        n = len(self.y)
        wanted = np.eye(self.p.shape[1])[self.y]
        dZ, dZ_error = (self.p - wanted) / n, (self.p_error + 2 * (self.p + wanted)) / n
        self.dW, self.db, self.dW_errors, self.db_errors = [], [], [], []
        for layer in reversed(range(len(self.weights))):
            A, W = self.inputs[layer], np.abs(self.weights[layer])
            self.dW.insert(0, A.T @ dZ)
            self.db.insert(0, dZ.sum(axis=0))
            spread = self.input_errors[layer].T @ np.abs(dZ) + np.abs(A).T @ dZ_error
            self.dW_errors.insert(0, spread + (n + 1) * (np.abs(A).T @ np.abs(dZ)) + self.tiny)
            self.db_errors.insert(0, (dZ_error + n * np.abs(dZ)).sum(axis=0) + self.tiny)
            dA = dZ @ self.weights[layer].T
            dA_error = dZ_error @ W.T + W.shape[1] * (np.abs(dZ) @ W.T)
            if self.relu and layer:
                dZ, doubtful = dA * (self.inputs[layer] > 0), self.doubtful[layer]
                dZ_error = np.where(doubtful, np.abs(dA) / self.eps, 0) + dA_error * ((dZ != 0) | doubtful)
            else:
                dZ, dZ_error = dA, dA_error
