"""The process that a peer lives in: it waits for a question, answers it, and waits again."""

import os
import pickle
import signal
import sys
import traceback

from . import peers
from .tasks import Tasks


def serve() -> None:
    """Answer questions from stdin, pairs of a task's name and its arguments, until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then ends this process
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever a library prints is no answer

    def answer(failure, result):
        pickle.dump((failure, result), answers)
        answers.flush()

    name, threads = sys.argv[1], int(sys.argv[2])
    try:
        tasks = Tasks(peers.load(name, threads))
    except ImportError as error:
        answer(str(error), None)
        return
    answer(None, None)
    while True:
        try:
            task, arguments = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            result = getattr(tasks, task)(**arguments)
        except Exception:
            answer(traceback.format_exc(), None)
        else:
            answer(None, result)
