"""Random numbers by counter: the compiled ones are those of the reference, bit by bit, and look random."""

import numpy as np
import pytest

from fastnn.kernels import random
from fastnn.kernels._jit import jit
from fastnn.reference import random as reference


@jit
def fill_bits(out, counter, key):
    for i in range(out.size):
        out[i] = random.squares(counter + i, key)


@jit
def fill_uniform(out, counter, key):
    for i in range(out.size):
        out[i] = random.uniform(counter + i, key, out[0])


KEYS = [random.make_key(0, 2, 0), random.make_key(2**64 + 7, 3), np.uint64(2**64 - 1)]


def test_published_numbers():
    # The first four of key 0x3bc8bca4d301945b in the test data of the Python package randomgen 2.
    numbers = [reference.squares(i, 0x3BC8BCA4D301945B) for i in range(4)]
    assert numbers == [0x5167EA8B, 0x0E03102B, 0xE59F61D7, 0x943AC4D0]


def test_keys_are_mixed_as_splitmix_does():
    # The first outputs of SplitMix64 from seed 1234567, as published with Java's and others' implementations.
    assert reference.mix(1234567) == 6457827717110365317
    assert reference.mix((1234567 + 0x9E3779B97F4A7C15) % 2**64) == 3203168211198807973


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("counter", [0, 12345, 2**32 - 3, 2**62])
def test_the_same_bits_as_the_reference(key, counter):
    bits = np.empty(37, np.uint32)
    fill_bits(bits, counter, key)
    assert bits.tolist() == [reference.squares(counter + i, int(key)) for i in range(37)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_uniform_numbers_are_those_of_the_reference(dtype):
    drawn = np.empty(1000, dtype)
    fill_uniform(drawn, 99, KEYS[0])
    assert drawn.tolist() == [reference.uniform(99 + i, int(KEYS[0])) for i in range(1000)]
    assert 0 <= drawn.min() < 0.01 and 0.99 < drawn.max() < 1


def test_keys_are_those_of_the_reference_and_all_differ():
    parts = [
        (seed, *words)
        for seed in (0, 1, 2**64, 2**70 + 1)
        for words in ((), (0,), (1,), (0, 0), (0, 1), (1, 0))
    ]
    keys = [int(random.make_key(*part)) for part in parts]
    assert keys == [reference.make_key(*part) for part in parts]
    assert len(set(keys)) == len(keys)
    assert all(key % 2 for key in keys)
    assert int(random.subkey(KEYS[0], 5)) == reference.subkey(int(KEYS[0]), 5)


def test_numbers_are_even_and_independent():
    n = 2**18
    streams = np.empty((3, n))
    for key, stream in zip([random.make_key(5, epoch) for epoch in range(3)], streams, strict=True):
        fill_uniform(stream, 0, key)
    deviation = 1 / np.sqrt(12 * n)
    assert abs(streams.mean(axis=1) - 0.5).max() < 5 * deviation
    for stream in streams:
        counts = np.bincount((stream * 256).astype(int), minlength=256)
        assert ((counts - n / 256) ** 2).sum() / (n / 256) < 255 + 5 * np.sqrt(2 * 255)  # chi-squared
        for lag in (1, 2, 28, 784):
            assert abs(np.corrcoef(stream[lag:], stream[:-lag])[0, 1]) < 5 / np.sqrt(n)
    correlations = np.corrcoef(streams)
    assert abs(correlations - np.eye(3)).max() < 5 / np.sqrt(n)
