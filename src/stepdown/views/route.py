"""A decision spelled out: every gate, what it looked at, and what it said."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stepdown.history import reader
from stepdown.routing.decide import decide
from stepdown.routing.facts import Facts, plain
from stepdown.routing.gates import GATES, Gate
from stepdown.scenarios.roles import proposer, role_named
from stepdown.views.prompts import outdated
from stepdown.workspace import Workspace
from stepdown.workspace.facts import gather


@dataclass(frozen=True, slots=True)
class GateReading:
    """One gate.

    Attributes:
        name: Its name.
        objection: Its reason, None when it has none.
        facts: What it looked at, by its name; a number without end is the word `inf`.
    """

    name: str
    objection: str | None
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Explanation:
    """What would happen to a step now.

    Attributes:
        serves: `local`, `frontier`, or `nobody` when the frontier is forbidden.
        reason: Why local would not.
        problem: What is wrong with the bundle on disk, if anything.
        gates: Every gate, in order.
        outdated: That its bundle was measured with other knowledge than prompts have now; empty when it was not.
    """

    serves: str
    reason: str | None
    problem: str
    gates: tuple[GateReading, ...]
    outdated: str = ""


def explain_route(workspace: Workspace, scenario_name: str, role: str | None = None, seed: int = 0) -> Explanation:
    """Gather the facts and ask every gate, without asking any provider.

    Raises:
        NotFound: No such scenario or role.
    """
    scenario = workspace.scenario(scenario_name)
    role = (role_named(scenario, role) if role is not None else proposer(scenario)).name
    with workspace.reading() as connection:
        scene = gather(workspace, connection, scenario, role, seed)
        bundle = reader.slot_bundle(connection, scenario.name, role)
        newest = reader.newest_evaluation(connection, bundle.id) if bundle else None
        old = outdated(connection, bundle, newest) if bundle else ""
    decision = decide(scene.facts)
    otherwise = "frontier" if scene.facts.frontier_objection is None else "nobody"
    gates = tuple(GateReading(gate.name, gate.ask(scene.facts), _seen(scene.facts, gate)) for gate in GATES)
    return Explanation("local" if decision.local else otherwise, decision.reason, scene.problem, gates, old)


def _seen(facts: Facts, gate: Gate) -> Mapping[str, Any]:
    return {name: plain(getattr(facts, name)) for name in gate.reads}
