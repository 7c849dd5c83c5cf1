"""The command `fastnn`: what every command shares, which is how it ends."""

import os
import signal
import sys
from importlib import import_module

from fastnn.cli.parser import make_parser
from fastnn.cli.signals import Terminated, interruptible

FAILED = 2


def main(argv: list[str] | None = None) -> int:
    """Run one command; return 0, 1 (a check failed), 2 (an error), or 128 + the signal that stopped it."""
    if sys.stdout is None:  # closed (`>&-`): print would say nothing, everything else would fail
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 (for as long as the process lives)
    try:
        args = make_parser().parse_args(argv)
        # A command is imported when it is called: `fastnn --help` waits for no compiler.
        with interruptible():
            status = import_module(f"fastnn.cli.{args.command}").run(args)
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # the reader (`| head -1`) has what it wanted
        return 128 + signal.SIGPIPE
    except KeyboardInterrupt as stop:
        return 128 + (signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT)
    except (ValueError, TypeError, OSError, ArithmeticError, RuntimeError, MemoryError) as error:
        print(f"fastnn: error: {sentence(error)}", file=sys.stderr)
        return FAILED
    finally:
        _give_up_unwritten_output()


def sentence(error: Exception) -> str:
    """Return what went wrong, on one line."""
    if isinstance(error, OSError) and error.strerror:
        names = [str(name) for name in (error.filename, error.filename2) if name is not None]
        return ": ".join([" to ".join(names), error.strerror] if names else [error.strerror])
    return " ".join(str(error).split()) or type(error).__name__


def _give_up_unwritten_output() -> None:
    # Python flushes stdout once more when it ends, and complains if the reader is gone or the disk is full.
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
