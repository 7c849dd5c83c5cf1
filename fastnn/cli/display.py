"""Text for people: the console, tables, percentages."""

import sys

from rich.console import Console
from rich.table import Table
from rich.text import Text

PIPE_WIDTH = 110  # columns where no terminal sets a width


def at_terminal() -> bool:
    """Tell whether a person is watching: FORCE_COLOR, which rich obeys, makes no terminal of a log file."""
    return sys.stdout.isatty()


def make_console() -> Console:
    """Return a console on stdout that prints text as it is: no markup, no colouring of numbers."""
    return Console(markup=False, highlight=False, emoji=False, width=None if at_terminal() else PIPE_WIDTH)


def print_table(columns: list[str], rows: list[list[str]], title: str = "") -> None:
    """Print a table; the first column is aligned left, the others, which hold figures, right."""
    table = Table(title=title or None, title_justify="left", title_style="", box=None, pad_edge=False)
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    make_console().print(table)


def percent(fraction: float) -> str:
    """Write 0.9612 as `96.12 %`."""
    return f"{100 * fraction:.2f} %"
