"""Bundles that do not belong: whole, registered and active, as another version of stepdown could have left them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import Connection

from stateful.environment import FIRST_VERSION, ON_GRID, SCENARIO
from stateful.saying import bundle
from stepdown.acts.examine import examiner
from stepdown.acts.question import rendering
from stepdown.bundles.disk import listing, publish
from stepdown.bundles.manifest import Manifest
from stepdown.history import ledger, reader, rows
from stepdown.providers.protocol import Completion, Request
from stepdown.scenarios import prompt
from stepdown.scenarios.prompt import Knowledge
from stepdown.scenarios.roles import judged_role
from stepdown.scenarios.wording import wording
from stepdown.training.evaluation import summarize
from stepdown.workspace import Workspace
from stepdown_machine.protocol import MUTE
from stepdown_machine.values import Bundle

BEST = '{"aggression":1.0,"defense":0.4,"path_bias":1.0}'


@dataclass(frozen=True, slots=True)
class Perfect:
    """Who answers for a planted bundle when it is examined."""

    reply: str
    name: str = "stepdown-local"
    model: str = "planted"

    def complete(self, request: Request) -> Completion:
        """Answer nobody: it is examined only."""
        raise NotImplementedError(request.call)

    def answer(self, prompts: Sequence[str], seeds: Sequence[int], schema: object = None) -> list[str]:
        """Give the best answer to every prompt."""
        return [self.reply] * len(prompts)


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
        scenario_version=FIRST_VERSION,
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
    if kind == MUTE:
        words = wording(workspace.scenario(SCENARIO), "competitor")
        manifest = replace(manifest, prompts=words.digest, prompt_format=prompt.FORMAT)
    with workspace.writing() as connection:
        session = workspace.session.begin()
        row = rows.Bundle(
            manifest.id, SCENARIO, "competitor", "0" * 64, "0" * 64, manifest.weights_digest, now, session, now
        )
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
    asking, role = examiner(workspace, row.id, bound, 0), judged_role(scenario, row.role)
    asking.ask(Perfect(best.text), role, [rendering(scenario, role, Knowledge(), seed) for seed in seeds], seeds)
    ledger.append(
        connection,
        rows.Evaluation(name, row.id, bound.values, bound.digest, 0, len(seeds), *numbers, row.at, call=asking.call),
    )
    for seed, score in zip(seeds, scores, strict=True):
        ledger.append(connection, rows.Holdout(name, seed, score, legal=True, reply=best.text))
