"""stepdown's durable state, read with sqlite3, JSON and file hashes alone: never through stepdown's own readers."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from stateful import papers
from stateful.asking import LENT
from stateful.environment import ON_GRID, SCENARIO
from stateful.looking import Looks
from stateful.wired import LOG, Served
from stepdown.scenarios.grid_ctf import GridCtf
from stepdown.scenarios.invoices import Invoices
from stepdown_machine.observed import Attempt, Call, Generation, Holding, Lesson, Observation, Shelved, Signature, Step
from stepdown_machine.protocol import VALIDATORS
from stepdown_machine.values import Policy

ACTS = {
    "bundle": "SELECT seq, 'register ' || id, NULL, NULL, 0 FROM bundle WHERE seq > ? ORDER BY seq",
    "act": "SELECT seq, kind || ' ' || bundle, by, why, forced FROM act WHERE seq > ? ORDER BY seq",
    "verdict": "SELECT seq, 'verdict ' || bundle || ' ' || outcome, by, NULL, 0 FROM verdict WHERE seq > ? ORDER BY seq",
    "policy": "SELECT seq, 'policy ' || settings, by, NULL, 0 FROM policy WHERE seq > ? ORDER BY seq",
    "harness": "SELECT seq, validator || ' ' || enabled, by, NULL, 0 FROM harness WHERE seq > ? ORDER BY seq",
}
STEPS = "SELECT step.*, run.purpose FROM step JOIN run ON run.id = step.run WHERE step.seq > ? ORDER BY step.seq"
UNFINISHED = """SELECT seq, call FROM announcement
    WHERE seq > ? AND NOT EXISTS (SELECT * FROM attempt WHERE attempt.call = announcement.call) ORDER BY seq"""
SHELF = """SELECT id FROM bundle
    WHERE seq > ? AND id NOT IN (SELECT bundle FROM act WHERE kind = 'delete') ORDER BY seq"""
TABLES = ("announcement", "step", "generation", "dataset", "judgement", "knowledge")
LEARNED = "SELECT version, playbook, hints, step FROM knowledge WHERE seq > ? ORDER BY seq"
JUDGED = """SELECT attempt.step, judgement.score FROM judgement JOIN attempt ON attempt.call = judgement.call
    WHERE judgement.seq > ? ORDER BY judgement.seq"""
FORMS = {
    GridCtf.name: VALIDATORS,
    Invoices.name: ("json-object", "known-keys", "plain-amount", "plain-texts", "calendar-date"),
    papers.NAME: ("readable", "schema"),
}
"""Validators of each scenario."""
WEIGHTS = ("model.safetensors", "adapters.safetensors")
POLICY = (
    "mode",
    "min_score",
    "min_valid",
    "min_coverage",
    "breaker_threshold",
    "breaker_window",
    "breaker_cooldown",
    "breaker_probes",
    "shadow",
    "canary",
)


ENDLESS = ("max_age", "run_tokens", "run_cost", "max_lessons")


def canary_draw(seed: int) -> float:
    """Return a step's place in [0, 1), from its seed alone: a canary serves those below its share."""
    return int(sha256(f"canary/{seed}".encode())[:12], 16) / 2**48


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Observer:
    """Reads a workspace, and remembers what it has read. What was there before it came is the neighbours'."""

    def __init__(self, root: Path) -> None:
        self._root = root
        # A question is looked at from the thread in which a frontier is asked, while nothing else is.
        self._database = sqlite3.connect(root / "stepdown.db", isolation_level=None, check_same_thread=False)
        self._database.row_factory = sqlite3.Row
        LENT[root] = self._database
        self._act_keys: dict[tuple[str, int], None] = {}
        newest = "SELECT coalesce(max(seq), 0) FROM {}"
        self._born = {table: self.rows(newest.format(table))[0][0] for table in (*TABLES, *ACTS)}
        trace = root / "trace.jsonl"
        self._began = trace.stat().st_size if trace.exists() else 0
        self._neighbours = self._entries()
        self.forget()

    def forget(self) -> None:
        """Read everything anew the next time; acts of several tables keep the order in which they were first seen."""
        self._steps: list[Step] = []
        self._last_step, self._last_finished = self._born["step"], self._born["announcement"]
        self._calls: dict[str, Call] = {}
        self._offset = self._began
        self._generations: list[Generation] = []
        self._last_act = {table: self._born[table] for table in ACTS}
        self._acts: dict[tuple[str, int], tuple[str, Signature | None]] = {}
        self._looks = Looks()

    def close(self) -> None:
        LENT.pop(self._root, None)
        self._database.close()

    def copy_database(self, target: Path) -> None:
        """Copy the database as it is committed now."""
        copy = sqlite3.connect(target)
        self._database.backup(copy)
        copy.close()

    def rows(self, query: str, *values: Any) -> list[sqlite3.Row]:
        return self._database.execute(query, values).fetchall()

    def observe(
        self, holdings: Iterable[Holding], standing: Callable[[str], str], told: Mapping[str, Mapping[str, Any]]
    ) -> Observation:
        """Read what is new; who else sees a bundle in a slot, and what people are told of each, is said by the caller."""
        self._read_steps()
        self._read_trace()
        self._read_acts()
        known = self._born["generation"] + len(self._generations)
        for row in self.rows("SELECT * FROM generation WHERE seq > ? ORDER BY seq", known):
            kept = (row["best"],) if row["decision"] == "advance" else ()
            self._generations.append(Generation(row["run"], row["number"], row["decision"], kept))
        shelf = [row["id"] for row in self.rows(SHELF, self._born["bundle"])]
        datasets = self.datasets()
        acts = [self._acts[key] for key in self._act_keys if key in self._acts]
        return Observation(
            steps=tuple(self._steps),
            calls=tuple(self._calls.values()),
            announced=self._announced(),
            generations=tuple(self._generations),
            holdings=(*self._held(), *holdings),
            shelf=tuple(
                replace(self._shelved(bundle), **{"standing": standing(bundle), **told.get(bundle, {})})
                for bundle in shelf
            ),
            policy=self._policy(),
            validators=self._validators(),
            acts=tuple(words for words, _ in acts),
            signed=tuple(signature for _, signature in acts),
            datasets=datasets,
            leftovers=self._leftovers({*shelf, *dict(datasets)}),
            lessons=tuple(
                Lesson(row["version"], lesson_said(row["playbook"], row["hints"]), row["step"])
                for row in self.rows(LEARNED, self._born["knowledge"])
            ),
            judgements=tuple(tuple(row) for row in self.rows(JUDGED, self._born["judgement"])),
            checkpoints=tuple(
                sorted(filter(_is_checkpoint, (entry.name for entry in os.scandir(self._root / "jobs"))))
            ),
        )

    def _read_steps(self) -> None:
        for row in self.rows(STEPS, self._last_step):
            attempts = self.rows("SELECT * FROM attempt WHERE step = ? ORDER BY seq", row["id"])
            numbered = [f"{row['id']}/{number}" for number in range(1, len(attempts) + 1)]
            assert [attempt["call"] for attempt in attempts] == numbered, f"calls of {row['id']} are numbered otherwise"
            matches = self.rows("SELECT seed, score FROM match WHERE step = ? ORDER BY seq", row["id"])
            self._steps.append(_step(row, attempts, [tuple(match) for match in matches]))
            self._last_step = row["seq"]

    def _read_trace(self) -> None:
        path = self._root / "trace.jsonl"
        if not path.exists():
            return
        with path.open("rb") as file:
            file.seek(self._offset)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.splitlines():
            said = event_in(line)
            if said and said["event"] != "batch":
                self._calls[said["stepdown.call"]] = _call(said)

    def _read_acts(self) -> None:
        for table, query in ACTS.items():
            for seq, words, by, why, forced in self.rows(query, self._last_act[table]):
                self._last_act[table] = seq
                self._acts[table, seq] = words, _signature(by, why, forced=bool(forced))
                self._act_keys.setdefault((table, seq))

    def _announced(self) -> tuple[str, ...]:
        ((newest,),) = self.rows("SELECT max(seq) FROM announcement")
        found = self.rows(UNFINISHED, self._last_finished)
        # What was finished stays finished: the next look begins at the first that is not.
        self._last_finished = found[0]["seq"] - 1 if found else newest or 0
        return tuple(row["call"] for row in found)

    def _held(self) -> list[Holding]:
        slots: dict[str, str] = {}
        for row in self.rows("SELECT kind, role, bundle FROM act WHERE seq > ? ORDER BY seq", self._born["act"]):
            if row["kind"] == "activate":
                slots[row["role"]] = row["bundle"]
            elif row["kind"] in ("retire", "delete"):
                slots = {role: bundle for role, bundle in slots.items() if bundle != row["bundle"]}
        return [Holding("acts", role, bundle) for role, bundle in slots.items()]

    def _shelved(self, bundle: str) -> Shelved:
        directory = self._root / "bundles" / bundle
        if not directory.is_dir():
            return Shelved(bundle, present=False, whole=False, weights=None)
        if directory.is_symlink():
            return Shelved(bundle, present=True, whole=False, weights=None)
        return self._looks.look(directory, _shelved)

    def _policy(self) -> Policy:
        found = self.rows("SELECT settings FROM policy ORDER BY seq DESC LIMIT 1")
        stored = json.loads(found[0]["settings"])
        endless = {name: None if stored[name] == "inf" else stored[name] for name in ENDLESS}
        # A set of roles, stored sorted; the machine names them in its own order.
        roles = {
            name: tuple(role for role in ("competitor", "coach") if role in stored[name])
            for name in ("local_roles", "local_never", "frontier_never")
        }
        return Policy(**endless, **roles, **{name: stored[name] for name in POLICY})

    def _validators(self) -> frozenset[str]:
        on = set(FORMS[SCENARIO])
        switches = "SELECT validator, enabled FROM harness WHERE seq > ? ORDER BY seq"
        for row in self.rows(switches, self._born["harness"]):
            (on.add if row["enabled"] else on.discard)(row["validator"])
        return frozenset(on)

    def datasets(self) -> tuple[tuple[str, str], ...]:
        """Return each dataset and the digest of its record files as they are."""
        query = "SELECT digest FROM dataset WHERE seq > ? ORDER BY seq"
        names = [row["digest"] for row in self.rows(query, self._born["dataset"])]
        return tuple((name, self._looks.look(self._root / "datasets" / name, _records)) for name in names)

    def _leftovers(self, known: set[str]) -> tuple[str, ...]:
        found = self._entries() - self._neighbours - known
        return tuple(sorted(name for name in found if not _is_checkpoint(name)))

    def _entries(self) -> set[str]:
        return {entry.name for room in ("datasets", "bundles", "jobs") for entry in os.scandir(self._root / room)}


def event_in(line: bytes | str) -> dict[str, Any]:
    """Read a line of the trace; what nobody could write to its end says nothing, nor does what was written behind it."""
    try:
        said = json.loads(line)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _shelved(directory: Path) -> Shelved:
    files = {path.name: path for path in directory.iterdir()}
    plain = all(path.is_file() and not path.is_symlink() for path in files.values())
    found = {name: sha256(path.read_bytes()) for name, path in files.items()} if plain else {}
    weights = next((found[name] for name in WEIGHTS if name in found), None)
    if found.pop("manifest.json", None) != directory.name:
        return Shelved(directory.name, present=True, whole=False, weights=weights)
    promised = json.loads((directory / "manifest.json").read_bytes())
    whole = found == {name: digest for name, (digest, _) in promised["files"].items()}
    if promised.get("base"):
        # Only together do they answer.
        both = {"base": promised["base"], "weights": weights}
        weights = sha256(json.dumps(both, separators=(",", ":")).encode())
    return Shelved(directory.name, present=True, whole=whole, weights=weights)


PERSON = "zoe"
"""Who acts by hand: a name that comes after those of all that acts by itself."""
ASKED_FOR = f"asked for by {PERSON}"
"""Why stepdown itself acts."""
NOBODY = (None, "nemesis")
"""Who signs what nobody did: a registration, and what is planted."""


def _signature(by: str | None, why: str | None, *, forced: bool) -> Signature | None:
    """Say who asked: whoever signed, or whoever is named where stepdown itself did."""
    if by in NOBODY:
        return None
    return Signature(PERSON if why == ASKED_FOR else str(by), forced)


def _is_checkpoint(name: str) -> bool:
    return name.endswith((".checkpoint", ".checkpoint.new"))


def _records(directory: Path) -> str:
    """Return the digest of a dataset's record files, one after the other."""
    paths = [directory / name for name in ("train.jsonl", "valid.jsonl")]
    return sha256(b"".join(path.read_bytes() for path in paths if path.exists()))


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _step(row: sqlite3.Row, attempts: list[sqlite3.Row], matches: list[tuple[int, float]]) -> Step:
    return Step(
        step=row["id"],
        run=row["run"],
        generation=row["generation"],
        role=row["role"],
        at=_seconds(row["at"]),
        requested="none" if row["error"] in CLOSED and not attempts else row["requested"],
        objections=tuple(json.loads(row["objections"])),
        reason=row["reason"],
        attempts=tuple(map(_attempt, attempts)),
        served=row["served"],
        outcome=row["outcome"],
        error=error_said(row["error"]),
        text=row["reply"] or "",
        matches=tuple(matches) if matches or row["score"] is None else ILLEGAL_MATCHES,
        score=row["score"],
        recovered=bool(row["recovered"]),
        seed=row["seed"],
        purpose=row["purpose"],
        answer=row["strategy"] or "",
        knowledge=row["knowledge"],
    )


def lesson_said(playbook: str, hints: str) -> str:
    """Say a lesson in a line."""
    return f"{playbook} / {hints}"


def lesson_of(reply: str) -> str | None:
    """Read what a coach taught: an object of two texts, and of nothing else."""
    try:
        said = json.loads(reply)
    except ValueError:
        return None
    if not isinstance(said, dict) or said.keys() != {"playbook", "hints"}:
        return None
    return lesson_said(said["playbook"], said["hints"])


CLOSED = ("frontier-forbidden", "frontier-over-budget", "frontier-unavailable")
"""Why a step that local cannot serve asks nobody."""
ILLEGAL_MATCHES = ((1, 0.0),)
"""An accepted reply that the referee refuses is not played; it scores 0 on any seed."""


def _attempt(row: sqlite3.Row) -> Attempt:
    return Attempt(
        call=row["call"],
        provider=row["target"],
        error=error_said(row["error_type"]),
        weights=row["digest"],
        input_tokens=row["input_tokens"] or 0,
        output_tokens=row["output_tokens"] or 0,
        shadow=bool(row["shadow"]),
        cost=row["cost"],
        seconds=row["latency"],
        model=row["model"],
    )


def _call(said: dict[str, Any]) -> Call:
    """Return a call as the trace says it; where the provider keeps its own log, that says what it answered."""
    call = _traced(said)
    if ON_GRID or call.provider != "frontier" or not call.ended or call.error is not None:
        return call
    return replace(call, **asdict(LOG.get(said.get("stepdown.response.request_id", ""), Served())))


def _traced(said: dict[str, Any]) -> Call:
    return Call(
        call=said["stepdown.call"],
        provider=said["stepdown.target"],
        ended=said["event"] == "end",
        error=error_said(said.get("error.type")),
        weights=said.get("stepdown.weights.digest"),
        text=said.get("stepdown.output.text", ""),
        input_tokens=said.get("gen_ai.usage.input_tokens", 0),
        output_tokens=said.get("gen_ai.usage.output_tokens", 0),
        model=said.get("gen_ai.response.model"),
    )


KNOWN = ("load-failed", "timeout", "invalid-output", "interrupted", *CLOSED)


def error_said(word: str | None) -> str | None:
    """Say an error type in the machine's words: what it has no word for is an error."""
    return word if word is None or word in KNOWN else "error"
