"""A user's Python functions as compiled ones, and the kernels of activations."""

from typing import TYPE_CHECKING, Any

from ..kernels._jit import require_jit
from ..kernels.activations import ACTIVATIONS, make_custom

if TYPE_CHECKING:
    from ..activations import Activation


def compile_custom(name: str, function: Any, derivative: Any) -> Any:
    """Return the kernel of a custom activation, compiled for float64; None where Numba is told not to compile.

    Raises TypeError where Numba cannot compile a function.
    """
    try:
        require_jit()
    except RuntimeError:
        return None  # the reference backend needs no kernel
    return make_custom(name, function, derivative)


def activation_kernel(activation: "Activation") -> Any:
    """Return the compiled function of an activation; see `fastnn.kernels.activations` for its signature.

    A custom one's lives as long as `activation` does.
    """
    custom = getattr(activation, "function", None) is not None
    return activation.kernel if custom else ACTIVATIONS[activation.name]
