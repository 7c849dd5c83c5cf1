"""PyTorch without modules, data loaders and optimiser objects, which cost more than the arithmetic of small networks."""

import torch
from torch.nn import functional


class Eager:
    """Functions of tensors, autograd, and one call that updates all parameters in place.

    Tried and slower: `torch.optim.SGD` (fused, foreach), `linear` with transposed weights, and a shuffle of the whole
    data set once an epoch.
    """

    def __init__(self, threads):
        torch.set_num_threads(threads)

    def train(self, X, y, layers, batch, learning_rate, epochs, shuffle):
        """Train; see peers."""
        X, y = torch.from_numpy(X), torch.from_numpy(y)
        parameters = _tensors(layers)
        step = self._step(parameters, learning_rate)
        for _ in range(epochs):
            order = torch.randperm(len(y)) if shuffle else torch.arange(len(y))
            for rows in order.split(batch):
                step(X.index_select(0, rows), y.index_select(0, rows))
        arrays = [parameter.detach().numpy() for parameter in parameters]
        return list(zip(arrays[::2], arrays[1::2], strict=True))

    def _step(self, parameters, learning_rate):
        for parameter in parameters:
            parameter.requires_grad_()

        def step(X, y):
            loss = functional.cross_entropy(_logits(parameters, X), y)
            gradients = torch.autograd.grad(loss, parameters)
            with torch.no_grad():
                torch._foreach_add_(parameters, gradients, alpha=-learning_rate)

        return step

    def classifier(self, layers):
        """Return two functions; see peers."""
        parameters = _tensors(layers)

        @torch.inference_mode()
        def predict_proba(X):
            return functional.softmax(_logits(parameters, torch.from_numpy(X)), 1).numpy()

        @torch.inference_mode()
        def predict(X):
            return _logits(parameters, torch.from_numpy(X)).argmax(1).numpy()

        return predict_proba, predict


class Compiled(Eager):
    """The whole step compiled at once, gradients and updates included; the loop around it as in Eager."""

    def __init__(self, threads):
        super().__init__(threads)
        try:
            torch.compile(lambda x: x + 1, dynamic=False)(torch.ones(64))
        except Exception as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise ImportError(f"torch.compile does not work here: {reason}") from None
        self._compiled = {}

    def _step(self, parameters, learning_rate):
        # Compiled anew for each set of shapes, which training calls with the same learning rate.
        key = (learning_rate, tuple(parameter.shape for parameter in parameters))
        if key not in self._compiled:
            torch.compiler.reset()
            self._compiled = {key: torch.compile(_sgd_step(learning_rate), dynamic=False)}
        compiled = self._compiled[key]
        return lambda X, y: compiled(parameters, X, y)


def _sgd_step(learning_rate):
    gradients_of = torch.func.grad(
        lambda parameters, X, y: functional.cross_entropy(_logits(parameters, X), y)
    )

    def step(parameters, X, y):
        gradients = gradients_of(parameters, X, y)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.sub_(gradient, alpha=learning_rate)

    return step


def _tensors(layers):
    return [torch.from_numpy(array.copy()) for layer in layers for array in layer]


def _logits(parameters, X):
    *hidden, W, b = parameters
    for weights, bias in zip(hidden[::2], hidden[1::2], strict=True):
        X = torch.relu(torch.addmm(bias, X, weights))
    return torch.addmm(b, X, W)
