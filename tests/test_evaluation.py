"""An evaluation is believed for what was measured, and for nothing else; what cannot be measured is refused."""

import math
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from journey import BEST, SCENARIO, Strange, active, compete, count, localized
from stepdown.acts.localize import evaluate
from stepdown.acts.opening import open_workspace
from stepdown.errors import InvalidValue
from stepdown.history import reader, rows, schema
from stepdown.providers.protocol import Request
from stepdown.scenarios import prompt
from stepdown.scenarios.generation import SEEDS
from stepdown.scenarios.grid_ctf import GridCtf
from stepdown.training.decoding import Decoding
from stepdown.training.evaluation import summarize, terms
from stepdown.training.plan import Plan
from stepdown.views.audit import differences
from stepdown.workspace import Settings, Workspace


def reopened(workspace: Workspace, settings: Settings, **changes: Any) -> Workspace:
    """Return the workspace with another scenario or other settings."""
    workspace.close()
    return open_workspace(workspace.root, settings=replace(settings, **changes))


def test_what_a_bundle_is_examined_on_is_seen_by_no_run() -> None:
    held_out, compared = (set(seeds) for seeds in (GridCtf().holdout_seeds(), GridCtf().comparison_seeds()))

    assert not held_out & compared
    assert min(held_out | compared) >= SEEDS  # Every step's seed, and with it every exported prompt, lies below.
    assert not (held_out | compared) & set(GridCtf().tournament_seeds())


@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_a_held_out_reply_is_what_serving_would_have_said(
    local: Workspace, settings: Settings, temperature: float
) -> None:
    with reopened(local, settings, decoding=Decoding(temperature=temperature)) as warmer:
        bundle = active(warmer).id
        evaluated = evaluate(warmer, bundle)
        provider, scenario = warmer.local(bundle, warmer.look(bundle)), warmer.scenario(SCENARIO)
        with warmer.reading() as connection:
            known = warmer.knowledge(connection, SCENARIO)
            kept = reader.all_of(connection, rows.Holdout, schema.holdout.c.evaluation == evaluated.id)
        for row in kept[::8]:
            asked = Request("", "competitor", prompt.competitor(scenario, known, row.seed), {}, row.seed, 60.0)
            assert provider.complete(asked).reply == row.reply


def test_an_illegal_reply_scores_nothing_and_counts_against_the_legal_share(
    local: Workspace, settings: Settings
) -> None:
    batches: list[int] = []

    def answer(prompts: Sequence[str], _seeds: Sequence[int], _schema: object) -> list[str]:
        batches.append(len(prompts))
        return [BEST if number % 4 else "not even JSON" for number, _ in enumerate(prompts)]

    with reopened(local, settings, local=lambda *_: SimpleNamespace(name="x", model="y", answer=answer)) as stubborn:
        found = evaluate(stubborn, active(stubborn).id)
        with stubborn.reading() as connection:
            kept = reader.all_of(connection, rows.Holdout, schema.holdout.c.evaluation == found.id)

    assert batches == [64]  # All at once.
    assert [(row.legal, row.score == 0) for row in kept[:5]] == [(False, True), *[(True, False)] * 3, (False, True)]
    assert found.valid == 0.75
    assert found.mean == pytest.approx(sum(row.score for row in kept) / 64)
    assert found.lower is not None
    assert found.mean is not None
    assert found.lower < found.mean


@pytest.mark.parametrize(
    "changes",
    [
        {"decoding": Decoding(temperature=0.1)},
        {"decoding": Decoding(max_tokens=80)},
        {"scenario": lambda _name: Strange(GridCtf(), version=GridCtf.version + 1)},
        {"scenario": lambda _name: Strange(GridCtf(), holdout_seeds=lambda: [900_001, 900_002])},
    ],
    ids=["temperature", "max_tokens", "scenario-version", "held-out-seeds"],
)
def test_what_was_measured_under_other_terms_no_longer_counts(
    local: Workspace, settings: Settings, changes: dict[str, Any]
) -> None:
    with reopened(local, settings, **changes) as other:
        assert compete(other).reason == "quality-inconclusive"

        evaluate(other, active(other).id)
        assert "quality-inconclusive" not in compete(other, seed=1).objections
        assert differences(other) == []


def test_another_prompt_format_has_other_terms(monkeypatch: pytest.MonkeyPatch) -> None:
    now = terms(GridCtf(), Decoding()).digest
    monkeypatch.setattr(prompt, "FORMAT", prompt.FORMAT + 1)

    assert terms(GridCtf(), Decoding()).digest != now


def test_another_bundle_is_another_evaluation(local: Workspace) -> None:
    before = count(local, rows.Evaluation)
    other = localized(local, Plan.tiny(iterations=1)).bundle

    with local.reading() as connection:
        digest = local.terms(local.scenario(SCENARIO)).digest
        mine, its = (reader.evaluation(connection, name, digest) for name in (active(local).id, other.id))
    assert mine is not None
    assert its is not None
    assert (mine.id, its.id) == (f"evaluation-{before}", f"evaluation-{before + 1}")


@pytest.mark.parametrize("seeds", [[], [900_001]], ids=["none", "one"])
def test_nothing_is_said_from_no_seed_or_from_one(local: Workspace, settings: Settings, seeds: Sequence[int]) -> None:
    with reopened(local, settings, scenario=lambda _name: Strange(GridCtf(), holdout_seeds=lambda: seeds)) as few:
        before = count(few, rows.Evaluation)
        with pytest.raises(InvalidValue, match=f"has {len(seeds)} held-out seeds") as refusal:
            evaluate(few, active(few).id)
        assert refusal.value.kind == "evaluation-empty"
        assert count(few, rows.Evaluation) == before


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf, -0.1, 1.1])
def test_a_score_that_is_none_is_refused_in_a_sentence_and_nothing_is_kept(
    local: Workspace, settings: Settings, score: float
) -> None:
    def play(strategy: Any, seed: int) -> Any:
        match = GridCtf().play(strategy, seed)
        return replace(match, score=score) if seed == 900_002 else match

    with reopened(local, settings, scenario=lambda _name: Strange(GridCtf(), play=play)) as strange:
        before = count(strange, rows.Evaluation), count(strange, rows.Holdout)
        with pytest.raises(InvalidValue, match="on seed 900002, which cannot be compared") as refusal:
            evaluate(strange, active(strange).id)
        assert refusal.value.kind == "score-out-of-range"
        assert (count(strange, rows.Evaluation), count(strange, rows.Holdout)) == before
        assert compete(strange).served == "local"  # Tournaments are played on other seeds.


def test_a_tournament_with_such_a_score_fails_the_run_and_moves_no_breaker(
    local: Workspace, settings: Settings
) -> None:
    def play(strategy: Any, seed: int) -> Any:
        return replace(GridCtf().play(strategy, seed), score=math.nan)

    with (
        reopened(local, settings, scenario=lambda _name: Strange(GridCtf(), play=play)) as strange,
        pytest.raises(InvalidValue, match="cannot be compared"),
    ):
        compete(strange)
    with open_workspace(local.root, settings=settings) as healed:
        with healed.reading() as connection:
            assert reader.last_local_attempt(connection, active(healed).id) is None
        assert compete(healed, seed=1).served == "local"
        assert differences(healed) == []


def test_all_ties_have_a_bound_and_it_is_their_value() -> None:
    assert summarize([0.5] * 64, [True] * 64).lower == 0.5
    assert summarize([0.0] * 64, [False] * 64) == summarize([0.0] * 2, [False] * 2)
