"""fastnn measured beside its peers: the same networks, the same data, the same number of threads, in one run.

`python bench/compare` runs it where fastnn and some of its peers are installed; `scripts/run.py compare` installs them.
Each peer lives in a process of its own and is asked for one figure at a time, in rounds that alternate over all of them,
because thread pools that wait in loops disturb each other and the machine's speed drifts from minute to minute.
"""
