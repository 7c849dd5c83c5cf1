"""Compiled arithmetic: arrays in, arrays out. Installed as fastnn.kernels; imports NumPy, Numba and llvmlite, never fastnn.

processor   the vector width chosen for it            tile       the register tile in LLVM's vector IR
layout      where a network's numbers lie             layers     a dense layer's three products, cut into tiles
compress    rows that are mostly zeros                sparse     a first layer's two products over them (sparse_code: in IR)
functions   small kernels that are called by address: activations, losses, update (the optimisers), dropout
optimize    what becomes of a gradient: when it is applied, clipping, limits of norms
softmax     softmax and its loss, row by row          loss_rows  the other losses, row by row
exp_log     exponential and logarithm                 normal     the normal distribution's tail
random      random numbers by counter                 augment    distorted copies of images
vectors     pieces of vector IR                       transpose  a block of numbers, in registers
train       chunks of whole training steps            infer      forward passes
product, product_plan       products of arrays, cut up and packed; rest_product, repeated_product     special ones
elementwise, operations     functions of arrays, for users, and all that they may pass is checked
array_object, interpreter   arrays as C sees them, and Python's lock, for compiled code that is handed Python's objects
threads, jobs, sync, shares, bell    teams of threads, their jobs, their barrier, who computes which tiles, their sleep
thread_count, product_threads        how many threads to use, and who computes a product
clock, denormals                     the time, and the floating-point state, inside kernels
peak        the processor's peak rate, measured
_jit, _compiler, arrays              compiling, and what Numba's compiler does of its own; arrays as kernels want them
_kernel, _helper                     compiled functions, to be called and to be parts of others
_library                             functions in vector IR that kernels call and do not contain: the tiles
_beside                              a second process that compiles meanwhile what is needed next
_cache, _machine_code                the files of compiled code, what is in them and how it is put to use
"""

from ._cache import cache_root as cache_root
from ._cache import kernel_folder as kernel_folder
from .operations import matmul as matmul
from .operations import relu as relu
from .operations import softmax as softmax
from .operations import softmax_cross_entropy as softmax_cross_entropy
from .peak import fma_peak as fma_peak
from .processor import host as host
from .thread_count import available_threads as available_threads
from .thread_count import get_num_threads as get_num_threads
from .thread_count import set_num_threads as set_num_threads
