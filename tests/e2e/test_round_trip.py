"""The whole journey in one process: discovered, exported, trained, routed, fallen back, restored, proven."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from journey import SCENARIO, active, attempts, calls, compete, discover, localized, steps
from stepdown.acts import configure, switch
from stepdown.digest import sha256
from stepdown.history import rows
from stepdown.reports.markdown import render
from stepdown.routing.reasons import Reason
from stepdown.training.plan import Plan
from stepdown.training.records import Filters
from stepdown.views.audit import differences
from stepdown.views.runs import story
from stepdown.workspace import Workspace


@contextmanager
def removed(workspace: Workspace) -> Iterator[None]:
    directory = workspace.bundle_directory(active(workspace).id)
    directory.rename(workspace.root / "aside")
    yield
    (workspace.root / "aside").rename(directory)


@contextmanager
def disabled(workspace: Workspace) -> Iterator[None]:
    bundle = active(workspace).id
    switch.disable(workspace, bundle)
    yield
    switch.enable(workspace, bundle)


@contextmanager
def raised(workspace: Workspace) -> Iterator[None]:
    configure.set_policy(workspace, {"min_score": 1.0})
    yield
    configure.set_policy(workspace, {"min_score": 0.75})


@contextmanager
def byte_flipped(workspace: Workspace) -> Iterator[None]:
    path = workspace.bundle_directory(active(workspace).id) / "model.safetensors"
    kept = path.read_bytes()
    path.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
    yield
    path.write_bytes(kept)


@contextmanager
def validators_off(workspace: Workspace) -> Iterator[None]:
    for name in ("unit-range", "budget"):
        configure.switch_validator(workspace, SCENARIO, name, enabled=False)
    yield
    for name in ("unit-range", "budget"):
        configure.switch_validator(workspace, SCENARIO, name, enabled=True)


@contextmanager
def forced(workspace: Workspace) -> Iterator[None]:
    configure.set_policy(workspace, {"mode": "frontier-only"})
    yield
    configure.set_policy(workspace, {"mode": "auto"})


OBSTACLES = {
    removed: Reason.BUNDLE_ABSENT,
    disabled: Reason.BUNDLE_DISABLED,
    raised: Reason.QUALITY_BELOW_THRESHOLD,
    byte_flipped: Reason.BUNDLE_INTEGRITY,
    validators_off: Reason.COVERAGE_WEAK,
    forced: Reason.FRONTIER_FORCED,
}


def is_served_by_local(workspace: Workspace, step: rows.Step) -> bool:
    """Both witnesses name the side, the bundle and the digest of the very weights that lie on disk."""
    (attempt,), (line,) = attempts(workspace, step), calls(workspace, step)
    bundle = active(workspace)
    digest = sha256((workspace.bundle_directory(bundle.id) / "model.safetensors").read_bytes())
    assert digest == bundle.weights_digest
    seen = {(w.target, w.bundle, w.provider, w.model, w.weights_digest) for w in (attempt, line)}
    return step.served == "local" and seen == {("local", bundle.id, "stepdown-local", bundle.id, digest)}


def is_fallen_back(workspace: Workspace, step: rows.Step, reason: Reason) -> bool:
    """Local was not asked, by either witness, and exactly this reason is kept with the step."""
    (attempt,), (line,) = attempts(workspace, step), calls(workspace, step)
    assert {attempt.target, line.target, step.served, step.requested} == {"frontier"}
    assert (attempt.weights_digest, line.weights_digest) == (None, None)
    return step.reason == reason and step.objections == [reason]


@pytest.mark.parametrize("obstacle", OBSTACLES, ids=lambda obstacle: obstacle.__name__)
def test_local_falls_back_with_its_reason_and_returns_when_the_cause_is_gone(
    obstacle: Callable[[Workspace], "contextmanager[None]"], local: Workspace
) -> None:
    assert is_served_by_local(local, compete(local, seed=1))

    with obstacle(local):
        assert is_fallen_back(local, compete(local, seed=2), OBSTACLES[obstacle])

    assert is_served_by_local(local, compete(local, seed=3))
    assert differences(local) == []


def test_the_whole_journey_from_an_empty_directory(workspace: Workspace, tmp_path: Path) -> None:
    # The one training of demo size: the net has to learn a whole search, not three strategies by heart.
    discovery = discover(workspace, generations=20, candidates=8)
    assert {(step.served, step.reason) for step in steps(workspace, discovery.id)} == {("frontier", "bundle-absent")}
    trained = localized(workspace, Plan(), Filters(SCENARIO, min_score=0.86))
    assert trained.evaluation.mean is not None
    assert trained.evaluation.mean >= 0.80
    assert trained.evaluation.valid is not None
    assert trained.evaluation.valid >= 0.90
    assert compete(workspace, seed=1).reason == "bundle-absent"

    switch.activate(workspace, trained.bundle.id, forced=True, why="it has shown what it can")
    routed = discover(workspace, seed=1, generations=2, candidates=4)
    served = [step for step in steps(workspace, routed.id) if step.served == "local"]
    assert len(served) >= 4
    assert all(is_served_by_local(workspace, step) for step in served if len(attempts(workspace, step)) == 1)

    shutil.rmtree(workspace.bundle_directory(trained.bundle.id))
    assert is_fallen_back(workspace, compete(workspace, seed=2), Reason.BUNDLE_ABSENT)

    told = story(workspace, routed.id)
    assert told.served["local"] == len(served)
    assert f"| local | {len(served)} |" in render(told)
    assert differences(workspace) == []


def test_the_coach_is_always_the_frontier(local: Workspace) -> None:
    run = discover(local, seed=1, generations=2, candidates=1)

    coached = steps(local, run.id, "coach")
    assert [(step.served, step.reason) for step in coached] == [("frontier", "role-not-eligible")] * 2


def test_knowledge_files_say_what_the_newest_row_says(workspace: Workspace) -> None:
    discover(workspace, generations=4, candidates=4)

    with workspace.reading() as connection:
        known = workspace.knowledge(connection, SCENARIO)
    assert known.version > 0
    playbook = (workspace.root / "knowledge" / SCENARIO / "playbook.md").read_text("utf-8")
    assert f"version {known.version}" in playbook
    assert known.playbook in playbook


def test_the_trace_file_speaks_opentelemetry(local: Workspace) -> None:
    step = compete(local, seed=5)

    lines = [json.loads(line) for line in local.trace.read_text("utf-8").splitlines()]
    start, end = (line for line in lines if line["stepdown.call"] == step.served_call)
    assert (start["event"], end["event"]) == ("start", "end")
    assert end["gen_ai.provider.name"] == "stepdown-local"
    assert end["gen_ai.request.model"] == end["gen_ai.response.model"] == active(local).id
    assert end["gen_ai.usage.input_tokens"] > 0
    assert end["gen_ai.usage.output_tokens"] > 0
