"""A model's whole life, by one frozen clock: held back, proven, serving, failing, healed, replaced by force, brought back."""

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from freezegun import freeze_time
from freezegun.api import FrozenDateTimeFactory

from journey import BEST, SCENARIO, active, attempts, discover, localized, move, steps
from stepdown.acts import configure, switch
from stepdown.acts.opening import open_workspace
from stepdown.acts.promote import promote
from stepdown.acts.rollback import rollback
from stepdown.history import rows
from stepdown.reports.markdown import render
from stepdown.training.plan import Plan
from stepdown.training.records import Filters
from stepdown.views.audit import differences
from stepdown.views.history import active_at, history
from stepdown.views.runs import story
from stepdown.workspace import Settings, Workspace

BEGIN = datetime(2026, 11, 10, 12, tzinfo=UTC)
COUNTED = {"model": "tape-2026-11", "input_tokens": 120, "output_tokens": 28}
SHORT = {"playbook": "Attack.", "hints": "Press on."}


@pytest.fixture
def clock() -> Iterator[FrozenDateTimeFactory]:
    # transformers: freezing would import all of its lazy parts. subprocess and futures: their time limits are real.
    with freeze_time(BEGIN, ignore=["transformers", "subprocess", "concurrent.futures"]) as frozen:
        yield frozen


@pytest.fixture
def workspace(tmp_path: Path, weights: Path, clock: FrozenDateTimeFactory) -> Iterator[Workspace]:
    with open_workspace(tmp_path / "workspace", settings=Settings(durability="normal", cache=weights)) as opened:
        yield opened


def tape(directory: Path, name: str, *replies: str, lesson: dict[str, str] = SHORT) -> str:
    """Record a frontier that counts its tokens, and return its word."""
    rows = [{"role": "competitor", "text": reply, **COUNTED} for reply in replies]
    rows.append({"role": "coach", "text": json.dumps(lesson), **COUNTED})
    path = directory / f"{name}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return f"recorded:{path}"


def long_winded() -> dict[str, str]:
    """Return a lesson that fits the knowledge, and not the little net's window together with the rest of the prompt."""
    dice = random.Random(0)
    text = "".join(dice.choice("abcdefghijklmnopqrstuvwxyz0123456789") for _ in range(590))
    return {"playbook": text, "hints": text[::-1]}


def reasons(workspace: Workspace, frontier: str, seed: int, count: int = 1) -> list[str | None]:
    """Let the competitor take steps in one run; return why local did not serve each."""
    run = discover(workspace, seed=seed, candidates=count, frontier=frontier)
    return [step.reason for step in steps(workspace, run.id)]


def test_a_models_life(workspace: Workspace, clock: FrozenDateTimeFactory, tmp_path: Path) -> None:
    good = tape(tmp_path, "good", BEST, move(0.9, 0.5, 1.0), move(0.95, 0.45, 1.0))
    found = discover(workspace, generations=2, candidates=6, frontier=good)
    when: dict[str, datetime] = {"nobody": workspace.now()}

    # A weak bundle is not trusted, however it is asked.
    weak = localized(workspace, Plan.tiny(iterations=1)).bundle
    assert promote(workspace, weak.id, by="ada").outcome == "reject"
    assert reasons(workspace, good, seed=10) == ["bundle-absent"]

    # A better one is promoted, and serves.
    clock.tick(3600)
    better = localized(workspace, filters=Filters(SCENARIO, run=found.id)).bundle
    verdict = promote(workspace, better.id, by="ada")
    assert verdict.outcome == "promote"
    assert reasons(workspace, good, seed=11, count=3) == [None, None, None]
    when["better"] = workspace.now()

    # The coach becomes long-winded, the prompt outgrows the net's window: local fails, and the breaker opens.
    clock.tick(3600)
    wordy = tape(tmp_path, "wordy", BEST, lesson=long_winded())
    assert reasons(workspace, wordy, seed=12) == [None]
    assert reasons(workspace, wordy, seed=13, count=5) == ["local-error"] * 3 + ["local-cooldown"] * 2
    failing = discover(workspace, seed=14, candidates=2, frontier=good)
    assert [(s.served, s.reason) for s in steps(workspace, failing.id)] == [("frontier", "local-cooldown")] * 2

    # The good coach is back, but the cooldown is not over; then one probe heals it.
    clock.tick(59)
    assert reasons(workspace, good, seed=15) == ["local-cooldown"]
    clock.tick(1)
    assert reasons(workspace, good, seed=16, count=2) == [None, None]
    assert active(workspace) == better

    # A worse successor is forced into the slot; in the shadow it shows what it is.
    clock.tick(3600)
    configure.set_policy(workspace, {"mode": "frontier-only"}, by="bo", why="to learn from a poor teacher")
    poor = discover(
        workspace,
        generations=2,
        candidates=6,
        frontier=tape(tmp_path, "poor", move(0.4, 0.6, 0.4), move(0.5, 0.5, 0.4)),
    )
    worse = localized(workspace, filters=Filters(SCENARIO, run=poor.id)).bundle
    with pytest.raises(Exception, match="no standing verdict"):
        switch.activate(workspace, worse.id, by="bo")
    switch.activate(workspace, worse.id, by="bo", why="I like it", forced=True)
    configure.set_policy(workspace, {"mode": "auto", "shadow": True, "min_score": 0.5}, by="bo", why="to watch it")
    watched = discover(workspace, seed=17, candidates=4, frontier=good)
    when["worse"] = workspace.now()
    served, shadows = scores(workspace, watched)
    assert len(served) == len(shadows) == 4
    assert max(shadows) < min(served) - 0.1

    # Rolled back, and local is what it was.
    clock.tick(3600)
    assert rollback(workspace, SCENARIO, "competitor", by="ada", why="its shadow was poor") == better
    configure.set_policy(workspace, {"shadow": False, "min_score": 0.75}, by="ada", why="as before")
    healed = discover(workspace, seed=18, candidates=4, frontier=good)
    assert {step.served for step in steps(workspace, healed.id)} == {"local"}

    agree(workspace, verdict, healed, watched, when, (better, worse))


def scores(workspace: Workspace, run: rows.Run) -> tuple[list[float], list[float]]:
    """Return the scores of what the frontier served, and of what local said in its shadow."""
    found: dict[bool, list[float]] = {False: [], True: []}
    for step in steps(workspace, run.id):
        for attempt in attempts(workspace, step):
            assert attempt.score is not None
            found[attempt.shadow].append(attempt.score)
    return found[False], found[True]


def agree(
    workspace: Workspace,
    verdict: rows.Verdict,
    healed: rows.Run,
    watched: rows.Run,
    when: dict[str, datetime],
    bundles: tuple[rows.Bundle, rows.Bundle],
) -> None:
    """History, report, past and audit tell the same life."""
    better, worse = bundles
    slot = (SCENARIO, "competitor")
    told: list[tuple[str, str, bool]] = [(e.kind, e.by, e.forced) for e in history(workspace, slot)]
    assert told == [
        ("verdict", "ada", False),
        ("verdict", "ada", False),
        ("activate", "promotion", False),
        ("activate", "bo", True),
        ("activate", "rollback", False),
    ]
    held: dict[str, Any] = {name: active_at(workspace, at).get(slot) for name, at in when.items()}
    assert held == {"nobody": None, "better": better, "worse": worse}
    assert active_at(workspace, BEGIN - timedelta(days=1)) == {}

    assert "**promote**" in render(story(workspace, verdict.run))
    shadowed = story(workspace, watched.id)
    assert shadowed.reasons == {"role-not-eligible": 1, "shadow-only": 4}
    assert [(s.target, s.attempts) for s in shadowed.spends if s.target == "shadow"] == [("shadow", 4)]
    last = story(workspace, healed.id)
    assert last.local_share == 1
    saved = last.savings["competitor"]
    assert saved is not None
    assert saved.saved == pytest.approx(4 * (120 * 3 + 28 * 15) / 1e6)
    assert last.bundles[0].verdict == verdict
    assert differences(workspace) == []
