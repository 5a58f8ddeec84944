"""Bundles that do not belong: whole, registered and active, as another version of stepdown could have left them."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from sqlalchemy import Connection

from stateful.saying import bundle
from stateful.weather import ON_GRID, SCENARIO
from stepdown.bundles.disk import listing, publish
from stepdown.bundles.manifest import Manifest
from stepdown.history import ledger, reader, rows
from stepdown.training.evaluation import summarize
from stepdown.workspace import Workspace
from stepdown_machine.values import Bundle

BEST = '{"aggression":1.0,"defense":0.4,"path_bias":1.0}'


def plant(workspace: Workspace, base: Path, kind: str) -> Bundle:
    """Register and activate a whole bundle that does not belong, as another version of stepdown could have."""
    part = base / "planted"
    part.mkdir()
    now = workspace.now()
    with workspace.reading() as connection:
        number = reader.count(connection, rows.Bundle)
    (part / "model.safetensors").write_bytes(f"planted {kind}, bundle {number}".encode())
    (part / "config.json").write_text("{}")
    manifest = Manifest(
        format=1,
        scenario="othello" if kind == "other-scenario" else SCENARIO,
        scenario_version=1,
        role="competitor",
        prompt_format=1,
        dataset="0" * 64,
        plan={},
        job="0" * 64,
        backend={},
        files=listing(part),
        losses={},
        trained_at=now,
        stepdown="0",
    )
    if kind == "newer-format":
        manifest = replace(manifest, format=2)
    with workspace.writing() as connection:
        session = workspace.session.begin()
        row = rows.Bundle(manifest.id, SCENARIO, "competitor", "0" * 64, "0" * 64, manifest.weights, now, session, now)
        publish(part, manifest, workspace.root / "bundles")
        ledger.append(connection, row)
        _evaluated(workspace, connection, row)
        ledger.append(connection, rows.Act("activate", SCENARIO, "competitor", manifest.id, True, "nemesis", kind, now))
    shutil.rmtree(part, ignore_errors=True)
    return bundle(workspace, manifest.id)


def _evaluated(workspace: Workspace, connection: Connection, row: rows.Bundle) -> None:
    """Append an evaluation that every gate likes: the best strategy on every held-out seed."""
    scenario = workspace.scenario(SCENARIO)
    bound = workspace.terms(scenario)
    best = scenario.parse(BEST if ON_GRID else next(probe.reply for probe in scenario.probes() if probe.legal))
    seeds = scenario.holdout_seeds()
    scores = [scenario.play(best, seed).score for seed in seeds]
    summary = summarize(scores, [True] * len(scores))
    name = f"evaluation-{reader.count(connection, rows.Evaluation) + 1}"
    numbers = (summary.mean, summary.lower, summary.valid)
    ledger.append(
        connection, rows.Evaluation(name, row.id, bound.values, bound.digest, 0, len(seeds), *numbers, row.at)
    )
    for seed, score in zip(seeds, scores, strict=True):
        ledger.append(connection, rows.Holdout(name, seed, score, legal=True, reply=best.text))
