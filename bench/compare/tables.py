"""How figures are written for people."""

from fastnn.cli.display import print_table


def count(number: float) -> str:
    """Write 123456.7 as `123,457`, and small numbers with a decimal."""
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def times(number: float) -> str:
    """Write a ratio."""
    return f"{number:.2f}x"


def percent(part: float) -> str:
    """Write a fraction."""
    return f"{100 * part:.0f} %"


def spread_cells(figure: dict, write) -> list[str]:
    """Return minimum, median and maximum, one cell each."""
    return [write(figure[key]) for key in ("min", "median", "max")]


def in_one_cell(figure: dict, write) -> str:
    """Write minimum, median and maximum in one cell, the unit once."""
    *numbers, last = spread_cells(figure, write)
    unit = last.lstrip("0123456789.,")
    return " ".join([*(number.removesuffix(unit) for number in numbers), last])


def show(title: str, columns: list[str], rows: list[list[str]]) -> None:
    """Print a table under its title, and a line of space."""
    print(title)
    print_table(columns, rows)
    print(flush=True)
