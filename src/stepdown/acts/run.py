"""A run is generations of steps, tournaments, gate decisions and knowledge. Discovery and routed work are the same run."""

from collections.abc import Callable

from stepdown.acts.configure import adopt_policy
from stepdown.acts.ending import budget_spent, nothing_served
from stepdown.acts.preparation import check, check_served
from stepdown.acts.under_way import RunUnderWay, nobody
from stepdown.errors import StepdownError
from stepdown.history import ledger, reader, rows, unfinished
from stepdown.routing.reasons import FrontierObjection
from stepdown.scenarios.protocol import Scenario
from stepdown.workspace import Workspace


def start(
    workspace: Workspace,
    scenario_name: str,
    *,
    seed: int = 0,
    generations: int = 8,
    candidates: int = 8,
    frontier: str = "search",
    purpose: str = rows.WORK,
    at_once: int | None = None,
    role: str | None = None,
    adopting: bool = False,
) -> RunUnderWay:
    """Start a run.

    Args:
        workspace: Where it is recorded.
        scenario_name: What is played.
        seed: Decides everything that is drawn.
        generations: How many, at least 1.
        candidates: How many in each.
        frontier: Word for the frontier provider.
        purpose: What it is for, see `rows.Run`.
        at_once: Calls under way at the frontier together, see `concurrent.calls_at_once`.
        role: Whose answers are looked for; the first that is judged, if nobody says.
        adopting: Whether the policy that a task asks for is taken over, where nobody set one; not for a run that is refused.

    Raises:
        NotFound: No such scenario, role or provider.
        InvalidValue: A number is out of range.
        Unavailable: The frontier cannot be had now, and no bundle stands in the slot.
    """
    plan = scenario_name, seed, generations, candidates, frontier
    scenario, asked, provider, together = check(workspace.settings, *plan, at_once=at_once, role=role, routed=True)
    check_served(workspace, scenario, asked, provider)
    if adopting:
        adopt_policy(workspace, scenario)
    run = _record(workspace, scenario, seed, generations, candidates, frontier, purpose)
    return RunUnderWay(workspace, run, scenario, asked, provider, together, wanted=at_once)


def _record(
    workspace: Workspace, scenario: Scenario, seed: int, generations: int, candidates: int, frontier: str, purpose: str
) -> rows.Run:
    with workspace.writing() as connection:
        run = rows.Run(
            id=f"run-{reader.count(connection, rows.Run) + 1}",
            scenario=scenario.name,
            scenario_version=scenario.version,
            seed=seed,
            generations=generations,
            candidates=candidates,
            frontier=frontier,
            session=workspace.session.begin(),
            at=workspace.now(),
            purpose=purpose,
        )
        ledger.append(connection, run)
    return run


def play(under_way: RunUnderWay, watch: Callable[[rows.Step], None] = nobody) -> rows.Run:
    """Play every generation of a started run that is not decided yet, and record its end.

    Raises:
        StepdownError: A broken promise; the run is recorded as failed where that is still possible.
    """
    try:
        for step in under_way.catch_up():
            watch(step)
        for _ in range(under_way.number, under_way.run.generations):
            under_way.advance(watch)
            if under_way.troubles[FrontierObjection.OVER_BUDGET]:
                break
    except StepdownError as error:
        fail(under_way, error)
        raise
    if under_way.troubles[FrontierObjection.OVER_BUDGET]:
        under_way.end("stopped", budget_spent(under_way.workspace, under_way.run, under_way.number))
    elif under_way.served:
        under_way.end()
    else:
        under_way.end("failed", nothing_served(under_way.troubles, under_way.run.frontier, under_way.frontier))
    return under_way.run


def fail(under_way: RunUnderWay, error: StepdownError) -> None:
    """Record that a run failed, where that is still possible."""
    with under_way.workspace.reading() as connection:
        calling = any(call.run == under_way.run.id for call in unfinished.calls(connection))
    # A call that is still open is closed with the run by recovery, when this session ends.
    if not calling:
        under_way.end("failed", str(error))
