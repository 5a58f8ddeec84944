"""What a run may spend at its frontier ends the run, cleanly and with a reason, and is a fact of every decision."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journey import Scripted, attempts, move, steps
from stepdown.acts.configure import set_policy
from stepdown.acts.opening import open_workspace
from stepdown.acts.run import play, start
from stepdown.history import endings, rows
from stepdown.providers.protocol import Completion
from stepdown.reports.markdown import render
from stepdown.routing.facts import Facts
from stepdown.routing.policy import Policy
from stepdown.views.audit import differences
from stepdown.views.runs import story
from stepdown.workspace import Settings, Workspace


def opened(root: Path, settings: Settings) -> Workspace:
    """Open a workspace whose frontier spends 12 tokens a call."""
    return open_workspace(root, settings=replace(settings, frontier=lambda *_: Scripted([move(0.9, 0.5, 1.0)])))


def ending(workspace: Workspace, run: str) -> rows.Ending:
    with workspace.reading() as connection:
        found = endings.last(connection, run)
    assert found is not None
    return found


def test_a_run_stops_where_its_tokens_are_spent_and_asks_nobody_more(
    workspace: Workspace, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    with opened(workspace.root, settings) as spender:
        set_policy(spender, {"run_tokens": 30})
        run = play(start(spender, "grid_ctf", generations=5, candidates=4))
        taken = steps(spender, run.id)

        assert [step.outcome for step in taken] == ["served", "served", "served", "failed"]
        assert (taken[-1].error, taken[-1].reason) == ("frontier-over-budget", "bundle-absent")
        assert attempts(spender, taken[-1]) == []
        assert Facts.from_json(taken[-1].facts).over_budget
        assert not Facts.from_json(taken[0].facts).over_budget
        found = ending(spender, run.id)
        assert found.outcome == "stopped"
        assert "The budget is spent after 1 of 5 generations: 36 tokens" in (found.error or "")
        assert "frontier-over-budget" in render(story(spender, run.id))
        assert differences(spender) == []


def test_every_run_has_its_own_budget(workspace: Workspace, settings: Settings) -> None:
    with opened(workspace.root, settings) as spender:
        set_policy(spender, {"run_tokens": 13})
        first, second = (play(start(spender, "grid_ctf", generations=1, candidates=3)) for _ in range(2))
        assert [[step.outcome for step in steps(spender, run.id)] for run in (first, second)] == [
            ["served", "served", "failed"]
        ] * 2


def test_a_budget_of_money_is_not_kept_by_a_frontier_whose_price_nobody_knows(
    workspace: Workspace, settings: Settings
) -> None:
    with opened(workspace.root, settings) as spender:
        set_policy(spender, {"run_cost": 1000.0})
        run = play(start(spender, "grid_ctf", generations=1, candidates=3))
        assert [step.outcome for step in steps(spender, run.id)] == ["served", "failed", "failed"]
        assert "an unknown sum" in (ending(spender, run.id).error or "")


def test_without_a_budget_nothing_is_counted_and_nothing_is_said(workspace: Workspace) -> None:
    run = play(start(workspace, "grid_ctf", generations=1, candidates=2))
    assert all("over_budget" not in step.facts for step in steps(workspace, run.id))
    assert ending(workspace, run.id).outcome == "completed"


def test_an_audit_sees_a_budget_that_was_claimed_to_be_spent_and_was_not(
    workspace: Workspace, settings: Settings
) -> None:
    with opened(workspace.root, settings) as spender:
        set_policy(spender, {"run_tokens": 30})
        play(start(spender, "grid_ctf", generations=1, candidates=4))
        with spender.engine.begin() as connection:
            connection.exec_driver_sql("DROP TRIGGER policy_update")
            connection.exec_driver_sql("UPDATE policy SET settings = json_set(settings, '$.run_tokens', 500)")
        assert any("over_budget" in str(found) for found in differences(spender))


@given(st.integers(0, 10**12), st.none() | st.floats(0, 1e9))
def test_what_is_not_known_to_be_within_a_budget_is_over_it(tokens: int, cost: float | None) -> None:
    assert not Policy().overspent(tokens, cost)
    assert Policy(run_tokens=tokens).overspent(tokens, cost)
    assert Policy(run_cost=5.0).overspent(tokens, cost) == (cost is None or cost >= 5.0)
    again = Policy.from_json(json.loads(json.dumps(Policy(run_tokens=7).as_json())))
    assert (again.run_tokens, again.run_cost) == (7, math.inf)


def test_a_policy_of_an_earlier_version_has_no_budget() -> None:
    stored = {name: value for name, value in Policy().as_json().items() if not name.startswith("run_")}
    assert Policy.from_json(stored) == Policy()


def test_tokens_that_nobody_counted_are_spent_by_nobody(workspace: Workspace, settings: Settings) -> None:
    class Silent(Scripted):
        def complete(self, request: object) -> Completion:
            return Completion(move(0.9, 0.5, 1.0), self.name, self.model)

    silent = replace(settings, frontier=lambda *_: Silent([]))
    with open_workspace(workspace.root, settings=silent) as spender:
        set_policy(spender, {"run_tokens": 1})
        run = play(start(spender, "grid_ctf", generations=1, candidates=2))
        assert {step.outcome for step in steps(spender, run.id)} == {"served"}
