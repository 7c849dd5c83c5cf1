"""How many rows each step of a fit takes: its batch sizes, laid out over the rows of every epoch."""

from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np

from . import checks, schedules


@dataclass(frozen=True)
class Batches:
    """`changes[epoch]` lists (first row, size): from that row of the epoch's order on, batches have that size.

    A batch that a change or the epoch's end cuts short is smaller.
    """

    rows: int
    changes: tuple[tuple[tuple[int, int], ...], ...]

    @property
    def largest(self) -> int:
        """The largest size."""
        return max(size for epoch in self.changes for _, size in epoch)

    def at(self, epoch: int, row: int) -> tuple[int, int]:
        """Return the size of the batch that begins at `row`, and how many rows from there on have batches of that size."""
        changes = self.changes[epoch]
        place = bisect_right(changes, row, key=lambda change: change[0])
        end = changes[place][0] if place < len(changes) else self.rows
        return changes[place - 1][1], end - row

    def steps(self, epoch: int) -> int:
        """Return the number of steps of an epoch."""
        changes = self.changes[epoch]
        ends = [first for first, _ in changes[1:]] + [self.rows]
        return sum(-(-(end - first) // size) for (first, size), end in zip(changes, ends, strict=True))

    def last(self, epoch: int) -> tuple[int, int]:
        """Return the size of an epoch's last batch, and how many rows are left for it."""
        first, size = self.changes[epoch][-1]
        return size, (self.rows - first - 1) % size + 1

    def table(self) -> np.ndarray:
        """Return all changes as an array (changes, 3) of epoch, first row and size, as a checkpoint keeps them."""
        changes = [(epoch, *change) for epoch, each in enumerate(self.changes) for change in each]
        return np.array(changes, np.int64)

    @classmethod
    def of_table(cls, rows: int, table: np.ndarray) -> "Batches":
        """Return the batches that such an array is of."""
        by_epoch = groupby(table.tolist(), key=lambda change: change[0])
        return cls(rows, tuple(tuple((row, size) for _, row, size in each) for _, each in by_epoch))


def lay_out(batch_size: Any, rows: int, epochs: int, limit: Callable[[int], int]) -> Batches:
    """Return the batches of a fit: `batch_size` is a whole number, a schedule, its settings or a function of the step.

    Values are rounded; `limit` returns the size to take for one, and may refuse it. Raises TypeError for a schedule that
    waits for the history, ValueError for sizes below 1, and for one by step that has no length: how many steps
    there are is what it decides.
    """
    if not isinstance(batch_size, schedules.Schedule | Mapping) and not callable(batch_size):
        size = limit(checks.whole_number(batch_size, "batch_size"))
        return Batches(rows, (((0, size),),) * epochs)
    schedule = schedules.resolve(batch_size, "batch_size").begin(None, epochs)
    if schedule.state():
        raise TypeError(
            "batch_size is a schedule that waits for the history; one of the step or epoch is needed"
        )

    def size_at(step: int, epoch: int) -> int:
        try:
            value = schedule.value(
                step, epoch, rows
            )  # a warm-up's aim is what it warms up to in the first epoch
        except ValueError as error:
            raise ValueError(f"batch_size: {error}") from error
        where = f"epoch {epoch}" if schedule.unit == "epoch" else f"step {step}"
        need = f"from 1 to {checks.LARGEST_COUNT}"
        within = checks.real_number(
            value, f"batch_size of {where}", lambda size: 1 <= size <= checks.LARGEST_COUNT, need
        )
        return limit(round(within))

    if schedule.unit != "step":
        return Batches(rows, tuple(((0, size_at(0, epoch)),) for epoch in range(epochs)))
    step, changes = 0, []
    for epoch in range(epochs):
        row, sizes = 0, []
        while row < rows:
            size = size_at(step, epoch)
            if not sizes or sizes[-1][1] != size:
                sizes.append((row, size))
            row += size
            step += 1
        changes.append(tuple(sizes))
    return Batches(rows, tuple(changes))
