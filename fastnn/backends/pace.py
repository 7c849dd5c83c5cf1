"""Which of all threads and one alone makes steps faster just now: a busy neighbour can make many slower than one."""

_LONG = 0.002  # seconds; of a shorter chunk, waking the threads is too large a part to tell
_SUSPICIOUS = 1.5  # times the quickest step so far: is one thread faster now?
_FIRST_WAIT, _PATIENCE = (
    2,
    32,
)  # the fewest and the most chunks that one thread makes before all are tried again
_WAKING, _TRIAL = 0.0005, 0.003  # seconds that one thread would take for the two chunks of such a trial
_LONG_STEP = 0.002  # seconds that one thread takes: of longer steps none is made alone at the start
_LATER = 100  # times that, until one is: then it costs 1 %, not 2 % of a training of 50 steps


class Pace:
    """Chooses the number of threads of the next chunk from how long the chunks so far took; the results are the same bits.

    Threads meet at barriers several times a step. Where another program takes one's processor, all wait for a time slice of
    some milliseconds: two threads beside two busy programs on two processors took 3.7 (784-100-10, batch 20) to 9.5 times
    (784-32-32-10) as long as one; with this, mostly 0.7 to 2.4, at worst 4.7 (bench/NOTES.md). The first two chunks, of one and
    four steps, are made alone, to know what one thread does; long steps suffer less from waiting, and wait with that.

    After a chunk that threads made slower, one thread makes 2 chunks, then after a short trial of all 4, 8 ... 32. (With 16 at
    once, a neighbour that worked for some milliseconds more cost half a second of training alone.) What threads do in the first
    chunk after one alone does not count: they are made or woken in it, which was seen to take 0.02 to 4 ms.
    """

    def __init__(self, threads, alone=0.0):
        """`alone`: about how many seconds one thread takes for a step."""
        self._all = threads
        self.threads = 1 if alone < _LONG_STEP else threads
        self._until_alone = _LATER * alone  # seconds of all threads
        self._chunks = 0
        self._alone = self._together = None  # the latest seconds a step
        self._best = float("inf")  # the least seconds a step, together
        self._waited = 0  # chunks made alone since all threads were tried
        self._wait = 0  # how many are to be
        self._waking = True  # whether the next chunk of all threads is the first after one alone

    def most_steps(self):
        """The most steps that the next chunk should have: few where it is a trial, which may take ten times as long."""
        if self.threads == 1 and self._wait == 1:  # only to know what one thread does
            return 1 if self._alone is None else max(1, int(_TRIAL / self._alone))
        if self._wait == 0 or self.threads == 1:
            return None
        return max(1, int((_WAKING if self._waking else _TRIAL) / self._alone))

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
            self._waited += 1
            if self._waited >= self._wait:
                self.threads = self._all
            return
        if self._waking or (seconds < _LONG and self._wait == 0):
            self._waking = False
            return
        self._together = step
        if self._alone is None:
            self._until_alone -= seconds
            if self._until_alone < 0:
                self._be_alone(1)
                return
        if step > _SUSPICIOUS * self._best:
            # Slower than all threads once were: perhaps one would do better, perhaps the machine is slower. One chunk tells.
            self._best = step
            self._be_alone(1)
            return
        self._best = min(self._best, step)
        if self._alone is not None and step > self._alone:
            self._be_alone(min(max(2 * self._wait, _FIRST_WAIT), _PATIENCE))
        else:
            self._wait = 0

    def _be_alone(self, chunks):
        self.threads, self._waited, self._wait, self._waking = 1, 0, chunks, True
