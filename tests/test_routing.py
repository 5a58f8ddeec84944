"""The decision against a truth table written here by hand, and its limits against the numbers next to them."""

import math
from dataclasses import replace
from itertools import product
from math import inf, nan, nextafter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepdown.routing.breaker import State
from stepdown.routing.canary import draw
from stepdown.routing.decide import Decision, Target, decide, shadowed, walk
from stepdown.routing.facts import Facts
from stepdown.routing.gates import GATES, Gate
from stepdown.routing.policy import Mode
from stepdown.routing.reasons import FrontierObjection, Reason, local_failure

FIT = Facts(
    role="competitor",
    mode=Mode.AUTO,
    local_roles=("competitor",),
    frontier_allowed=True,
    bundle="b" * 64,
    present=True,
    enabled=True,
    whole=True,
    compatible=True,
    age=10.0,
    max_age=100.0,
    evaluated=True,
    score=0.8,
    min_score=0.75,
    valid=0.95,
    min_valid=0.9,
    coverage=1.0,
    min_coverage=0.95,
    breaker=State.CLOSED,
    probing=False,
    shadow=False,
    canary=1.0,
    draw=0.5,
    lessons=50,
    max_lessons=50.0,
)

DISK = [
    ([], {}),
    (["bundle-absent"], {"present": False, "whole": False, "compatible": False}),
    (["bundle-integrity"], {"whole": False, "compatible": False}),
    (["bundle-incompatible"], {"compatible": False}),
]
EVIDENCE = [
    ([], {}),
    (["quality-below-threshold"], {"score": 0.7499}),
    (["validity-below-threshold"], {"valid": 0.8999}),
    (["quality-below-threshold", "validity-below-threshold"], {"score": 0.0, "valid": 0.0}),
    (["quality-inconclusive"], {"evaluated": False, "score": None, "valid": None, "lessons": None}),
    (["quality-outdated"], {"lessons": 51}),
    (["quality-outdated"], {"lessons": None}),
    ([], {"lessons": None, "max_lessons": inf}),
    (["validity-below-threshold", "quality-outdated"], {"valid": 0.0, "lessons": 51}),
]
BREAKER = [
    ([], {}),
    ([], {"breaker": State.HALF_OPEN}),
    (["local-cooldown"], {"breaker": State.HALF_OPEN, "probing": True}),
    (["local-cooldown"], {"breaker": State.OPEN}),
]
COLUMNS = [
    [([], {}), (["frontier-forced"], {"mode": Mode.FRONTIER_ONLY}), ([], {"mode": Mode.LOCAL_ONLY})],
    [([], {}), (["role-not-eligible"], {"role": "coach"})],
    DISK,
    [([], {}), (["bundle-disabled"], {"enabled": False})],
    [([], {}), (["bundle-stale"], {"age": 100.1}), (["bundle-stale"], {"age": -0.1})],
    EVIDENCE,
    [([], {}), (["coverage-weak"], {"coverage": 0.94})],
    BREAKER,
    [([], {}), (["shadow-only"], {"shadow": True})],
    [([], {}), (["canary-held"], {"canary": 0.5})],
    [([], {}), (["base-mismatch"], {"based": False})],
]
ORDER = [
    "frontier-forced",
    "role-not-eligible",
    "bundle-absent",
    "bundle-disabled",
    "bundle-integrity",
    "bundle-incompatible",
    "bundle-stale",
    "quality-below-threshold",
    "validity-below-threshold",
    "coverage-weak",
    "local-cooldown",
    "local-load-failed",
    "local-error",
    "local-timeout",
    "local-invalid-output",
    "quality-inconclusive",
    "shadow-only",
    "canary-held",
    "base-mismatch",
    "quality-outdated",
]


def test_the_decision_is_the_truth_table() -> None:
    for row in product(*COLUMNS):
        expected = sorted((word for words, _ in row for word in words), key=ORDER.index)
        facts = replace(FIT, **{name: value for _, changes in row for name, value in changes.items()})
        decision = decide(facts)
        assert list(decision.objections) == expected, facts
        assert decision.local is (not expected)
        assert decision.reason == (expected[0] if expected else None)


def test_the_words_and_their_order_are_closed() -> None:
    assert [reason.value for reason in Reason] == ORDER


def test_an_empty_slot_is_absent_and_nothing_is_said_of_a_bundle_that_is_not() -> None:
    nothing = replace(
        FIT, bundle=None, present=False, enabled=False, whole=False, compatible=False, age=None, evaluated=False,
        score=None, valid=None,
    )  # fmt: skip
    assert list(decide(nothing).objections) == ["bundle-absent"]


def test_a_bundle_switched_off_is_disabled_even_when_its_directory_is_gone() -> None:
    facts = replace(FIT, enabled=False, present=False, whole=False, compatible=False)

    assert list(decide(facts).objections) == ["bundle-absent", "bundle-disabled"]


LEAST = [("score", "min_score"), ("valid", "min_valid"), ("coverage", "min_coverage")]


@pytest.mark.parametrize(("value", "limit"), LEAST)
@given(at=st.floats(0.001, 1))
def test_a_number_at_its_least_passes_and_the_next_one_below_does_not(value: str, limit: str, at: float) -> None:
    assert decide(replace(FIT, **{value: at, limit: at})).local
    assert decide(replace(FIT, **{value: nextafter(at, 2), limit: at})).local
    assert not decide(replace(FIT, **{value: nextafter(at, 0), limit: at})).local


@given(st.floats(0, 1e12))
def test_an_age_at_its_limit_passes_and_the_next_one_above_does_not(at: float) -> None:
    assert decide(replace(FIT, age=at, max_age=at)).local
    assert not decide(replace(FIT, age=nextafter(at, inf), max_age=at)).local


@pytest.mark.parametrize("unknown", [None, nan])
@pytest.mark.parametrize("value", ["age", "score", "valid", "coverage"])
def test_what_is_not_known_never_passes(value: str, unknown: float | None) -> None:
    assert not decide(replace(FIT, **{value: unknown})).local


@pytest.mark.parametrize("limit", ["max_age", "min_score", "min_valid", "min_coverage", "canary", "draw"])
def test_a_limit_that_is_no_number_lets_nothing_pass(limit: str) -> None:
    assert not decide(replace(FIT, **{limit: nan})).local


def test_a_canary_of_nothing_holds_everything_and_a_canary_of_all_holds_nothing() -> None:
    for seed in range(2000):
        place = draw(seed)
        assert 0 <= place < 1
        assert decide(replace(FIT, canary=1.0, draw=place)).local
        assert not decide(replace(FIT, canary=0.0, draw=place)).local


def test_a_canary_takes_its_share_of_the_seeds() -> None:
    share = sum(draw(seed) < 0.25 for seed in range(20_000)) / 20_000

    assert share == pytest.approx(0.25, abs=0.015)


WALKS = [
    ((), True, ("local", "frontier")),
    ((), False, ("local",)),
    ((Reason.BUNDLE_ABSENT,), True, ("frontier",)),
    ((Reason.BUNDLE_ABSENT,), False, ()),
]


@pytest.mark.parametrize(("objections", "allowed", "asked"), WALKS)
def test_local_is_asked_once_at_most_and_the_frontier_only_if_allowed(
    objections: tuple[Reason, ...], allowed: bool, asked: tuple[str, ...]
) -> None:
    for objection in [None] if allowed else FrontierObjection:
        assert walk(Decision(objections), objection) == tuple(map(Target, asked))


@given(st.lists(st.sampled_from(Reason), unique=True))
def test_only_what_the_shadow_alone_held_back_is_shadowed(objections: list[Reason]) -> None:
    assert shadowed(Decision(tuple(objections))) is (objections == [Reason.SHADOW_ONLY])


def test_each_gate_gives_one_reason_in_the_order_of_the_list() -> None:
    names = [gate.name for gate in GATES]

    assert len(names) == len(set(names)) == len(ORDER) - 4


class Watched:
    """Facts that remember which of them were looked at."""

    def __init__(self, facts: Facts) -> None:
        self._facts, self.seen = facts, set[str]()

    def __getattr__(self, name: str) -> object:
        self.seen.add(name)
        return getattr(self._facts, name)


@pytest.mark.parametrize("gate", GATES, ids=lambda gate: gate.name)
def test_a_gate_reads_what_it_says_and_nothing_else(gate: Gate) -> None:
    seen = set[str]()
    for changes in ({}, {"breaker": State.HALF_OPEN}, {"bundle": None}, {"present": False}, {"evaluated": False}):
        facts = Watched(replace(FIT, **changes))
        gate.ask(facts)  # type: ignore[arg-type]
        seen |= facts.seen

    assert seen == set(gate.reads)


@pytest.mark.parametrize(
    ("error_type", "reason"),
    [
        ("load-failed", "local-load-failed"),
        ("timeout", "local-timeout"),
        ("invalid-output", "local-invalid-output"),
        ("error", "local-error"),
        ("context-overflow", "local-error"),
        ("RuntimeError", "local-error"),
        ("", "local-error"),
    ],
)
def test_every_failed_local_try_has_a_reason_of_the_list(error_type: str, reason: str) -> None:
    assert local_failure(error_type) == reason


numbers = st.none() | st.floats()


@given(
    st.builds(
        replace,
        st.just(FIT),
        age=numbers,
        score=numbers,
        valid=numbers,
        coverage=numbers,
        max_age=st.floats(),
        bundle=st.none() | st.text(max_size=4),
        local_roles=st.lists(st.text(max_size=4), max_size=2).map(tuple),
        mode=st.sampled_from(Mode),
        breaker=st.sampled_from(State),
    )
)
def test_stored_facts_decide_as_the_facts_of_the_moment_did(facts: Facts) -> None:
    import json

    stored = json.loads(json.dumps(facts.as_json(), allow_nan=False))
    again = Facts.from_json(stored)
    assert decide(again) == decide(facts)
    assert again.as_json() == facts.as_json()
    assert again == facts or any(isinstance(v, float) and math.isnan(v) for v in (facts.age, facts.score, facts.valid,
                                                                                  facts.coverage, facts.max_age))  # fmt: skip
