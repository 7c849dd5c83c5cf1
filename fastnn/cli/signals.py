"""How Ctrl-C and SIGTERM reach a command: as an exception in the main thread, with time to save the model."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

RETRY_SECONDS = 0.01


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived."""


def _terminate(number, frame):
    raise Terminated


def _retry(unraisable):
    # A signal that comes while LLVM compiles is served when LLVM next calls back to Python, and no exception
    # can leave such a callback: the signal is sent again, for a moment when the callback is over.
    if not isinstance(unraisable.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(unraisable)
        return
    number = signal.SIGTERM if isinstance(unraisable.exc_value, Terminated) else signal.SIGINT
    threading.Timer(RETRY_SECONDS, os.kill, (os.getpid(), number)).start()


@contextmanager
def interruptible() -> Iterator[None]:
    """Within it SIGTERM raises Terminated, and neither that nor KeyboardInterrupt gets lost."""
    handler, hook = signal.signal(signal.SIGTERM, _terminate), sys.unraisablehook
    sys.unraisablehook = _retry
    try:
        yield
    finally:
        sys.unraisablehook = hook
        signal.signal(signal.SIGTERM, handler)


@contextmanager
def held() -> Iterator[None]:
    """Within it neither Ctrl-C nor SIGTERM interrupts: for the short work of saving a model."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
