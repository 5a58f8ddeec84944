"""Calls side by side: the same rows however many are under way together, and two witnesses that agree of all of them."""

import threading
from dataclasses import astuple, dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from journey import SCENARIO, Hands, discover, move
from stepdown.acts.export import export
from stepdown.acts.opening import open_workspace
from stepdown.acts.run import play, start
from stepdown.errors import InvalidValue
from stepdown.history import ledger, reader, rows
from stepdown.providers import trace
from stepdown.providers.protocol import Completion, Request
from stepdown.training.records import Filters
from stepdown.views.audit import differences
from stepdown.workspace import Settings, Workspace


@dataclass
class Crowd:
    """A frontier that takes several calls, answers the last one first, and remembers how many it had at once."""

    concurrency: int = 4
    together: int = 4
    name: str = "crowd"
    model: str = "crowd-1"
    inside: int = 0
    most: int = 0
    arrived: threading.Condition = field(default_factory=threading.Condition)
    order: list[str] = field(default_factory=list)

    def complete(self, request: Request) -> Completion:
        """Wait until enough others are here, unless nobody else comes, and answer from the seed alone."""
        if request.role == "coach":
            return Completion('{"playbook":"Attack.","hints":"Press on."}', self.name, self.model)
        with self.arrived:
            self.inside += 1
            self.most = max(self.most, self.inside)
            self.arrived.notify_all()
            self.arrived.wait_for(lambda: self.most >= self.together, timeout=5)
            place = int(request.call.split("/")[2])
            # The later ones answer earlier.
            self.arrived.wait_for(
                lambda: place == self.together - 1 or any(c > request.call for c in self.order), timeout=0.05
            )
            self.order.append(request.call)
            self.inside -= 1
            self.arrived.notify_all()
        share = request.seed % 100 / 100
        return Completion(move(share, round(1 - share, 2), share), self.name, self.model, None, 3, 4)


def opened(root: Path, frontier: Crowd) -> Workspace:
    """A workspace whose frontier is the crowd."""
    return open_workspace(
        root, settings=Settings(clock=Hands().clock, durability="normal", frontier=lambda _word, _scenario: frontier)
    )


def told(workspace: Workspace) -> dict[str, list[Any]]:
    """Every row of every step, without times and without the session, in an order of its own."""
    with workspace.reading() as connection:
        found = {
            kind.__name__: reader.all_of(connection, kind)
            for kind in (rows.Step, rows.Announcement, rows.Attempt, rows.PlayedMatch, rows.Generation, rows.Lesson)
        }
    bare = {
        name: [replace(row, **{key: None for key in ("at", "session", "latency") if hasattr(row, key)}) for row in kept]
        for name, kept in found.items()
    }
    return {name: sorted(map(str, map(astuple, kept))) for name, kept in bare.items()}


def test_rows_and_exports_are_the_same_however_many_calls_are_under_way(tmp_path: Path) -> None:
    stories, exports = [], []
    for at_once, together in ((1, 1), (2, 2), (4, 4)):
        crowd = Crowd(together=together)
        with opened(tmp_path / str(at_once), crowd) as workspace:
            play(start(workspace, SCENARIO, generations=3, candidates=4, frontier="crowd", at_once=at_once))
            stories.append(told(workspace))
            exports.append(export(workspace, Filters(SCENARIO, matches=True)).digest)

            assert differences(workspace) == []
            assert crowd.most == at_once

    assert stories[0] == stories[1] == stories[2]
    assert len(set(exports)) == 1


def test_the_trace_starts_calls_in_the_order_in_which_history_announced_them(tmp_path: Path) -> None:
    with opened(tmp_path / "workspace", Crowd()) as workspace:
        play(start(workspace, SCENARIO, generations=1, candidates=4, frontier="crowd"))
        lines = list(trace.lines(workspace.trace))
        with workspace.reading() as connection:
            announced = [call.call for call in reader.all_of(connection, rows.Announcement)]

    started = [line.call for line in lines if line.event == "start"]
    ended = [line.call for line in lines if line.event == "end"]
    assert started == announced
    assert ended[:4] != started[:4], "the last one answered first, or nothing was side by side"


def test_an_audit_beside_calls_in_flight_says_nothing_false(tmp_path: Path) -> None:
    found: list[list[Any]] = []

    class Audited(Crowd):
        def complete(self, request: Request) -> Completion:
            answer = super().complete(request)
            found.append(differences(workspace))
            return answer

    with opened(tmp_path / "workspace", Audited()) as workspace:
        play(start(workspace, SCENARIO, generations=2, candidates=4, frontier="crowd"))

    assert len(found) > 4
    assert all(seen == [] for seen in found)


def test_no_provider_is_asked_more_at_once_than_it_says_it_takes(tmp_path: Path) -> None:
    crowd = Crowd(concurrency=2, together=2)
    with opened(tmp_path / "workspace", crowd) as workspace:
        play(start(workspace, SCENARIO, generations=1, candidates=6, frontier="crowd", at_once=50))

    assert crowd.most == 2


def test_fewer_than_one_call_at_once_is_refused_and_nothing_is_recorded(workspace: Workspace) -> None:
    with pytest.raises(InvalidValue, match="1 or more"):
        start(workspace, SCENARIO, at_once=0)

    with workspace.reading() as connection:
        assert reader.count(connection, rows.Run) == 0


def test_steps_that_were_under_way_together_are_closed_together_after_a_crash(tmp_path: Path) -> None:
    root = tmp_path / "workspace"
    with opened(root, Crowd()) as workspace:
        discover(workspace, candidates=1, frontier="crowd")
    crashed = opened(root, Crowd())
    with crashed.reading() as connection:
        announcement = reader.all_of(connection, rows.Announcement)[0]
        run = replace(reader.all_of(connection, rows.Run)[0], id="run-2", session=crashed.session.begin())
    calls = [
        replace(
            announcement,
            call=f"run-2/1/{position}/{ordinal}",
            step=f"run-2/1/{position}",
            run=run.id,
            position=position,
            session=run.session,
            target=target,
        )
        for ordinal, target in ((1, "local"), (2, "frontier"))
        for position in (0, 1)
    ]
    with crashed.writing() as connection:
        ledger.append(connection, run, *calls)
    crashed.close()

    with opened(root, Crowd()) as again, again.reading() as connection:
        assert [step.id for step in reader.steps(connection, "run-2")] == ["run-2/1/0", "run-2/1/1"]
        assert len(reader.attempts(connection, "run-2")) == 4
