"""Compiled arithmetic: arrays in, arrays out. Installed as fastnn.kernels; imports NumPy, Numba and llvmlite, never fastnn.

host      the processor, the vector width            tile      the register tile in LLVM's vector IR
layout    where a network's numbers lie              layers    a layer's three products, cut into tiles
softmax   softmax and its loss, exp                  update    the optimisers
train     chunks of whole training steps             infer     forward passes
matmul, elementwise, operations    the same as functions of arrays
threads, sync    teams of threads, and their barrier        _jit, _cache    compiling, and the cache on disk
"""

from ._cache import cache_root as cache_root
from ._cache import kernel_folder as kernel_folder
from .host import host as host
from .operations import matmul as matmul
from .operations import relu as relu
from .operations import softmax as softmax
from .operations import softmax_cross_entropy as softmax_cross_entropy
from .peak import fma_peak as fma_peak
from .threads import available_threads as available_threads
from .threads import get_num_threads as get_num_threads
from .threads import set_num_threads as set_num_threads
