"""Telling lies: a copy of the whole workspace in which one is told after the other, each taken back before the next."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from functools import partial
from itertools import islice
from pathlib import Path

from stateful.children import HarnessBrokenError
from stateful.environment import SCENARIO
from stateful.forgeries import (
    BORROWED,
    COLUMNS,
    JUDGED,
    JUDGED_ELSEWHERE,
    WHILE_WHOLE,
    Copy,
    Lie,
    borrowed_value,
    kinds,
    one_value,
)
from stateful.observing import event_in
from stateful.paired_forgeries import FACTS_WHILE_WHOLE, conspiracies, one_fact
from stateful.removals import missing
from stepdown.acts.opening import open_workspace
from stepdown.scenarios.roles import COMPETITOR
from stepdown.scenarios.wording import wording
from stepdown.views.audit import each_difference
from stepdown.workspace import Settings


def _values(columns: Mapping[str, str]) -> dict[str, Lie]:
    return {
        f"{table}.{column} {kind}": partial(one_value, table, column, kind)
        for table, names in columns.items()
        for column in names.split()
        for kind in kinds(table, column)
    }


ALWAYS: dict[str, Lie] = {**_values(COLUMNS), **conspiracies(), **missing()}
LIES = {
    **ALWAYS,
    **_values(WHILE_WHOLE),
    **{f"fact {name}": partial(one_fact, name, "more") for name in FACTS_WHILE_WHOLE},
    **{f"{table}.{column} another": partial(borrowed_value, table, column) for table, column in BORROWED},
}
JUDGED_LIES: dict[str, Lie] = {
    **{
        f"judged {table}.{column} more": partial(one_value, table, column, "more", where=where)
        for table, (where, names) in JUDGED.items()
        for column in names.split()
    },
    **{
        f"judged {table}.{column} another": partial(borrowed_value, table, column, where=JUDGED[table][0])
        for table, names in JUDGED_ELSEWHERE.items()
        for column in names.split()
    },
}
"""Those about what a model said, where one judged."""
WAYS = tuple(ALWAYS)
"""What can be altered whatever happened."""


class Forgery:
    """A copy of a workspace, opened once and audited after each lie.

    Args:
        root: Of the copy.
        settings: What it is composed of.
        version: Of the machine's scenario.
        excused: Whether a lie that this history holds nothing for is another one, that always can be told.
    """

    def __init__(self, root: Path, settings: Settings, version: int, *, excused: bool) -> None:
        self._excused = excused
        self._trace, self._version = root / "trace.jsonl", version
        # What nobody could write to its end says nothing, and nothing is a lie about it.
        self._lines = list(filter(event_in, self._trace.read_text("utf-8").splitlines()))
        self._workspace = open_workspace(root, settings=settings)
        self._database = sqlite3.connect(root / "stepdown.db", isolation_level=None)
        for (name,) in self._database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            self._free(name)
        self._truth = sqlite3.connect(":memory:")
        self._database.backup(self._truth)

    def _free(self, table: str) -> None:
        """Rid a table of its triggers and of every constraint."""
        if not table.startswith("sqlite_"):
            self._database.execute(f'CREATE TABLE freed AS SELECT * FROM "{table}"')
            self._database.execute(f'DROP TABLE "{table}"')
            self._database.execute(f'ALTER TABLE freed RENAME TO "{table}"')

    def audited(self, way: str) -> tuple[str, ...]:
        """Tell one lie, return the first thing that the audit says of it, and take it back."""
        lines = [json.loads(line) for line in self._lines]
        named = wording(self._workspace.scenario(SCENARIO), COMPETITOR).named
        copy = Copy(self._database, lines, self._version, named)
        try:
            if not (LIES | JUDGED_LIES)[way](copy):
                if not self._excused:
                    raise HarnessBrokenError(
                        f"{way!r} cannot be told: this history was to hold something for each lie."
                    )
                # Nothing of the kind is in this history yet: a lie that always can be told.
                self._database.execute("UPDATE step SET seed = seed + 1 WHERE seq = (SELECT max(seq) FROM step)")
            self._trace.write_text("".join(json.dumps(line) + "\n" for line in copy.lines), "utf-8")
            return tuple(map(str, islice(each_difference(self._workspace), 1)))
        finally:
            self._truth.backup(self._database)

    def close(self) -> None:
        """Give everything back but the directory."""
        self._truth.close()
        self._database.close()
        self._workspace.close()
