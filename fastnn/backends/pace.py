"""Which of all threads and one alone makes steps faster just now: a busy neighbour can make many slower than one."""

import math

_LONG = 0.002  # seconds; of a shorter chunk, waking the threads is too large a part to tell
_TELLING = 0.0005  # seconds of one thread that tell how fast it is, if they are not its first
_SUSPICIOUS = 1.5  # times the quickest step so far: is one thread faster now?
_WORSE = 1.5  # times what one thread took a while ago, as the machine may have become slower since
_PATIENCE = 0.003  # seconds that all threads may lose in a chunk before one goes on alone
_MOST_WAIT = 32  # the most chunks that one thread makes before all are tried again
_LOOK = 0.003  # seconds of a chunk alone that is only to tell how fast one thread is
_LONG_STEP = 0.002  # seconds that one thread takes: of longer steps none is made alone at the start
_LATER = 100  # times that, until one is: then it costs 1 %, not 2 % of a training of 50 steps


class Pace:
    """Chooses the number of threads of the next chunk from how long the chunks so far took; the results are the same bits.

    Threads meet at barriers several times a step. Where another program takes one's processor, all wait for a time slice of
    some milliseconds: two threads beside two busy programs on two processors took 3.7 (784-100-10, batch 20) to 9.5 times
    (784-32-32-10) as long as one. The first chunks, of 1, 4, 16 ... steps, are made alone, until 0.5 ms tell what one thread does
    (784-100-10, batch 20, in a noisy hour: 121 us a step in the first four, 97 in 16, 60 later); long steps suffer less from
    waiting, and wait with that.

    All threads are patient for some milliseconds: then one of them makes the rest of the chunk alone (kernels/train.py), and 1
    chunk more, then after another try of all 2, 4 ... 32. So a try costs the patience and a time slice, not all the slices that
    a chunk can meet. (Without, beside two busy programs, 784-100-10 took up to 4.7 times as long as one thread. With 16 chunks
    at once, a neighbour that worked for some milliseconds more cost half a second of training alone.)
    """

    def __init__(self, threads, alone=0.0):
        """`alone`: about how many seconds one thread takes for a step."""
        self._all = threads
        self.threads = 1 if alone < _LONG_STEP else threads
        self._until_alone = _LATER * alone  # seconds of all threads
        self._chunks = 0
        self._alone = self._together = None  # the latest seconds a step
        self._best = math.inf  # the least seconds a step, together
        self._left = 0  # chunks to be made alone before all threads are tried
        self._wait = 0  # how many they were at first
        self._looking = False  # whether the chunk alone is only to tell how fast one thread is
        self._waking = True  # whether the next chunk of all threads is the first after one alone

    def patience(self):
        """Seconds that a step of all threads may take, and seconds beyond all those, before one thread makes the rest."""
        return math.inf if self._alone is None else _WORSE * self._alone, _PATIENCE

    def most_steps(self):
        """The most steps that the next chunk should have, or None: few where it is only to tell how fast one thread is."""
        if not self._looking:
            return None
        return 1 if self._alone is None else max(1, int(_LOOK / self._alone))

    def record(self, seconds, steps, alone_steps=0, alone_seconds=0.0):
        """Take note of a chunk, of which one thread made the last `alone_steps`, and choose the threads of the next."""
        if self._all == 1:
            return
        self._chunks += 1
        step = seconds / steps
        if self.threads == 1:
            self._alone = step
            if self._together is None and self._left == 0:
                if seconds > (_LONG if self._chunks == 1 else _TELLING):
                    self.threads = self._all
                return
            self._left -= 1
            if self._left <= 0:
                self.threads, self._looking = self._all, False
            return
        waking, self._waking = self._waking, False
        if alone_steps > 0:
            self._alone = alone_seconds / alone_steps
            self._be_alone_longer()
            return
        if waking or (seconds < _LONG and self._wait == 0):
            return
        self._together = step
        if self._alone is None:
            self._until_alone -= seconds
            if self._until_alone < 0:
                self._look()
            return
        if step > _SUSPICIOUS * self._best:
            # Slower than all threads once were: perhaps one would do better, perhaps the machine is slower.
            self._best = step
            self._look()
            return
        self._best = min(self._best, step)
        if step > self._alone:
            self._be_alone_longer()
        else:
            self._wait = 0

    def _look(self):
        self._be_alone(1)
        self._looking = True

    def _be_alone_longer(self):
        self._wait = min(max(2 * self._wait, 1), _MOST_WAIT)
        self._be_alone(self._wait)

    def _be_alone(self, chunks):
        self.threads, self._left, self._waking = 1, chunks, True
