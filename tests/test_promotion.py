"""Promotion: the statistics keep their promise both ways, and a verdict is evidence, rows and at most one activation."""

import itertools
import math
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import stdtrit

from journey import (
    BEST,
    SCENARIO,
    SMALL,
    Strange,
    active,
    count,
    discover,
    localized,
    move,
    near_the_best,
    steps,
    tape,
)
from stepdown.acts import configure, switch
from stepdown.acts.export import export
from stepdown.acts.opening import open_workspace
from stepdown.acts.promote import promote
from stepdown.audit.acts import activations
from stepdown.audit.promotions import verdicts
from stepdown.errors import InvalidValue, NotFound, Refused
from stepdown.history import reader, rows
from stepdown.providers import trace
from stepdown.reports.markdown import render
from stepdown.routing.facts import Facts
from stepdown.training import promotion
from stepdown.training.decoding import Decoding
from stepdown.training.plan import Plan
from stepdown.training.promotion import (
    LOOK,
    Bounds,
    Grounds,
    PromotionOutcome,
    Trial,
    alike,
    bounds,
    differences,
    exceeds,
    settled,
)
from stepdown.training.records import Filters
from stepdown.views.audit import differences as audited
from stepdown.views.audit import evidence
from stepdown.views.bundles import shelf
from stepdown.views.runs import story
from stepdown.workspace import Settings, Workspace

WEAK = Plan.tiny(iterations=1)
"""Learns nothing: its replies are not even JSON."""

Draw = Callable[[random.Random], float]


def verdict_of(draw: Draw, trial: Trial, dice: random.Random, share: float) -> str:
    """Look after every block, as a promotion does, and say what it would answer."""
    found = list[float]()
    while len(found) < trial.budget:
        found += [draw(dice) for _ in range(trial.look)]
        if settled(found, trial.margin, share):
            return "promote" if exceeds(found, -trial.margin, share) else "reject"
    return "hold"


def at_the_margin(dice: random.Random) -> float:
    return max(-1.0, min(1.0, dice.gauss(-0.05, 0.1)))


def rarely_illegal_at_the_margin(dice: random.Random) -> float:
    return -0.85 if dice.random() < 0.07 else 0.0095 / 0.93


def coin_at_the_margin(dice: random.Random) -> float:
    return 1.0 if dice.random() < 0.475 else -1.0


@pytest.mark.parametrize("draw", [at_the_margin, rarely_illegal_at_the_margin, coin_at_the_margin])
def test_a_false_verdict_is_as_rare_as_promised_both_ways(draw: Draw) -> None:
    # The mean lies exactly on the margin: promoting and rejecting are both false, and each may come in 5 % of trials.
    said = [verdict_of(draw, Trial(), random.Random(seed), 0.05) for seed in range(300)]

    # Three standard errors of a share of 5 % in 300 trials.
    most = 0.05 + 3 * math.sqrt(0.05 * 0.95 / 300)
    assert said.count("promote") / 300 <= most
    assert said.count("reject") / 300 <= most


@pytest.mark.parametrize("draw", [at_the_margin, rarely_illegal_at_the_margin, coin_at_the_margin])
def test_the_simulation_convicts_a_bound_that_was_made_for_one_look(draw: Draw) -> None:
    def students_t(found: list[float], limit: float) -> bool:
        error = stdev(found) / math.sqrt(len(found))
        return fmean(found) - float(stdtrit(len(found) - 1, 0.95)) * error > limit

    false = 0
    for seed in range(300):
        dice, found = random.Random(seed), list[float]()
        for _ in range(Trial().budget // LOOK):
            found += [draw(dice) for _ in range(LOOK)]
            if students_t(found, -0.05):
                false += 1
                break

    assert false / 300 > 0.05 + 3 * math.sqrt(0.05 * 0.95 / 300)


def test_many_challengers_in_a_row_spend_one_error_rate_and_without_that_a_year_of_them_is_wrong() -> None:
    def wrong(share: Callable[[int], float]) -> float:
        """Return in how many years of twenty challengers, all of them just too bad, at least one was promoted."""
        draw = coin_at_the_margin  # The bets promise least about what varies least; this is where a promise is used up.
        years = 0
        for seed in range(60):
            dice = random.Random(seed)
            years += any(verdict_of(draw, Trial(look=64), dice, share(number)) == "promote" for number in range(1, 21))
        return years / 60

    most = 0.05 + 3 * math.sqrt(0.05 * 0.95 / 60)
    assert wrong(Trial().share) <= most
    assert wrong(lambda _number: Trial().error_rate) > most


@given(st.integers(1, 10_000), st.floats(1e-6, 0.5))
def test_the_shares_of_any_number_of_comparisons_stay_below_the_error_rate(comparisons: int, rate: float) -> None:
    trial = Trial(error_rate=rate)

    assert math.fsum(map(trial.share, range(1, comparisons + 1))) < rate


@pytest.mark.parametrize(
    ("mean", "answer"), [(0.0, "promote"), (0.02, "promote"), (-0.02, "promote"), (-0.1, "reject"), (-0.3, "reject")]
)
def test_what_is_clear_is_said_within_the_budget(mean: float, answer: str) -> None:
    said = [verdict_of(lambda dice: dice.gauss(mean, 0.03), Trial(), random.Random(seed), 0.05) for seed in range(40)]

    assert said.count(answer) >= 39


def test_a_capital_cannot_be_expected_to_grow_while_the_claim_is_true() -> None:
    # Ville's inequality needs this and nothing else; every sequence of ten bets is enumerated, with its probability.
    for mean in (0.2, 0.475, 0.7):
        expected = 0.0
        for shares in itertools.product((0.0, 1.0), repeat=10):
            chance = math.prod(mean if share else 1 - mean for share in shares)
            stakes = promotion._stakes(shares, 0.05)
            expected += chance * math.exp(promotion._capital(shares, stakes, mean))
        assert expected == pytest.approx(1.0)


def test_the_capital_is_what_another_implementation_says() -> None:
    # ville 0.1.0: BettingTest(-0.05, bounds=(-1, 1), alternative="greater", alpha=0.1, c=0.75).fit(found).log_e_values_[-1];
    # its alpha is for both sides together.
    ties, waves = [0.0] * 96, [math.sin(number) / 10 for number in range(96)]
    swings = [0.9, -0.9] * 48

    for found, log_capital in ((ties, 3.716593169346283), (waves, 3.62383895637591), (swings, -3.3167648241704573)):
        shares = promotion._shares(found)
        assert promotion._capital(shares, promotion._stakes(shares, 0.05), (1 - 0.05) / 2) == pytest.approx(log_capital)


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=120), st.floats(-0.45, 0.45))
def test_bounds_and_verdicts_are_the_same_statement(found: list[float], limit: float) -> None:
    shown = bounds(found, 0.05)

    assert shown is not None
    assert -1 <= shown.lower <= shown.mean + 1e-9
    assert shown.mean - 1e-9 <= shown.upper <= 1
    if abs(shown.lower - limit) > 1e-6:
        assert exceeds(found, limit, 0.05) is (shown.lower > limit)


def test_all_ties_promote_within_a_margin_and_never_without_one() -> None:
    ties = [0.0] * 256

    assert exceeds(ties, -0.05, 0.05)
    assert not settled(ties, 0.0, 0.05)


def test_a_smaller_margin_or_error_rate_asks_for_more_evidence() -> None:
    ties = [0.0] * 96

    assert settled(ties, 0.05, 0.05)
    assert not settled(ties, 0.02, 0.05)
    assert not settled(ties, 0.05, 0.001)


@pytest.mark.parametrize(
    "values",
    [
        {"margin": -0.01},
        {"margin": 0.51},
        {"margin": math.nan},
        {"margin": True},
        {"error_rate": 0.0},
        {"error_rate": 0.6},
        {"error_rate": math.nan},
        {"budget": 0},
        {"budget": 1},
        {"budget": LOOK - 1},
        {"budget": 64.5},
        {"look": 7},
        {"look": True},
        {"look": math.nan},
        {"look": 64, "budget": 63},
    ],
)
def test_a_trial_that_shows_nothing_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(InvalidValue, match=r"\.$"):
        Trial(**values)


@pytest.mark.parametrize("score", [math.nan, math.inf, -0.1, 1.1])
def test_scores_that_cannot_be_compared_are_refused(score: float) -> None:
    with pytest.raises(InvalidValue, match="cannot be compared"):
        differences([0.5, score], [0.5, 0.5])


def shown(**changes: Any) -> Grounds:
    """Return evidence that promotes, with changes."""
    fit = Grounds(Trial(), 96, 0, Bounds(0.0, -0.04, 0.04), None, 1.0, 0.9, 1.0, 0.95, "evaluation-1", None)
    return replace(fit, **changes)


@pytest.mark.parametrize(
    ("changes", "outcome", "objections"),
    [
        ({}, "promote", ()),
        ({"to_frontier": Bounds(0.0, -0.05, 0.05)}, "hold", ("inconclusive",)),
        ({"to_frontier": Bounds(-0.1, -0.15, -0.05)}, "hold", ("inconclusive",)),
        ({"to_frontier": Bounds(-0.1, -0.15, -0.0501)}, "reject", ("inconclusive",)),
        ({"to_frontier": None}, "hold", ("inconclusive",)),
        ({"valid": 0.9}, "promote", ()),
        ({"valid": 0.89}, "hold", ("validity-below-threshold",)),
        ({"valid": math.nan}, "hold", ("validity-below-threshold",)),
        ({"coverage": 0.94}, "hold", ("coverage-weak",)),
        ({"to_champion": Bounds(-0.1, -0.2, -0.06)}, "hold", ("worse-than-champion",)),
        ({"to_champion": Bounds(-0.04, -0.08, -0.01)}, "promote", ()),
    ],
)
def test_promote_needs_every_side_of_the_evidence(
    changes: dict[str, Any], outcome: str, objections: tuple[str, ...]
) -> None:
    found = shown(**changes)

    assert (found.outcome, found.objections) == (PromotionOutcome(outcome), objections)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A workspace with a good bundle that nobody has activated."""

    workspace: Workspace
    bundle: rows.Bundle


@pytest.fixture
def candidate(workspace: Workspace, tmp_path: Path) -> Candidate:
    discover(workspace, generations=2, candidates=6, frontier=f"recorded:{near_the_best(tmp_path / 'tape.jsonl')}")
    return Candidate(workspace, localized(workspace).bundle)


def acts(workspace: Workspace) -> list[rows.Act]:
    with workspace.reading() as connection:
        return reader.acts(connection)


def test_a_bundle_as_good_as_the_frontier_is_promoted_and_serves(candidate: Candidate) -> None:
    workspace, bundle = candidate.workspace, candidate.bundle

    verdict = promote(workspace, bundle.id[:12], by="ada", why="it looks ready")

    assert verdict.outcome == "promote"
    assert verdict.evidence["to_frontier"]["lower"] > -0.05
    (act,) = acts(workspace)
    assert (act.kind, act.bundle, act.by, act.forced) == ("activate", bundle.id, "promotion", False)
    assert act.why == "ada: it looks ready"
    assert active(workspace) == bundle
    assert steps(workspace, discover(workspace, seed=7).id)[0].served == "local"
    assert audited(workspace) == []


def test_the_frontier_is_really_asked_and_both_witnesses_have_every_call(candidate: Candidate) -> None:
    workspace = candidate.workspace
    verdict = promote(workspace, candidate.bundle.id)

    asked = steps(workspace, verdict.run)
    calls = {line.call for line in trace.lines(workspace.trace) if line.event == "end"}
    assert len(asked) == verdict.evidence["seeds"] >= LOOK
    assert {(step.served, step.reason) for step in asked} == {("frontier", "frontier-forced")}
    assert {step.served_call for step in asked} <= calls
    seeds = workspace.scenario(SCENARIO).comparison_seeds()
    assert [step.seed for step in asked] == list(seeds[: len(asked)])
    assert not {*seeds} & {*workspace.scenario(SCENARIO).holdout_seeds()}


def test_a_weak_bundle_is_rejected_and_nothing_is_activated(candidate: Candidate) -> None:
    workspace = candidate.workspace
    weak = localized(workspace, WEAK).bundle

    verdict = promote(workspace, weak.id)

    assert verdict.outcome == "reject"
    assert verdict.evidence["seeds"] == LOOK
    assert acts(workspace) == []
    assert audited(workspace) == []


def test_what_the_frontier_said_in_a_comparison_is_never_trained_on(candidate: Candidate) -> None:
    workspace = candidate.workspace
    before = export(workspace, Filters(SCENARIO))

    verdict = promote(workspace, candidate.bundle.id)

    assert export(workspace, Filters(SCENARIO)).digest == before.digest
    assert verdict.run not in (before.path / "train.jsonl").read_text("utf-8")


def test_a_silent_frontier_leaves_a_bundle_on_hold(candidate: Candidate, tmp_path: Path) -> None:
    workspace = candidate.workspace
    silent = tape(tmp_path / "silent.jsonl", [{"error": "rate-limit"}])

    verdict = promote(workspace, candidate.bundle.id, frontier=f"recorded:{silent}")

    assert (verdict.outcome, verdict.evidence["objections"]) == ("hold", ["inconclusive"])
    assert (verdict.evidence["seeds"], verdict.evidence["unanswered"]) == (0, LOOK)
    assert acts(workspace) == []
    assert audited(workspace) == []


def test_a_frontier_that_sometimes_fails_is_compared_where_it_answered(candidate: Candidate, tmp_path: Path) -> None:
    flaky = tape(tmp_path / "flaky.jsonl", [BEST, {"error": "timeout"}, "no strategy at all"])

    verdict = promote(candidate.workspace, candidate.bundle.id, frontier=f"recorded:{flaky}")

    found = verdict.evidence
    assert (found["seeds"], found["unanswered"]) == (21, 11)  # Of the first block of 32, every third call failed.
    assert found["to_frontier"]["mean"] > 0.3  # An illegal reply of the frontier scores 0, like anyone's.
    assert audited(candidate.workspace) == []


def test_weak_coverage_holds_a_good_bundle(candidate: Candidate) -> None:
    workspace = candidate.workspace
    configure.switch_validator(workspace, SCENARIO, "budget", enabled=False)
    configure.switch_validator(workspace, SCENARIO, "unit-range", enabled=False)

    verdict = promote(workspace, candidate.bundle.id)

    assert (verdict.outcome, verdict.evidence["objections"]) == ("hold", ["coverage-weak"])
    assert acts(workspace) == []


def test_a_bundle_that_merely_exists_is_not_activated(candidate: Candidate) -> None:
    workspace = candidate.workspace

    with pytest.raises(Refused, match=r"stepdown promote .* --force") as refusal:
        switch.activate(workspace, candidate.bundle.id)

    assert refusal.value.kind == "not-promoted"
    assert acts(workspace) == []


def test_force_is_an_operators_act_and_recorded_as_one(candidate: Candidate) -> None:
    switch.activate(candidate.workspace, candidate.bundle.id, forced=True, by="ada", why="I answer for it")

    (act,) = acts(candidate.workspace)
    assert (act.forced, act.by, act.why) == (True, "ada", "I answer for it")
    assert audited(candidate.workspace) == []


def test_a_standing_verdict_lets_an_operator_activate_again_without_force(candidate: Candidate) -> None:
    workspace = candidate.workspace
    promote(workspace, candidate.bundle.id)
    switch.activate(workspace, localized(workspace, WEAK).bundle.id, forced=True)

    switch.activate(workspace, candidate.bundle.id)

    assert active(workspace) == candidate.bundle


def test_a_verdict_stands_only_for_the_terms_it_was_given_under(candidate: Candidate, settings: Settings) -> None:
    workspace = candidate.workspace
    promote(workspace, candidate.bundle.id)
    switch.activate(workspace, localized(workspace, WEAK).bundle.id, forced=True)
    workspace.close()

    other = replace(settings, decoding=Decoding(max_tokens=80))
    with open_workspace(workspace.root, settings=other) as reopened, pytest.raises(Refused) as refusal:
        switch.activate(reopened, candidate.bundle.id)

    assert refusal.value.kind == "not-promoted"


def test_promotion_evaluates_what_no_longer_counts_so_that_the_promoted_serves(
    candidate: Candidate, settings: Settings
) -> None:
    candidate.workspace.close()
    other = replace(settings, decoding=Decoding(max_tokens=80))
    with open_workspace(candidate.workspace.root, settings=other) as reopened:
        with unchanged(reopened), pytest.raises(NotFound, match="no frontier"):
            promote(reopened, candidate.bundle.id, frontier="nobody")
        assert promote(reopened, candidate.bundle.id).outcome == "promote"
        assert steps(reopened, discover(reopened, seed=7).id)[0].served == "local"


def test_the_champion_plays_too_and_a_clearly_worse_successor_is_held(candidate: Candidate, tmp_path: Path) -> None:
    workspace = candidate.workspace
    promote(workspace, candidate.bundle.id)
    weak = localized(workspace, WEAK).bundle
    poor = tape(tmp_path / "poor.jsonl", ["nothing legal"])

    verdict = promote(workspace, weak.id, frontier=f"recorded:{poor}")

    assert verdict.evidence["to_champion"]["upper"] < -0.05
    assert verdict.outcome == "hold"
    assert "worse-than-champion" in verdict.evidence["objections"]
    assert active(workspace) == candidate.bundle
    assert audited(workspace) == []


def test_a_champion_that_cannot_answer_is_no_rival(candidate: Candidate) -> None:
    workspace = candidate.workspace
    weak = localized(workspace, WEAK).bundle
    switch.activate(workspace, weak.id, forced=True)
    (workspace.bundle_directory(weak.id) / "config.json").unlink()

    verdict = promote(workspace, candidate.bundle.id)

    assert (verdict.outcome, verdict.evidence["champion"]) == ("promote", None)
    assert active(workspace) == candidate.bundle


def test_proving_the_active_bundle_again_moves_nothing(local: Workspace) -> None:
    before = acts(local)

    assert promote(local, active(local).id).outcome == "promote"

    assert acts(local) == before


def test_whoever_asks_again_sees_the_same_difference_and_spends_a_smaller_share(candidate: Candidate) -> None:
    first, second = (promote(candidate.workspace, candidate.bundle.id).evidence for _ in range(2))

    shared = min(first["seeds"], second["seeds"])
    assert first["seeds"] == shared < second["seeds"] or first["to_frontier"]["mean"] == second["to_frontier"]["mean"]
    assert (first["share"], second["share"]) == (Trial().share(1), Trial().share(2))
    assert second["to_frontier"]["lower"] < second["to_frontier"]["mean"]


def test_report_and_history_tell_the_verdict_with_its_evidence(candidate: Candidate) -> None:
    verdict = promote(candidate.workspace, candidate.bundle.id)

    told = render(story(candidate.workspace, verdict.run))
    assert f"**promote** for bundle {candidate.bundle.id[:12]}" in told
    assert "margin 0.05" in told
    assert "Policy 0 asked for 90% legal replies and coverage 0.95; it was 1." in told
    assert "A comparison for a promotion" in told
    assert "Local served" not in told
    assert [asked.bundle for asked in story(candidate.workspace, verdict.run).bundles] == [candidate.bundle]
    served = story(candidate.workspace, discover(candidate.workspace, seed=7).id)
    assert served.bundles[0].verdict == verdict


def test_what_a_comparison_measured_is_not_shown_as_the_bundles_evaluation(candidate: Candidate) -> None:
    workspace, (before,) = candidate.workspace, shelf(candidate.workspace)
    promote(workspace, candidate.bundle.id)

    (after,) = shelf(workspace)
    assert after.evaluation == before.evaluation
    facts = Facts.from_json(steps(workspace, discover(workspace, seed=7).id)[0].facts)
    assert after.evaluation is not None
    assert (facts.score, facts.valid) == (after.evaluation.lower, after.evaluation.valid)


@contextmanager
def unchanged(workspace: Workspace) -> Iterator[None]:
    """Demand that nothing is recorded within."""
    kinds = (rows.Run, rows.Act, rows.Verdict, rows.Evaluation, rows.PolicyChange, rows.Announcement)
    before = [count(workspace, kind) for kind in kinds]
    yield
    assert [count(workspace, kind) for kind in kinds] == before


def test_what_cannot_be_promoted_is_refused_in_a_sentence_and_nothing_changes(candidate: Candidate) -> None:
    workspace, bundle = candidate.workspace, candidate.bundle
    with unchanged(workspace):
        with pytest.raises(NotFound, match="no bundle"):
            promote(workspace, "f" * 64)
        with pytest.raises(NotFound, match="no frontier"):
            promote(workspace, bundle.id, frontier="nobody")
    switch.disable(workspace, bundle.id)
    with unchanged(workspace), pytest.raises(Refused, match="enable"):
        promote(workspace, bundle.id)
    switch.enable(workspace, bundle.id)
    configure.set_policy(workspace, {"frontier_never": ["competitor"]})
    with unchanged(workspace), pytest.raises(Refused, match="keeps the competitor's prompts") as refusal:
        promote(workspace, bundle.id)
    assert refusal.value.kind == "frontier-forbidden"
    (workspace.bundle_directory(bundle.id) / "config.json").write_text("{}")
    with unchanged(workspace), pytest.raises(Refused, match="not whole"):
        promote(workspace, bundle.id)


def test_a_scenario_without_enough_seeds_is_refused(candidate: Candidate, settings: Settings) -> None:
    workspace = candidate.workspace
    real = workspace.scenario(SCENARIO)
    workspace.close()
    few = replace(settings, scenario=lambda _name: Strange(real, comparison_seeds=lambda: [1]))
    refused = pytest.raises(InvalidValue, match="comparison seeds")
    with open_workspace(workspace.root, settings=few) as reopened, unchanged(reopened), refused:
        promote(reopened, candidate.bundle.id)
    none = replace(settings, scenario=lambda _name: Strange(real, holdout_seeds=list))
    refused = pytest.raises(InvalidValue, match="held-out seeds")
    with open_workspace(workspace.root, settings=none) as reopened, unchanged(reopened), refused:
        localized(reopened, SMALL)


def test_scores_that_are_no_numbers_end_a_comparison_without_a_verdict(
    candidate: Candidate, settings: Settings
) -> None:
    workspace = candidate.workspace
    real = workspace.scenario(SCENARIO)
    workspace.close()

    def play(strategy: Any, seed: int) -> Any:
        match = real.play(strategy, seed)
        return replace(match, score=math.nan) if seed in real.comparison_seeds() else match

    with open_workspace(
        workspace.root, settings=replace(settings, scenario=lambda _name: Strange(real, play=play))
    ) as reopened:
        with pytest.raises(InvalidValue, match="cannot be compared"):
            promote(reopened, candidate.bundle.id)
        assert count(reopened, rows.Verdict) == 0
        with reopened.reading() as connection:
            assert reader.slot_bundle(connection, SCENARIO, "competitor") is None


def test_the_audit_sees_a_verdict_that_does_not_follow_from_its_evidence(candidate: Candidate) -> None:
    workspace = candidate.workspace
    promote(workspace, candidate.bundle.id)
    found = evidence(workspace)
    (verdict,) = found.verdicts
    forged = {
        "outcome": replace(verdict, outcome="hold"),
        "to_frontier": replace(
            verdict, evidence={**verdict.evidence, "to_frontier": {"mean": 0.1, "lower": 0.0, "upper": 0.2}}
        ),
        "valid": replace(verdict, evidence={**verdict.evidence, "valid": 0.5}),
        "seeds": replace(verdict, evidence={**verdict.evidence, "seeds": 1}),
        "objections": replace(verdict, evidence={**verdict.evidence, "objections": ["inconclusive"]}),
        "seeds that its trial": replace(
            verdict, evidence={**verdict.evidence, "trial": {**verdict.evidence["trial"], "margin": 0.4}}
        ),
        "not the bundle's": replace(verdict, evidence={**verdict.evidence, "challenger": "evaluation-1"}),
        "policy 1": replace(verdict, policy=1),
    }
    assert list(verdicts(found)) == []
    for name, row in forged.items():
        assert any(name in d.sentence for d in verdicts(replace(found, verdicts=[row]))), name
    (orphan,) = verdicts(replace(found, verdicts=[]))
    assert orphan.where == verdict.evidence["challenger"]
    assert list(activations(found)) == []
    assert [d.claim for d in activations(replace(found, verdicts=[]))] == ["I10"]


def test_the_audit_sees_that_a_champion_was_none(local: Workspace) -> None:
    weak, other = (localized(local, Plan.tiny(iterations=1, seed=seed)).bundle for seed in (1, 2))
    verdict, later = promote(local, weak.id), promote(local, other.id)
    found = evidence(local)
    assert list(verdicts(found)) == []
    name = verdict.evidence["champion"]
    forgeries = [
        ("not on the same seeds in that run", {"run": later.run}),
        ("not on the same seeds in that run", {"terms": {}}),
        ("no rival for its slot", {"bundle": weak.id}),
    ]
    for sentence, change in forgeries:
        forged = [replace(row, **change) if row.id == name else row for row in found.evaluations]
        assert any(sentence in d.sentence for d in verdicts(replace(found, evaluations=forged))), change
    elsewhere = [replace(row, role="coach") if row.id == weak.id else row for row in found.bundles]
    assert any("no rival" in d.sentence for d in verdicts(replace(found, bundles=elsewhere)))


def test_a_strategy_that_is_worse_by_more_than_the_margin_is_rejected(workspace: Workspace, tmp_path: Path) -> None:
    # The frontier has moved on since the bundle was trained: legal and once fine, and now clearly behind.
    discover(workspace, candidates=6, frontier=f"recorded:{tape(tmp_path / 'old.jsonl', [move(0.5, 0.5, 0.5)])}")
    discover(workspace, candidates=6, frontier=f"recorded:{tape(tmp_path / 'older.jsonl', [move(0.5, 0.5, 0.6)])}")
    bundle = localized(workspace).bundle
    best = tape(tmp_path / "best.jsonl", [BEST])

    verdict = promote(workspace, bundle.id, frontier=f"recorded:{best}")

    assert verdict.outcome == "reject"
    assert verdict.evidence["valid"] > 0.9


@pytest.mark.parametrize(("margin", "number", "seeds"), [(0.05, 1, 96), (0.05, 2, 124), (0.1, 1, 47), (0.5, 1, 7)])
def test_how_many_seeds_show_that_answers_alike_are_as_good_is_known_beforehand(
    margin: float, number: int, seeds: int
) -> None:
    share = Trial().share(number)

    assert alike(margin, share) == seeds
    assert exceeds([0.0] * seeds, -margin, share)
    assert not exceeds([0.0] * (seeds - 1), -margin, share)
    assert alike(0.0, share) is None
