"""Reading the values of options; argparse names the option in the error."""

import argparse


def whole(text: str) -> int:
    """Read a whole number."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None


def number(text: str) -> float:
    """Read a number."""
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None


def part(text: str) -> int | float:
    """Read a part of a data set: a count (`500`) or a fraction (`0.1`)."""
    for kind in (int, float):
        try:
            value = kind(text)
        except ValueError:
            continue
        if value >= 1 if kind is int else 0 < value < 1:
            return value
    raise argparse.ArgumentTypeError(
        f"{text!r} is neither a fraction between 0 and 1 nor a count of 1 or more"
    )


def layer(text: str) -> int:
    """Read the size of a hidden layer; `none` is 0."""
    if text == "none":
        return 0
    try:
        size = int(text)
    except ValueError:
        size = 0
    if size < 1:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a layer size: a whole number of 1 or more, or none (DATA goes before --hidden)"
        )
    return size
