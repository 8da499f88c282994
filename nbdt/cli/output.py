"""What commands print: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from nbdt.errors import InputError
from nbdt.hierarchy.text import one_line

# Wider than any table: where no terminal limits it, nothing is wrapped.
_ENDLESS = 10_000


def say(text: str, *, bold: bool = False) -> None:
    """Prints text for a reader; what is in it cannot command the terminal."""
    style = "bold" if bold else ""
    _console().print(Text(_harmless(text), style), soft_wrap=True)


def say_drawing(coloured: RenderableType, plain: str) -> None:
    """Prints a drawing: as wide as the terminal and in color, or plainly where there is none."""
    console = _console()
    if console.is_terminal:
        console.print(coloured)
    else:
        say(plain)


def say_json(value: Any) -> None:
    """Prints one JSON document on one line, in ASCII, which every encoding holds."""
    sys.stdout.write(json.dumps(value, allow_nan=False) + "\n")


def say_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints a table: texts on the left, and from the second column on numbers on the right."""
    console = _console()
    if not console.is_terminal:
        console.width = _ENDLESS
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    for index, column in enumerate(columns):
        table.add_column(Text(column), justify="right" if index else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(one_line(cell)) for cell in row))
    console.print(table)


def complain(message: str) -> None:
    """Says in one line on standard error what went wrong."""
    # Written plainly, it comes out above a progress bar, not across it.
    print(f"nbdt: {_one_sentence(message)}", file=sys.stderr)


def note(message: str) -> None:
    """Says in one line on standard error what is worth knowing."""
    print(f"note: {_one_sentence(message)}", file=sys.stderr)


@contextmanager
def progress(
    description: str, total: int, *, between_results: bool = False
) -> Iterator[Callable[[int], None]]:
    """A bar on standard error, if that is a terminal; gives what moves it on.

    Args:
        description: what is being done.
        total: how many steps it takes.
        between_results: whether results are printed meanwhile. On a terminal they show how far
            things are, and a bar would be in their way.
    """
    console = _console(stderr=True)
    hidden = not console.is_terminal or (between_results and _console().is_terminal)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=console, transient=True, disable=hidden, redirect_stdout=False
    ) as bar:
        task = bar.add_task(description, total=total)
        yield lambda steps: bar.advance(task, steps)


@contextmanager
def working(description: str) -> Iterator[None]:
    """A sign on standard error, if that is a terminal, that something is being done."""
    console = _console(stderr=True)
    if not console.is_terminal:
        yield
        return
    with console.status(Text(description)):
        yield


def _console(stderr: bool = False) -> Console:
    return Console(stderr=stderr, markup=False, highlight=False, emoji=False)


def _harmless(text: str) -> str:
    return "\n".join(map(one_line, text.split("\n")))


def _one_sentence(message: str) -> str:
    return one_line(" ".join(message.split()))


def check_folder(page: str) -> None:
    """Refuses a page in a folder that doesn't exist, before the work for it."""
    if not Path(page).resolve().parent.is_dir():
        raise InputError(f"{page}: the folder for this file does not exist.")
