"""The machine on the toy: green on the correct one, red on every broken one, and every invariant needed.

That the oracle sees each variant is shown by a program for each, on every change. That the machine finds such a program by
itself takes a campaign: a part of the variants on every change, all of them every night.
"""

from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from rotation import nightly, part
from stepdown_machine.broken import VARIANTS, edited
from stepdown_machine.campaign import CampaignOutcome, campaign
from stepdown_machine.invariants import CLAIMS, INVARIANTS
from stepdown_machine.kill_matrix import lower_bound, machine_for
from stepdown_machine.kill_programs import broken_by, parsed, read
from stepdown_machine.machine import HandoffMachine, turns
from stepdown_machine.model import REASONS
from stepdown_machine.script import spelled

SEED = 2
PROGRAMS = read(Path(__file__).parents[1] / "fixtures" / "kills.jsonl")
"""A short program for every variant: `python -m stepdown_machine.kill_programs fixtures/kills.jsonl` makes them."""


@cache
def shown(variant: str) -> tuple[str, ...]:
    """Return what a variant's program breaks on it."""
    return broken_by(variant, PROGRAMS[variant].operations)


@cache
def verdict(variant: str, seed: int) -> CampaignOutcome:
    """Run each variant once in this process: a seed left out would be another key, and another campaign."""
    return campaign(machine_for(variant), seed)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_claim_of_a_variant_is_what_notices_it(variant: str) -> None:
    assert VARIANTS[variant].claim in shown(variant), VARIANTS[variant].source


@pytest.mark.parametrize("variant", PROGRAMS)
def test_a_program_that_shows_a_variant_breaks_nothing_on_the_correct_toy(variant: str) -> None:
    assert broken_by("correct", PROGRAMS[variant].operations) == ()


def test_a_program_is_read_as_it_was_written() -> None:
    for kill in PROGRAMS.values():
        for operation in kill.operations:
            assert repr(parsed(spelled(operation))) == repr(operation)


@pytest.mark.parametrize("variant", part(list(VARIANTS), of=54))
def test_the_machine_finds(variant: str) -> None:
    """One campaign misses a few; what three in a row miss is not found."""
    found = next((found for seed in (SEED, 3, 4) if (found := verdict(variant, seed)).claims), None)

    assert found is not None, f"{variant} survived: {VARIANTS[variant].source}"
    assert set(found.claims) <= CLAIMS.keys(), found.output


@pytest.mark.skipif(not nightly(), reason="all campaigns are for the night")
@pytest.mark.timeout(3600)
def test_one_campaign_finds_nearly_all() -> None:
    """The figure itself comes from twenty seeds, see `benchmarks/kill_matrix.py`."""
    killed = sum(bool(verdict(variant, SEED).claims) for variant in VARIANTS)

    assert killed >= 0.95 * len(VARIANTS)


@pytest.mark.parametrize("claim", INVARIANTS)
def test_some_variant_is_noticed_by_no_other_invariant_than(claim: str) -> None:
    assert [variant for variant in VARIANTS if shown(variant) == (claim,)]


def test_the_correct_toy_keeps_every_promise_and_every_reason_is_seen() -> None:
    """Half of a campaign on every change; the reach of a whole one is the night's."""
    green = campaign(machine_for("correct"), SEED, examples=None if nightly() else 100)

    assert green.claims == (), green.output
    assert {*REASONS, "local"} <= green.reach.routed.keys()
    assert 0.25 <= green.reach.share("local") <= 0.50
    assert green.reach.paired >= 0.90
    assert green.reach.aborted <= 0.03 * green.reach.examples
    assert green.reach.kills.total() >= 20
    assert green.reach.operations["Train"] >= 20


def test_each_rule_and_each_invariant_has_at_least_two_variants() -> None:
    assert len(VARIANTS) >= 60
    by_rule = Counter(variant.rule for variant in VARIANTS.values())
    by_claim = Counter(variant.claim for variant in VARIANTS.values())
    assert {rule: by_rule[rule] for rule in turns(HandoffMachine) if by_rule[rule] < 2} == {}
    assert {claim: by_claim[claim] for claim in CLAIMS if by_claim[claim] < 2} == {}
    assert by_rule.keys() <= set(turns(HandoffMachine))
    assert all(variant.source for variant in VARIANTS.values())


def test_every_edit_fits_exactly_once() -> None:
    for variant in VARIANTS:
        assert edited(variant) is not edited("correct")


def test_whole_machines_have_at_most_fifteen_rules() -> None:
    assert len(turns(HandoffMachine)) == 15


def test_the_lower_bound_is_wilsons() -> None:
    assert lower_bound(0, 0) == 0.0
    assert lower_bound(20, 20) == pytest.approx(0.8808, abs=1e-4)
    assert lower_bound(97, 100) == pytest.approx(0.9287, abs=2e-3)
