"""Printing: one value, as a table for people or as JSON for programs."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console, Group
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

PIPED_WIDTH = 160
"""Columns of a table that no terminal shows."""


def out() -> Console:
    """Return the console of results."""
    width = None if sys.stdout.isatty() else PIPED_WIDTH
    return Console(file=sys.stdout, width=width, highlight=False, soft_wrap=False)


def err() -> Console:
    """Return the console of everything else."""
    return Console(file=sys.stderr, highlight=False)


def emit(value: Any, *, as_json: bool, people: Callable[[], object]) -> None:
    """Print a value: as JSON, or what `people` returns (a table, or text)."""
    if as_json:
        from stepdown.views.runs import plain

        sys.stdout.write(json.dumps(plain(value), ensure_ascii=False, indent=2) + "\n")
        return
    shown = people()
    if isinstance(shown, str):
        sys.stdout.write(shown if shown.endswith("\n") else shown + "\n")
    else:
        out().print(shown)


def table(title: str, head: Sequence[str], body: Iterable[Sequence[object]]) -> Table:
    """Return a table; cells are text and never markup, whatever a reply contains."""
    table = Table(title=title, title_justify="left", header_style="bold")
    for name in head:
        table.add_column(name, overflow="fold")  # An id that is cut names nothing.
    for row in body:
        table.add_row(*(Text(_cell(value)) for value in row))
    return table


def together(*shown: Table) -> object:
    """Return tables one below the other."""
    return Group(*shown)


def _cell(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(_cell, value)) or "–"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_cell(each)}" for name, each in value.items()) or "–"
    if isinstance(value, float):
        return f"{value:.4f}".rstrip("0").rstrip(".")
    # What a reply, a reason or a name holds is shown, and never obeyed by the terminal.
    return "".join(c if c.isprintable() or c == "\n" else " " for c in str(value))


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int, str], None]]:
    """Show a bar on stderr; the body calls it with how many are done, of how many, and a note."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
    )
    # A bar is for eyes: in a pipe it would leave empty lines between the sentences.
    with Progress(*columns, console=err(), disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(what, total=None, note="")

        def show(done: int, total: int, note: str = "") -> None:
            bar.update(task, completed=done, total=total, note=note)

        yield show
