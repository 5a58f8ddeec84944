"""One step: who is asked, who serves, what is recorded, and what of it all both witnesses keep."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import event

from journey import (
    BEST,
    FRONTIER,
    SCENARIO,
    Hands,
    Scripted,
    active,
    attempts,
    calls,
    compete,
    count,
    discover,
    failing,
    move,
    steps,
)
from stepdown.acts import configure
from stepdown.acts.opening import open_workspace
from stepdown.acts.run import play, start
from stepdown.bundles import disk, watch
from stepdown.errors import InvalidValue, LoadFailed, LocalTimeout, NotFound, WorkspaceError
from stepdown.history import reader, rows, unfinished
from stepdown.scenarios.generation import gate
from stepdown.views.audit import differences
from stepdown.workspace import Settings, Workspace

Composed = Callable[..., Workspace]


@pytest.fixture
def composed(local: Workspace, settings: Settings) -> Iterator[Composed]:
    """Open the local workspace with providers of one's own on either side."""
    opened: list[Workspace] = []

    def compose(frontier: Scripted | None = None, here: Scripted | None = None) -> Workspace:
        changed = settings
        if frontier is not None:
            changed = replace(changed, frontier=lambda *_: frontier)
        if here is not None:
            changed = replace(changed, local=lambda *_: here)
        opened.append(open_workspace(local.root, settings=changed))
        return opened[-1]

    yield compose
    for workspace in opened:
        workspace.close()


FAILURES = [
    (LoadFailed("It was told to."), "load-failed", "local-load-failed"),
    (LocalTimeout("It was told to."), "timeout", "local-timeout"),
    (RuntimeError("It broke."), "RuntimeError", "local-error"),
    ("I would push hard.", "invalid-output", "local-invalid-output"),
    (move(1.0, 1.0, 1.0), "invalid-output", "local-invalid-output"),
    ("", "invalid-output", "local-invalid-output"),
]


@pytest.mark.parametrize(("failure", "error_type", "reason"), FAILURES)
def test_a_failed_local_try_falls_back_once_with_both_attempts_kept(
    composed: Composed, failure: str | Exception, error_type: str, reason: str
) -> None:
    workspace = composed(here=Scripted([failure], name="stepdown-local"))
    step = compete(workspace)

    first, second = attempts(workspace, step)
    assert (step.requested, step.served, step.reason) == ("local", "frontier", reason)
    assert (first.target, first.error_type, first.accepted) == ("local", error_type, False)
    assert (second.target, second.accepted) == ("frontier", True)
    assert [line.target for line in calls(workspace, step)] == ["local", "frontier"]
    # The scripted answers come from no weights at all: of the failures, only that may be held against them.
    assert {found.claim for found in differences(workspace)} <= {"I5"}


def test_a_fallback_changes_no_policy_and_no_standing(composed: Composed) -> None:
    workspace = composed(here=failing("timeout"))
    before = [count(workspace, kind) for kind in (rows.PolicyChange, rows.Act, rows.HarnessSwitch)]
    compete(workspace)

    assert [count(workspace, kind) for kind in (rows.PolicyChange, rows.Act, rows.HarnessSwitch)] == before


def test_when_both_sides_fail_the_step_fails_with_both_attempts(composed: Composed) -> None:
    workspace = composed(frontier=failing("rate-limit"), here=failing("timeout"))
    step = compete(workspace)

    assert (step.outcome, step.error, step.reason, step.served) == ("failed", "rate-limit", "local-timeout", None)
    assert [attempt.error_type for attempt in attempts(workspace, step)] == ["timeout", "rate-limit"]
    assert differences(workspace) == []


def test_an_answer_of_the_frontier_that_is_illegal_fails_the_step(workspace: Workspace) -> None:
    run = discover(workspace, candidates=4, frontier=f"recorded:{FRONTIER}")
    failed = [step for step in steps(workspace, run.id) if step.outcome == "failed"]

    assert failed
    for step in failed:
        assert (step.served, step.reply, step.answer, step.score, step.error) == (
            None,
            None,
            None,
            None,
            "invalid-output",
        )


def test_a_forbidden_frontier_is_asked_by_nobody(workspace: Workspace, settings: Settings) -> None:
    frontier = Scripted([BEST])
    with open_workspace(workspace.root, settings=replace(settings, frontier=lambda *_: frontier)) as opened:
        configure.set_policy(opened, {"mode": "local-only"})
        step = compete(opened)
        assert (step.outcome, step.error, step.reason) == ("failed", "frontier-forbidden", "bundle-absent")
        assert attempts(opened, step) == []
        assert differences(opened) == []
    assert frontier.asked == []
    assert not workspace.trace.exists()


def test_a_role_whose_prompts_must_not_leave_is_served_by_local_or_by_nobody(composed: Composed) -> None:
    frontier = Scripted([BEST])
    workspace = composed(frontier=frontier)
    configure.set_policy(workspace, {"frontier_never": "competitor"})
    assert compete(workspace).served == "local"

    configure.set_policy(workspace, {"min_score": 1.0})
    step = compete(workspace)
    assert (step.error, step.reason) == ("frontier-forbidden", "quality-below-threshold")
    assert {request.role for request in frontier.asked} == {"coach"}


def test_local_is_limited_by_its_policys_seconds(local: Workspace, hands: Hands, settings: Settings) -> None:
    def ticking() -> float:
        hands.seconds += 1.0
        return hands.seconds

    slow = replace(settings, clock=replace(hands.clock, monotonic=ticking))
    with open_workspace(local.root, settings=slow) as workspace:
        configure.set_policy(workspace, {"local_timeout": 2.0})
        step = compete(workspace)
    assert (step.served, step.reason) == ("frontier", "local-timeout")


def test_a_shadow_is_judged_and_never_served_priced_or_counted(composed: Composed) -> None:
    workspace = composed()
    configure.set_policy(workspace, {"shadow": "on"})
    step = compete(workspace)

    frontier, shadow = attempts(workspace, step)
    assert (step.served, step.reason) == ("frontier", "shadow-only")
    assert (frontier.shadow, shadow.shadow, shadow.target) == (False, True, "local")
    assert shadow.score is not None
    assert shadow.cost is None
    assert shadow.breaker is None
    assert differences(workspace) == []


def test_a_canary_serves_its_share_and_a_replay_chooses_the_same(local: Workspace) -> None:
    configure.set_policy(local, {"canary": 0.5})
    once, again = (discover(local, seed=3, candidates=12) for _ in range(2))

    served = [[step.served for step in steps(local, run.id)] for run in (once, again)]
    assert served[0] == served[1]
    assert {step.reason for step in steps(local, once.id)} == {None, "canary-held"}


def test_an_illegal_reply_that_a_weak_harness_lets_through_scores_zero(workspace: Workspace, tmp_path: Path) -> None:
    from journey import tape

    configure.switch_validator(workspace, SCENARIO, "budget", enabled=False)
    step = compete(workspace, frontier=f"recorded:{tape(tmp_path / 'tape', [move(1.0, 1.0, 1.0)])}")

    assert (step.outcome, step.answer, step.score) == ("served", None, 0.0)
    assert differences(workspace) == []


def test_a_provider_that_cannot_be_witnessed_is_not_asked_and_the_run_fails(
    workspace: Workspace, settings: Settings
) -> None:
    frontier = Scripted([BEST])
    with open_workspace(workspace.root, settings=replace(settings, frontier=lambda *_: frontier)) as opened:
        opened.trace.mkdir()
        with pytest.raises(WorkspaceError, match="No provider is asked without it"):
            compete(opened)
        opened.trace.rmdir()
    assert frontier.asked == []
    with open_workspace(workspace.root, settings=settings) as opened, opened.reading() as connection:
        (ending,) = reader.all_of(connection, rows.Ending)
        assert ending.outcome == "interrupted"
        assert unfinished.calls(connection) == []


def test_the_words_of_the_step_are_the_bytes_of_the_journey(local: Workspace) -> None:
    step = compete(local)

    (attempt,) = attempts(local, step)
    assert step.served_call == attempt.call == f"{step.id}/1"
    assert step.reply == attempt.reply
    assert attempt.weights_digest == active(local).weights_digest


@pytest.mark.parametrize(
    ("score", "champion", "decision"),
    [
        (None, None, "retry"),
        (None, 0.5, "retry"),
        (0.1, None, "advance"),
        (0.5, 0.5, "retry"),
        (0.51, 0.5, "advance"),
        (0.46, 0.5, "retry"),
        (0.4, 0.5, "rollback"),
    ],
)
def test_a_generation_is_decided_against_the_best_so_far(
    score: float | None, champion: float | None, decision: str
) -> None:
    assert gate(score, champion) == decision


def test_a_rollback_returns_to_what_the_champion_knew(workspace: Workspace, settings: Settings) -> None:
    replies: list[str | Exception] = [BEST, BEST, move(0.0, 0.0, 0.0)]
    with open_workspace(workspace.root, settings=replace(settings, frontier=lambda *_: Scripted(replies))) as opened:
        under_way = start(opened, SCENARIO, generations=3, candidates=1)
        for _ in range(3):
            under_way.advance()
        under_way.end()
        with opened.reading() as connection:
            decisions = [generation.decision for generation in reader.generations(connection, under_way.run.id)]
            lessons = reader.all_of(connection, rows.Lesson)
        assert decisions == ["advance", "retry", "rollback"]
        assert [lesson.playbook for lesson in lessons] == ["Attack.", "Nothing is known yet.", "Attack."]
        assert differences(opened) == []


def test_a_generation_without_a_legal_reply_is_retried_and_the_champion_stays(
    workspace: Workspace, settings: Settings
) -> None:
    with open_workspace(
        workspace.root, settings=replace(settings, frontier=lambda *_: Scripted([BEST, "prose"]))
    ) as opened:
        run = discover(opened, generations=2, candidates=1)
        with opened.reading() as connection:
            first, second = reader.generations(connection, run.id)
    assert (second.decision, second.best, second.champion) == ("retry", None, first.best)


def test_two_runs_interleaved_keep_their_own_steps_and_champions(local: Workspace) -> None:
    one, other = (start(local, SCENARIO, seed=seed, generations=2, candidates=2) for seed in (1, 2))
    for _ in range(2):
        one.advance()
        other.advance()
    for run in (one, other):
        run.end()

    for run in (one, other):
        assert [step.run for step in steps(local, run.run.id)] == [run.run.id] * 4
    assert differences(local) == []


@pytest.mark.parametrize(
    "numbers", [{"generations": 0}, {"candidates": 0}, {"seed": -1}, {"generations": 10**9}, {"seed": 2**63}]
)
def test_a_run_of_nothing_or_of_too_much_is_refused_and_leaves_no_row(
    workspace: Workspace, numbers: dict[str, int]
) -> None:
    with pytest.raises(InvalidValue, match="A run needs"):
        start(workspace, SCENARIO, **numbers)
    assert count(workspace, rows.Run) == 0


@pytest.mark.parametrize(("scenario", "frontier"), [("chess", "search"), (SCENARIO, "oracle")])
def test_an_unknown_name_is_refused_and_leaves_no_row(workspace: Workspace, scenario: str, frontier: str) -> None:
    with pytest.raises(NotFound):
        start(workspace, scenario, frontier=frontier)
    assert count(workspace, rows.Run) == 0


def test_a_run_that_cannot_go_on_is_recorded_as_failed(workspace: Workspace) -> None:
    under_way = start(workspace, SCENARIO, generations=2, candidates=1)
    (workspace.root / "knowledge").rmdir()
    (workspace.root / "knowledge").write_text("in the way")
    with pytest.raises(WorkspaceError):
        play(under_way)

    with workspace.reading() as connection:
        (ending,) = reader.all_of(connection, rows.Ending)
    assert ending.outcome == "failed"
    (workspace.root / "knowledge").unlink()


def test_a_step_on_a_bundle_that_is_remembered_reads_none_of_its_bytes_and_asks_for_its_slot_once(
    local: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "settled", lambda *_: True)
    compete(local)
    looks: list[str] = []
    slots: list[str] = []
    monkeypatch.setattr(disk, "look", lambda _directory, bundle: looks.append(bundle))

    @event.listens_for(local.engine, "before_cursor_execute")
    def asked(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        if "FROM bundle \nWHERE bundle.id = (SELECT act.bundle" in statement:
            slots.append(statement)

    run = discover(local, candidates=4)

    assert [step.served for step in steps(local, run.id)] == ["local"] * 4
    assert (looks, len(slots)) == ([], 4 + 1), "four steps, and the coach's"
