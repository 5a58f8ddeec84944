"""One step back to the last good bundle. It is found whole and loads before the slot's pointer moves, or nothing moves."""

from sqlalchemy import Connection

from stepdown.acts import switch
from stepdown.acts.examine import trying
from stepdown.acts.question import rendering
from stepdown.acts.switch import OPERATOR
from stepdown.bundles.standing import ROLLBACK
from stepdown.bundles.trail import behind
from stepdown.errors import LocalError, Refused
from stepdown.history import reader, rows
from stepdown.scenarios.roles import judged_role, proposer, role_named
from stepdown.scenarios.wording import wording
from stepdown.training.evaluation import held_out_seeds
from stepdown.workspace import Workspace
from stepdown.workspace.facts import unfit


def rollback(
    workspace: Workspace, scenario_name: str, role: str | None = None, *, by: str = OPERATOR, why: str = ""
) -> rows.Bundle:
    """Point a slot at the last bundle it held before that is still good: in service, whole, and answering.

    Returns:
        The bundle that the slot holds now.

    Raises:
        NotFound: There is no such scenario.
        InvalidValue: Nobody asks, or somebody under a mechanism's name.
        Refused: No earlier bundle is good (kind `nothing-to-roll-back`), or the slot changed hands meanwhile (`stale`).
    """
    scenario = workspace.scenario(scenario_name)
    role = proposer(scenario).name if role is None else role_named(scenario, role).name
    switch.check_name(by)
    with workspace.reading() as connection:
        hands = switch.hands(connection, scenario_name, role)
        earlier = way_back(connection, scenario_name, role)
    target = _first_good(workspace, earlier, f"{scenario_name} {role}")
    workspace.reached("rollback-checked")
    with workspace.writing() as connection:
        if switch.hands(connection, scenario_name, role) != hands:
            raise Refused(
                f"The slot {scenario_name} {role} changed hands while it was rolled back; look at "
                "`stepdown bundles history` and roll back again if that is still wanted.",
                kind="stale",
            )
        switch.point(workspace, connection, target, by=ROLLBACK, why=switch.asked_for(by, why))
    workspace.reached("act-recorded")
    return target


def way_back(connection: Connection, scenario: str, role: str) -> list[rows.Bundle]:
    """Return the bundles that a slot can go back to and that are in service, the nearest first."""
    current = reader.slot_bundle(connection, scenario, role)
    names = behind(reader.acts(connection), (scenario, role), current.id if current else None)
    bundles = [reader.bundle(connection, name) for name in names]
    return [bundle for bundle in bundles if bundle is not None]


def leads_to(workspace: Workspace, connection: Connection, scenario: str, role: str) -> rows.Bundle | None:
    """Return where a rollback would lead, as far as rows and files say; whether it answers, only a rollback tries."""
    earlier = way_back(connection, scenario, role)
    return next((bundle for bundle in earlier if _unfit(workspace, connection, bundle) is None), None)


def _first_good(workspace: Workspace, earlier: list[rows.Bundle], slot: str) -> rows.Bundle:
    problems = []
    for bundle in earlier:
        problem = _problem(workspace, bundle)
        if problem is None:
            return bundle
        problems.append(f"{bundle.id[:12]}: {problem.rstrip('.')}")
    why = f" ({'; '.join(problems)})" if problems else ""
    raise Refused(
        f"The slot {slot} has no earlier bundle to roll back to{why}; promote or activate one.",
        kind="nothing-to-roll-back",
    )


def _problem(workspace: Workspace, bundle: rows.Bundle) -> str | None:
    """Return why a bundle could not serve; None when it is fit and answers a prompt as in serving."""
    with workspace.reading() as connection:
        unfit = _unfit(workspace, connection, bundle)
        knowledge = workspace.knowledge(connection, bundle.scenario)
    look = workspace.look(bundle.id)
    if unfit is not None or look.manifest is None:
        return unfit or "it changed while it was looked at"
    scenario = workspace.scenario(bundle.scenario)
    try:
        (seed, *_), role = held_out_seeds(scenario), judged_role(scenario, bundle.role)
        provider = workspace.provider(workspace.bundle_directory(bundle.id), look)
        trying(workspace, bundle.id).ask(provider, role, [rendering(scenario, role, knowledge, seed)], [seed])
    except (LocalError, Refused) as error:
        return str(error)
    return None


def _unfit(workspace: Workspace, connection: Connection, bundle: rows.Bundle) -> str | None:
    """Return what rows and files say against a bundle: switched off, not whole, or made for something else."""
    try:
        switch.check_usable(workspace, connection, bundle.id)
    except Refused as refusal:
        return str(refusal)
    manifest = workspace.look(bundle.id).manifest
    if manifest is None:
        return "it changed while it was looked at"
    scenario = workspace.scenario(bundle.scenario)
    return unfit(manifest, scenario, bundle.role, wording(scenario, bundle.role)) or None
