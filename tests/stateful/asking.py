"""What a provider is asked, held against raw rows at that moment: what was announced, and what its run has found so far."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from stepdown.providers.protocol import Request

ANNOUNCED = """SELECT announcement.target, announcement.role, announcement.prompt, announcement.seed, announcement.run,
        announcement.generation, run.purpose, run.scenario
    FROM announcement JOIN run ON run.id = announcement.run WHERE announcement.call = ?"""
FOUND = """SELECT generation, strategy, coalesce(score, said) AS worth
    FROM (SELECT *, (SELECT score FROM judgement WHERE call = served_call AND by LIKE 'judge:%') AS said FROM step)
    WHERE run = ? AND generation <= ? AND strategy IS NOT NULL AND worth IS NOT NULL ORDER BY seq"""
BEST = """SELECT run FROM generation WHERE champion_score IS NOT NULL AND run IN (SELECT id FROM run WHERE scenario = ?)
    ORDER BY champion_score DESC, seq LIMIT 1"""
EVER = 1_000_000
"""More generations than a run may have."""
KEYS = {"coach": ["hints", "playbook"], "judge": ["score", "why"]}
FIELDS = ["amount", "currency", "date", "number"]
MOVE = {"grid_ctf": ["aggression", "defense", "path_bias"], "invoices": FIELDS, "papers": FIELDS}
ALLOWED = {"local": 10.0, "frontier": 60.0}
"""Seconds that a provider may take under a policy in which nobody said anything else."""

LENT: dict[Path, sqlite3.Connection] = {}
"""Connections that are open anyway, by the root of their workspace: to open one for each question would take a millisecond."""


@contextmanager
def _open(root: Path) -> Iterator[sqlite3.Connection]:
    if root in LENT:
        yield LENT[root]
        return
    with closing(sqlite3.connect(root / "stepdown.db")) as database:
        yield database


def wrong(root: Path, request: Request, *, alone: bool) -> Iterator[str]:
    """Hold a question against the workspace whose step asks it, and yield what is wrong with it.

    Args:
        root: Of the workspace.
        request: The question.
        alone: Whether no other process runs; one that does may find a better champion before a comparison asks.
    """
    with _open(root) as database:
        [(target, role, prompt, seed, run, generation, purpose, scenario)] = database.execute(ANNOUNCED, [request.call])
        shown = [(each.generation, each.text, each.score) for each in request.examples]
        due = [tuple(row) for row in _found(database, role, run, generation, purpose, scenario)]
    if (request.role, request.prompt, request.seed, request.time_limit) != (role, prompt, seed, ALLOWED[target]):
        yield f"{request.call} asks another question than was announced"
    if sorted(request.schema["properties"]) != KEYS.get(role, MOVE.get(scenario, MOVE["grid_ctf"])):
        yield f"{request.call} asks a {role} for {sorted(request.schema['properties'])}"
    if any(each.value != json.loads(each.text) for each in request.examples):
        yield f"{request.call} is shown strategies with other values"
    if shown != due and (purpose != "comparison" or alone):
        yield f"{request.call} is shown {shown}, and should be {due}"


def _found(
    database: sqlite3.Connection, role: str, run: str, generation: int, purpose: str, scenario: str
) -> list[Any]:
    """Return what a run has found: its own candidates before this generation, for a comparison those of the best run."""
    if purpose == "comparison":
        return [
            row
            for (best,) in database.execute(BEST, [scenario]).fetchall()
            for row in database.execute(FOUND, [best, EVER])
        ]
    # The coach comes last in a generation.
    return database.execute(FOUND, [run, generation if role == "coach" else generation - 1]).fetchall()
