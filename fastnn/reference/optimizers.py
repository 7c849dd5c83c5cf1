"""SGD and Adam on plain lists. Each object holds the state of one training run.

`parameters` and `gradients` are lists of rows with the same lengths (the rows of every weight matrix, then
the biases); `update` changes the parameters in place. The learning rate is an argument, since it may change
from step to step.
"""

import math

from .inputs import Matrix


def zeros_like(rows: Matrix) -> Matrix:
    """0 for every number in rows, in the same arrangement."""
    return [[0.0] * len(row) for row in rows]


class SGD:
    """v ← μ v + g, then p ← p - η d, where d is v, or with Nesterov's momentum g + μ v; v starts at 0.

    g is the gradient, μ the momentum, η the learning rate. Source: Sutskever et al., On the importance of
    initialization and momentum in deep learning, 2013, section 2, in the form of PyTorch.
    """

    def __init__(self, momentum: float = 0.0, nesterov: bool = False):
        self.momentum = momentum
        self.nesterov = nesterov
        self.velocities: Matrix | None = None

    def update(self, parameters: Matrix, gradients: Matrix, learning_rate: float) -> None:
        """Make one step: the parameters and the velocities change in place."""
        if self.velocities is None:
            self.velocities = zeros_like(parameters)
        for p, g, v in zip(parameters, gradients, self.velocities, strict=True):
            for i in range(len(p)):
                v[i] = self.momentum * v[i] + g[i]
                d = g[i] + self.momentum * v[i] if self.nesterov else v[i]
                p[i] -= learning_rate * d


class Adam:
    """m ← β1 m + (1 - β1) g, v ← β2 v + (1 - β2) g², then p ← p - η m̂ / (√v̂ + ε); m and v start at 0.

    m̂ = m / (1 - β1^t) and v̂ = v / (1 - β2^t) undo the pull towards those zeros; t counts the steps, 1, 2 ...
    Source: Kingma and Ba, Adam: a method for stochastic optimization, 2015, algorithm 1.
    """

    def __init__(self, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8):
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon
        self.t = 0
        self.first_moments: Matrix | None = None
        self.second_moments: Matrix | None = None

    def update(self, parameters: Matrix, gradients: Matrix, learning_rate: float) -> None:
        """Make one step: the parameters, the moments and t change in place."""
        if self.first_moments is None or self.second_moments is None:
            self.first_moments = zeros_like(parameters)
            self.second_moments = zeros_like(parameters)
        self.t += 1
        m_weight = 1.0 - self.beta1**self.t
        v_weight = 1.0 - self.beta2**self.t
        for p, g, m, v in zip(parameters, gradients, self.first_moments, self.second_moments, strict=True):
            for i in range(len(p)):
                m[i] = self.beta1 * m[i] + (1.0 - self.beta1) * g[i]
                v[i] = self.beta2 * v[i] + (1.0 - self.beta2) * g[i] * g[i]
                m_hat = m[i] / m_weight
                v_hat = v[i] / v_weight
                p[i] -= learning_rate * m_hat / (math.sqrt(v_hat) + self.epsilon)
