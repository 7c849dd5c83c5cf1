"""From the rates of all rounds to what is reported: spreads, ratios, geometric means."""

import math
import statistics


def spread(values: list[float]) -> dict[str, object]:
    """Return the values with their minimum, median and maximum."""
    return {
        "min": min(values),
        "median": statistics.median(values),
        "max": max(values),
        "rounds": list(values),
    }


def ratio(ours: list[float], theirs: dict[str, list[float]]) -> dict[str, object]:
    """Return how many times faster we are than the fastest of the others; the figures are rates, one a round.

    "best" compares our best round with the best of theirs; "min", "median" and "max" are of the ratios within each
    round, where the fastest may be another one each time.
    """
    fastest = max(theirs, key=lambda name: max(theirs[name]))
    by_round = [own / max(others) for own, *others in zip(ours, *theirs.values(), strict=True)]
    return {"fastest": fastest, "best": max(ours) / max(theirs[fastest]), **spread(by_round)}


def fraction(ours: list[float], limits: list[float]) -> dict[str, object]:
    """Return what part of a limit was reached: best of both, and the spread within rounds."""
    by_round = [own / limit for own, limit in zip(ours, limits, strict=True)]
    return {"best": max(ours) / max(limits), **spread(by_round)}


def geometric_mean(values) -> float:
    """(x1 x2 ... xn) ** (1 / n)."""
    return math.exp(statistics.fmean(math.log(value) for value in values))
