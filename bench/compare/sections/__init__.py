"""What can be measured, one file for each kind. A section is a module or object with two functions.

measure(run) -> dict
    asks the peers and returns figures that JSON can hold.
report(figures)
    prints them as tables.
"""

from dataclasses import dataclass

from ..crew import Crew, PeerError
from ..peers import OURS


@dataclass(frozen=True)
class Run:
    """What every section needs to know."""

    crew: Crew
    rounds: int
    quick: bool
    mnist: str  # a folder with X.npy and y.npy
    mnist_rows: int
    workloads: tuple[str, ...]  # the names of those to train

    @property
    def threads(self) -> int:
        """Threads that every peer may use."""
        return self.crew.threads

    def peers(self, among) -> list[str]:
        """Return fastnn and those of the names that can be used here; PeerError where there is nobody else."""
        names = self.crew.among(among)
        if names == [OURS]:
            raise PeerError(f"none of {', '.join(among[1:])} can be used here")
        return names

    def seconds(self, normally: float) -> float:
        """Return how long to repeat a short operation for one figure."""
        return 0.001 if self.quick else normally
