"""The oracle: independent, and right about the edges of its own rules."""

import ast
import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import stepdown_machine.model
from stepdown_machine import operations as op
from stepdown_machine.broken import system
from stepdown_machine.invariants import INVARIANTS
from stepdown_machine.model import (
    REASONS,
    Breaker,
    Limits,
    Model,
    Registered,
    after,
    grid_ctf,
    objections,
    outcome,
    surest,
)
from stepdown_machine.observed import Observation
from stepdown_machine.session import Session
from stepdown_machine.transition import Memory, Transition

ALLOWED = {"collections", "datetime", "re", "dataclasses", "math", "json", "random", "typing", "copy", "functools"}
SOURCES = sorted(Path(stepdown_machine.model.__file__).parent.glob("*.py"))


def known(**changes: object) -> Registered:
    facts = {
        "bundle": "b",
        "weights": "w",
        "score": 0.7,
        "valid": 1.0,
        "trained_at": 0.0,
        "version": 1,
        "job": ("d", "p"),
    }
    return Registered(**(facts | changes))  # type: ignore[arg-type]


def serving(limits: Limits | None = None, now: float = 0.0, **changes: object) -> Model:
    return Model(now, limits or Limits(), bundles={"b": known(**changes)}, slots={"competitor": "b"})


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_the_oracle_imports_nothing_but_itself_and_plain_standard_library(source: Path) -> None:
    imported = set()
    for node in ast.walk(ast.parse(source.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module or "")

    outside = {name.split(".")[0] for name in imported if not name.startswith("stepdown_machine.model")}
    assert outside <= ALLOWED
    assert {name.partition(".")[0] for name in outside} <= sys.stdlib_module_names


def test_nothing_objects_to_a_whole_enabled_bundle() -> None:
    assert objections(serving(), "competitor").must == ()


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (serving(Limits(mode="frontier-only")), "frontier-forced"),
        (serving(Limits(local_roles=())), "role-not-eligible"),
        (Model(0.0), "bundle-absent"),
        (serving(enabled=False), "bundle-disabled"),
        (serving(files="damaged"), "bundle-integrity"),
        (serving(belongs=False), "bundle-incompatible"),
        (serving(Limits(max_age=9.0), now=10.0), "bundle-stale"),
        (serving(Limits(min_score=math.nextafter(0.7, 1.0))), "quality-below-threshold"),
        (serving(score=math.nan), "quality-below-threshold"),
        (serving(Limits(min_valid=1.0), valid=0.9), "validity-below-threshold"),
        (serving(version=2), "quality-inconclusive"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_gate_objects_with_its_reason(model: Model, reason: str) -> None:
    assert objections(model, "competitor").must[0] == reason


@pytest.mark.parametrize(
    "limits", [Limits(min_score=0.7), Limits(min_valid=1.0), Limits(max_age=10.0), Limits(min_coverage=1.0)]
)
def test_a_number_exactly_at_its_limit_passes(limits: Limits) -> None:
    assert objections(serving(limits, now=10.0), "competitor").must == ()


def test_a_gone_directory_is_absent_and_not_damaged() -> None:
    must = objections(serving(files="gone"), "competitor").must

    assert must == ("bundle-absent",)


def test_a_breaker_opens_at_the_failure_that_reaches_the_threshold_within_the_window() -> None:
    limits = Limits(breaker_threshold=2, breaker_window=10.0, breaker_cooldown=30.0)
    state = after(after(Breaker(), limits, 0.0, succeeded=False), limits, 11.0, succeeded=False)

    assert not state.cooling(limits, 11.0)
    state = after(state, limits, 21.0, succeeded=False)

    assert state.cooling(limits, 50.9)
    assert not state.cooling(limits, 51.0)
    assert state.half_open(limits, 51.0)
    assert state.cooling(limits, -1000.0)


def test_zero_probes_close_a_breaker_when_the_cooldown_is_over() -> None:
    limits = Limits(breaker_threshold=1, breaker_cooldown=5.0, breaker_probes=0)
    state = after(Breaker(), limits, 0.0, succeeded=False)

    assert state.healed(limits, 5.0)
    assert after(state, limits, 5.0, succeeded=True) == Breaker()


def test_the_list_of_reasons_keeps_its_order() -> None:
    assert REASONS[0] == "frontier-forced"
    assert REASONS[-4:] == ("shadow-only", "canary-held", "base-mismatch", "quality-outdated")
    assert len(set(REASONS)) == len(REASONS) == 20


@pytest.mark.parametrize(
    ("reply", "objecting"),
    [
        ('{"aggression": 1.0, "defense": 0.4, "path_bias": 1}', set()),
        ("no", {"json-object"}),
        ("[1]", {"json-object"}),
        ('{"aggression": 0.5, "defense": 0.5}', {"known-keys"}),
        ('{"aggression": true, "defense": 0.5, "path_bias": 0.5}', {"finite-numbers"}),
        ('{"aggression": NaN, "defense": 0.5, "path_bias": 0.5}', {"finite-numbers"}),
        ('{"aggression": 0.5, "defense": 0.5, "path_bias": -0.1}', {"unit-range"}),
        ('{"aggression": 1.0, "defense": 0.9, "path_bias": 0.5}', {"budget"}),
    ],
)
def test_each_validator_judges_only_what_is_its_own(reply: str, objecting: set[str]) -> None:
    assert grid_ctf.objectors(reply) == objecting


def test_an_illegal_reply_scores_nothing_and_the_best_strategy_what_is_published() -> None:
    assert grid_ctf.score("no", 1) == 0.0
    scores = [grid_ctf.score('{"aggression": 1.0, "defense": 0.4, "path_bias": 1.0}', seed) for seed in range(200)]
    assert 0.85 < sum(scores) / len(scores) < 0.91


SHOWN = {"lower": -0.04, "upper": 0.1, "ahead": math.nan, "valid": 1.0, "coverage": 1.0}


@pytest.mark.parametrize(
    ("changes", "margin", "due"),
    [
        ({}, 0.05, "promote"),
        ({}, 0.04, "hold"),
        ({"lower": math.nan, "upper": math.nan}, 0.5, "hold"),
        ({"upper": -0.06}, 0.05, "reject"),
        ({"upper": -0.05}, 0.05, "promote"),
        ({"ahead": -0.06}, 0.05, "hold"),
        ({"valid": 0.8}, 0.05, "hold"),
        ({"valid": 0.9}, 0.05, "promote"),
        ({"coverage": 0.4}, 0.05, "hold"),
    ],
)
def test_a_verdict_follows_from_what_was_shown(changes: dict[str, float], margin: float, due: str) -> None:
    assert outcome(Limits(min_valid=0.9, min_coverage=0.5), margin, **(SHOWN | changes)) == due


def test_no_seed_shows_nothing_and_endless_ones_show_the_mean() -> None:
    assert surest(0.0, 1) == pytest.approx(-0.95)
    assert surest(0.2, 10**9) == pytest.approx(0.2)
    assert surest(0.0, 16) < surest(0.0, 32) < 0.0


@pytest.mark.parametrize("observer", ["acts", "the shelf"])
def test_two_active_bundles_in_a_slot_are_seen_wherever_they_are_shown(observer: str) -> None:
    session = Session(system("correct"))
    for operation in (op.Run(0, 1, 2), op.Export(), op.Train("dataset-1", "tiny-a"), op.Activate("bundle-1")):
        session.act(operation)
    seen = session.seen
    assert list(INVARIANTS["I6"](transition(session, seen), session.model, ())) == []

    if observer == "acts":
        doubled = replace(seen, holdings=(*seen.holdings, replace(seen.holdings[0], bundle="another")))
    else:
        shown = replace(seen.shelf[0], standing="active")
        doubled = replace(seen, shelf=(shown, replace(shown, bundle="another")))

    first, *_ = INVARIANTS["I6"](transition(session, doubled), session.model, ())
    assert (first.claim, first.did) == ("I6", f"{observer} sees 2")


def transition(session: Session, seen: Observation) -> Transition:
    return Transition(op.Audit(), None, seen, seen, session.description, Memory())


def led(*bundles: str) -> Model:
    model = Model(0.0, bundles={name: known(bundle=name) for name in "abc"})
    for bundle in bundles:
        model.point(bundle)
    return model


def test_a_rollback_goes_back_and_the_next_one_further_back() -> None:
    model = led("a", "b", "b", "c")

    model.retreat()
    assert (model.slots["competitor"], model.behind()) == ("b", ("a",))
    model.retreat()
    assert (model.slots["competitor"], model.target()) == ("a", None)


def test_a_rollback_passes_over_what_could_not_serve() -> None:
    model = led("a", "b", "c")
    model.alter("b", enabled=False)

    assert model.target() == "a"
    assert model.needed(keep=0) == {"c", "a"}


def test_prune_spares_what_a_kept_run_asked_and_never_what_is_retired() -> None:
    model = led("a", "b")
    model.asked = frozenset("c")
    assert model.unneeded(keep=None) == frozenset()
    assert model.unneeded(keep=0) == {"c"}

    model.retire("c")

    assert model.unneeded(keep=None) == {"c"}
