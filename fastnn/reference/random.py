"""Random numbers by counter: number i of a stream is a function of i and a key; whole numbers modulo 2⁶⁴ throughout."""

MODULUS = 2**64


def squares(counter: int, key: int) -> int:
    """Return 32 random bits, number `counter` of the stream `key`, which is odd.

    x = counter · key is squared and its halves are exchanged, four times over; in between, x and x + key are added in
    turn. Source: Widynski, Squares: a fast counter-based RNG, 2020 (arXiv 2004.06278v3), section 3.
    """
    y = counter * key % MODULUS
    z = (y + key) % MODULUS
    x = exchange_halves((y * y + y) % MODULUS)
    x = exchange_halves((x * x + z) % MODULUS)
    x = exchange_halves((x * x + y) % MODULUS)
    return (x * x + z) % MODULUS >> 32


def exchange_halves(x: int) -> int:
    """Return x, 64 bits, with its upper and its lower 32 bits exchanged."""
    return x >> 32 | x % 2**32 << 32


def uniform(counter: int, key: int) -> float:
    """Return a number from 0 to below 1: the upper 24 of the 32 bits, over 2²⁴."""
    return (squares(counter, key) >> 8) / 2**24


def mix(z: int) -> int:
    """Return 64 bits each of which depends on all bits of z.

    Source: Steele, Lea and Flood, Fast splittable pseudorandom number generators, 2014, figure 17.
    """
    z = (z + 0x9E3779B97F4A7C15) % MODULUS
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % MODULUS
    z = (z ^ z >> 27) * 0x94D049BB133111EB % MODULUS
    return z ^ z >> 31


def subkey(key: int, word: int) -> int:
    """Return the key, an odd number, of part `word` of what `key` stands for."""
    return mix((mix(key) + word) % MODULUS) | 1


def make_key(seed: int, *words: int) -> int:
    """Return the key of `seed`, a whole number of at least 0, and of `words`, such as an epoch and a layer."""
    digits = [seed % MODULUS]
    while seed := seed >> 64:
        digits.append(seed % MODULUS)
    key = len(digits)
    for word in (*digits, *words):
        key = subkey(key, word)
    return key
