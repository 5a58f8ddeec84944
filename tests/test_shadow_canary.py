"""Shadow and canary, breaker and fail-back, as a whole workspace keeps them: in rows, across restarts and processes."""

import json
import multiprocessing
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any

import pytest

from journey import BEST, SCENARIO, Hands, Scripted, active, attempts, calls, compete, discover, failing, steps
from stepdown.acts import configure
from stepdown.acts.export import export
from stepdown.acts.opening import open_workspace
from stepdown.errors import ProviderError
from stepdown.history import rows
from stepdown.providers.protocol import Completion, Request
from stepdown.reports.markdown import render
from stepdown.routing.canary import draw
from stepdown.training.records import Filters
from stepdown.views.audit import differences
from stepdown.views.runs import story
from stepdown.workspace import Settings, Workspace

DOWN = ProviderError("The weights are on strike.", error_type="timeout")


@dataclass(frozen=True, slots=True)
class Staged:
    """A workspace whose local answers are scripted, behind a real bundle and real evaluations."""

    workspace: Workspace
    local: Scripted

    def say(self, *replies: str | Exception) -> None:
        """Let local say this from now on."""
        self.local.replies[:] = replies

    def reasons(self, count: int, seed: int = 50) -> list[str | None]:
        """Take steps, and return why local did not serve each."""
        return [compete(self.workspace, seed=seed + number).reason for number in range(count)]


@pytest.fixture
def staged(local: Workspace, settings: Settings) -> Iterator[Staged]:
    bundle = active(local)
    scripted = Scripted([BEST], name="stepdown-local", model=bundle.id, digest=bundle.weights_digest)
    local.close()
    with open_workspace(local.root, settings=replace(settings, local=lambda *_: scripted)) as opened:
        yield Staged(opened, scripted)
        assert differences(opened) == []


# Shadow


def test_a_shadow_is_judged_and_neither_served_nor_priced_nor_counted(local: Workspace) -> None:
    configure.set_policy(local, {"shadow": True})

    step = compete(local, seed=3)

    assert (step.served, step.requested, step.reason) == ("frontier", "frontier", "shadow-only")
    served, shadow = attempts(local, step)
    assert (served.target, served.shadow, shadow.target, shadow.shadow) == ("frontier", False, "local", True)
    assert shadow.accepted
    assert shadow.score is not None
    assert shadow.cost is None
    assert shadow.breaker is None
    assert step.served_call == served.call
    assert {line.target for line in calls(local, step)} == {"frontier", "local"}
    told = story(local, step.run)
    (spend,) = [spend for spend in told.spends if spend.target == "shadow"]
    assert (spend.attempts, spend.cost, spend.unpriced) == (1, 0, 0)
    assert told.served == {"frontier": 2}
    assert told.local_share == 0
    assert "not priced" in render(told)
    line = next(line for line in render(told).splitlines() if line.startswith(f"| {step.id} "))
    assert "| frontier | frontier ok | frontier | shadow-only |" in line
    assert f"| ok, {shadow.score:.4f}".rstrip("0") + f" | {step.reply} |" in line
    assert differences(local) == []


def test_what_a_shadow_said_is_never_exported(local: Workspace) -> None:
    configure.set_policy(local, {"shadow": True})
    step = compete(local, seed=3)

    records = export(local, Filters(SCENARIO, include_local=True)).path
    lines = [json.loads(line) for file in records.glob("*.jsonl") for line in file.read_text("utf-8").splitlines()]
    assert {line["served"]["target"] for line in lines if line["step"] == step.id} == {"frontier"}


def test_failing_shadows_move_no_breaker_and_cost_no_step(staged: Staged) -> None:
    configure.set_policy(staged.workspace, {"shadow": True})
    staged.say(DOWN)

    assert staged.reasons(5) == ["shadow-only"] * 5

    configure.set_policy(staged.workspace, {"shadow": False})
    staged.say(BEST)
    assert staged.reasons(1, seed=90) == [None]


def test_no_shadow_runs_where_local_would_not_serve_anyway(local: Workspace) -> None:
    configure.set_policy(local, {"shadow": True, "min_score": 1.0})

    step = compete(local, seed=3)

    assert step.objections == ["quality-below-threshold", "shadow-only"]
    assert [attempt.target for attempt in attempts(local, step)] == ["frontier"]


# Canary


@pytest.mark.parametrize("closed", [{"mode": "local-only"}, {"run_tokens": 0.0}], ids=["forbidden", "over budget"])
def test_where_nobody_is_asked_nothing_runs_in_the_shadow_and_nobody_misses_it(
    local: Workspace, closed: dict[str, object]
) -> None:
    configure.set_policy(local, {"shadow": True, **closed})

    step = compete(local, seed=3)

    assert (step.outcome, attempts(local, step)) == ("failed", [])
    assert differences(local) == []


def test_a_canary_serves_the_steps_whose_hash_says_so_and_the_same_in_a_replay(staged: Staged) -> None:
    configure.set_policy(staged.workspace, {"canary": 0.5})

    first, again = (discover(staged.workspace, seed=11, generations=3, candidates=8).id for _ in range(2))

    taken = steps(staged.workspace, first)
    served = [step.served for step in taken]
    assert served == ["local" if draw(step.seed) < 0.5 else "frontier" for step in taken]
    assert {step.reason for step in taken} == {None, "canary-held"}
    assert [step.served for step in steps(staged.workspace, again)] == served


def test_a_canary_grows_without_taking_a_step_back() -> None:
    drawn = [draw(seed) for seed in range(4000)]

    assert all(0 <= place < 1 for place in drawn)
    for share in (0.05, 0.25, 0.5, 0.9):
        found = sum(place < share for place in drawn) / len(drawn)
        assert found == pytest.approx(share, abs=0.03)


@pytest.mark.parametrize(("share", "reason"), [(0.0, "canary-held"), (1.0, None)])
def test_zero_is_nobody_and_one_is_everybody(staged: Staged, share: float, reason: str | None) -> None:
    configure.set_policy(staged.workspace, {"canary": share})

    assert staged.reasons(6) == [reason] * 6


# Breaker


def breaking(workspace: Workspace, **changes: float) -> None:
    """Set the breaker's policy."""
    configure.set_policy(workspace, {f"breaker_{name}": value for name, value in changes.items()})


def test_a_failing_local_opens_its_breaker_and_a_probe_heals_it(staged: Staged, hands: Hands) -> None:
    breaking(staged.workspace, threshold=2, window=300, cooldown=60, probes=2)
    staged.say(DOWN)
    assert staged.reasons(4) == ["local-timeout", "local-timeout", "local-cooldown", "local-cooldown"]

    hands.forward(59.999)
    assert staged.reasons(1, seed=60) == ["local-cooldown"]
    hands.forward(0.001)
    assert staged.reasons(2, seed=61) == [
        "local-timeout",
        "local-cooldown",
    ]  # The probe failed: a whole cooldown again.

    hands.forward(60)
    staged.say(BEST)
    assert staged.reasons(3, seed=70) == [None, None, None]
    staged.say(DOWN, BEST)
    assert staged.reasons(2, seed=80) == ["local-timeout", None]  # Closed with a clear memory: one failure is one.


def test_the_breaker_outlives_a_restart(staged: Staged, hands: Hands, settings: Settings) -> None:
    breaking(staged.workspace, threshold=1, cooldown=60)
    staged.say(DOWN)
    assert staged.reasons(1) == ["local-timeout"]
    staged.workspace.close()

    with open_workspace(staged.workspace.root, settings=settings) as reopened:
        assert compete(reopened, seed=60).reason == "local-cooldown"
        hands.forward(60)
        assert compete(reopened, seed=61).served == "local"


@pytest.mark.parametrize("reply", ["no strategy", '{"aggression":2,"defense":0,"path_bias":0}'])
def test_an_illegal_reply_is_locals_own_failure(staged: Staged, reply: str) -> None:
    breaking(staged.workspace, threshold=2)
    staged.say(reply)

    assert staged.reasons(3) == ["local-invalid-output", "local-invalid-output", "local-cooldown"]


def test_the_frontiers_failures_are_not_locals(staged: Staged, tmp_path: Path) -> None:
    breaking(staged.workspace, threshold=1)
    down = tmp_path / "down.jsonl"
    down.write_text('{"role":"competitor","error":"rate-limit"}\n{"role":"coach","error":"rate-limit"}\n', "utf-8")
    configure.set_policy(staged.workspace, {"mode": "frontier-only"})
    assert compete(staged.workspace, seed=50, frontier=f"recorded:{down}").outcome == "failed"

    configure.set_policy(staged.workspace, {"mode": "auto"})
    assert staged.reasons(2) == [None, None]


def test_failures_outside_the_window_are_forgotten(staged: Staged, hands: Hands) -> None:
    breaking(staged.workspace, threshold=2, window=100)
    staged.say(DOWN)
    for seed in range(3):
        assert staged.reasons(1, seed=60 + seed) == ["local-timeout"]
        hands.forward(100.001)
    assert staged.reasons(2, seed=70) == ["local-timeout", "local-timeout"]
    assert staged.reasons(1, seed=80) == ["local-cooldown"]


def test_zero_cooldown_is_zero(staged: Staged) -> None:
    breaking(staged.workspace, threshold=1, cooldown=0)
    staged.say(DOWN, BEST)

    assert staged.reasons(2) == ["local-timeout", None]


def test_zero_window_remembers_only_this_very_instant(staged: Staged, hands: Hands) -> None:
    breaking(staged.workspace, threshold=2, window=0)
    staged.say(DOWN)
    assert staged.reasons(1) == ["local-timeout"]
    hands.forward(0.001)
    assert staged.reasons(2, seed=60) == ["local-timeout", "local-timeout"]
    assert staged.reasons(1, seed=70) == ["local-cooldown"]


def test_zero_probes_close_when_the_cooldown_is_over(staged: Staged, hands: Hands) -> None:
    breaking(staged.workspace, threshold=2, cooldown=60, probes=0)
    staged.say(DOWN, DOWN, DOWN, BEST)
    assert staged.reasons(3) == ["local-timeout", "local-timeout", "local-cooldown"]
    hands.forward(60)
    assert staged.reasons(2, seed=60) == ["local-timeout", None]


def test_a_fallback_changes_no_preference(staged: Staged) -> None:
    before = configure.set_policy(staged.workspace, {})
    bundle = active(staged.workspace)
    staged.say(DOWN, BEST)

    assert staged.reasons(2) == ["local-timeout", None]
    assert configure.set_policy(staged.workspace, {}) == before
    assert active(staged.workspace) == bundle


# Across processes


@dataclass(slots=True)
class Slow:
    """A local provider that answers when it is told to."""

    bundle: rows.Bundle
    pipe: Pipe
    name: str = "stepdown-local"

    @property
    def model(self) -> str:
        return self.bundle.id

    def complete(self, request: Request) -> Completion:
        self.pipe.send("asked")
        self.pipe.recv()
        return Completion(BEST, self.name, self.model, self.bundle.weights_digest, 7, 5)


def prober(root: Path, instant: datetime, bundle: rows.Bundle, pipe: Pipe) -> None:
    """Take one step in a process of its own, whose local answers when the parent says so."""
    slow: Any = Slow(bundle, pipe)
    settings = Settings(clock=Hands(instant).clock, durability="normal", local=lambda *_: slow)
    with open_workspace(root, settings=settings) as workspace:
        pipe.send(compete(workspace, seed=71).reason)


def test_one_probe_at_a_time_across_processes(staged: Staged, hands: Hands) -> None:
    breaking(staged.workspace, threshold=1, cooldown=60)
    staged.say(DOWN, BEST)
    assert staged.reasons(1) == ["local-timeout"]
    hands.forward(60)
    mine, its = multiprocessing.Pipe()
    child = multiprocessing.get_context("spawn").Process(
        target=prober, args=(staged.workspace.root, hands.instant, active(staged.workspace), its)
    )
    child.start()
    assert mine.recv() == "asked"

    # The child is probing at this moment: nobody else does, and nobody waits.
    assert staged.reasons(2, seed=60) == ["local-cooldown", "local-cooldown"]

    mine.send("answer")
    assert mine.recv() is None
    child.join()
    assert staged.reasons(1, seed=80) == [None]


def test_a_probe_whose_process_died_blocks_nobody(staged: Staged, hands: Hands) -> None:
    breaking(staged.workspace, threshold=1, cooldown=60)
    staged.say(DOWN, BEST)
    assert staged.reasons(1) == ["local-timeout"]
    hands.forward(60)
    mine, its = multiprocessing.Pipe()
    child = multiprocessing.get_context("spawn").Process(
        target=prober, args=(staged.workspace.root, hands.instant, active(staged.workspace), its)
    )
    child.start()
    assert mine.recv() == "asked"
    child.kill()
    child.join()

    assert staged.reasons(1, seed=80) == [None]
    # What the dead process left open is closed by whoever opens next.
    open_workspace(staged.workspace.root, settings=staged.workspace.settings).close()


def test_a_scripted_failure_is_what_both_witnesses_say(staged: Staged) -> None:
    staged.say(*failing("out-of-memory").replies)

    step = compete(staged.workspace, seed=50)

    assert step.reason == "local-error"
    assert [line.error_type for line in calls(staged.workspace, step)] == ["out-of-memory", None]
