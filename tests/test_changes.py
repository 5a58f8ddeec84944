"""What was changed is followed: a life that can be lived has no differences, and no row can stand where none could."""

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journey import Hands
from stepdown.audit import acts as changes
from stepdown.audit import moments
from stepdown.audit.witnesses import Evidence
from stepdown.bundles.trail import behind
from stepdown.history import rows
from stepdown.routing.policy import Policy
from stepdown.scenarios.grid_ctf import GridCtf

NOW = Hands().instant
SLOT = ("grid_ctf", "competitor")
BUNDLES = [rows.Bundle(name, *SLOT, "job", "dataset", "weights", NOW, "0", NOW) for name in ("A", "B", "C")]


def evidence(**given: Any) -> Evidence:
    """Return all that the witnesses say: nothing but what is given."""
    nothing: dict[str, Any] = {field.name: () for field in fields(Evidence)}
    return Evidence(**{**nothing, "bundles": BUNDLES, "scenarios": lambda _name: GridCtf(), **given})


def acts(*said: str) -> list[rows.Act]:
    """Read acts as `kind bundle by`; `!` before the kind is by force."""
    found = []
    for text in said:
        kind, bundle, *by = text.split()
        forced = kind.startswith("!")
        found.append(rows.Act(kind.lstrip("!"), *SLOT, bundle, forced, (*by, "ada")[0], "", NOW))
    return found


LIFE = ["!activate A", "activate B promotion", "disable B", "enable B", "!activate C", "activate B rollback"]


@pytest.mark.parametrize("length", range(len(LIFE) + 1))
def test_a_life_that_can_be_lived_has_no_differences(length: int) -> None:
    assert list(changes.acts(evidence(acts=acts(*LIFE[:length])))) == []


@pytest.mark.parametrize(
    "last",
    [
        "retire B", "delete B", "delete A prune", "retire C", "disable B", "disable A", "!activate A", "activate C",
        "activate A rollback", "activate A promotion",
    ],
)  # fmt: skip
def test_what_may_come_next_is_no_difference(last: str) -> None:
    assert list(changes.acts(evidence(acts=acts(*LIFE, last)))) == []


@pytest.mark.parametrize(
    "said",
    [
        ["activate B"],
        ["enable B"],
        ["disable B", "disable B"],
        ["disable A", "activate A"],
        ["retire A", "retire A"],
        ["retire A", "activate A"],
        ["retire A", "disable A"],
        ["disable A", "retire A", "enable A"],
        ["delete A", "retire A"],
        ["delete A", "delete A prune"],
        ["activate C rollback"],
        ["activate A rollback", "activate B rollback"],
        ["disable A promotion"],
        ["activate A prune"],
        ["retire A prune"],
        ["!activate A rollback"],
        ["!activate A promotion"],
        ["!disable A"],
        ["!delete A"],
        ["banish A"],
    ],
    ids=", ".join,
)
def test_an_act_that_cannot_have_followed_is_found(said: Sequence[str]) -> None:
    *before, last = acts(*LIFE, *said)

    assert list(changes.acts(evidence(acts=before))) == []
    found = list(changes.acts(evidence(acts=[*before, last])))
    assert [(difference.claim, difference.where) for difference in found] == [("I10", f"{last.kind} {last.bundle}")]


def test_an_act_in_a_foreign_slot_is_found() -> None:
    (act,) = acts("!activate A")

    found = list(changes.acts(evidence(acts=[replace(act, role="coach")])))
    assert [difference.claim for difference in found] == ["I6"]


@given(st.lists(st.sampled_from(["A", "B", "C", "back"]), max_size=12))
def test_whatever_rollbacks_do_is_followed(moves: list[str]) -> None:
    done: list[rows.Act] = []
    held: str | None = None
    for move in moves:
        way = behind(done, SLOT, held)
        target = way[0] if move == "back" and way else move
        if target not in ("back", held):
            held = target
            done += acts(f"activate {held} rollback" if move == "back" else f"!activate {held}")

    assert list(changes.acts(evidence(acts=done))) == []


def test_an_activation_needs_a_verdict_force_or_a_way_back() -> None:
    promoted = rows.Verdict("B", "run-1", "0", "promote", {}, 0, [], "ada", "", NOW)

    assert list(changes.activations(evidence(acts=acts(*LIFE), verdicts=[promoted]))) == []
    for verdicts in ([], [replace(promoted, outcome="hold")], [replace(promoted, bundle="C")]):
        found = list(changes.activations(evidence(acts=acts(*LIFE), verdicts=verdicts)))
        assert [difference.where for difference in found] == ["activate B"]


def policy(number: int, **changed: Any) -> rows.PolicyChange:
    """Return a policy's row."""
    return rows.PolicyChange(number, Policy(**changed).as_json(), "ada", "", NOW)


def test_policies_are_numbered_one_after_another_and_each_changes_something() -> None:
    first, second = policy(1, canary=0.5), policy(2, canary=0.6)

    assert list(changes.policies(evidence(policies=[first, second]))) == []
    for wrong in ([second], [second, first], [first, policy(3, canary=0.6)], [first, policy(2, canary=0.5)]):
        assert list(changes.policies(evidence(policies=wrong))) != []


def switch(validator: str, *, enabled: bool) -> rows.HarnessSwitch:
    """Return a switch's row."""
    return rows.HarnessSwitch("grid_ctf", validator, enabled, "ada", "", NOW)


def test_a_switch_changes_something() -> None:
    off, on = switch("budget", enabled=False), switch("budget", enabled=True)

    assert list(changes.switches(evidence(switches=[off, on, off]))) == []
    for wrong in ([on], [off, off], [off, on, on]):
        assert len(list(changes.switches(evidence(switches=wrong)))) == 1


def test_whoever_judged_had_what_the_switches_left_on() -> None:
    everything = sorted(GridCtf().validators)
    weaker = [name for name in everything if name != "budget"]
    run = rows.Run("run-1", "grid_ctf", GridCtf.version, 0, 1, 1, "search", "0", NOW)
    row = rows.Verdict("A", "run-1", "0", "hold", {}, 0, weaker, "ada", "", NOW)
    off = switch("budget", enabled=False)

    def judged(verdict: rows.Verdict, *switches: rows.HarnessSwitch, version: int = GridCtf.version) -> list[Any]:
        runs = [replace(run, scenario_version=version)]
        return list(moments.switches(evidence(runs=runs, verdicts=[verdict], switches=switches)))

    assert judged(row, off) == judged(replace(row, validators=everything)) == []
    assert len(judged(row)) == len(judged(row, switch("unit-range", enabled=False))) == 1
    assert judged(row, version=GridCtf.version + 1) == []  # Another version may have had other validators.
