"""Two edits that could cover for each other: each pair is told, or stands in the README with the reason why nobody can know."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from journey import Hands
from stepdown.acts.opening import open_workspace
from stepdown.audit.runs import INTERRUPTED
from stepdown.audit.witnesses import Evidence
from stepdown.digest import digest
from stepdown.history import rows
from stepdown.providers.batches import call_of
from stepdown.scenarios.roles import role_named
from stepdown.training.evaluation import judge_held_out, summarize
from stepdown.views.audit import compared, evidence
from stepdown.workspace import Settings

README = Path(__file__).parents[1] / "README.md"

Forgery = Callable[[Evidence], Iterator[Evidence]]


@pytest.fixture(scope="module")
def told(lived: Path) -> Iterator[Evidence]:
    """What both witnesses of a workspace say that has seen everything."""
    with open_workspace(lived, settings=Settings(clock=Hands().clock, durability="normal")) as opened:
        found = evidence(opened)
        assert list(compared(found)) == []
        yield found


def changed(kept: Sequence[Any], old: Any, **values: Any) -> list[Any]:
    """Return rows with one of them changed."""
    return [replace(row, **values) if row is old else row for row in kept]


def spread(kept: Sequence[Any]) -> list[Any]:
    """Return the first, a middle and the last of some rows."""
    return [kept[place] for place in sorted({0, len(kept) // 2, len(kept) - 1})] if kept else []


def other(value: Any) -> Any:
    """Return another value of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    return [*value, "x"] if isinstance(value, list) else f"{value or ''}x"


BOTH = ("run", "generation", "position", "role", "seed", "knowledge", "policy", "validators", "prompt", "objections")


def steps_with_their_announcements(told: Evidence) -> Iterator[Evidence]:
    called = {call.step for call in told.announcements}
    for column in BOTH:
        for step in (row for number, row in enumerate(told.steps) if row.id in called and number % 7 == 0):
            value = other(getattr(step, column))
            yield replace(
                told,
                steps=changed(told.steps, step, **{column: value}),
                announcements=[replace(c, **{column: value}) if c.step == step.id else c for c in told.announcements],
            )


SHARED = {
    "step": "step", "target": "target", "shadow": "shadow", "bundle": "bundle", "requested_provider": "provider",
    "requested_model": "model",
}  # fmt: skip


def attempts_with_their_announcements(told: Evidence) -> Iterator[Evidence]:
    started = {line.call for line in told.trace}
    for mine, its in SHARED.items():
        for attempt in spread([row for row in told.attempts if getattr(row, mine) is not None and row.call in started]):
            value = (
                told.steps[0].id
                if mine == "step" and attempt.step != told.steps[0].id
                else other(getattr(attempt, mine))
            )
            if mine == "step" and value not in {step.id for step in told.steps}:
                continue
            yield replace(
                told,
                attempts=changed(told.attempts, attempt, **{mine: value}),
                announcements=[replace(c, **{its: value}) if c.call == attempt.call else c for c in told.announcements],
            )


def replies_with_what_steps_keep_of_them(told: Evidence) -> Iterator[Evidence]:
    for step in spread([row for row in told.steps if row.reply is not None and row.answer is not None]):
        for name, value in (("reply", step.reply + " "), ("score", 1.0)):
            yield replace(
                told,
                steps=changed(told.steps, step, **{name: value}),
                attempts=[replace(a, **{name: value}) if a.call == step.served_call else a for a in told.attempts],
            )


def examined_again(told: Evidence, row: rows.Evaluation, replies: Sequence[str]) -> Evidence:
    """Let an evaluation rest on other replies, and let judgement, mean, bound and share follow from those."""
    slot = next(bundle for bundle in told.bundles if bundle.id == row.bundle)
    scenario = told.scenarios(slot.scenario)
    mine = [reply for reply in told.holdouts if reply.evaluation == row.id]
    again = [
        replace(judge_held_out(scenario, role_named(scenario, slot.role), old.seed, reply), evaluation=row.id)
        for old, reply in zip(mine, replies, strict=True)
    ]
    sums = summarize([reply.score for reply in again], [reply.legal for reply in again])
    return replace(
        told,
        holdouts=[reply for reply in told.holdouts if reply.evaluation != row.id] + again,
        evaluations=changed(told.evaluations, row, mean=sums.mean, lower=sums.lower, valid=sums.valid),
    )


def held_out_replies_with_mean_and_bound(told: Evidence) -> Iterator[Evidence]:
    for row in told.evaluations:
        replies = [reply.reply for reply in told.holdouts if reply.evaluation == row.id]
        best = max(
            (reply for reply in told.holdouts if reply.evaluation == row.id), key=lambda reply: reply.score
        ).reply
        for forged in ([best] * len(replies), [*replies[:-1], "no answer"], [*reversed(replies)]):
            if forged != replies:
                yield examined_again(told, row, forged)


def evaluations_with_the_call_that_they_name(told: Evidence) -> Iterator[Evidence]:
    for row in told.evaluations:
        forged = replace(row, knowledge=row.knowledge + 1)
        named = call_of(forged.bundle, forged.terms_digest, forged.knowledge, forged.run)
        yield replace(told, evaluations=changed(told.evaluations, row, knowledge=forged.knowledge, call=named))
    for row in told.evaluations[1:]:
        yield replace(told, evaluations=changed(told.evaluations, row, call=None))


def terms_with_their_digest(told: Evidence) -> Iterator[Evidence]:
    for row in told.evaluations:
        for name, value in (("scenario_version", 9), ("seeds", row.terms["seeds"][:-1]), ("scenario", "tickets")):
            terms = {**row.terms, name: value}
            named = call_of(row.bundle, digest(terms), row.knowledge, row.run)
            yield replace(
                told, evaluations=changed(told.evaluations, row, terms=terms, terms_digest=digest(terms), call=named)
            )


def versions_with_scores(told: Evidence) -> Iterator[Evidence]:
    for run in told.runs:
        mine = {step.id for step in told.steps if step.run == run.id and step.score is not None}
        if mine:
            yield replace(
                told,
                runs=changed(told.runs, run, scenario_version=run.scenario_version + 1),
                steps=[replace(step, score=0.99) if step.id in mine else step for step in told.steps],
                attempts=[
                    replace(a, score=0.99) if a.step in mine and a.score is not None else a for a in told.attempts
                ],
            )


def verdicts_with_their_evidence(told: Evidence) -> Iterator[Evidence]:
    for row in told.verdicts:
        other_outcome = "promote" if row.outcome != "promote" else "reject"
        yield replace(
            told,
            verdicts=changed(told.verdicts, row, outcome=other_outcome, evidence={**row.evidence, "objections": []}),
        )
        low = {**row.evidence, "min_valid": 0.1, "min_coverage": 0.1}
        yield replace(told, verdicts=changed(told.verdicts, row, policy=1, evidence=low))


def generations_with_their_champions(told: Evidence) -> Iterator[Evidence]:
    for row in spread(told.generations):
        yield replace(told, generations=changed(told.generations, row, score=0.99, champion_score=0.99))
        yield replace(
            told, generations=changed(told.generations, row, best="run-1/1/1", champion="run-1/1/1", score=0.5)
        )


def bundles_with_acts(told: Evidence) -> Iterator[Evidence]:
    """Let everything be done to another bundle than it was done to, or nothing at all."""
    first, second, *_ = told.bundles
    swap = {first.id: second.id, second.id: first.id}
    yield replace(told, acts=[replace(act, bundle=swap.get(act.bundle, act.bundle)) for act in told.acts], numbers={})
    yield replace(told, acts=[], numbers={})
    for act in told.acts:
        if act.kind in ("disable", "activate", "retire"):
            yield replace(told, acts=[each for each in told.acts if each.bundle != act.bundle], numbers={})


def lessons_with_the_steps_that_taught_them(told: Evidence) -> Iterator[Evidence]:
    for row in told.lessons:
        said = json.dumps({"playbook": row.playbook + "x", "hints": row.hints})
        yield replace(
            told,
            lessons=changed(told.lessons, row, playbook=row.playbook + "x"),
            steps=[replace(step, reply=said) if step.id == row.step else step for step in told.steps],
        )


def costs_with_tokens(told: Evidence) -> Iterator[Evidence]:
    for attempt in spread([row for row in told.attempts if row.cost is not None and row.input_tokens is not None]):
        yield replace(told, attempts=changed(told.attempts, attempt, cost=0.0, input_tokens=0, output_tokens=0))


def sessions_with_resumptions(told: Evidence) -> Iterator[Evidence]:
    done = {row.run for row in told.endings if row.outcome == "completed"}
    for run in spread([run for run in told.runs if run.id in done]):
        again = rows.Resumption(run.id, "0" * 16, run.at)
        calls = [replace(call, session="0" * 16) if call.run == run.id else call for call in told.announcements]
        yield replace(told, resumptions=[*told.resumptions, again], announcements=calls, numbers={})


TOLD: list[Forgery] = [
    steps_with_their_announcements,
    attempts_with_their_announcements,
    replies_with_what_steps_keep_of_them,
    held_out_replies_with_mean_and_bound,
    evaluations_with_the_call_that_they_name,
    terms_with_their_digest,
    versions_with_scores,
    verdicts_with_their_evidence,
    generations_with_their_champions,
    bundles_with_acts,
    lessons_with_the_steps_that_taught_them,
    costs_with_tokens,
    sessions_with_resumptions,
]


@pytest.mark.parametrize("forgery", TOLD, ids=lambda forgery: forgery.__name__)
def test_a_pair_that_could_cover_for_each_other_is_told(told: Evidence, forgery: Forgery) -> None:
    forged = list(forgery(told))
    assert forged
    assert [number for number, each in enumerate(forged) if not any(compared(each))] == []


def the_end_of_a_run(told: Evidence) -> Evidence:
    row = next(
        row for row in told.endings if row.outcome == "completed" and row.run not in {v.run for v in told.verdicts}
    )
    return replace(told, endings=changed(told.endings, row, outcome="interrupted", error=INTERRUPTED))


def the_name_of_a_session(told: Evidence) -> Evidence:
    run = told.runs[1]
    return replace(
        told,
        runs=changed(told.runs, run, session="0" * 16),
        announcements=[replace(call, session="0" * 16) if call.run == run.id else call for call in told.announcements],
    )


def both_witnesses_alike(told: Evidence) -> Evidence:
    attempt = next(row for row in told.attempts if row.output_tokens is not None and row.target == "local")
    return replace(
        told,
        attempts=changed(told.attempts, attempt, output_tokens=99),
        trace=[
            replace(line, output_tokens=99) if (line.call, line.event) == (attempt.call, "end") else line
            for line in told.trace
        ],
    )


def all_of_the_last_run(told: Evidence) -> Evidence:
    """Take the newest run out of every table, of what the database counts, and of the trace."""
    last = told.runs[-1].id
    steps = {step.id for step in told.steps if step.run == last}
    calls = {call.call for call in told.announcements if call.run == last}
    return replace(
        told,
        runs=told.runs[:-1],
        resumptions=[row for row in told.resumptions if row.run != last],
        endings=[row for row in told.endings if row.run != last],
        announcements=[row for row in told.announcements if row.run != last],
        attempts=[row for row in told.attempts if row.call not in calls],
        steps=[row for row in told.steps if row.run != last],
        matches=[row for row in told.matches if row.step not in steps],
        generations=[row for row in told.generations if row.run != last],
        lessons=[row for row in told.lessons if row.step not in steps],
        trace=[line for line in told.trace if line.call not in calls],
        numbers={},
    )


def who_was_to_be_asked(told: Evidence) -> Evidence:
    started = {line.call for line in told.trace}
    attempt = next(row for row in told.attempts if row.call not in started)
    return replace(
        told,
        attempts=changed(told.attempts, attempt, requested_model="forged"),
        announcements=[replace(c, model="forged") if c.call == attempt.call else c for c in told.announcements],
    )


UNSEEN: dict[str, Callable[[Evidence], Evidence]] = {
    "of a call that its process did not live to start, the trace knows nothing: not of whom it was asked": who_was_to_be_asked,
    "a completed run and one whose process ended just before it could say so are the same": the_end_of_a_run,
    "a session is a name that its own rows say alone": the_name_of_a_session,
    "whoever rewrites both witnesses alike has rewritten all that there is": both_witnesses_alike,
    "the newest run, taken out of every table, of the database's own counts and of the trace, was never there": (
        all_of_the_last_run
    ),
}


@pytest.mark.parametrize("why", UNSEEN)
def test_a_pair_that_nobody_can_know_stands_in_the_readme_with_its_reason(told: Evidence, why: str) -> None:
    assert list(compared(UNSEEN[why](told))) == []
    assert why in " ".join(README.read_text("utf-8").split())
