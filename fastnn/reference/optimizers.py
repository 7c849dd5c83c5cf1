"""The optimisers on plain lists. Each object holds the state of one training run.

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


class RMSprop:
    """v ← α v + (1 - α) g², b ← μ b + g / (√v + ε), then p ← p - η b; v and b start at 0.

    Source: Tieleman and Hinton, Neural networks for machine learning, lecture 6.5, 2012, in the form of PyTorch.
    """

    def __init__(self, alpha: float = 0.99, epsilon: float = 1e-8, momentum: float = 0.0):
        self.alpha = alpha
        self.epsilon = epsilon
        self.momentum = momentum
        self.squares: Matrix | None = None
        self.velocities: Matrix | None = None

    def update(self, parameters: Matrix, gradients: Matrix, learning_rate: float) -> None:
        """Make one step: the parameters, the averages of squares and the velocities change in place."""
        if self.squares is None:
            self.squares = zeros_like(parameters)
        if self.velocities is None:
            self.velocities = zeros_like(parameters)
        for p, g, v, b in zip(parameters, gradients, self.squares, self.velocities, strict=True):
            for i in range(len(p)):
                v[i] = self.alpha * v[i] + (1.0 - self.alpha) * g[i] * g[i]
                b[i] = self.momentum * b[i] + g[i] / (math.sqrt(v[i]) + self.epsilon)
                p[i] -= learning_rate * b[i]


class Adagrad:
    """v ← v + g², then p ← p - η g / (√v + ε); v starts at 0.

    Source: Duchi, Hazan and Singer, Adaptive subgradient methods, 2011, section 1.1, in the form of PyTorch.
    """

    def __init__(self, epsilon: float = 1e-10):
        self.epsilon = epsilon
        self.sums: Matrix | None = None

    def update(self, parameters: Matrix, gradients: Matrix, learning_rate: float) -> None:
        """Make one step: the parameters and the sums of squares change in place."""
        if self.sums is None:
            self.sums = zeros_like(parameters)
        for p, g, v in zip(parameters, gradients, self.sums, strict=True):
            for i in range(len(p)):
                v[i] += g[i] * g[i]
                p[i] -= learning_rate * g[i] / (math.sqrt(v[i]) + self.epsilon)


class Lion:
    """p ← p - η sign(β1 m + (1 - β1) g), then m ← β2 m + (1 - β2) g; m starts at 0.

    Source: Chen et al., Symbolic discovery of optimization algorithms, 2023, algorithm 2.
    """

    def __init__(self, beta1: float = 0.9, beta2: float = 0.99):
        self.beta1 = beta1
        self.beta2 = beta2
        self.moments: Matrix | None = None

    def update(self, parameters: Matrix, gradients: Matrix, learning_rate: float) -> None:
        """Make one step: the parameters and the moments change in place."""
        if self.moments is None:
            self.moments = zeros_like(parameters)
        for p, g, m in zip(parameters, gradients, self.moments, strict=True):
            for i in range(len(p)):
                p[i] -= learning_rate * sign(self.beta1 * m[i] + (1.0 - self.beta1) * g[i])
                m[i] = self.beta2 * m[i] + (1.0 - self.beta2) * g[i]


def sign(x: float) -> float:
    """1 for x > 0, -1 for x < 0, and x itself for 0 and NaN."""
    return 1.0 if x > 0.0 else -1.0 if x < 0.0 else x


def clip_norm(gradients: Matrix, limit: float) -> None:
    """g ← g min(1, limit / (‖g‖ + 1e-6)) in place, ‖g‖ the norm of all gradients together.

    Source: Pascanu, Mikolov and Bengio, On the difficulty of training recurrent neural networks, 2013, algorithm 1,
    in the form of PyTorch.
    """
    norm = math.sqrt(sum(g * g for row in gradients for g in row))
    factor = min(1.0, limit / (norm + 1e-6))
    for row in gradients:
        row[:] = [factor * g for g in row]


def clip_value(gradients: Matrix, limit: float) -> None:
    """g ← max(-limit, min(g, limit)) in place; NaN stays NaN."""
    for row in gradients:
        row[:] = [math.copysign(limit, g) if abs(g) > limit else g for g in row]


def add_penalties(weights: Matrix, gradients: Matrix, l2: float, l1: float) -> None:
    """g ← g + l2 w + l1 sign(w) in place: the gradient of l2/2 Σ w² + l1 Σ |w| joins the loss's."""
    for w, g in zip(weights, gradients, strict=True):
        for i in range(len(w)):
            g[i] += l2 * w[i] + l1 * sign(w[i])


def decay(weights: Matrix, part: float) -> None:
    """w ← (1 - part) w in place. Source: Loshchilov and Hutter, Decoupled weight decay regularization, 2019."""
    for row in weights:
        row[:] = [(1.0 - part) * w for w in row]


def limit_norms(W: Matrix, limit: float) -> None:
    """W_ij ← W_ij min(1, limit / ‖W_·j‖) in place: no unit j has longer incoming weights. W (fan_in, fan_out).

    Source: Hinton et al., Improving neural networks by preventing co-adaptation of feature detectors, 2012, appendix A.1.
    """
    for j in range(len(W[0])):
        norm = math.sqrt(sum(row[j] * row[j] for row in W))
        if norm > limit:
            for row in W:
                row[j] *= limit / norm


def follow(averages: Matrix, parameters: Matrix, rate: float) -> None:
    """a ← rate a + (1 - rate) p in place. Source: Polyak and Juditsky, 1992; the form with a rate is usual since."""
    for a, p in zip(averages, parameters, strict=True):
        a[:] = [a_i + (1.0 - rate) * (p_i - a_i) for a_i, p_i in zip(a, p, strict=True)]


class Regularised:
    """An optimiser's step with all that may come before and after it, in this order.

    Clip the gradients by their norm, then each by its value; add the penalties' gradients, or let the weights decay by
    η weight_decay where that is `decoupled`; the optimiser's own step; limit the norms of the hidden units' weights; let
    the averages follow, which start as the parameters after the first step. Penalties are never for biases.

    AdamW is Regularised(Adam(), weight_decay=0.01, decoupled=True); Lion decays decoupled too.
    """

    def __init__(
        self,
        optimizer: SGD | Adam | RMSprop | Adagrad | Lion,
        weight_decay: float = 0.0,
        decoupled: bool = False,
        l1: float = 0.0,
        clip_value: float | None = None,
        clip_norm: float | None = None,
        max_norm: float | None = None,
        average: float | None = None,
    ):
        self.optimizer = optimizer
        self.weight_decay = weight_decay
        self.decoupled = decoupled
        self.l1 = l1
        self.clip_value = clip_value
        self.clip_norm = clip_norm
        self.max_norm = max_norm
        self.average = average
        self.averages: Matrix | None = None

    def update(
        self, weights: list[Matrix], biases: Matrix, dW: list[Matrix], db: Matrix, learning_rate: float
    ) -> None:
        """Make one step: the weights (fan_in, fan_out) and biases (fan_out,) of all layers change in place.

        `averages` are then those of every row of every weight matrix, and of every bias.
        """
        weight_rows = [row for W in weights for row in W]
        weight_gradients = [list(row) for G in dW for row in G]
        gradients = weight_gradients + [list(row) for row in db]
        if self.clip_norm is not None:
            clip_norm(gradients, self.clip_norm)
        if self.clip_value is not None:
            clip_value(gradients, self.clip_value)
        add_penalties(weight_rows, weight_gradients, 0.0 if self.decoupled else self.weight_decay, self.l1)
        if self.decoupled:
            decay(weight_rows, learning_rate * self.weight_decay)
        parameters = weight_rows + list(biases)
        self.optimizer.update(parameters, gradients, learning_rate)
        if self.max_norm is not None:
            for W in weights[:-1]:
                limit_norms(W, self.max_norm)
        if self.average is not None:
            if self.averages is None:
                self.averages = [list(row) for row in parameters]
            else:
                follow(self.averages, parameters, self.average)
