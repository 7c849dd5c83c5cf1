"""Random numbers by counter: number i of a stream is a function of i and a key, so any thread can draw any of them.

squares(counter, key) is four rounds of squaring a Weyl sequence and exchanging its halves: integer arithmetic without a
state, which loops turn into vectors. Source: Widynski, Squares: a fast counter-based RNG, 2020 (arXiv 2004.06278v3),
section 3. Keys are made from a seed and the numbers of what is drawn (an epoch, a layer ...) by SplitMix64's mixing function:
Steele, Lea and Flood, Fast splittable pseudorandom number generators, 2014, figure 17. They are odd, as squares needs them.
"""

import numpy as np

from ._jit import helper, jit

_HALF = np.uint64(32)
_ONE = np.uint64(1)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_SHIFTS = (np.uint64(30), np.uint64(27), np.uint64(31))
_DROPPED = np.uint32(8)
_MASK = 2**64 - 1


@helper
def squares(counter, key):
    """32 random bits, uint32: number `counter` of the stream `key`, integers that are taken modulo 2^64; `key` is odd."""
    key = np.uint64(key)
    y = np.uint64(counter) * key
    z = y + key
    x = y * y + y
    x = (x >> _HALF) | (x << _HALF)
    x = x * x + z
    x = (x >> _HALF) | (x << _HALF)
    x = x * x + y
    x = (x >> _HALF) | (x << _HALF)
    return np.uint32((x * x + z) >> _HALF)


@helper
def uniform(counter, key, kind):
    """A number from 0 to below 1 of the type of `kind`, a multiple of 2^-24: equal in float32 and float64."""
    # A whole number below 2^24 is exact in float32, and fits int32, from which processors convert in one instruction.
    whole = np.int32(squares(counter, key) >> _DROPPED)
    return type(kind)(whole) * type(kind)(2.0**-24)


@jit
def subkey(key, word):
    """The key (odd uint64) of part `word` of what `key` stands for; both are integers, taken modulo 2^64."""
    return _mix(_mix(np.uint64(key)) + np.uint64(word)) | _ONE


@helper
def _mix(z):
    z = z + _GOLDEN
    z = (z ^ (z >> _SHIFTS[0])) * _FIRST
    z = (z ^ (z >> _SHIFTS[1])) * _SECOND
    return z ^ (z >> _SHIFTS[2])


def make_key(seed, *words):
    """The key (odd uint64) of `seed`, a whole number of at least 0 and any size, and of `words`, below 2^64 each."""
    seed = int(seed)
    digits = [seed & _MASK]
    while seed := seed >> 64:
        digits.append(seed & _MASK)
    key = np.uint64(len(digits))
    for word in (*digits, *words):
        key = np.uint64(subkey(key, np.uint64(word)))
    return key
