"""A row that somebody else wrote in keeps no workspace from opening, and no command takes it for a fault of its own."""

import shutil
import sqlite3
from pathlib import Path

import pytest

from rotation import part
from stepdown.acts.opening import open_workspace
from stepdown.cli import main
from stepdown.history.schema import metadata
from stepdown.history.sound import damage
from stepdown.workspace import Settings
from test_manners import answered

LINES = (
    "audit", "report", "report run-1", "report run-3 --json", "history", "bundles list --json", "bundles active",
    "route --explain", "scan", "policy show", "doctor", "export", "run --generations 1 --candidates 1", "ask 3",
    "bundles prune --dry-run",
)  # fmt: skip
VALUES = {"bytes": b"\xff\xfe", "words": "yesterday [", "number": 1e300, "year 1": "0001-01-01T00:00:00.000000+23:59"}
CELLS = [
    (table.name, column.name, value)
    for table in metadata.sorted_tables
    for column in table.columns
    if column.name != "seq"
    for value in VALUES
]


def edit(root: Path, table: str, column: str, value: object) -> int:
    """Write something into every row of a column, past the triggers that refuse it, and return how many there are."""
    with sqlite3.connect(root / "stepdown.db") as raw:
        raw.execute("PRAGMA foreign_keys = OFF")
        for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            raw.execute(f'DROP TRIGGER "{name}"')
        unique = f'WHERE seq = (SELECT max(seq) FROM "{table}")'
        count = raw.execute(f'UPDATE "{table}" SET "{column}" = ? {unique}', (value,)).rowcount
    raw.close()
    return count


@pytest.mark.parametrize(("table", "column", "kind"), part(CELLS, of=80), ids=lambda each: each)
def test_a_value_that_nobody_could_have_written_is_a_sentence_of_every_command(
    table: str, column: str, kind: str, lived: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = shutil.copytree(lived, tmp_path / "workspace")
    if not edit(root, table, column, VALUES[kind]):
        pytest.skip("There is no row of it.")

    for line in LINES:
        code = main([*line.split(), "-w", str(root)])
        out, err = capsys.readouterr()
        answered(code, out, err)


@pytest.mark.parametrize("column", ["at", "session", "seed", "candidates"])
def test_a_run_that_never_ended_and_is_damaged_keeps_no_audit_from_naming_it(
    column: str, lived: Path, tmp_path: Path, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    root = shutil.copytree(lived, tmp_path / "workspace")
    with sqlite3.connect(root / "stepdown.db") as raw:
        for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            raw.execute(f'DROP TRIGGER "{name}"')
        raw.execute("DELETE FROM ending")
    raw.close()
    assert edit(root, "run", column, b"\xff\xfe") == 1

    for line in ("audit", "doctor", "report", "run --generations 1 --candidates 1"):
        code = main([*line.split(), "-w", str(root)])
        out, err = capsys.readouterr()
        answered(code, out, err)
        assert line not in ("audit", "doctor") or (code == 1 and column in out)
    with open_workspace(root, settings=settings) as workspace, workspace.reading() as connection:
        assert [value.column for value in damage(connection)] == [column]
