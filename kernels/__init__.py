"""Compiled arithmetic: arrays in, arrays out. Installed as fastnn.kernels; imports NumPy, Numba and llvmlite, never fastnn.

processor   the vector width chosen for it            tile       the register tile in LLVM's vector IR
layout      where a network's numbers lie             layers     a dense layer's three products, cut into tiles
compress    rows that are mostly zeros                sparse     a first layer's two products over them
softmax     softmax and its loss, row by row          exp_log    exponential and logarithm
update      the optimisers                            vectors    pieces of vector IR, and transpose
train       chunks of whole training steps            infer      forward passes
product, elementwise, operations     the same as functions of arrays
threads, sync, denormals             teams of threads, their barrier, their floating-point state
_jit, _cache, arrays                 compiling, the cache on disk, arrays as kernels want them
"""

from ._cache import cache_root as cache_root
from ._cache import kernel_folder as kernel_folder
from .operations import matmul as matmul
from .operations import relu as relu
from .operations import softmax as softmax
from .operations import softmax_cross_entropy as softmax_cross_entropy
from .peak import fma_peak as fma_peak
from .processor import host as host
from .threads import available_threads as available_threads
from .threads import get_num_threads as get_num_threads
from .threads import set_num_threads as set_num_threads
