"""Tiles handed out while they are computed: each thread begins with a share of its own, and helps others when it is done.

A processor's cores are seldom equally fast: some are built smaller, others share their units with another program. With fixed
shares all wait for the slowest at every barrier. (Two virtual processors of a shared machine, each at 55 to 100 % of its peak
from one millisecond to the next: fixed shares would reach 226 GFLOP/s of the 253 that both did together.)

A thread takes tiles from the front of its own share, so that a layer's weights stay in its caches, and from the back of another's
when its own is empty. What is left of a share is one int64, changed by compare-and-exchange:

    bits 56-62 the phase's tag, 28-55 the first tile, 0-27 the tile behind the last    (2^28 tiles are 400 GB of weights)

Nobody has to prepare a phase: whoever finds the tag of an earlier one takes the whole share to be left. Two phases that no
barrier parts need two slots. An element is computed in the same way whoever does it: the same bits.
"""

from ._jit import helper
from .jobs import QUEUES, THREAD_WORDS
from .sync import atomic_load, exchange_if, share
from .tile import VECTORS, address

# Words of a thread's `queues`: the address of the team's shares, the tags of the last phases, and a share that nobody else sees.
_PLACE, _TAGS, _ALONE_TAG, _ALONE = 0, 1, 3, 4
QUEUES_WORDS = 5

# A thread looks at so many others' shares: a look costs 0.1 us, and where there are many threads a phase is short.
_OTHERS = 3

# Tiles are taken in groups that have at least so many turns, which take about 1 us: it costs 10 ns, from another's share 0.2 us.
LONG = 256

# What a tile of a few columns, one of one vector and one of two cost: 12 x 1 takes 0.65 of the time of 12 x 2, as it loads as
# many elements of A, and 12 rows by 4 columns, see rest_code.py, 0.15.
_FEW_COLUMNS, _ONE_VECTOR, _TWO_VECTORS = 1, 2, 3


def strip_cost(vectors, few=False):
    """What a strip of a product costs that is so many vectors wide, the last of which holds only a `few` columns or not."""
    return _TWO_VECTORS * (vectors // VECTORS) + (_FEW_COLUMNS if few else _ONE_VECTOR * (vectors % VECTORS))


@helper
def share_tiles(strip, count, thread, threads):
    """The tiles [first, last) of a product that belong to `thread`, `count` strips a panel, of which each costs `strip` in all.

    They are shared out by what they cost, as the last panel may be narrower. (784-100-10 with batches of 256, by number: one of
    two threads took 20 % longer than the other.)
    """
    wide = strip // _TWO_VECTORS * count  # tiles of two vectors, and then come others
    narrow = strip % _TWO_VECTORS
    first, last = share(strip * count, thread, threads)
    return _tile_at(first, wide, narrow), _tile_at(last, wide, narrow)


@helper
def _tile_at(cost, wide, narrow):
    """The number of tiles that come nearest to this cost."""
    if cost <= _TWO_VECTORS * wide:
        return (cost + _TWO_VECTORS // 2) // _TWO_VECTORS
    return wide + (cost - _TWO_VECTORS * wide + narrow // 2) // narrow


@helper
def open_queues(sync, thread, queues):
    """Prepare a thread's `queues`, QUEUES_WORDS words, for one job of a team whose array is `sync`; before the first barrier."""
    for word in range(QUEUES_WORDS):  # not np.zeros: Numba takes 0.2 s longer
        queues[word] = 0
    queues[_PLACE] = address(sync, QUEUES)
    for slot in range(2):
        sync[QUEUES + thread * THREAD_WORDS + slot] = 0


# A queue is where the shares stand, its tag, the thread, how many help each other, the thread's own share, and the product as in
# share_tiles. Those that others read:
THREAD, FIRST, LAST = 2, 4, 5


@helper
def queue_of(queues, slot, strip, count, thread, threads):
    """The queue of a phase in which all threads compute a product as in share_tiles, and help each other; slot is 0 or 1."""
    first, last = share_tiles(strip, count, thread, threads)
    if threads == 1:
        return own_queue(queues, strip, count, first, last)
    queues[_TAGS + slot] = (queues[_TAGS + slot] + 1) & 127
    return queues[_PLACE] + 8 * slot, queues[_TAGS + slot], thread, threads, first, last, strip, count


@helper
def own_queue(queues, strip, count, first, last):
    """The queue of tiles [first, last) of such a product, which no other thread takes."""
    queues[_ALONE_TAG] = (queues[_ALONE_TAG] + 1) & 127
    return address(queues, _ALONE), queues[_ALONE_TAG], 0, 1, first, last, strip, count


@helper
def next_tiles(queue, whose, depth):
    """The next tiles [begin, end) to compute, all of one panel, and whose share they are from; begin == end at the end.

    whose: queue[THREAD] at first, then what the last call returned. depth: turns a tile.
    """
    place, tag, thread, threads, first, last, strip, count = queue
    least = max(1, LONG // max(1, depth))
    while True:
        if whose != thread:
            first, last = share_tiles(strip, count, whose, threads)
        begin, end = _take(
            place + 8 * THREAD_WORDS * whose, tag, first, last, count, least, whose == thread, threads == 1
        )
        if begin < end:
            return begin, end, whose
        whose = (whose + 1) % threads
        distance = (whose - thread) % threads
        if (
            distance == 0 or distance == _OTHERS + 1
        ):  # not `in` a tuple, which Numba makes a function of its own for
            return 0, 0, whose


@helper
def _take(place, tag, first, last, count, least, own, alone):
    """Take tiles [begin, end) of one panel of `count` from the share at `place`, at first [first, last); or none of them."""
    while True:
        seen = atomic_load(place)
        untouched = seen >> 56 != tag
        low, high = first, last
        if not untouched:
            low, high = (seen >> 28) & 0xFFFFFFF, seen & 0xFFFFFFF
        left = high - low
        begin = end = low
        if own:
            if left > 0:
                some = left if alone else max(least, left // 4)
                end = min(low + some, high, (low // count + 1) * count)
            low = end
        elif left >= least:
            begin, end = max(high - max(least, left // 2), (high - 1) // count * count), high
            high = begin
        # An empty share, too, gets the tag, which would come round after 128 phases.
        if begin == end and not untouched:
            return begin, end
        if exchange_if(place, seen, (tag << 56) | (low << 28) | high):
            return begin, end
