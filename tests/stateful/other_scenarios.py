"""What else lives in the database: two scenarios and two roles before and after the machine's own in the alphabet.

The machine never speaks of them, and a query that forgets whose rows it wants finds theirs. An audit has from the first moment
everything to look at: local and frontier, every failure, a shadow, a canary, an interruption, a verdict, a way back.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from stateful.asking import ALLOWED
from stateful.environment import NEIGHBOURS, Environment, settings
from stepdown.acts import configure, switch
from stepdown.acts.export import export
from stepdown.acts.localize import localize
from stepdown.acts.opening import open_workspace
from stepdown.acts.promote import promote
from stepdown.acts.rollback import rollback
from stepdown.acts.run import play, start
from stepdown.history import ledger, rows
from stepdown.routing.policy import Policy
from stepdown.training.plan import Plan
from stepdown.training.promotion import Trial
from stepdown.training.records import Filters
from stepdown.workspace import Workspace

FIRST, LAST = NEIGHBOURS
ROLES = ("analyst", "zealot")
UNSET = {
    "mode": "auto", "local_roles": ["competitor"], "local_never": [], "frontier_never": [], "min_score": 0.75,
    "min_valid": 0.9, "min_coverage": 0.95, "max_age": 2_592_000.0, "max_lessons": 50.0,
    "local_timeout": ALLOWED["local"], "frontier_timeout": ALLOWED["frontier"], "breaker_threshold": 3,
    "breaker_window": 300.0, "breaker_cooldown": 60.0, "breaker_probes": 1, "shadow": False, "canary": 1.0,
}  # fmt: skip
"""Who serves in a fresh workspace is decided by these; whoever changes one changes what happens everywhere."""
LENIENT = {"min_score": 0.0, "min_valid": 0.0, "min_coverage": 0.0, "breaker_threshold": 2, "breaker_cooldown": 0.0}


class Interruption(BaseException):
    """What a process gets that is told to stop."""


def settle(root: Path, cache: Path, plans: Iterable[Plan], ours: str) -> None:
    """Make a workspace in which the neighbours have lived."""
    environment = Environment()
    composed = settings(environment, root, cache)
    with open_workspace(root, settings=composed) as opened:
        # Under the policy that nobody set.
        play(start(opened, LAST, seed=4, generations=1, candidates=1))
        with opened.reading() as connection:
            assert opened.policy(connection) == (0, Policy.from_json(UNSET)), (
                "the policy that nobody set is another one"
            )
        configure.set_policy(opened, LENIENT)
        _live(opened, environment, list(plans))
        _others(opened, environment, ours)
        for scenario, role in ((LAST, "competitor"), *((ours, role) for role in ROLES)):
            _plant(opened, scenario, role)
        play(start(opened, LAST, seed=5, generations=2, candidates=2))
    with suppress(Interruption), open_workspace(root, settings=replace(composed, reached=_interrupt)) as opened:
        play(start(opened, FIRST, seed=6))
    with open_workspace(root, settings=composed) as opened:
        for scenario in NEIGHBOURS:
            for validator in opened.scenario(scenario).validators:
                configure.switch_validator(opened, scenario, validator, enabled=False)
        configure.set_policy(opened, Policy().as_json())
    assert not environment.wrong, environment.wrong[0]


def _interrupt(point: str) -> None:
    if point == "answered":
        raise Interruption


def _live(workspace: Workspace, environment: Environment, plans: list[Plan]) -> None:
    """Live a whole life in the first neighbour's scenario."""
    play(start(workspace, FIRST, seed=1, generations=2, candidates=2))
    made = export(workspace, Filters(FIRST, matches=True))
    one, two = (localize(workspace, made.path, plan=plan).bundle.id for plan in plans)
    switch.activate(workspace, one, forced=True)
    for local, frontier in (("calm", "calm"), ("error", "calm"), ("garbage", "error"), ("timeout", "illegal")):
        environment.local, environment.frontier = local, frontier
        play(start(workspace, FIRST, seed=2, generations=1, candidates=2))
    environment.local, environment.frontier = "calm", "calm"
    for change in ({"shadow": True}, {"shadow": False, "canary": 0.5}, {"canary": 1.0}, {"mode": "local-only"}):
        configure.set_policy(workspace, change)
        play(start(workspace, FIRST, seed=3, generations=1, candidates=2))
    configure.set_policy(workspace, {"mode": "auto"})
    # As good as the frontier without any margin it cannot be shown to be: this one is held where it is, by force.
    promote(workspace, one, trial=Trial(margin=0.0, budget=16, look=8))
    switch.activate(workspace, two, forced=True)
    rollback(workspace, FIRST)
    promote(workspace, two, trial=Trial(margin=0.5, budget=16, look=8))
    switch.disable(workspace, two)
    switch.enable(workspace, two)


def _others(workspace: Workspace, environment: Environment, scenario: str) -> None:
    """Let frontiers of other names be paid in the machine's own scenario, for replies that teach nobody anything."""
    configure.set_policy(workspace, {"frontier_never": "coach"})
    configure.switch_validator(workspace, scenario, "budget", enabled=False)
    environment.frontier = "illegal"
    for word in ("another", "zeal"):
        play(start(workspace, scenario, seed=7, generations=1, candidates=1, frontier=word))
    environment.frontier = "calm"
    configure.switch_validator(workspace, scenario, "budget", enabled=True)
    configure.set_policy(workspace, {"frontier_never": ""})


def _plant(workspace: Workspace, scenario: str, role: str) -> None:
    """Register and activate a bundle whose directory is gone."""
    at, name = workspace.now(), f"{scenario} {role}".encode().hex().ljust(64, "0")
    with workspace.writing() as connection:
        registered = rows.Bundle(name, scenario, role, "0" * 64, "0" * 64, "0" * 64, at, "", at)
        activated = rows.Act("activate", scenario, role, name, True, "a neighbour", "", at)
        ledger.append(connection, registered, activated)
