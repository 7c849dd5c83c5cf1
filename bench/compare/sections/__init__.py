"""What can be measured, one file for each kind. A section is a module or object with two functions.

measure(run) -> dict
    asks the peers and returns figures that JSON can hold.
report(figures)
    prints them as tables.
"""

from dataclasses import dataclass

from ..crew import Crew


@dataclass(frozen=True)
class Run:
    """What every section needs to know."""

    crew: Crew
    rounds: int
    quick: bool
    mnist: str  # a folder with X.npy and y.npy
    mnist_rows: int

    @property
    def threads(self) -> int:
        """Threads that every peer may use."""
        return self.crew.threads

    def seconds(self, normally: float) -> float:
        """Return how long to repeat a short operation for one figure."""
        return 0.001 if self.quick else normally
