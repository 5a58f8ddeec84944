"""What a run needs before it can start: a scenario, a role, numbers in their range, and somebody who could serve."""

from stepdown.acts.concurrent import calls_at_once
from stepdown.errors import InvalidValue, Unavailable
from stepdown.history import reader
from stepdown.providers.missing import Missing
from stepdown.providers.protocol import Provider
from stepdown.scenarios import roles
from stepdown.scenarios.protocol import Scenario
from stepdown.scenarios.roles import Role
from stepdown.workspace import Settings, Workspace


def check(
    settings: Settings,
    scenario_name: str,
    seed: int,
    generations: int,
    candidates: int,
    frontier: str,
    *,
    at_once: int | None = None,
    role: str | None = None,
    routed: bool = False,
) -> tuple[Scenario, Role, Provider, int]:
    """Return what a run would be played with, if it can be started: asked before a workspace is made for it.

    Raises:
        NotFound: No such scenario, role or provider.
        InvalidValue: A number is out of range.
        Unavailable: The frontier cannot be had now, and the run is not `routed`: no bundle could serve in its stead.
    """
    if not (1 <= generations <= 10_000 and 1 <= candidates <= 1_000 and 0 <= seed < 2**63):
        raise InvalidValue(
            f"A run needs 1 to 10000 generations of 1 to 1000 candidates and a seed from 0 to 2**63 - 1, "
            f"not {generations} of {candidates} with seed {seed}."
        )
    scenario = settings.scenario(scenario_name)
    asked = roles.proposer(scenario) if role is None else roles.judged_role(scenario, role)
    provider = frontier_of(settings, frontier, scenario, routed=routed)
    return scenario, asked, provider, calls_at_once(provider, at_once)


def frontier_of(settings: Settings, spec: str, scenario: Scenario, *, routed: bool) -> Provider:
    """Return the frontier that a word names, or what stands for it while it cannot be had, where a bundle could serve.

    Raises:
        NotFound: There is none of that name.
        Unavailable: It cannot be had now, and the run is not routed.
    """
    try:
        return settings.frontier(spec, scenario)
    except Unavailable as error:
        if not routed:
            raise
        return Missing.named(spec, error)


def check_served(workspace: Workspace, scenario: Scenario, role: Role, frontier: Provider) -> None:
    """Refuse a run that nobody could serve: its frontier cannot be had now, and no bundle stands in the slot.

    Raises:
        Unavailable: What is missing, and what to do.
    """
    if not isinstance(frontier, Missing):
        return
    with workspace.reading() as connection:
        if reader.slot_bundle(connection, scenario.name, role.name) is None:
            raise Unavailable(frontier.why, kind=frontier.kind)
