"""fastnn, through the functions that its users call."""

import numpy as np

import fastnn


class Fastnn:
    """`MLP.fit`, its checks and the start of its threads included."""

    def __init__(self, threads):
        fastnn.set_num_threads(threads)

    def train(self, X, y, layers, batch, learning_rate, epochs, shuffle):
        """Train; see peers."""
        net = _network(layers)
        net.fit(X, y, epochs=epochs, batch_size=batch, learning_rate=learning_rate, shuffle=shuffle)
        return list(zip(net.weights, net.biases, strict=True))

    def classifier(self, layers):
        """Return two functions; see peers."""
        net = _network(layers)
        net.biases = [b for _, b in layers]
        return net.predict_proba, net.predict

    def matmul(self, layout, a, b, out):
        """Return the product as a function; see peers."""
        transposed = [side == "t" for side in layout]
        return lambda: fastnn.kernels.matmul(a, b, *transposed, out=out)

    def peak(self, cores, seconds):
        """Return operations per second; see peers."""
        return 1e9 * fastnn.kernels.fma_peak(cores, seconds)


def _network(layers):
    sizes = [len(layers[0][0]), *(len(b) for _, b in layers)]
    return fastnn.MLP(sizes, init=[np.asarray(W) for W, _ in layers])
