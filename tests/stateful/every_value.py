"""Every rule of the machine with each of its values, in one fixed order: what chance would come to, in less than a minute.

For those who want a verdict soon, like a mutation tester. The rules are the machine's, and so is the oracle; only the choice is
made here, and what finds most comes first. `python -m stateful.every_value` tries them all; without a failure it ends with a
campaign.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from itertools import product

from stateful.children import HarnessBrokenError
from stateful.lies import tell_every_lie
from stateful.test_handoff import StepdownLearning, StepdownMachine, StepdownRegistry
from stepdown_machine import operations as op
from stepdown_machine.campaign import campaign
from stepdown_machine.findings import Disagreement
from stepdown_machine.model import REASONS
from stepdown_machine.protocol import DAMAGES, PLANTS, VALIDATORS
from stepdown_machine.rules.chaos import at_once
from stepdown_machine.rules.discovery import HIGHEST
from stepdown_machine.rules.kills import killable, raceable
from stepdown_machine.rules.policy import POSITIONS, SETTINGS
from stepdown_machine.rules.succession import THEN, WHO

Stop = Callable[[StepdownMachine], None]
"""A part of it, on a system of its own that serves locally."""

LIMITS = ("min_score", "min_valid", "min_coverage", "max_age", "max_lessons")


def reasons(machine: StepdownMachine) -> None:
    """Every reason, and the way back from it; then every report, and an audit."""
    for place, cause in enumerate(REASONS):
        machine.lead_to(cause=cause, choice=place)
    for run in machine.session.names.of("run"):
        machine.inspect(run=run, how="report", choice=0)
    for how in ("reopen", "audit"):
        machine.inspect(run="run-1", how=how, choice=0)


def stories(machine: StepdownMachine) -> None:
    """Every story that belongs to no stop of its own, told twice."""
    for word, story in machine.episodes().items():
        if word not in (*REASONS, "be killed", "be raced"):
            story(1)
            story(2)
    machine.inspect(run="run-1", how="audit", choice=0)


def settings(machine: StepdownMachine) -> None:
    """Every setting and every position of every limit."""
    for setting in SETTINGS:
        machine.configure(setting=setting, runs=1)
        machine.mend()
        machine.follow(1)
    for name in VALIDATORS:
        machine.configure(setting=("switch off", name), runs=1)
    machine.mend()
    for limit, position in product(LIMITS, POSITIONS):
        machine.move_limit(limit=limit, position=position, runs=1)
    machine.inspect(run="run-1", how="audit", choice=0)


def exports(machine: StepdownMachine) -> None:
    """Every filter, after runs that filters tell apart; every way to train."""
    for seed, (local, frontier) in enumerate((("calm", "calm"), ("error", "calm"), ("calm", "illegal"))):
        machine.disturb(local=local, frontier=frontier, runs=0)
        machine.run(seed=seed, generations=2, candidates=2)
    machine.mend()
    for run, limit, kept in product(
        (None, *machine.session.names.of("run"), "run-99"), (None, "at", "above"), (False, True)
    ):
        machine.export(run=run, scenario=None, limit=limit, kept_only=kept, include_local=limit == "at", again=kept)
    for limit in HIGHEST:
        machine.export(run=None, scenario=None, limit=limit, kept_only=False, include_local=False, again=False)
    for imported, kept in product(("two", "one", "none"), (False, True)):
        machine.export(
            run=None, scenario=None, limit="at", kept_only=kept, include_local=False, again=kept, imported=imported
        )
    for how in ("use", "only", "again", "fresh", "tampered"):
        machine.train(dataset=machine.session.names.of("dataset")[0], plan="tiny-a", how=how)
    machine.inspect(run="run-1", how="audit", choice=0)


def succession(machine: StepdownMachine) -> None:
    """Promotions, ways back, and what is cleared away."""
    for place, then in enumerate(THEN):
        machine.promote(
            bundle="bundle-1", who=WHO[place % 4], margin=("wide", "at", "above", "none")[place % 4], then=then
        )
        machine.mend()
        machine.follow(1)
    machine.promote(bundle="bundle-1", who="another", margin="wide", then="roll back")
    machine.export(run=None, scenario=None, limit=None, kept_only=False, include_local=True, again=False)
    machine.inspect(run="run-1", how="audit", choice=0)


def damages(machine: StepdownMachine) -> None:
    """Every damage, by the operator and by accident."""
    # A digest that differs can be lower or higher: each flip is another one.
    for how in (*DAMAGES, *["flip"] * 4, *PLANTS, "restore"):
        machine.damage(bundle="bundle-1", how=how, runs=1)
        machine.mend()
    for to in ("disable", "disable", "enable", "enable", "activate", "retire", "delete", "activate"):
        machine.switch(bundle="bundle-1", to=to, runs=1)
    for moment in ("a second", "expiry", "window", "a day", "back a minute"):
        machine.wait(until=moment, runs=1)
    machine.inspect(run="run-1", how="audit", choice=0)


def kills(machine: StepdownMachine) -> None:
    """Every point at which a process can be killed, with nothing wrong; and in a run while local fails."""
    killed = set()
    for local in ("calm", "error"):
        machine.disturb(local=local, frontier="calm", runs=0)
        for place in range(8):
            for victim in killable(machine, place):
                for point in machine.session.description.points[type(victim).__name__]:
                    moment = (type(victim), point, local if isinstance(victim, op.Run) else "")
                    if moment not in killed:
                        killed.add(moment)
                        machine.crash(what=op.Crash(victim, point))
        machine.mend()
        machine.follow(1)
    machine.inspect(run="run-1", how="audit", choice=0)


def races(machine: StepdownMachine) -> None:
    """Every act at the same time as eight others, freely and held."""
    for first, place in product(range(12), range(8)):
        known = raceable(machine, first % 4)
        pair = known[first % len(known)], known[(first + place) % len(known)]
        machine.race(what=at_once(machine, *pair, apart=place > 0, hold=first + place))
    machine.inspect(run="run-1", how="audit", choice=0)


STOPS: tuple[Stop, ...] = (reasons, tell_every_lie, stories, settings, exports, succession, damages, kills, races)


def verdict(examples: int, start: int) -> str | None:
    """Make every stop and run a campaign of each machine; return where the first fault was found and what it broke."""
    for stop in STOPS:
        if claim := _made(stop):
            return said(stop.__name__, claim)
    for machine in (StepdownMachine, StepdownLearning, StepdownRegistry) if examples else ():
        found = campaign(machine, start, examples=examples)
        if found.claims:
            return said(machine.__name__, found.claims[0])
    return None


FOUND = "found by "
"""Begins a verdict, so that nobody takes a module that cannot be imported for one."""
BROKEN = "broken harness in "
"""Begins what is no verdict: the machinery failed, and nothing was seen."""


def said(where: str, claim: str) -> str:
    """Say where a claim was broken; a harness that broke is no verdict."""
    return f"{BROKEN if claim == HarnessBrokenError.__name__ else FOUND}{where}: {claim}"


def _made(stop: Stop) -> str | None:
    """Make one stop; return the claim that was broken, or the name of any other exception."""
    machine = StepdownMachine()
    try:
        machine.begin(start="serving")
        stop(machine)
        machine.teardown()
    except Disagreement as found:
        return found.findings[0].claim
    except Exception as error:
        return type(error).__name__
    return None


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=8, help="of each campaign; 0 for none")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    sys.exit(verdict(asked.examples, asked.seed))
