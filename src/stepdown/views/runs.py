"""Read a run's rows, whole, and tell them."""

import json
import math
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from stepdown.errors import NotFound
from stepdown.history import reader, rows
from stepdown.reports.story import Provenance, Story, tell
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
        return tell(
            run,
            reader.ending(connection, run_id),
            reader.generations(connection, run_id),
            steps,
            attempts,
            [provenance(workspace, connection, bundle) for bundle in asked],
            reader.lessons_of(connection, run_id),
            baselines={role: reader.frontier_costs(connection, run.scenario, run.frontier, role) for role in saving},
            verdict=reader.verdict_of(connection, run_id),
        )


def provenance(workspace: Workspace, connection: Connection, bundle_id: str) -> Provenance:
    """Return where a bundle comes from, as far as rows and its directory still say."""
    bundle = reader.bundle(connection, bundle_id)
    assert bundle is not None, "a call or a comparison names a registered bundle"
    found = workspace.look(bundle_id)
    promise = json.loads(found.manifest.data) if found.manifest else None
    evaluation = reader.newest_evaluation(connection, bundle_id)
    acts = reader.acts(connection, bundle=bundle_id)
    losses = reader.losses(connection, bundle_id)
    return Provenance(bundle, evaluation, promise, reader.verdict(connection, bundle_id), acts, losses)


def runs(workspace: Workspace) -> list[tuple[rows.Run, rows.Ending | None]]:
    """Return every run and how it ended, oldest first."""
    with workspace.reading() as connection:
        found = reader.all_of(connection, rows.Run)
        endings = {ending.run: ending for ending in reader.all_of(connection, rows.Ending)}
    return [(run, endings.get(run.id)) for run in found]


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
