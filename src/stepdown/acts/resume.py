"""A run goes on after it had ended before it was done: what stands is kept, and the rest is done as it would have been.

A call that was under way when the process died is closed, and its place is taken: nobody is asked twice for one step.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from stepdown.acts.concurrent import calls_at_once
from stepdown.acts.judging import found
from stepdown.acts.preparation import check_served, frontier_of
from stepdown.acts.question import examples
from stepdown.acts.under_way import Champion, RunUnderWay
from stepdown.errors import NotFound, Refused
from stepdown.history import endings, ledger, reader, rows
from stepdown.routing.reasons import FrontierObjection
from stepdown.scenarios import roles
from stepdown.scenarios.judging import JUDGE
from stepdown.scenarios.prompt import Knowledge
from stepdown.scenarios.wording import wording
from stepdown.training.promotion import Trial
from stepdown.workspace import Workspace


def resume_run(workspace: Workspace, run_id: str, *, at_once: int | None = None) -> RunUnderWay:
    """Go on with a run of generations; `run.play` does the rest of it.

    Args:
        workspace: Where it is recorded.
        run_id: The run's id.
        at_once: Calls under way at the frontier together.

    Raises:
        NotFound: There is no such run, or its frontier is not here any more.
        Refused: It is done, still under way, no run of generations, or its scenario is of another version now.
    """
    with workspace.reading() as connection:
        run = found_run(connection, run_id, rows.WORK)
        steps, generations = reader.steps(connection, run_id), reader.generations(connection, run_id)
    role = _role(workspace, run, steps)
    under_way = reopened(workspace, run, role, at_once)
    under_way.number = len(generations)
    decided = [step for step in steps if step.generation <= under_way.number]
    for step in (step for step in steps if step.position < run.candidates):
        under_way.count(step)
    # What a budget refused then, it may allow now.
    del under_way.troubles[FrontierObjection.OVER_BUDGET]
    under_way.examples = examples(found(under_way.scenario, run, role, decided))
    last = generations[-1] if generations else None
    if last is not None and last.champion is not None and last.champion_score is not None:
        knowledge = next(step.knowledge for step in decided if step.id == last.champion)
        under_way.champion = Champion(last.champion, last.champion_score, knowledge)
    for number in (under_way.number, under_way.number + 1):
        under_way.standing[number] = [step for step in steps if step.generation == number]
    return under_way


@dataclass(frozen=True, slots=True)
class Begun:
    """A comparison that had ended before its verdict.

    Attributes:
        run: Its run.
        steps: Those that were taken, by position.
        judged: Those that judged, where a model judges.
        knowledge: In their prompts; None before the first.
    """

    run: rows.Run
    steps: dict[int, rows.Step]
    judged: Sequence[rows.Step]
    knowledge: Knowledge | None


def begun_comparison(workspace: Workspace, run_id: str, bundle: rows.Bundle, seeds: int, trial: Trial) -> Begun:
    """Return a comparison that a bundle may go on with.

    Raises:
        NotFound: There is no such run.
        Refused: It is done, under way, of another scenario or role, or for another budget or error rate.
    """
    with workspace.reading() as connection:
        run = found_run(connection, run_id, rows.COMPARISON)
        taken = reader.steps(connection, run_id)
        judged = [step for step in taken if step.role == JUDGE]
        steps = {step.position: step for step in taken if step.role != JUDGE}
        first, asked = next(iter(taken), None), next(iter(steps.values()), None)
        lesson = reader.knowledge(connection, run.scenario, first.knowledge) if first is not None else None
        spent = reader.newest(connection, rows.Spending, run=run_id)
    if run.scenario != bundle.scenario or (asked is not None and asked.role != bundle.role):
        raise Refused(f"{run_id} compares bundles of another slot than {bundle.id[:12]}'s.", kind="run-of-another-kind")
    if run.candidates != seeds:
        raise Refused(
            f"{run_id} was begun with a budget of {run.candidates} seeds; give the same one.",
            kind="run-of-another-kind",
        )
    if spent is not None and spent.share != trial.share(spent.number):
        raise Refused(f"{run_id} was begun with another error rate; give the same one.", kind="run-of-another-kind")
    if lesson is not None:
        return Begun(run, steps, judged, Knowledge(lesson.version, lesson.playbook, lesson.hints))
    return Begun(run, steps, judged, Knowledge() if first is not None else None)


def found_run(connection: Connection, run_id: str, purpose: str) -> rows.Run:
    """Return a run that may go on.

    Raises:
        NotFound: There is none.
        Refused: It is for something else, under way, or done.
    """
    run = reader.run(connection, run_id)
    if run is None:
        raise NotFound(f"There is no run {run_id!r}; `stepdown report` lists them.", kind="unknown-run")
    if run.purpose != purpose:
        other = "promote" if run.purpose == rows.COMPARISON else "run"
        anew = run.purpose in (rows.LIVE, rows.EVALUATION)
        way = "cannot be resumed" if anew else f"is resumed by `stepdown {other} --resume`"
        raise Refused(f"{run_id} is for {run.purpose}, and {way}.", kind="run-of-another-kind")
    ending = endings.last(connection, run_id)
    if ending is None:
        raise Refused(f"{run_id} is under way in a living process; let it end, or stop it.", kind="run-under-way")
    if ending.outcome == "completed" and (run.purpose == rows.WORK or reader.verdict_of(connection, run_id)):
        raise Refused(f"{run_id} is done; `stepdown report {run_id}` shows it.", kind="run-done")
    return run


def reopened(workspace: Workspace, run: rows.Run, role: roles.Role, at_once: int | None = None) -> RunUnderWay:
    """Record that a run goes on in this session, and return it.

    Raises:
        NotFound: Its frontier is not here any more.
        Unavailable: It cannot be had now, and nobody could serve in its stead.
        Refused: Its scenario is of another version now, or another process was quicker.
    """
    scenario = workspace.scenario(run.scenario)
    if scenario.version != run.scenario_version:
        raise Refused(
            f"{run.id} was begun with version {run.scenario_version} of {run.scenario}, and it is {scenario.version} now; "
            "begin another.",
            kind="stale",
        )
    with workspace.reading() as connection:
        asked = next((step for step in reversed(reader.steps(connection, run.id)) if step.role == role.name), None)
    if asked is not None and not wording(scenario, role.name).is_of(asked.facts.get("prompts", "")):
        raise Refused(
            f"{run.id} was begun with another text than the {role.name}'s prompt has now; bring that text back, or begin "
            "another.",
            kind="stale",
        )
    provider = frontier_of(workspace.settings, run.frontier, scenario, routed=run.purpose == rows.WORK)
    check_served(workspace, scenario, role, provider)
    together = calls_at_once(provider, at_once)
    with workspace.writing() as connection:
        found_run(connection, run.id, run.purpose)
        ledger.append(connection, rows.Resumption(run.id, workspace.session.begin(), workspace.now()))
    return RunUnderWay(workspace, run, scenario, role, provider, together, wanted=at_once)


def _role(workspace: Workspace, run: rows.Run, steps: Sequence[rows.Step]) -> roles.Role:
    """Return whose answers a run looks for: its first candidate says so."""
    scenario = workspace.scenario(run.scenario)
    asked = next((step.role for step in steps if step.position < run.candidates), None)
    return roles.proposer(scenario) if asked is None else roles.judged_role(scenario, asked)
