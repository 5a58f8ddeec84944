"""The acts of a journey, as short as a test wants to say them."""

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from stepdown.acts.export import export
from stepdown.acts.localize import Trained, localize
from stepdown.acts.opening import open_workspace
from stepdown.acts.run import play, start
from stepdown.clock import Clock
from stepdown.errors import ProviderError
from stepdown.history import reader, rows
from stepdown.providers import trace
from stepdown.providers.protocol import Completion, Request
from stepdown.scenarios import roles
from stepdown.scenarios.grid_ctf import GridCtf
from stepdown.scenarios.roles import Role
from stepdown.training.plan import Plan
from stepdown.training.records import Filters
from stepdown.workspace import Settings, Workspace

SCENARIO = "grid_ctf"
FRONTIER = Path(__file__).parents[1] / "fixtures" / "frontier" / "replies.jsonl"

SMALL = Plan.tiny(iterations=120, learning_rate=1e-2, rehearsals=1)
"""Learns the few strategies of `near_the_best` by heart: every held-out reply legal, mean about 0.89."""


@dataclass(slots=True)
class Hands:
    """A clock's hands: they stand still until somebody moves them."""

    instant: datetime = datetime(2026, 3, 1, 12, tzinfo=UTC)
    seconds: float = 1000.0
    clock: Clock = field(init=False)

    def __post_init__(self) -> None:
        self.clock = Clock(lambda: self.instant, lambda: self.seconds)

    def forward(self, seconds: float) -> None:
        """Let time pass, on the wall and on the stopwatch."""
        self.instant += timedelta(seconds=seconds)
        self.seconds += seconds


@dataclass(slots=True)
class Scripted:
    """A provider whose next replies are given; an exception among them is raised. The last one is repeated.

    Attributes:
        model: What is asked for.
        answering: What answers.
    """

    replies: list[str | Exception]
    name: str = "scripted"
    model: str = "script-1"
    answering: str = "script-1"
    digest: str | None = None
    asked: list[Request] = field(default_factory=list)

    def complete(self, request: Request) -> Completion:
        """Give the next reply."""
        self.asked.append(request)
        if request.role == "coach":
            return Completion('{"playbook":"Attack.","hints":"Press on."}', self.name, self.model)
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(reply, Exception):
            raise reply
        return Completion(reply, self.name, self.answering, self.digest, 7, 5)


class Strange:
    """A scenario like another one, but for what is changed of it."""

    def __init__(self, real: Any, **changes: Any) -> None:
        self._real, self._changes = real, changes

    def __getattr__(self, name: str) -> Any:
        return self._changes[name] if name in self._changes else getattr(self._real, name)


class Scouted(GridCtf):
    """grid_ctf with a second judged role, which is asked and played like the competitor."""

    def roles(self) -> list[Role]:
        """Competitor, scout, coach."""
        competitor, coach = roles.roles(GridCtf()).values()
        return [competitor, replace(competitor, name="scout"), coach]


def failing(error_type: str) -> Scripted:
    """Return a provider that only fails."""
    return Scripted([ProviderError(f"It was told to fail with {error_type}.", error_type=error_type)])


def move(aggression: float, defense: float, path_bias: float) -> str:
    """Return a strategy as a reply."""
    values = {"aggression": aggression, "defense": defense, "path_bias": path_bias}
    return json.dumps(values, separators=(",", ":"))


BEST = move(1.0, 0.4, 1.0)


def tape(path: Path, competitor: Sequence[str | Mapping[str, Any]], role: str = "competitor") -> Path:
    """Write a tape for the recorded frontier, with one coach's lesson."""
    lines: list[Mapping[str, Any]] = [{"text": r} if isinstance(r, str) else r for r in competitor]
    lesson = {"role": "coach", "text": '{"playbook":"Attack.","hints":"Press on."}'}
    path.write_text("".join(json.dumps(row) + "\n" for row in [*({"role": role, **x} for x in lines), lesson]))
    return path


def near_the_best(path: Path, role: str = "competitor") -> Path:
    """Write a tape of three strategies that a small net learns by heart."""
    return tape(path, [BEST, move(0.9, 0.5, 1.0), move(0.95, 0.45, 1.0)], role)


def discover(
    workspace: Workspace, *, seed: int = 0, generations: int = 1, candidates: int = 2, frontier: str = "search"
) -> rows.Run:
    """Play a short run to its end."""
    return play(
        start(workspace, SCENARIO, seed=seed, generations=generations, candidates=candidates, frontier=frontier)
    )


def scouted(root: Path, settings: Settings) -> Trained:
    """Play, export and train for the scout of a workspace, and return the bundle; nothing is active."""
    with open_workspace(root, settings=replace(settings, scenario=lambda _name: Scouted())) as workspace:
        tape = near_the_best(workspace.root.parent / "scout.jsonl", "scout")
        play(start(workspace, SCENARIO, generations=1, candidates=6, frontier=f"recorded:{tape}", role="scout"))
        return localized(workspace, filters=Filters(SCENARIO, role="scout"))


def localized(workspace: Workspace, plan: Plan = SMALL, filters: Filters | None = None) -> Trained:
    """Export and train."""
    return localize(workspace, export(workspace, filters or Filters(SCENARIO)).path, plan=plan)


def compete(workspace: Workspace, *, seed: int = 0, frontier: str = "search") -> rows.Step:
    """Let the competitor take one step, in a run of its own, and return what history says of it."""
    run = discover(workspace, seed=seed, candidates=1, frontier=frontier)
    return steps(workspace, run.id)[0]


def steps(workspace: Workspace, run: str, role: str = "competitor") -> list[rows.Step]:
    """Return a run's steps of one role, oldest first."""
    with workspace.reading() as connection:
        return [step for step in reader.steps(connection, run) if step.role == role]


def attempts(workspace: Workspace, step: rows.Step) -> list[rows.Attempt]:
    """Return a step's attempts, oldest first."""
    with workspace.reading() as connection:
        return [attempt for attempt in reader.attempts(connection, step.run) if attempt.step == step.id]


def calls(workspace: Workspace, step: rows.Step) -> list[trace.Line]:
    """Return the ends of a step's calls as the trace file has them."""
    return [
        line for line in trace.lines(workspace.trace) if line.event == "end" and line.call.rpartition("/")[0] == step.id
    ]


def active(workspace: Workspace) -> rows.Bundle:
    """Return the competitor's bundle."""
    with workspace.reading() as connection:
        found = reader.slot_bundle(connection, SCENARIO, "competitor")
    assert found is not None
    return found


def count(workspace: Workspace, kind: type[Any]) -> int:
    """Return how many rows of a kind there are."""
    with workspace.reading() as connection:
        return reader.count(connection, kind)


def together(number: int, act: Callable[[int], object]) -> list[object]:
    """Do something in that many threads, all of them at once, and return what each got or raised."""
    gate = threading.Barrier(number)

    def at_once(position: int) -> object:
        gate.wait()
        try:
            return act(position)
        except Exception as error:
            return error

    with ThreadPoolExecutor(number) as threads:
        return list(threads.map(at_once, range(number)))
