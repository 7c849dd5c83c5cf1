"""Which of all threads and one alone makes steps faster just now: a busy neighbour can make many slower than one."""

_LONG = 0.002  # seconds; of a shorter chunk, waking the threads is too large a part to tell
_SUSPICIOUS = 1.5  # times the quickest step so far: is one thread faster now?
_PATIENCE = 16  # chunks that one thread makes before all are tried again


class Pace:
    """Chooses the number of threads of the next chunk from how long the chunks so far took; the results are the same bits.

    Threads meet at barriers several times a step. Where another program takes one's processor, all wait for a time slice of
    some milliseconds: two threads beside two busy programs on two processors took 3.7 (784-100-10, batch 20) to 9.5 times
    (784-32-32-10) as long as one; with this, at most 1.54 times in all combinations tried. The first two chunks, of one and
    four steps, are made alone, to know what one thread does.
    """

    def __init__(self, threads):
        self._all = threads
        self.threads = 1
        self._chunks = 0
        self._alone = self._together = None  # the latest seconds a step
        self._best = float("inf")  # the least seconds a step, together
        self._waited = 0  # chunks made alone since all threads were tried

    def record(self, seconds, steps):
        """Take note of a chunk, and choose the threads of the next."""
        if self._all == 1:
            return
        self._chunks += 1
        step = seconds / steps
        if self.threads == 1:
            self._alone = step
            if self._together is None:
                if self._chunks > 1 or seconds > _LONG:
                    self.threads = self._all
                return
        else:
            if seconds < _LONG:
                return
            self._together = step
            if step > _SUSPICIOUS * self._best:
                self._best = step
                self.threads = 1
                return
            self._best = min(self._best, step)
        if self._together <= self._alone:
            self.threads = self._all
        else:
            self._waited = self._waited + 1 if self.threads == 1 else 0
            self.threads = self._all if self._waited > _PATIENCE else 1
