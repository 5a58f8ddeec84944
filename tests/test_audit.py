"""Audit: silent about a true history, and never silent about one field of it that was changed."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from journey import SCENARIO, Hands
from stepdown.acts.opening import open_workspace
from stepdown.audit.witnesses import doubles, unreadable
from stepdown.errors import NotFound
from stepdown.history import schema
from stepdown.providers import trace
from stepdown.providers.trace import KEYS
from stepdown.views.audit import differences, evidence
from stepdown.workspace import Settings, Workspace

INSTANTS = {"at", "trained_at"}
"""Only one witness knows them."""

UNSEEN = {
    "run": {"scenario", "scenario_version", "frontier", "purpose", "session"},
    "announcement": {"session"},
    "evaluation": {"knowledge"},
    "bundle": {"scenario", "job", "dataset", "session"},
    "act": {"by", "why"},
    "policy": {"by", "why"},
    "harness": {"by", "why"},
    "verdict": {"by", "why"},
}
"""Columns that nothing else is derived from; everything else of these tables is checked."""

CHECKED = ("run", "announcement", "attempt", "step", "match", "generation", "knowledge", "bundle", "evaluation",
           "holdout", "act", "policy", "harness", "verdict")  # fmt: skip

WHOLE = {"act", "policy", "harness", "verdict"}
"""Tables whose every row says something of its own, so each of them is changed."""

COLUMNS = {
    (table, column.name): column
    for table in CHECKED
    for column in schema.metadata.tables[table].columns
    if column.name not in {"seq", *INSTANTS, *UNSEEN.get(table, set())}
}
"""By the names that they are stored under."""


@pytest.fixture(scope="module")
def suspect(lived: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """A copy of that workspace whose triggers were torn out."""
    root = tmp_path_factory.mktemp("suspect") / "workspace"
    shutil.copytree(lived, root)
    with sqlite3.connect(root / "stepdown.db") as raw:
        for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            raw.execute(f"DROP TRIGGER {name}")
    raw.close()
    with open_workspace(root, settings=Settings(clock=Hands().clock, durability="normal")) as opened:
        yield opened


def forged(value: Any) -> Any:
    """Return another value that could have been written instead."""
    if value is None:
        return "forged"
    if isinstance(value, int | float):
        return 1 - value if value in (0, 1) else value + 1
    if value[:1] in "[{":
        return json.dumps(["forged"] if value[0] == "[" else {**json.loads(value), "forged": 1})
    return value + "x"


def values(workspace: Workspace, table: str, column: str) -> list[tuple[int, Any]]:
    """Return one row for each kind of value of a column, present and absent; each row where that is asked for."""
    group = "seq" if table in WHOLE else f'"{column}" IS NULL'
    with sqlite3.connect(workspace.root / "stepdown.db") as raw:
        found = raw.execute(f'SELECT min(seq), "{column}" FROM "{table}" GROUP BY {group}').fetchall()
    raw.close()
    return found


def put(workspace: Workspace, table: str, column: str, seq: int, value: Any) -> None:
    """Change one field behind everybody's back."""
    with sqlite3.connect(workspace.root / "stepdown.db") as raw:
        raw.execute(f'UPDATE "{table}" SET "{column}" = ? WHERE seq = ?', (value, seq))
    raw.close()


def test_a_true_history_has_no_differences(suspect: Workspace) -> None:
    assert differences(suspect) == []


@pytest.mark.parametrize(("table", "column"), COLUMNS)
def test_one_changed_field_is_found(suspect: Workspace, table: str, column: str) -> None:
    for seq, value in values(suspect, table, column):
        forgery = forged(value)
        if value is None and COLUMNS[table, column].type.python_type in (float, int):
            forgery = 1
        if (table, column) == ("attempt", "latency"):
            forgery = -1.0
        if (table, column) == ("policy", "number"):
            forgery = value + 100  # The next number is taken.
        if (table, column) == ("attempt", "breaker") and value is None:
            forgery = '{"opened_at": null, "failures": [], "successes": 0}'
        put(suspect, table, column, seq, forgery)
        try:
            assert differences(suspect) != [], f"{table} {seq}: {column} {value!r} became {forgery!r}"
        finally:
            put(suspect, table, column, seq, value)


def leaves(value: Any, *path: str) -> Iterator[tuple[str, ...]]:
    """Yield the path to every single value of a JSON object."""
    for key, inner in value.items() if isinstance(value, dict) else ():
        yield from leaves(inner, *path, key)
    if not isinstance(value, dict):
        yield path


def test_one_changed_value_of_a_verdicts_evidence_is_found(suspect: Workspace) -> None:
    ((seq, stored),) = values(suspect, "verdict", "evidence")
    paths = set(leaves(json.loads(stored)))
    assert {("trial", "look"), ("to_champion", "upper"), ("coverage",)} <= paths
    # How much worse may still be as good was promised by a person; nothing else remembers it.
    for path in paths - {("trial", "margin")}:
        for change in ("forge", "nudge", "remove"):
            evidence = json.loads(stored)
            *way, key = path
            place = evidence
            for step in way:
                place = place[step]
            if change == "remove":
                del place[key]
            elif change == "nudge":
                place[key] = place[key] + 1e-6 if isinstance(place[key], float) else "nudged"
            else:
                place[key] = [] if isinstance(place[key], list) else forged(place[key])
            put(suspect, "verdict", "evidence", seq, json.dumps(evidence))
            try:
                assert differences(suspect) != [], f"{'.'.join(path)}: {change}"
            finally:
                put(suspect, "verdict", "evidence", seq, stored)


@pytest.mark.parametrize("by", ["promotion", "rollback", "prune"])
def test_an_act_in_the_name_of_what_did_not_act_is_found(suspect: Workspace, by: str) -> None:
    kinds = dict(values(suspect, "act", "kind"))
    for seq, value in values(suspect, "act", "by"):
        # What a person deleted, prune could have removed.
        if value == by or (by, kinds[seq]) == ("prune", "delete"):
            continue
        put(suspect, "act", "by", seq, by)
        try:
            assert differences(suspect) != [], f"{kinds[seq]} {seq} by {value}"
        finally:
            put(suspect, "act", "by", seq, value)


@pytest.mark.parametrize("column", ["generations", "candidates"])
def test_a_run_that_was_to_be_shorter_is_found(suspect: Workspace, column: str) -> None:
    ((seq, value),) = values(suspect, "run", column)
    for shorter in range(value):
        put(suspect, "run", column, seq, shorter)
        try:
            assert differences(suspect) != [], f"{column} {value} became {shorter}"
        finally:
            put(suspect, "run", column, seq, value)


INVENTED = {
    "provider": "forged", "model": "forged", "digest": "forged", "text": "forged", "refusals": '["forged"]', "score": 1.0,
    "input_tokens": 1, "output_tokens": 1, "cost": 1.0, "latency": 1.0, "recovered": 0,
}  # fmt: skip


@pytest.mark.parametrize("column", INVENTED)
def test_what_nobody_can_know_of_an_interrupted_call_is_found(suspect: Workspace, column: str) -> None:
    with sqlite3.connect(suspect.root / "stepdown.db") as raw:
        ((seq, value),) = raw.execute(
            f"SELECT seq, \"{column}\" FROM attempt WHERE error_type = 'interrupted'"
        ).fetchall()
    raw.close()
    put(suspect, "attempt", column, seq, INVENTED[column])
    try:
        assert differences(suspect) != []
    finally:
        put(suspect, "attempt", column, seq, value)


@pytest.mark.parametrize("table", ["run", "announcement", "attempt", "step", "generation", "bundle", "evaluation"])
def test_a_row_that_stands_twice_is_found(suspect: Workspace, table: str) -> None:
    found = evidence(suspect)
    kept = getattr(found, f"{table}s")

    (difference,) = doubles(replace(found, **{f"{table}s": [*kept, kept[0]]}))

    assert difference.sentence == f"history has this {table} 2 times"


@pytest.mark.parametrize("word", ["digest", "weights_digest"])
def test_a_note_of_an_unknown_digest_is_understood_in_the_words_of_earlier_versions(
    suspect: Workspace, word: str
) -> None:
    found = evidence(suspect)
    end = next(line for line in found.trace if line.event == "end" and line.error is None)
    unknown, kept = (replace(end, noted=word, weights_digest=digest) for digest in (None, "d" * 64))

    assert list(unreadable(replace(found, trace=[unknown]))) == []
    assert len(list(unreadable(replace(found, trace=[kept])))) == 1


@pytest.mark.parametrize("table", ["attempt", "step", "match", "announcement", "generation", "knowledge", "holdout"])
def test_one_missing_row_is_found(suspect: Workspace, table: str) -> None:
    with sqlite3.connect(suspect.root / "stepdown.db", isolation_level=None) as raw:
        raw.execute(f"CREATE TEMP TABLE kept AS SELECT * FROM {table} WHERE seq = (SELECT max(seq) FROM {table})")
        raw.execute(f"DELETE FROM {table} WHERE seq IN (SELECT seq FROM kept)")
        try:
            assert differences(suspect) != []
        finally:
            raw.execute(f"INSERT INTO {table} SELECT * FROM kept")
    raw.close()
    assert differences(suspect) == []


LIVING = """
import sys
from pathlib import Path
from journey import Hands, discover
from stepdown.workspace import Settings, Workspace
from stepdown.acts.opening import open_workspace

def reached(point):
    if point == "answered":
        print(point, flush=True)
        sys.stdin.readline()

with open_workspace(Path(sys.argv[1]), settings=Settings(clock=Hands().clock, durability="normal", reached=reached)) as opened:
    discover(opened, seed=9)
"""


@pytest.mark.parametrize("killed", [False, True])
def test_a_run_that_goes_on_or_dies_between_reading_one_witness_and_the_other_is_no_difference(
    lived: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, killed: bool
) -> None:
    root, read = tmp_path / "workspace", trace.read
    shutil.copytree(lived, root)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", LIVING, str(root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    ) as living:
        assert living.stdout is not None
        assert living.stdout.readline() == b"answered\n"

        def after_all_that(path: Path) -> trace.Content:
            if killed:
                living.kill()
            living.communicate(b"\n" * 100)
            return read(path)

        with open_workspace(root, settings=Settings(clock=Hands().clock, durability="normal")) as opened:
            monkeypatch.setattr(trace, "read", after_all_that)
            # A call is over since or will never be, and others may be announced: the rows that were read know nothing of it.
            assert differences(opened) == []
            monkeypatch.undo()
    assert (living.returncode == 0) is not killed
    with open_workspace(root, settings=Settings(clock=Hands().clock, durability="normal")) as opened:
        assert differences(opened) == []


TRACED = [field for field in KEYS if field != "at"]


@pytest.mark.parametrize("event", ["start", "end"])
@pytest.mark.parametrize("field", TRACED)
def test_one_changed_field_of_the_trace_is_found(suspect: Workspace, event: str, field: str) -> None:
    kept = suspect.trace.read_text("utf-8")
    lines = [json.loads(line) for line in kept.splitlines()]
    key = KEYS[field]
    chosen = next((line for line in lines if line["event"] == event and key in line), None)
    if chosen is None:
        chosen = next(line for line in lines if line["event"] == event)
        if event == "start":
            return  # A start knows nothing of an answer; what it does not say is not read from it.
    value = chosen.get(key)
    chosen[key] = "end" if value == "start" else "start" if value == "end" else forged(value)
    suspect.trace.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    try:
        assert differences(suspect) != [], f"{event} {key} {value!r} became {chosen[key]!r}"
    finally:
        suspect.trace.write_text(kept, "utf-8")


@pytest.mark.parametrize("act", ["remove", "double", "swap"])
@pytest.mark.parametrize("event", ["start", "end"])
def test_one_line_too_few_too_many_or_out_of_order_is_found(suspect: Workspace, event: str, act: str) -> None:
    kept = suspect.trace.read_text("utf-8")
    lines = kept.splitlines(keepends=True)
    first, second = [n for n, line in enumerate(lines) if json.loads(line)["event"] == event][:2]
    if act == "remove":
        del lines[first]
    elif act == "double":
        lines.append(lines[first])
    else:
        lines[first], lines[second] = lines[second], lines[first]
    suspect.trace.write_text("".join(lines), "utf-8")
    try:
        assert differences(suspect) != []
    finally:
        suspect.trace.write_text(kept, "utf-8")


def test_a_call_that_history_never_heard_of_is_found(suspect: Workspace) -> None:
    kept = suspect.trace.read_text("utf-8")
    stranger = {**json.loads(kept.splitlines()[0]), KEYS["call"]: "run-99/1/0/1"}
    suspect.trace.write_text(kept + json.dumps(stranger) + "\n", "utf-8")
    try:
        assert [found.claim for found in differences(suspect)] == ["I4"]
    finally:
        suspect.trace.write_text(kept, "utf-8")


def test_a_lost_trace_is_a_difference_for_every_call(suspect: Workspace) -> None:
    kept = suspect.trace.read_text("utf-8")
    suspect.trace.unlink()
    try:
        found = differences(suspect)
    finally:
        suspect.trace.write_text(kept, "utf-8")
    with sqlite3.connect(suspect.root / "stepdown.db") as raw:
        calls = {call for (call,) in raw.execute("SELECT call FROM attempt WHERE NOT recovered")}
    raw.close()
    assert calls <= {difference.where for difference in found}


def test_a_difference_is_one_line_that_names_claim_place_and_both_sides(suspect: Workspace) -> None:
    ((seq, value),) = values(suspect, "step", "seed")
    put(suspect, "step", "seed", seq, value + 1)
    try:
        line, *_ = map(str, differences(suspect))
    finally:
        put(suspect, "step", "seed", seq, value)
    assert line == f"I4 run-1/1/0: history has seed {value + 1}, its announcement says {value}"


@pytest.mark.parametrize("table", ["run", "bundle"])
def test_a_scenario_that_is_not_installed_is_said_and_not_passed_over(suspect: Workspace, table: str) -> None:
    put(suspect, table, "scenario", 1, "chess")
    try:
        with pytest.raises(NotFound, match="no scenario 'chess'"):
            differences(suspect)
    finally:
        put(suspect, table, "scenario", 1, SCENARIO)
