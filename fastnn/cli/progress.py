"""What a person sees while a network trains: a line an epoch, and at a terminal a bar below the lines."""

import time
from datetime import timedelta

from rich.progress import BarColumn, Progress, TextColumn

from fastnn.cli.display import at_terminal, make_console, percent

REFRESH_SECONDS = 0.2  # drawing takes a millisecond or two, and the training waits for it


class EpochLines:
    """Prints a line at the end of each epoch; `trained_rows` counts what the network has seen."""

    def __init__(self, epochs: int):
        self.epochs = epochs
        self.trained_rows = 0
        self._rows_before = 0

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None

    def on_chunk(self, epoch, epochs, done_rows, rows, loss, accuracy, seconds):
        """Take note of a chunk of steps: `done_rows` of the `rows` of an epoch are done."""
        self.trained_rows = self._rows_before + done_rows

    def on_epoch(self, net, history):
        """Print how the last epoch went."""
        self._rows_before = self.trained_rows
        self._print(epoch_line(history, self.epochs))

    def _print(self, line: str) -> None:
        print(line, flush=True)


class LiveProgress(EpochLines):
    """The same, with a bar of the whole training below, redrawn in place."""

    def __init__(self, epochs: int):
        super().__init__(epochs)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("loss {task.fields[loss]:.4f}"),
            TextColumn("{task.fields[accuracy]}"),
            TextColumn("{task.fields[speed]:,.0f} samples/s"),
            TextColumn("{task.fields[left]} left"),
            console=make_console(),
            expand=True,
            transient=True,
            auto_refresh=False,  # a thread that redraws would take turns with the kernels' threads
        )
        self._task = None
        self._begin = self._drawn = 0.0

    def __enter__(self):
        self._bar.start()
        return self

    def __exit__(self, *error):
        self._bar.stop()

    def on_chunk(self, epoch, epochs, done_rows, rows, loss, accuracy, seconds):
        """Redraw the bar, if the last time is long enough ago."""
        super().on_chunk(epoch, epochs, done_rows, rows, loss, accuracy, seconds)
        now = time.monotonic()
        self._begin = self._begin or now - seconds
        if now - self._drawn < REFRESH_SECONDS:
            return
        self._drawn, total = now, epochs * rows
        shown = {
            "description": f"epoch {epoch:{len(str(epochs))}}/{epochs}",
            "completed": self.trained_rows,
            "loss": loss,
            "accuracy": "" if accuracy is None else f"accuracy {percent(accuracy)}",
            "speed": done_rows / seconds,
            "left": timedelta(seconds=round((now - self._begin) * (total / self.trained_rows - 1))),
        }
        if self._task is None:
            self._task = self._bar.add_task(total=total, **shown)
        self._bar.update(self._task, **shown)
        self._bar.refresh()

    def _print(self, line: str) -> None:
        self._bar.console.print(line)


def make_progress(epochs: int, live: bool = True) -> EpochLines:
    """Return what suits stdout: a bar at a terminal (if `live`), lines elsewhere."""
    if live and at_terminal() and not make_console().is_dumb_terminal:
        return LiveProgress(epochs)
    return EpochLines(epochs)


def epoch_line(history, epochs: int) -> str:
    """Return the last epoch of a history in one line."""
    epoch = len(history.loss)
    parts = [
        f"epoch {epoch:{len(str(epochs))}}/{epochs}",
        f"loss {history.loss[-1]:.4f}",
    ]
    if history.accuracy:  # losses of values have none
        parts.append(f"accuracy {percent(history.accuracy[-1])}")
    if history.val_loss:
        parts.append(f"validation loss {history.val_loss[-1]:.4f}")
    if history.val_accuracy:
        parts.append(f"validation accuracy {percent(history.val_accuracy[-1])}")
    parts.append(f"{history.samples_per_second[-1]:,.0f} samples/s")
    return "  ".join(parts)
