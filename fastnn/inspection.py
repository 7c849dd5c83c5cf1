"""Looking into a network: its weights as pictures, its layers' outputs for given rows."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from . import backends, checks
from .mlp import MLP


def weight_images(net: MLP, layer: int = 0, shape: Sequence[int] = (28, 28)) -> np.ndarray:
    """Return each unit's incoming weights as an image: out[u, r, c] = W[r w + c, u], (units, h, w), a copy.

    layer: 0 for the first layer, whose inputs are the pixels. shape: (h, w) of the images, whose rows of
    pixels follow one another in X.

    Raises TypeError or ValueError for another net, a layer that it does not have, and a shape that does not hold as
    many pixels as the layer has inputs.
    """
    _check_net(net)
    layer = checks.whole_number(layer, "layer", least=0, most=len(net.weights) - 1)
    if not isinstance(shape, tuple | list) or len(shape) != 2:
        raise TypeError(f"shape is {checks.describe(shape)}; a pair (height, width) is needed")
    height, width = (checks.whole_number(side, f"shape[{i}]") for i, side in enumerate(shape))
    W = net.weights[layer]
    if height * width != len(W):
        raise ValueError(
            f"shape is ({height}, {width}), {height * width} pixels; layer {layer} has {len(W)} inputs"
        )
    return np.array(W.T, order="C").reshape(-1, height, width)


def layer_outputs(net: MLP, X: Any) -> list[np.ndarray]:
    """Return every layer's outputs for the rows of X: of layer l an array (n, units) of the network's dtype.

    The hidden layers' are those after their activation, f(A W + b); the last item has the logits, what the loss gets,
    before any softmax or sigmoid. Nothing is dropped out. Numbers may be infinite or NaN where they overflow.

    X: (n, inputs), as `net.predict` takes it, dense or sparse.

    Raises TypeError or ValueError for another net or X.
    """
    _check_net(net)
    X = checks.check_X(X, net.sizes[0], net.dtype)
    return backends.get("jit").inspect(net, X)[0]


def _check_net(net: Any) -> None:
    if not isinstance(net, MLP):
        raise TypeError(f"net is {checks.describe(net)}; an MLP is needed")
