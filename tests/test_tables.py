"""A table on a terminal of any width keeps every id, role and date in one piece."""

import io
import re
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from stepdown.cli import main
from stepdown.cli.output import table, together

WORDS = st.from_regex(r"[a-z0-9:-]{1,20}", fullmatch=True)
CELLS = st.lists(WORDS, max_size=5).map(" ".join)


@st.composite
def sheets(draw: st.DrawFn) -> tuple[list[str], list[list[str]]]:
    """A head and rows of as many cells."""
    head = draw(st.lists(st.from_regex(r"[a-z]{1,12}", fullmatch=True), min_size=1, max_size=9))
    row = st.lists(CELLS, min_size=len(head), max_size=len(head))
    return head, draw(st.lists(row, min_size=1, max_size=4))


def shown(width: int, *lines: object) -> str:
    """Return what a terminal of a width shows."""
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    for line in lines:
        console.print(line, crop=False)
    return console.file.getvalue()  # type: ignore[attr-defined]


@given(sheets(), st.integers(24, 200))
def test_no_width_breaks_a_word(sheet: tuple[list[str], list[list[str]]], width: int) -> None:
    head, rows = sheet
    text = shown(width, together(table("title", head, rows), table("again", head, rows)))

    pieces = re.split(r"[^a-z0-9:-]+", text)
    for word in [*head, *(word for row in rows for cell in row for word in cell.split())]:
        assert pieces.count(word) >= 2, f"{word} is broken at {width} columns"


@given(sheets(), st.integers(24, 200))
def test_no_line_is_wider_than_the_terminal_but_for_one_word(
    sheet: tuple[list[str], list[list[str]]], width: int
) -> None:
    head, rows = sheet
    longest = max(len(word) for row in rows for cell in row for word in [*cell.split(), ""])
    text = shown(width, table("title", head, rows))

    assert max(map(len, text.splitlines())) <= max(width, max(map(len, head)) + 2 + longest)


def test_where_words_do_not_fit_side_by_side_each_row_is_lines_of_name_and_value() -> None:
    identifier = "3f" * 16
    text = shown(40, table("bundles", ("bundle", "role"), [(identifier, "competitor")]))

    assert text.splitlines() == ["bundles", "", f"bundle  {identifier}", "role    competitor"]


class Screen(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


@pytest.mark.parametrize("width", [50, 80])
@pytest.mark.parametrize("run", ["run-2", "run-4", "run-7"])
def test_a_report_on_a_terminal_is_no_wider_than_that_but_for_one_word_and_in_a_file_it_is_markdown(
    run: str, width: int, lived: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = shutil.copytree(lived, tmp_path / "workspace")
    monkeypatch.setenv("COLUMNS", str(width))
    said = {}
    for kind in (Screen, io.StringIO):
        monkeypatch.setattr("sys.stdout", stream := kind())
        assert main(["report", run, "-w", str(root)]) == 0
        said[kind] = re.sub("\x1b\\[[0-9;]*m", "", stream.getvalue())

    shown, markdown = said[Screen], said[io.StringIO]
    wide = [line for line in shown.splitlines() if len(line) > width]
    assert [line for line in wide if len(line.rsplit("  ", 1)[-1].split()) > 1] == []
    assert "| --- |" in markdown
    assert "| --- |" not in shown
    words = [word for word in re.findall(r"[\w/:.-]{4,}", markdown) if word.strip("-:")]
    assert [word for word in words if word not in shown] == []
