"""The toy's disk from outside: reading it raw, damaging it, planting and falsifying."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields
from typing import Any

from stepdown_machine.broken import harness
from stepdown_machine.broken.disk import Disk
from stepdown_machine.broken.runs import FILES
from stepdown_machine.observed import Attempt, Shelved, Signature, Step
from stepdown_machine.values import Bundle, Pair, Promoted, Record, Standing

Acts = list[tuple[Any, ...]]
STEP = ("step", "run", "generation", "role", "at", "requested", "objections", "reason", "served", "outcome", "error",
        "text", "matches", "score", "recovered", "seed", "purpose", "knowledge")  # fmt: skip
Files = dict[str, Any]


def digest(text: str) -> str:
    """Return the toy's content digest, computed here."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def records(text: str) -> tuple[Record, ...]:
    """Read a dataset's lines."""
    return tuple(Record(**json.loads(line)) for line in text.splitlines())


def validators(acts: Acts) -> frozenset[str]:
    """Fold the switches of the harness."""
    enabled = {"json-object", *harness.VALIDATORS}
    for act in acts:
        if act[0] == "validator":
            (enabled.add if act[2] else enabled.discard)(act[1])
    return frozenset(enabled)


def shelf(acts: Acts) -> list[str]:
    """Return registered bundles that were not deleted."""
    deleted = {act[1] for act in acts if act[0] == "delete"}
    return [act[1] for act in acts if act[0] == "register" and act[1] not in deleted]


def held(acts: Acts) -> list[str]:
    """Return what the acts say is in the slot: one bundle or none, unless somebody writes that it is emptied twice."""
    slot: list[str] = []
    for act in acts:
        if act[0] == "activate":
            slot = [act[1]]
        elif act[0] in ("retire", "delete"):
            slot = [bundle for bundle in slot if bundle != act[1]]
        elif act[0] == "also-activate":
            slot = [*slot, act[1]]
    return slot


def shelved(files: Files | None, bundle: str) -> Shelved:
    """Check a directory byte by byte against its id."""
    if files is None:
        return Shelved(bundle, present=False, whole=False, weights=None)
    weights = digest(files["weights"]) if isinstance(files.get("weights"), str) else None
    plain = set(files) == set(FILES) and all(isinstance(text, str) for text in files.values())
    if not plain or digest(files["manifest"]) != bundle:
        return Shelved(bundle, present=True, whole=False, weights=weights)
    listed = json.loads(files["manifest"])["files"]
    whole = bool(listed == {name: digest(files[name]) for name in FILES[1:]})
    return Shelved(bundle, present=True, whole=whole, weights=weights)


def bundle_of(bundle: str, disk: Disk) -> Bundle:
    """Read what a bundle promises as it was registered, and from the newest evaluation that counts, or else from the newest."""
    found: list[dict[str, Any]] = []
    for act in disk.acts:
        if act[:2] in (("register", bundle), ("evaluate", bundle)):
            # What an evaluation does not say is as it was before.
            found.append({**(found[-1] if found else {}), **act[2]})
    counted = [each for each in found if all(each[name] == disk.environment[name] for name in ("version", "decoding"))]
    facts: dict[str, Any] = dict(found[0]) | (counted or found)[-1]
    marks = tuple((seed, mark) for seed, mark in facts["evaluation"])
    weights, when, version = facts["files"]["weights"], facts["trained_at"], facts["version"]
    held_out = facts["score"], facts["valid"], marks, version, facts["decoding"], facts["knowledge"]
    return Bundle(bundle, weights, when, *held_out, facts["source"], facts["by"])


def damage(bundles: dict[str, Files], bundle: str, how: str) -> None:
    """Alter a bundle's files."""
    files = dict(bundles[bundle])
    match how:
        case "delete-directory":
            del bundles[bundle]
            return
        case "delete":
            del files["config"]
        case "truncate":
            files["weights"] = files["weights"][:-1]
        case "flip":
            files["weights"] = files["weights"][:-1] + ("0" if files["weights"][-1] != "0" else "1")
        case "swap":
            files["weights"] = "tiny 0123456789abcdef"
        case "add":
            files["extra"] = "nobody listed me"
        case "symlink":
            files["config"] = ("link to", files["config"])
    bundles[bundle] = files


def plant(toy: Any, disk: Disk, kind: str) -> Bundle:
    """Register and activate a whole bundle that does not belong."""
    marks = [[seed, 0.9] for seed in (1, 2)]
    facts = {
        "scenario": "othello" if kind == "other-scenario" else "grid_ctf",
        "format": 2 if kind == "newer-format" else 1,
        "dataset": None, "source": None, "by": None, "plan": kind, "trained_at": disk.now,
        "score": 0.9, "valid": 1.0, "evaluation": marks,
        "version": disk.environment["version"], "decoding": disk.environment["decoding"],
        "knowledge": len(disk.lessons), "made": len(disk.acts), "base": None,
        "wording": disk.environment["text"],
        "files": {"weights": digest(f"planted {kind}"), "config": digest(kind)},
    }  # fmt: skip
    manifest = json.dumps(facts)
    bundle = digest(manifest)
    disk.bundles[bundle] = {"manifest": manifest, "weights": f"planted {kind}", "config": kind}
    toy.register(bundle, facts)
    disk.acts.append(("activate", bundle, "nemesis", None, True))
    return bundle_of(bundle, disk)


def copied(disk: Disk) -> Disk:
    """Copy a disk and its rows. Nothing is announced when a copy is audited, so whoever opens it reaches no deeper."""
    return Disk(**{each.name: _copied(getattr(disk, each.name)) for each in fields(disk)})


def _copied(value: Any) -> Any:
    match value:
        case list():
            return [dict(row) if isinstance(row, dict) else row for row in value]
        case set():
            return set(value)
        case dict():
            return {key: dict(row) if isinstance(row, dict) else row for key, row in value.items()}
    return value


def falsify(disk: Disk, what: str) -> None:
    """Alter one persisted thing."""
    served = next((row for row in reversed(disk.steps) if row["matches"]), None)
    if what == "trace-weights" and disk.trace:
        disk.trace[-1]["weights"] = "0" * 16
    elif what == "history-score" and served is not None:
        served["matches"] = tuple((seed, score + 0.25) for seed, score in served["matches"])
    elif what == "history-reason" and any(row["objections"] for row in disk.steps):
        next(row for row in reversed(disk.steps) if row["objections"])["reason"] = "nobody-knows"
    elif disk.trace:
        del disk.trace[-1]


OPERATOR = "ada"
"""Who asks for everything."""


def signature(act: tuple[Any, ...]) -> Signature | None:
    """Read who asked for an activation; nobody did for what was planted."""
    return Signature(*act[3:]) if act[0] == "activate" and act[2] != "nemesis" else None


def promoted(verdict: dict[str, Any], now: Bundle) -> Promoted:
    """Say a verdict."""
    pairs = tuple(Pair(*pair) for pair in verdict["pairs"])
    return Promoted(
        **verdict | {"pairs": pairs, "rivals": tuple(Standing(*each) for each in verdict["rivals"])}, now=now
    )


def step_of(row: dict[str, Any]) -> Step:
    """Read one row."""
    attempts = tuple(Attempt(**attempt) for attempt in row["attempts"])
    return Step(attempts=attempts, **{name: row[name] for name in STEP})
