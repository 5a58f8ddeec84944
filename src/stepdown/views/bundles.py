"""What bundles there are: rows and directories seen together."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

from stepdown.acts import switch
from stepdown.bundles.disk import Condition, look
from stepdown.bundles.standing import Standing, Status, fold
from stepdown.errors import LoadFailed
from stepdown.history import reader, rows
from stepdown.views.prompts import outdated
from stepdown.workspace import Workspace


@dataclass(frozen=True, slots=True)
class ShelfEntry:
    """One bundle.

    Attributes:
        bundle: Its registration.
        status: Its place in life.
        condition: What a look at its directory says.
        problem: Why it is not whole; empty when it is.
        evaluation: Its newest evaluation.
        promise: Its manifest, when it is whole.
        acts: What was done with it, oldest first.
        verdicts: What promotion said of it, oldest first.
        outdated: That it was measured with other knowledge than prompts have now, in a sentence; empty when it was not.
    """

    bundle: rows.Bundle
    status: Status
    condition: Condition
    problem: str
    evaluation: rows.Evaluation | None
    promise: Mapping[str, Any] | None
    acts: tuple[rows.Act, ...]
    verdicts: tuple[rows.Verdict, ...]
    outdated: str = ""


def shelf(workspace: Workspace) -> list[ShelfEntry]:
    """Return every bundle, oldest first."""
    with workspace.reading() as connection:
        acts = reader.acts(connection)
        standing = fold(acts)
        return [_entry(workspace, connection, bundle, standing, acts) for bundle in reader.bundles(connection)]


def registered_here(workspace: Workspace) -> list[rows.Bundle]:
    """Return the bundles that this process registered, oldest first."""
    with workspace.reading() as connection:
        return [bundle for bundle in reader.bundles(connection) if bundle.session == workspace.session.id]


def entry(workspace: Workspace, bundle_id: str) -> ShelfEntry:
    """Return one bundle by the beginning of its id.

    Raises:
        NotFound: There is none, or several.
    """
    with workspace.reading() as connection:
        acts = reader.acts(connection)
        return _entry(workspace, connection, switch.find(connection, bundle_id), fold(acts), acts)


def verify(workspace: Workspace, bundle_id: str) -> ShelfEntry:
    """Look at every byte of a bundle, and load its weights as serving would."""
    listed = entry(workspace, bundle_id)
    if listed.condition is not Condition.WHOLE:
        return listed
    # Every byte, whatever is remembered of an earlier look.
    directory = workspace.bundle_directory(listed.bundle.id)
    seen = workspace.with_base(look(directory, listed.bundle.id))
    if seen.condition is not Condition.WHOLE or seen.base_problem:
        return replace(listed, condition=Condition.BROKEN, problem=seen.problem or seen.base_problem)
    assert seen.manifest is not None, "a whole bundle has a manifest"
    from stepdown.local.provider import BundleProvider

    settings = workspace.settings
    try:
        BundleProvider(directory, seen.manifest, settings.decoding, settings.clock, seen.base).load()
    except LoadFailed as error:
        return replace(listed, condition=Condition.BROKEN, problem=str(error))
    return listed


def _entry(
    workspace: Workspace, connection: Connection, bundle: rows.Bundle, standing: Standing, acts: list[rows.Act]
) -> ShelfEntry:
    seen, evaluation = workspace.look(bundle.id), reader.newest_evaluation(connection, bundle.id)
    return ShelfEntry(
        bundle=bundle,
        status=standing.status(bundle.id),
        condition=seen.condition,
        problem=seen.problem or seen.base_problem,
        evaluation=evaluation,
        promise=json.loads(seen.manifest.data) if seen.manifest else None,
        acts=tuple(act for act in acts if act.bundle == bundle.id),
        verdicts=tuple(reader.verdicts(connection, bundle.id)),
        outdated=outdated(connection, bundle, evaluation),
    )
