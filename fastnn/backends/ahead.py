"""What the first training of all needs besides its own kernel, compiled meanwhile by a second process.

Training's kernel takes 8 s, most of it Numba's. The libraries that it calls, and what tells losses and probabilities afterwards,
take 4 s more, which a second processor does at the same time.
"""

import numpy as np

from ..kernels import available_threads
from ..kernels._beside import run_beside
from ..kernels._library import provide
from ..kernels.rest_code import rest_names
from ..kernels.tile import training_tiles


def compile_ahead(dtype):
    """Have a second process compile for networks of this dtype, where there is a processor for it."""
    if available_threads() > 1:
        run_beside(f"from {__name__} import compile_here; compile_here({dtype.name!r})")


def compile_here(dtype):
    """What that process does: libraries first, as they are needed first."""
    from ..mlp import MLP

    dtype = np.dtype(dtype)
    for name in (*training_tiles(dtype), *rest_names(dtype)):
        provide(name)
    MLP([2, 2, 2], dtype=dtype).evaluate(np.zeros((100, 2), dtype), np.zeros(100, int), threads=1)
