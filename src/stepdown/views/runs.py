"""Read a run's rows, whole, and tell them."""

import json
import math
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from stepdown.acts.judging import scored
from stepdown.errors import NotFound, StepdownError
from stepdown.history import endings, reader, rows, unfinished
from stepdown.reports.story import Provenance, Story, tell
from stepdown.scenarios import judging
from stepdown.views.prompts import outdated
from stepdown.workspace import Workspace


def story(workspace: Workspace, run_id: str) -> Story:
    """Return a run's story.

    Raises:
        NotFound: There is no such run.
    """
    with workspace.reading() as connection:
        run = reader.run(connection, run_id)
        if run is None:
            raise NotFound(f"There is no run {run_id!r}; `stepdown report` lists them.", kind="unknown-run")
        attempts = reader.attempts(connection, run_id)
        steps = reader.steps(connection, run_id)
        in_steps = [attempt.bundle for attempt in attempts if attempt.bundle is not None]
        saving = {step.role for step in steps if step.served == "local"}
        asked = dict.fromkeys([*in_steps, *reader.compared(connection, run_id)])
        judge = _judge(workspace, run.scenario)
        return tell(
            run,
            endings.last(connection, run_id),
            reader.generations(connection, run_id),
            scored(run, steps, steps) if judge is not None else steps,
            attempts,
            [provenance(workspace, connection, bundle) for bundle in asked],
            reader.lessons_of(connection, run_id),
            baselines={role: reader.frontier_costs(connection, run.scenario, run.frontier, role) for role in saving},
            verdict=reader.verdict_of(connection, run_id),
            resumed=endings.resumptions(connection, run_id),
            judge=judge,
        )


def _judge(workspace: Workspace, scenario: str) -> str | None:
    """Return the role of the model that judges a scenario's answers, if one does and the scenario is still here."""
    try:
        return judging.JUDGE if judging.of(workspace.scenario(scenario)) is not None else None
    except StepdownError:
        return None


def provenance(workspace: Workspace, connection: Connection, bundle_id: str) -> Provenance:
    """Return where a bundle comes from, as far as rows and its directory still say."""
    bundle = reader.bundle(connection, bundle_id)
    assert bundle is not None, "a call or a comparison names a registered bundle"
    look = workspace.look(bundle_id)
    promise = json.loads(look.manifest.data) if look.manifest else None
    evaluation = reader.newest_evaluation(connection, bundle_id)
    acts = reader.acts(connection, bundle=bundle_id)
    losses, old = reader.losses(connection, bundle_id), outdated(connection, bundle, evaluation)
    return Provenance(bundle, evaluation, promise, reader.verdict(connection, bundle_id), acts, losses, old)


def runs(workspace: Workspace) -> list[tuple[rows.Run, rows.Ending | None]]:
    """Return every run and how it ended at last, oldest first; None for one that is under way, or is again."""
    with workspace.reading() as connection:
        every_run = reader.all_of(connection, rows.Run)
        endings = {ending.run: ending for ending in reader.all_of(connection, rows.Ending)}
        going_on = {run.id for run in unfinished.runs(connection)}
    return [(run, endings.get(run.id) if run.id not in going_on else None) for run in every_run]


def standing(workspace: Workspace) -> dict[str, str]:
    """Return by run what stands of those that this process has under way and that can be gone on with, in a sentence each."""
    with workspace.reading() as connection:
        mine = [run for run in unfinished.runs(connection) if run.session == workspace.session.id]
        return {run.id: _stands(connection, run) for run in mine if run.purpose in (rows.WORK, rows.COMPARISON)}


def broken_off(workspace: Workspace) -> tuple[str, str] | None:
    """Return the newest run that this process began or went on with and that is not done, and what stands of it."""
    mine = workspace.session.id
    with workspace.reading() as connection:
        again = {row.run for row in reader.all_of(connection, rows.Resumption) if row.session == mine}
        begun = [run for run in reader.all_of(connection, rows.Run) if run.session == mine or run.id in again]
        run = next((run for run in reversed(begun) if run.purpose in (rows.WORK, rows.COMPARISON)), None)
        ending = endings.last(connection, run.id) if run is not None else None
        if run is None or (ending is not None and ending.outcome == "completed"):
            return None
        return run.id, _stands(connection, run)


def _stands(connection: Connection, run: rows.Run) -> str:
    steps = [step for step in reader.steps(connection, run.id) if step.outcome != "interrupted"]
    if run.purpose == rows.COMPARISON:
        answers = [step for step in steps if step.role != judging.JUDGE]
        return f"{run.id} stands with the frontier's answers to {len(answers)} of {run.candidates} seeds."
    decided = len(reader.generations(connection, run.id))
    return f"{run.id} stands with {decided} of {run.generations} generations and {len(steps)} steps."


def plain(value: Any) -> Any:
    """Return a value of rows as JSON can hold it; instants become ISO 8601, and what is no finite number a word."""
    if isinstance(value, datetime):
        return value.isoformat()
    if hasattr(value, "__dataclass_fields__"):
        return plain(asdict(value))
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
