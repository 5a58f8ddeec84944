"""One workspace in which everything happened once, for those who look whether an audit believes it."""

import json
import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from journey import FRONTIER, SCENARIO, Hands, active, compete, discover, localized, tape
from stepdown.acts import configure, switch
from stepdown.acts.ask import judge
from stepdown.acts.imports import bring, read
from stepdown.acts.opening import open_workspace
from stepdown.acts.promote import promote
from stepdown.acts.prune import prune
from stepdown.acts.resume import resume_run
from stepdown.acts.rollback import rollback
from stepdown.acts.run import play
from stepdown.training.plan import Plan
from stepdown.training.promotion import Trial
from stepdown.views.audit import differences
from stepdown.views.runs import runs
from stepdown.workspace import Settings, Workspace


def live(handed_down: Path, base: Path) -> Path:
    """Make a workspace that has seen everything: local and frontier, fallbacks, failures, knowledge, policies."""
    shutil.copytree(handed_down, base / "workspace")
    hands = Hands()
    with open_workspace(base / "workspace", settings=Settings(clock=hands.clock, durability="normal")) as opened:
        discover(opened, seed=1, generations=2, candidates=2)
        configure.set_policy(opened, {"local_timeout": 0.001, "min_score": 0.5})
        compete(replace_clock(opened, hands), seed=2)
        configure.set_policy(opened, {"local_timeout": 10.0, "mode": "frontier-only"})
        discover(opened, seed=3, candidates=8, frontier=f"recorded:{FRONTIER}")
        failed = tape(base / "tape.jsonl", [{"error": "rate-limit"}])
        discover(opened, seed=4, candidates=1, frontier=f"recorded:{failed}")
        configure.set_policy(opened, {"mode": "local-only"})
        discover(opened, seed=5, candidates=1)
        handed_over(opened)
        heard(opened, base)
        assert differences(opened) == []
    settings = Settings(clock=hands.clock, durability="normal", reached=interrupt)
    with suppress(KeyboardInterrupt), open_workspace(base / "workspace", settings=settings) as opened:
        discover(opened, seed=8, candidates=1)
    with open_workspace(base / "workspace", settings=replace(settings, reached=lambda _point: None)) as opened:
        play(resume_run(opened, runs(opened)[-1][0].id))
        assert differences(opened) == []
    return base / "workspace"


def interrupt(point: str) -> None:
    """Be stopped as soon as a call is announced, and before anybody is asked."""
    if point == "announced":
        raise KeyboardInterrupt


def handed_over(workspace: Workspace) -> None:
    """Let a successor be compared, rejected, forced into the slot, watched under a weak harness and rolled back."""
    good = active(workspace)
    configure.set_policy(workspace, {"mode": "auto", "min_valid": 0.8})
    weak, spare = (localized(workspace, Plan.tiny(iterations=1, seed=seed)).bundle for seed in (1, 2))
    configure.switch_validator(workspace, SCENARIO, "budget", enabled=False)
    promote(workspace, weak.id, trial=Trial(margin=0.1, budget=64))
    switch.activate(workspace, weak.id, forced=True)
    compete(workspace, seed=6)
    configure.switch_validator(workspace, SCENARIO, "budget", enabled=True)
    rollback(workspace, SCENARIO)
    switch.disable(workspace, good.id)
    switch.enable(workspace, good.id)
    switch.retire(workspace, weak.id)
    switch.delete(workspace, weak.id)
    prune(workspace, [spare.id])
    configure.set_policy(workspace, {"canary": 0.5, "min_valid": 0.9})
    discover(workspace, seed=7, candidates=2)


def heard(workspace: Workspace, base: Path) -> None:
    """Let somebody judge an answer late, and a log of another system be brought in."""
    call = compete(workspace, seed=9).served_call
    assert call is not None
    judge(workspace, call, 0.75, by="zoe", why="read it")
    question = {"role": "user", "content": json.dumps({"enemy_spawn_bias": 0.5, "resource_density": 0.25})}
    answer = {"role": "assistant", "content": '{"aggression": 0.6, "defense": 0.4, "path_bias": 0.5}'}
    lines = [{"model": "big-1", "messages": [question, answer]}, {"messages": [question]}]
    (base / "old.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    bring(workspace, read(workspace.scenario(SCENARIO), base / "old.jsonl"), by="zoe", why="what we had")


def replace_clock(workspace: Workspace, hands: Hands) -> Workspace:
    """Let a second pass at every look at the stopwatch, so that local is never in time."""

    def seconds() -> float:
        hands.forward(1.0)
        return hands.seconds

    clock = replace(hands.clock, monotonic=seconds)
    workspace.loaded.clear()
    return Workspace(workspace.root, workspace.engine, replace(workspace.settings, clock=clock), workspace.session, {})
