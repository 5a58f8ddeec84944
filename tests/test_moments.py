"""What a step says it found when it began follows from what was done before: no true history is doubted, no fact forged."""

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from journey import SCENARIO, Hands, active, discover
from rotation import part
from stepdown.acts import configure, switch
from stepdown.acts.localize import evaluate
from stepdown.acts.opening import open_workspace
from stepdown.audit.witnesses import Evidence
from stepdown.errors import StepdownError
from stepdown.history import reader, rows
from stepdown.routing.decide import decide, shadowed, walk
from stepdown.routing.facts import Facts
from stepdown.routing.reasons import local_failure
from stepdown.views.audit import compared, differences, evidence
from stepdown.workspace import Settings, Workspace


@pytest.fixture(scope="module")
def told(lived: Path) -> Iterator[Evidence]:
    """What both witnesses of a workspace say that has seen everything."""
    with open_workspace(lived, settings=Settings(clock=Hands().clock, durability="normal")) as opened:
        yield evidence(opened)


def conspiracy(told: Evidence, step: rows.Step, changes: dict[str, Any]) -> Evidence | None:
    """Let a step and its announcements say other facts, and objections and reason that follow; None where others were asked."""
    before, after = Facts.from_json(step.facts), Facts.from_json({**step.facts, **changes})
    asked = [
        (walk(made, facts.frontier_objection), shadowed(made)) for facts in (before, after) for made in [decide(facts)]
    ]
    if before == after or asked[0] != asked[1]:
        return None
    objections = list(decide(after).objections)
    said = {"facts": after.as_json(), "objections": objections}
    reason = objections[0] if objections else step.reason
    assert objections or reason in (None, *map(local_failure, ("timeout", "invalid-output", "error", "load-failed")))
    return replace(
        told,
        steps=[replace(row, **said, reason=reason) if row.id == step.id else row for row in told.steps],
        announcements=[replace(row, **said) if row.step == step.id else row for row in told.announcements],
    )


FORGED: dict[str, Callable[[dict[str, Any], Evidence], list[dict[str, Any]]]] = {
    "enabled": lambda facts, _: [{"enabled": not facts["enabled"]}],
    "bundle": lambda facts, told: [
        {"bundle": other.id} for other in told.bundles if facts["bundle"] not in (None, other.id)
    ],
    "slot": lambda _, _told: [
        {"bundle": None, "present": False, "enabled": False, "whole": False, "compatible": False, "age": None}
        | {"evaluated": False, "score": None, "valid": None, "breaker": "closed", "probing": False}
    ],
    "breaker": lambda facts, _: [{"breaker": other} for other in ("closed", "open", "half-open") if other != facts["breaker"]],
    "probing": lambda facts, _: [{"probing": not facts["probing"]}],
    "age": lambda facts, _: [{"age": age} for age in (None, 1e9, (facts["age"] or 0.0) + 1e-3, (facts["age"] or 0.0) - 1.5)],
    "score": lambda _, told: [{"score": row.lower} for row in told.evaluations] + [{"score": 0.1}],
    "valid": lambda _, told: [{"valid": row.valid} for row in told.evaluations] + [{"valid": 0.1}],
    "evaluated": lambda facts, _: [{"evaluated": not facts["evaluated"], "score": None, "valid": None}],
    "whole": lambda facts, _: [{"present": False}] if facts["whole"] else [{"whole": True}],
}  # fmt: skip


UNDONE = "the bundle was switched off and on again before this step, and no step came in between"
ALONE = "another process may have decoded otherwise, and no other step of its session says how"

UNKNOWN = {
    **dict.fromkeys((("run-9/1/1", "enabled"), ("run-9/1/2", "enabled"), ("run-11/1/0", "enabled")), UNDONE),
    **dict.fromkeys((("run-8/1/0", "evaluated"), ("run-10/1/0", "evaluated")), ALONE),
}
"""What nobody can know, and why."""


@pytest.mark.parametrize("name", FORGED)
def test_a_fact_that_step_announcement_objections_and_reason_are_forged_for_is_told(told: Evidence, name: str) -> None:
    forgeries = [(step, changes) for step in told.steps for changes in FORGED[name](dict(step.facts), told)]
    possible = [
        (step, forged) for step, changes in forgeries if (forged := conspiracy(told, step, changes)) is not None
    ]
    assert possible
    believed = {(step.id, name) for step, forged in part(possible, of=5) if not any(compared(forged))}
    assert believed <= UNKNOWN.keys()


def test_a_history_whose_acts_were_all_deleted_is_told_step_by_step(told: Evidence) -> None:
    found = {difference.where for difference in compared(replace(told, acts=[], numbers={}))}

    assert {step.id for step in told.steps if step.facts["bundle"] is not None} <= found


def test_a_policy_of_another_moment_is_told_even_where_its_limits_are_the_same(told: Evidence) -> None:
    last = told.policies[-1]
    same = replace(last, number=last.number + 1, settings={**last.settings, "local_timeout": 9.0})
    first, *_ = [step for step in told.steps if step.policy == last.number]
    forged = replace(
        told,
        policies=[*told.policies, same],
        numbers={},
        steps=[replace(row, policy=same.number) if row.id == first.id else row for row in told.steps],
        announcements=[replace(row, policy=same.number) if row.step == first.id else row for row in told.announcements],
    )
    assert {str(found).partition(",")[0] for found in compared(forged)} >= {
        f"I1 {step.id}: it names policy {last.number}"
        for step in told.steps
        if step.policy == last.number and step != first
    }


def test_validators_of_another_moment_are_told(told: Evidence) -> None:
    weak = next(step.validators for step in told.steps if "budget" not in step.validators)
    steps = [step for step in told.steps if "budget" in step.validators]
    for step in (steps[0], steps[-1]):
        forged = replace(
            told,
            steps=[replace(row, validators=weak) if row.id == step.id else row for row in told.steps],
            announcements=[replace(row, validators=weak) if row.step == step.id else row for row in told.announcements],
        )
        assert any("the switches before it had not left just" in found.sentence for found in compared(forged))


MOVING = threading.Lock()


def pass_time(hands: Hands, seconds: float) -> None:
    """Let time pass, or set the wall clock back: a stopwatch is never set back, by nobody's race either."""
    with MOVING:
        if seconds < 0:
            hands.instant += timedelta(seconds=seconds)
        else:
            hands.forward(seconds)


def rival(root: Path, hands: Hands, seed: int) -> None:
    """Do what an operator does, in a session of its own, while somebody else plays."""
    chance = random.Random(seed)
    with open_workspace(root, settings=Settings(clock=hands.clock, durability="normal")) as opened:
        bundle = active(opened).id
        for _ in range(12):
            pass_time(hands, chance.choice([0.0, 0.5, 30.0, -40.0]))
            doing: Callable[[], object] = chance.choice(
                [
                    lambda: switch.disable(opened, bundle),
                    lambda: switch.enable(opened, bundle),
                    lambda: switch.enable(opened, bundle),
                    lambda: configure.switch_validator(opened, SCENARIO, "budget", enabled=chance.random() < 0.5),
                    lambda: configure.set_policy(opened, {"min_score": chance.random()}),
                    lambda: configure.set_policy(opened, {"local_timeout": chance.choice([0.001, 10.0])}),
                    lambda: configure.set_policy(opened, {"breaker_cooldown": chance.choice([0.0, 60.0])}),
                    lambda: evaluate(opened, bundle),
                    lambda: discover(opened, seed=seed, candidates=2),
                ]
            )
            with suppress(StepdownError):
                doing()


@pytest.mark.parametrize("seed", range(4))
def test_no_true_history_is_doubted_whatever_rivals_do_between_its_steps(local: Workspace, seed: int) -> None:
    hands = Hands()
    hands.instant += timedelta(days=1)
    local.settings = replace(local.settings, clock=hands.clock)
    others = [threading.Thread(target=rival, args=(local.root, hands, 10 * seed + number)) for number in range(2)]
    for other in others:
        other.start()
    for number in range(3):
        discover(local, seed=seed + number, generations=2, candidates=4)
    for other in others:
        other.join()

    assert differences(local) == []
    with local.reading() as connection:
        assert len({step.policy for step in reader.all_of(connection, rows.Step)}) > 1
