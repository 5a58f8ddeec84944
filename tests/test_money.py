"""Money and time: what is known adds up to the attempts it came from, and what is not known is never made up."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from journey import BEST, active, attempts, compete, discover, tape
from stepdown.acts import configure
from stepdown.acts.opening import open_workspace
from stepdown.audit.steps import steps as derived
from stepdown.providers.prices import Price, cost
from stepdown.providers.protocol import Completion, Request
from stepdown.reports.markdown import render
from stepdown.reports.story import percentiles
from stepdown.views.audit import differences, evidence
from stepdown.views.runs import plain, story
from stepdown.workspace import Settings, Workspace

PRICED = {"text": BEST, "model": "tape-2026-11", "input_tokens": 1000, "output_tokens": 200}
A_STEP = (1000 * 3.0 + 200 * 15.0) / 1_000_000
NOVEMBER = datetime(2026, 11, 2, 12, tzinfo=UTC)


def answer(**changes: Any) -> Completion:
    return replace(Completion("{}", "recorded", "tape-2026-11", None, 1000, 200), **changes)


class Substitute:
    """Asked under one name, answered by another (bifrost #5387)."""

    name, model = "recorded", "tape-2026-11"

    def complete(self, _request: Request) -> Completion:
        return answer(provider="somebody", model="else")


def priced(directory: Path, *replies: dict[str, Any]) -> str:
    """Return the word of a tape of priced replies."""
    return f"recorded:{tape(directory / 'priced.jsonl', list(replies) or [PRICED])}"


def test_a_cost_is_tokens_times_the_price_of_the_day() -> None:
    assert cost(answer(), NOVEMBER) == pytest.approx(A_STEP)
    assert cost(answer(input_tokens=0, output_tokens=0), NOVEMBER) == 0


@pytest.mark.parametrize(
    "unknown",
    [{"model": "tape-1999"}, {"provider": "nobody"}, {"input_tokens": None}, {"output_tokens": None}],
    ids=lambda changes: next(iter(changes)),
)
def test_an_unknown_price_or_count_is_unknown_and_no_default(unknown: dict[str, Any]) -> None:
    assert cost(answer(**unknown), NOVEMBER) is None


def test_before_its_first_day_a_price_is_unknown() -> None:
    assert cost(answer(), datetime(2026, 10, 31, 23, 59, 59, tzinfo=UTC)) is None
    assert cost(answer(), datetime(2026, 11, 1, tzinfo=UTC)) is not None


def test_the_newest_price_counts_and_a_withdrawn_one_is_unknown() -> None:
    days = [datetime(2026, month, 1, tzinfo=UTC) for month in (1, 2, 3)]
    rows = [Price(days[0], 1.0, 1.0), Price(days[1], 2.0, 2.0), Price(days[2], None, None)]
    prices = {("recorded", "tape-2026-11"): rows}

    assert cost(answer(), days[0], prices) == pytest.approx(0.0012)
    assert cost(answer(), days[1], prices) == pytest.approx(0.0024)
    assert cost(answer(), days[2], prices) is None


def test_local_and_search_cost_nothing() -> None:
    for provider in ("stepdown-local", "search"):
        assert cost(answer(provider=provider, input_tokens=None), NOVEMBER) == 0


def test_a_reply_is_priced_as_who_answered_not_as_who_was_asked(workspace: Workspace, settings: Settings) -> None:
    workspace.close()
    with open_workspace(workspace.root, settings=replace(settings, frontier=lambda *_: Substitute())) as reopened:
        (attempt,) = attempts(reopened, compete(reopened))
        assert (attempt.requested_provider, attempt.provider, attempt.cost) == ("recorded", "somebody", None)


@pytest.fixture
def november(local: Workspace, hands: Any) -> Workspace:
    """A workspace that local serves, on a day on which the tape has a price."""
    hands.instant = NOVEMBER
    configure.set_policy(local, {"max_age": 1e9})
    return local


def test_spend_adds_up_to_the_attempts_it_came_from(november: Workspace, tmp_path: Path) -> None:
    configure.set_policy(november, {"mode": "frontier-only"})
    run = discover(november, candidates=3, frontier=priced(tmp_path, PRICED, {"error": "timeout"}, {"text": BEST}))

    told = story(november, run.id)
    (spend,) = told.spends
    # Three competitors and a coach: one priced, one failed, two answered by nobody's price.
    assert (spend.attempts, spend.failed, spend.unpriced, spend.uncounted) == (4, 1, 2, 2)
    assert spend.cost == pytest.approx(A_STEP)
    assert spend.cost == pytest.approx(sum(a.cost or 0 for a in told.attempts))
    assert spend.input_tokens == sum(a.input_tokens or 0 for a in told.attempts) == 1000
    assert "2 unpriced" in render(told)
    assert differences(november) == []


def test_savings_stand_against_a_frontier_that_was_really_paid(november: Workspace, tmp_path: Path) -> None:
    word = priced(tmp_path)
    configure.set_policy(november, {"mode": "frontier-only"})
    discover(november, candidates=3, frontier=word)
    configure.set_policy(november, {"mode": "auto"})

    told = story(november, discover(november, seed=3, candidates=4, frontier=word).id)

    saved = told.savings["competitor"]
    assert saved is not None
    assert (saved.steps, saved.measured, saved.spent) == (4, 3, 0)
    assert saved.baseline == pytest.approx(A_STEP)
    assert saved.saved == pytest.approx(4 * A_STEP)
    assert "measured on the last 3" in render(told)
    assert plain(told)["savings"]["competitor"]["measured"] == 3


def test_without_a_measured_baseline_savings_are_unknown(november: Workspace, tmp_path: Path) -> None:
    # Another frontier was paid, this one never served a step of this role with a known price.
    configure.set_policy(november, {"mode": "frontier-only"})
    discover(november, candidates=2, frontier=priced(tmp_path))
    configure.set_policy(november, {"mode": "auto"})
    unpriced = tape(tmp_path / "unpriced.jsonl", [BEST])

    told = story(november, discover(november, seed=3, candidates=2, frontier=f"recorded:{unpriced}").id)

    assert told.savings == {"competitor": None}
    assert "Savings of competitor: unknown" in render(told)


def test_a_run_that_local_did_not_serve_claims_no_savings(workspace: Workspace) -> None:
    assert story(workspace, discover(workspace).id).savings == {}


def test_local_share_and_latency_are_said(november: Workspace) -> None:
    told = story(november, discover(november, seed=3, candidates=4).id)

    assert told.local_share == 1
    local = next(spend for spend in told.spends if spend.target == "local")
    assert local.latency == percentiles(
        [a.latency for a in told.attempts if a.target == "local" and a.latency is not None]
    )
    assert "median s" in render(told)


def test_percentiles_of_nothing_are_unknown_and_of_one_are_that_one() -> None:
    assert percentiles([]) is None
    assert percentiles([0.2]) == (0.2, 0.2)
    assert percentiles([float(n) for n in range(101)]) == (50.0, 95.0)


def test_the_audit_sees_a_cost_that_does_not_follow_from_the_table(november: Workspace, tmp_path: Path) -> None:
    configure.set_policy(november, {"mode": "frontier-only"})
    discover(november, frontier=priced(tmp_path))
    found = evidence(november)
    paid = next(attempt for attempt in found.attempts if attempt.cost)

    for forged in (0.0, None, paid.cost * 2 if paid.cost else 1.0):
        rows = [replace(a, cost=forged) if a is paid else a for a in found.attempts]
        assert [d.claim for d in derived(replace(found, attempts=rows))] == ["I12"]


def test_a_shadow_has_no_price_at_all(november: Workspace) -> None:
    configure.set_policy(november, {"shadow": True})
    step = compete(november, seed=3)

    (shadow,) = [attempt for attempt in attempts(november, step) if attempt.shadow]
    assert shadow.cost is None
    assert active(november).id == shadow.bundle
    found = evidence(november)
    rows = [replace(a, cost=0.0) if a.shadow else a for a in found.attempts]
    assert [d.claim for d in derived(replace(found, attempts=rows))] == ["I12"]
