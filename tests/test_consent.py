"""Consent: a role that the frontier may never see reaches no frontier, and opens no socket at all; nor local, the other way."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from journey import active, attempts, compete, discover, failing, steps
from stepdown import operate
from stepdown.auditing import differences
from stepdown.errors import InvalidValue
from stepdown.workspace import Settings, Workspace

BOTH = ["competitor", "coach"]

WATCHED = """
import socket, sys
from dataclasses import dataclass
from stepdown.providers.protocol import Completion
from stepdown.run import play, start
from stepdown.workspace import Settings, Workspace

opened = []
sys.addaudithook(lambda event, args: opened.append(event) if event.startswith("socket.") else None)

@dataclass
class Hosted:
    name = "hosted"
    model = "hosted-1"

    def complete(self, request):
        with socket.socket() as line:
            line.connect_ex(("127.0.0.1", 9))
        return Completion('{"aggression":0.5,"defense":0.5,"path_bias":0.5}', self.name, self.model)

settings = Settings(durability="normal", frontier=lambda word, scenario: Hosted())
with Workspace.open(sys.argv[1], settings=settings) as workspace:
    play(start(workspace, "grid_ctf", seed=3, generations=2, candidates=2))
print(len(opened), "socket" in sys.modules)
"""


def sockets(workspace: Workspace) -> int:
    """Play a run in a process that counts every socket it opens; return the count."""
    operate.set_policy(workspace, {"max_age": 1e12})  # The child lives by the real clock.
    workspace.close()
    command = [sys.executable, "-c", WATCHED, str(workspace.root)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return int(done.stdout.split()[0])


def test_no_socket_is_opened_for_roles_that_the_frontier_may_never_see(local: Workspace, settings: Settings) -> None:
    operate.set_policy(local, {"frontier_never": BOTH})

    assert sockets(local) == 0

    with Workspace.open(local.root, settings=settings) as reopened:
        competed, coached = steps(reopened, "run-2"), steps(reopened, "run-2", "coach")
        assert {step.served for step in competed} == {"local"}
        assert {(step.outcome, step.error) for step in coached} == {("failed", "frontier-forbidden")}
        assert differences(reopened) == []


def test_no_socket_is_opened_even_when_local_cannot_serve(local: Workspace, settings: Settings) -> None:
    operate.set_policy(local, {"frontier_never": BOTH, "min_score": 1.0})

    assert sockets(local) == 0

    with Workspace.open(local.root, settings=settings) as reopened:
        competed = steps(reopened, "run-2")
        assert {(step.outcome, step.error) for step in competed} == {("failed", "frontier-forbidden")}
        assert {step.reason for step in competed} == {"quality-below-threshold"}
        assert all(attempts(reopened, step) == [] for step in competed)


def test_the_watch_would_have_seen_a_socket(local: Workspace) -> None:
    operate.set_policy(local, {"frontier_never": ["competitor"]})

    assert sockets(local) > 0  # The coach's calls.


def test_a_failing_local_is_not_followed_by_a_forbidden_frontier(local: Workspace, settings: Settings) -> None:
    operate.set_policy(local, {"frontier_never": ["competitor"]})
    local.close()
    with Workspace.open(local.root, settings=replace(settings, local=lambda *_: failing("timeout"))) as reopened:
        step = compete(reopened, seed=3)

        assert (step.outcome, step.error, step.reason) == ("failed", "frontier-forbidden", "local-timeout")
        assert [attempt.target for attempt in attempts(reopened, step)] == ["local"]
        assert differences(reopened) == []


@pytest.mark.parametrize("shadow", [False, True])
def test_a_role_that_local_may_never_see_does_not_reach_a_bundle(
    local: Workspace, settings: Settings, shadow: bool
) -> None:
    operate.set_policy(local, {"local_never": ["competitor"], "shadow": shadow})
    local.close()

    def opened(directory: Path, *_: object) -> object:
        raise AssertionError(f"{directory} was opened")

    with Workspace.open(local.root, settings=replace(settings, local=opened)) as reopened:
        step = compete(reopened, seed=3)

        assert (step.served, step.reason) == ("frontier", "role-not-eligible")
        assert [attempt.target for attempt in attempts(reopened, step)] == ["frontier"]
        assert differences(reopened) == []


def test_consent_is_a_policy_with_a_history(local: Workspace) -> None:
    operate.set_policy(local, {"local_never": "competitor, coach"}, by="ada")
    assert compete(local, seed=3).reason == "role-not-eligible"

    operate.set_policy(local, {"local_never": ""}, by="ada")
    assert compete(local, seed=4).served == "local"
    with pytest.raises(InvalidValue):
        operate.set_policy(local, {"frontier_never": [1]})
    assert active(local) is not None
    assert discover(local).id == "run-4"
