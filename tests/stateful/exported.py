"""What an export must hold, said a second time: every byte of its files, from raw rows and what was asked."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from sqlite3 import Row
from typing import Any

from stateful.environment import SCENARIO, other
from stateful.observing import sha256
from stepdown.scenarios.installed import scenario_named
from stepdown.scenarios.roles import role_named
from stepdown_machine import operations as op

RECORDS = """SELECT step.id, step.run, step.seed, step.prompt, step.strategy,
        coalesce((SELECT said.score FROM judgement AS said WHERE said.call = step.served_call ORDER BY said.seq DESC LIMIT 1),
            step.score) AS score, generation.decision,
        coalesce(generation.decision = 'advance' AND generation.best = step.id, 0) AS kept, step.knowledge,
        coalesce(knowledge.playbook, 'Nothing is known yet.') AS playbook, coalesce(knowledge.hints, 'Explore.') AS hints,
        attempt.target, attempt.provider, attempt.model, attempt.digest
    FROM step JOIN run ON run.id = step.run JOIN attempt ON attempt.call = step.served_call
    LEFT JOIN generation ON generation.run = step.run AND generation.number = step.generation
    LEFT JOIN knowledge ON knowledge.scenario = 'grid_ctf' AND knowledge.version = step.knowledge
    ORDER BY run.seq, step.generation, step.position"""
MATCHES = "SELECT seed, score, won, parts FROM match WHERE step = ? ORDER BY seq"
Ask = Callable[..., list[Row]]
"""Asks the database raw."""


def wrong(directory: Path, asked: op.Export, ask: Ask, *, reworded: bool) -> Iterator[str]:
    """Hold an export's files against the rows that it says it was made of, and yield what is wrong with them.

    Which rows it must be made of, and what each must say, the oracle says; this is about the bytes.

    Only where nothing else happened since: a run under way decides on its generation later.
    """
    question = role_named(scenario_named(SCENARIO), "competitor").text
    said = {path.name: path.read_bytes() for path in directory.iterdir()}
    exported = {json.loads(line)["step"] for name in SIDES for line in said.get(name, b"").splitlines()}
    rows = [row for row in ask(RECORDS) if row["id"] in exported]
    validate = validating({row["strategy"] for row in rows})
    due = {
        "train.jsonl": [_record(row) for row in rows if row["strategy"] not in validate],
        "valid.jsonl": [_record(row) for row in rows if row["strategy"] in validate],
        "matches.jsonl": [match for row in rows for match in _matches(row, ask)] if wants_matches(asked) else [],
    }
    files = {name: b"".join(map(_line, lines)) for name, lines in due.items() if lines}
    manifest = {
        "format": 1,
        "scenario": SCENARIO,
        "prompt_format": 1,
        "prompts": sha256((other(question) if reworded else question).encode()),
        "filters": _filters(asked),
        "files": {name: {"records": len(due[name]), "sha256": sha256(data)} for name, data in files.items()},
        "runs": Counter(row["run"] for row in rows),
    }
    files["manifest.json"] = json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    for name in sorted(said.keys() | files.keys()):
        if said.get(name) != files.get(name):
            yield f"{name} of {asked} is {said.get(name)!r}, and should be {files.get(name)!r}"
    if directory.name != sha256(said["manifest.json"]):
        yield f"the id of {asked} is not the digest of its manifest"


SIDES = ("train.jsonl", "valid.jsonl")


def wants_matches(asked: op.Export) -> bool:
    """Tell whether an export is to hold its strategies' matches as well: the machine has no word for it."""
    return asked.kept_only != asked.include_local


def validating(strategies: Collection[str]) -> set[str]:
    """Say which strategies validate: the lowest hash, one in ten of the others, never the highest."""
    hashed = {sha256(strategy.encode()): strategy for strategy in strategies}
    chosen = {key for key in hashed if key == min(hashed) or int(key[:8], 16) % 10 == 0} - {max(hashed)}
    return {hashed[key] for key in chosen}


def _record(row: Row) -> dict[str, Any]:
    return {
        "prompt": row["prompt"],
        "completion": row["strategy"],
        "score": row["score"],
        "decision": row["decision"],
        "kept": bool(row["kept"]),
        "step": row["id"],
        "seed": row["seed"],
        "knowledge": {"version": row["knowledge"], "playbook": row["playbook"], "hints": row["hints"]},
        "served": {name: row[name] for name in ("target", "provider", "model", "digest")},
    }


def _matches(row: Row, ask: Ask) -> Iterator[dict[str, Any]]:
    for match in ask(MATCHES, row["id"]):
        facts = {"step": row["id"], "seed": match["seed"], "score": match["score"], "won": bool(match["won"])}
        yield {"strategy": row["strategy"], **facts, **json.loads(match["parts"])}


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _filters(asked: op.Export) -> dict[str, Any]:
    return {
        "scenario": SCENARIO,
        "run": asked.run,
        "min_score": asked.min_score,
        "kept_only": asked.kept_only,
        "include_local": asked.include_local,
        "matches": wants_matches(asked),
    }
