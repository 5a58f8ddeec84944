"""What stepdown did, in the machine's words: datasets, bundles, verdicts and reports as its own readers tell them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stateful.environment import LENGTHS, SCENARIO, version_said
from stateful.observing import lesson_said, sha256
from stateful.plans import plan_said
from stepdown.history import ledger, reader, rows
from stepdown.reports.story import Spend
from stepdown.scenarios.roles import COMPETITOR, role_named
from stepdown.training.evaluation import judge_held_out
from stepdown.views.history import history
from stepdown.views.runs import story
from stepdown.workspace import Workspace
from stepdown_machine.values import (
    Bundle,
    Dataset,
    Pair,
    Promoted,
    Record,
    RunReport,
    Spent,
    Standing,
)


def promoted(workspace: Workspace, verdict: rows.Verdict) -> Promoted:
    """Say a verdict and what it rests on: the bundle's own replies, and the frontier's steps."""
    shown = verdict.evidence
    with workspace.reading() as connection:
        taken = reader.steps(connection, verdict.run)
        # What was cut off answers nothing, whatever came of it.
        said = {each.seed: None if each.recovered else reader.frontier_reply(connection, each.id) for each in taken}
        mine = ledger.TABLES[rows.Holdout].c.evaluation == shown["challenger"]
        replies = reader.all_of(connection, rows.Holdout, mine)
        rival = reader.newest(connection, rows.Evaluation, id=shown["champion"]) if shown["champion"] else None
        its = ledger.TABLES[rows.Holdout].c.evaluation == (rival.id if rival else "")
        rivals = tuple(
            Standing(each.seed, each.reply, each.score) for each in reader.all_of(connection, rows.Holdout, its)
        )
    scenario = workspace.scenario(SCENARIO)
    role = role_named(scenario, COMPETITOR)
    pairs = tuple(
        Pair(
            each.seed,
            each.reply,
            each.score,
            judge_held_out(scenario, role, each.seed, reply).score,
        )
        for each in replies
        if (reply := said[each.seed]) is not None
    )
    bounds = shown["to_frontier"] or dict.fromkeys(("mean", "lower", "upper"), math.nan)
    ahead = (shown["to_champion"] or {}).get("upper", math.nan)
    return Promoted(
        run=verdict.run,
        outcome=verdict.outcome,
        pairs=pairs,
        unanswered=shown["unanswered"],
        **bounds,
        valid=shown["valid"],
        champion=rival.bundle if rival else None,
        ahead=ahead,
        now=bundle(workspace, verdict.bundle),
        rivals=rivals,
        share=shown["share"],
    )


def dataset(path: Path) -> Dataset:
    """Read an export's files."""
    files = {split: path / f"{split}.jsonl" for split in ("train", "valid")}
    texts = {split: file.read_text("utf-8") for split, file in files.items() if file.exists()}
    found = tuple(
        Record(
            row["step"] if "step" in row else f"{row['log']}:{row['line']}",
            split,
            row["prompt"],
            row["completion"],
            row["score"],
            row["served"]["target"] or row["provenance"],
            *_provenance(row),
        )
        for split, text in texts.items()
        for row in map(json.loads, text.splitlines())
    )
    text = "".join(texts.values())
    return Dataset(path.name, sha256(text.encode()), found, text)


def _provenance(row: dict[str, Any]) -> tuple[bool, int, str, str] | tuple[()]:
    """Say whether a line was kept, what was known when it was asked, and who answered; of what was logged nothing of it."""
    if "step" not in row:
        return ()
    known = row["knowledge"]
    return row["kept"], known["version"], lesson_said(known["playbook"], known["hints"]), row["served"]["model"]


def bundle(workspace: Workspace, name: str) -> Bundle:
    """Say a bundle's row and its newest evaluation."""
    with workspace.reading() as connection:
        row = reader.bundle(connection, name)
        # A comparison is an evaluation too, on other seeds.
        counted = workspace.terms(workspace.scenario(SCENARIO)).digest
        evaluation = reader.evaluation(connection, name, counted)
        assert row is not None
        assert evaluation is not None
        held_out = reader.all_of(connection, rows.Holdout, ledger.TABLES[rows.Holdout].c.evaluation == evaluation.id)
    marks = tuple((each.seed, each.score if each.legal else None) for each in held_out)
    score = evaluation.lower if evaluation.lower is not None else float("nan")
    trained_at = row.trained_at.timestamp()
    return Bundle(
        name,
        row.weights_digest,
        trained_at,
        score,
        evaluation.valid or 0.0,
        marks,
        version_said(evaluation.terms["scenario_version"]),
        DECODED.get(evaluation.terms.get("decoding", {}).get("max_tokens"), "in no way that it says"),
        evaluation.knowledge,
        None if row.job == PLANTED else row.dataset,
        None if row.job == PLANTED else plan_said(workspace.bundle_directory(name)),
    )


DECODED = {length: word for word, length in LENGTHS.items()}
PLANTED = "0" * 64
"""The job of a bundle that nobody trained."""


def report(workspace: Workspace, run: str) -> RunReport:
    """Say what stepdown's report says."""
    told = story(workspace, run)
    served = tuple(sorted((who, count) for who, count in told.served.items() if who in ("local", "frontier")))
    tokens = [sum(getattr(spend, name) for spend in told.spends) for name in ("input_tokens", "output_tokens")]
    saved = tuple((role, found.saved if found else None) for role, found in told.savings.items())
    ending = told.ending.outcome if told.ending else "under-way"
    reasons = tuple(sorted(told.reasons.items()))
    share = () if told.local_share is None else (told.local_share,)
    spent = tuple(_side(side, told.spends) for side in ("frontier", "local", "shadow"))
    did = tuple((shown.bundle.id, measured(shown.evaluation)) for shown in told.bundles if shown.evaluation is not None)
    lessons = tuple(lesson_said(each.playbook, each.hints) for each in told.lessons)
    sums = len(told.steps), served, reasons, told.best, *tokens
    return RunReport(run, *sums, saved, ending, share, spent, did, lessons)


def measured(shown: rows.Evaluation) -> tuple[float | None, float]:
    """Say score and legal share of an evaluation that people are shown."""
    return shown.lower, shown.valid or 0.0


def policy_changes(workspace: Workspace) -> list[str]:
    """Return what stepdown's history says of each change of the policy."""
    return [event.detail for event in history(workspace) if event.kind == "policy"]


def moved(detail: str) -> tuple[str, ...]:
    """Read the names of the values that a change moved: `3: mode=auto, min_score=0.5`; a list of roles has commas as well."""
    return tuple(sorted(re.findall(r"(\w+)=", detail.partition(": ")[2])))


def _side(side: str, spends: Sequence[Spend]) -> Spent:
    """Add what a report says of each provider of one side."""
    mine = [spend for spend in spends if spend.target == side]
    sums = [sum(getattr(spend, name) for spend in mine) for name in ("attempts", "failed", "cost", "unpriced")]
    return Spent(side, *sums)
