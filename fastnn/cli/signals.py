"""SIGTERM treated as Ctrl-C is: an exception in the main thread, which leaves time to save the model."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived."""


def _terminate(number, frame):
    raise Terminated


@contextmanager
def termination_raises() -> Iterator[None]:
    """Within it SIGTERM raises Terminated."""
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def held() -> Iterator[None]:
    """Within it neither Ctrl-C nor SIGTERM interrupts: for the short work of saving a model."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
