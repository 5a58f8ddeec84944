"""Printing: one value, as a table for people or as JSON for programs."""

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from textwrap import wrap
from typing import Any, TextIO

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from stepdown.cli.advice import advised

PIPED_WIDTH = 160
"""Columns of a table that no terminal shows."""

LARGE = 1e15
"""A larger number is shown by its power of ten: nobody counts hundreds of digits."""

FRAME = 3
"""Columns of a terminal that the frame of a table's column takes: a line and a space at each side."""


def on_terminal() -> bool:
    """Tell whether somebody looks at the results as they are printed, rather than a file or a program."""
    return sys.stdout.isatty()


def out() -> Console:
    """Return the console of results."""
    width = None if on_terminal() else PIPED_WIDTH
    return Console(file=sys.stdout, width=width, highlight=False, soft_wrap=False)


def err() -> Console:
    """Return the console of everything else."""
    return Console(file=sys.stderr, highlight=False)


def note(sentence: str) -> None:
    """Print a sentence of ours beside the results; its commands are for the workspace that was named."""
    # A text of its own: no bracket in a name is markup, and no word between colons a picture.
    err().print(Text(_shown(advised(sentence))), soft_wrap=True)


def emit(value: Any, *, as_json: bool, people: Callable[[], object]) -> None:
    """Print a value: as JSON, or what `people` returns (a table, or text)."""
    if as_json:
        from stepdown.views.runs import plain

        sys.stdout.write(as_text(plain(value), sys.stdout))
        return
    shown = people()
    if isinstance(shown, str):
        text = _shown(shown)
        sys.stdout.write(text if text.endswith("\n") else text + "\n")
    else:
        out().print(shown, crop=False)


def as_text(value: Any, stream: TextIO) -> str:
    """Return a value as JSON: characters where a stream takes them all, and what JSON has for them where it does not."""
    whole = (getattr(stream, "encoding", None) or "utf-8").lower().replace("-", "") == "utf8"
    return json.dumps(value, ensure_ascii=not whole, indent=2) + "\n"


def table(title: str, head: Sequence[str], body: Iterable[Sequence[object]]) -> "Sheet":
    """Return a table; cells are text and never markup, whatever a reply contains."""
    return Sheet(title, tuple(head), tuple(tuple(map(_cell, row)) for row in body))


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table that breaks no word: an id, a date or a role that is cut names nothing.

    Where its longest words do not fit side by side, each row is shown as lines of name and value instead.

    Attributes:
        title: Above it.
        head: Names of the columns.
        rows: Texts of the cells.
    """

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Table | Text]:
        """Yield the table, or its rows one below the other."""
        columns = list(zip(self.head, *self.rows, strict=True))
        room = options.max_width - FRAME * len(columns) - 1
        widths = [max(cell_len(word) for cell in column for word in [*cell.split(), ""]) for column in columns]
        if sum(widths) > room and self.rows:
            yield from self._stacked(options.max_width)
            return
        full = [max(cell_len(line) for cell in column for line in [*cell.splitlines(), ""]) for column in columns]
        while sum(widths) < room and widths != full:
            # The narrowest that wants more gets it first: what is short stays on one line, and long texts share the rest.
            index = min((w, i) for i, w in enumerate(widths) if w < full[i])[1]
            widths[index] += 1
        table = Table(title=Text(self.title, "table.title"), title_justify="left", header_style="bold")
        for name, width in zip(self.head, widths, strict=True):
            table.add_column(name, overflow="fold", width=width)
        for row in self.rows:
            table.add_row(*map(Text, row))
        yield table

    def _stacked(self, width: int) -> Iterator[Text]:
        if self.title:
            yield Text(self.title)
        name_width = max(map(cell_len, self.head))
        for row in self.rows:
            yield Text()
            for name, cell in zip(self.head, row, strict=True):
                for line in _lines(f"{name:<{name_width}}  ", cell, width):
                    yield Text(line.rstrip(), overflow="ignore")


def _lines(name: str, cell: str, width: int) -> Iterator[str]:
    """Yield a value's lines, the first after its name. A word longer than a line is left to the terminal's folding."""
    for text in cell.splitlines() or [""]:
        yield from wrap(
            text,
            width,
            initial_indent=name,
            subsequent_indent=" " * len(name),
            break_long_words=False,
            break_on_hyphens=False,
        ) or [name]
        name = " " * len(name)


@dataclass(frozen=True, slots=True)
class Page:
    """A document on a terminal: its lines broken between words, under their own beginning, and its tables as sheets.

    Attributes:
        parts: Lines and tables, in order.
    """

    parts: tuple["str | Sheet", ...]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator["Sheet | Text"]:
        """Yield every line and table."""
        for part in self.parts:
            if isinstance(part, Sheet):
                yield part
                yield Text()
                continue
            indent = re.match(r"\s*(- )?", part)
            first = indent[0] if indent else ""
            for number, line in enumerate(_lines("", part[len(first) :], options.max_width - len(first))):
                yield Text((first if not number else " " * len(first)) + line, overflow="ignore")


def together(*shown: Sheet) -> object:
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
        return f"{value:.4f}".rstrip("0").rstrip(".") if abs(value) < LARGE else f"{value:g}"
    return _shown(str(value))


def _shown(text: str) -> str:
    """Return what a reply, a reason or a name holds as it is shown, and never obeyed by the terminal."""
    return "".join(c if c.isprintable() or c == "\n" else " " for c in text)


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int, str], None]]:
    """Show a bar on stderr; the body calls it with how many are done, of how many, and a note."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    # A bar is for eyes: in a pipe it would leave empty lines between the sentences.
    with Progress(*columns, console=err(), disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(what, total=None, note="")

        def show(done: int, total: int, note: str = "") -> None:
            bar.update(task, completed=done, total=total, note=note)

        yield show
