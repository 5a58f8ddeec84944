"""Consent: a role that the frontier may never see reaches no frontier, and opens no socket at all; nor local, the other way."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from journey import active, attempts, compete, discover, failing, steps
from sealed import KERNEL
from stepdown.acts import configure
from stepdown.acts.opening import open_workspace
from stepdown.errors import InvalidValue
from stepdown.views.audit import differences
from stepdown.workspace import Settings, Workspace

BOTH = ["competitor", "coach"]

SEALED = """
import sys
from sealed import seal

started = seal()  # Before anything else: a thread that runs already would not be bound.

import ctypes, socket, subprocess
from dataclasses import dataclass
from stepdown.providers.protocol import Completion
from stepdown.acts.run import play, start
from stepdown.workspace import Settings, Workspace
from stepdown.acts.opening import open_workspace

ASK = {
    "nobody": lambda: None,
    "host": lambda: socket.socket().connect_ex(("127.0.0.1", 9)),
    "neighbour": lambda: socket.socket(socket.AF_UNIX),
    "pair": socket.socketpair,
    "from-below": lambda: ctypes.CDLL(None).socket(socket.AF_INET, socket.SOCK_STREAM, 0),
    "by-another": lambda: subprocess.run([sys.executable, "-c", "import socket; socket.socket()"]),
}


@dataclass
class Hosted:
    name = "hosted"
    model = "hosted-1"

    def complete(self, request):
        ASK[sys.argv[2]]()
        return Completion('{"aggression":0.5,"defense":0.5,"path_bias":0.5}', self.name, self.model)


settings = Settings(durability="normal", frontier=lambda word, scenario: Hosted())
with open_workspace(sys.argv[1], settings=settings) as workspace:
    play(start(workspace, "grid_ctf", seed=3, generations=2, candidates=2))
print(*started)
"""

by_kernel = pytest.mark.skipif(not KERNEL, reason="only Linux forbids what Python does not see")


def sealed(workspace: Workspace, way: str = "host") -> subprocess.CompletedProcess[str]:
    """Play a run in a process that may open no socket; its frontier would open one in some way."""
    configure.set_policy(workspace, {"max_age": 1e12})  # The child lives by the real clock.
    workspace.close()
    command = [sys.executable, "-c", SEALED, str(workspace.root), way]
    # The child finds what this process finds.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)


def test_no_socket_is_opened_for_roles_that_the_frontier_may_never_see(local: Workspace, settings: Settings) -> None:
    configure.set_policy(local, {"frontier_never": BOTH})

    done = sealed(local)

    assert (done.returncode, done.stdout.split()) == (0, []), done.stderr
    with open_workspace(local.root, settings=settings) as reopened:
        competed, coached = steps(reopened, "run-2"), steps(reopened, "run-2", "coach")
        assert {step.served for step in competed} == {"local"}
        assert {(step.outcome, step.error) for step in coached} == {("failed", "frontier-forbidden")}
        assert differences(reopened) == []


def test_no_socket_is_opened_even_when_local_cannot_serve(local: Workspace, settings: Settings) -> None:
    configure.set_policy(local, {"frontier_never": BOTH, "min_score": 1.0})

    done = sealed(local)

    assert (done.returncode, done.stdout.split()) == (0, []), done.stderr
    with open_workspace(local.root, settings=settings) as reopened:
        competed = steps(reopened, "run-2")
        assert {(step.outcome, step.error) for step in competed} == {("failed", "frontier-forbidden")}
        assert {step.reason for step in competed} == {"quality-below-threshold"}
        assert all(attempts(reopened, step) == [] for step in competed)


@pytest.mark.parametrize(
    "way", ["host", "neighbour", *(pytest.param(way, marks=by_kernel) for way in ("pair", "from-below"))]
)
def test_whoever_opens_a_socket_in_any_way_is_ended(local: Workspace, way: str) -> None:
    configure.set_policy(local, {"frontier_never": ["competitor"]})

    assert sealed(local, way).returncode == -signal.SIGSYS  # At the coach's first call.


def test_a_process_that_was_started_to_open_one_does_not_stay_unseen(local: Workspace) -> None:
    configure.set_policy(local, {"frontier_never": ["competitor"]})

    assert "subprocess.Popen" in sealed(local, "by-another").stdout.split()


def test_a_frontier_that_opens_none_may_be_asked_under_the_seal(local: Workspace) -> None:
    done = sealed(local, "nobody")

    assert (done.returncode, done.stdout.split()) == (0, []), done.stderr


def test_a_failing_local_is_not_followed_by_a_forbidden_frontier(local: Workspace, settings: Settings) -> None:
    configure.set_policy(local, {"frontier_never": ["competitor"]})
    local.close()
    with open_workspace(local.root, settings=replace(settings, local=lambda *_: failing("timeout"))) as reopened:
        step = compete(reopened, seed=3)

        assert (step.outcome, step.error, step.reason) == ("failed", "frontier-forbidden", "local-timeout")
        assert [attempt.target for attempt in attempts(reopened, step)] == ["local"]
        assert differences(reopened) == []


@pytest.mark.parametrize("shadow", [False, True])
def test_a_role_that_local_may_never_see_does_not_reach_a_bundle(
    local: Workspace, settings: Settings, shadow: bool
) -> None:
    configure.set_policy(local, {"local_never": ["competitor"], "shadow": shadow})
    local.close()

    def opened(directory: Path, *_: object) -> object:
        raise AssertionError(f"{directory} was opened")

    with open_workspace(local.root, settings=replace(settings, local=opened)) as reopened:
        step = compete(reopened, seed=3)

        assert (step.served, step.reason) == ("frontier", "role-not-eligible")
        assert [attempt.target for attempt in attempts(reopened, step)] == ["frontier"]
        assert differences(reopened) == []


def test_consent_is_a_policy_with_a_history(local: Workspace) -> None:
    configure.set_policy(local, {"local_never": "competitor, coach"}, by="ada")
    assert compete(local, seed=3).reason == "role-not-eligible"

    configure.set_policy(local, {"local_never": ""}, by="ada")
    assert compete(local, seed=4).served == "local"
    with pytest.raises(InvalidValue):
        configure.set_policy(local, {"frontier_never": [1]})
    assert active(local) is not None
    assert discover(local).id == "run-4"
