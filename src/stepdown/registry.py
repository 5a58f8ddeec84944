"""Acts on bundles: each is one row, in one transaction, and the standing is the fold of them all."""

from collections.abc import Callable
from typing import Literal

from sqlalchemy import Connection

from stepdown.bundles.disk import Condition, look, remove
from stepdown.errors import NotFound, Refused
from stepdown.gather import is_disabled, is_retired, slot_bundle
from stepdown.history import ledger, reader, rows
from stepdown.workspace import Workspace

OPERATOR = "operator"

Kind = Literal["activate", "disable", "enable", "retire", "delete"]


def activate(
    workspace: Workspace, bundle_id: str, *, by: str = OPERATOR, why: str = "", forced: bool = False
) -> rows.Bundle:
    """Make a bundle its slot's. It is looked at first: what is not whole does not become active.

    Raises:
        NotFound: There is no such bundle.
        Refused: It is retired, switched off, gone, broken or of a newer format.
    """

    def check(connection: Connection, bundle: rows.Bundle) -> bool:
        if is_disabled(connection, bundle.id):
            raise Refused(
                f"The bundle {bundle.id[:12]} is disabled; `stepdown bundles enable` it first.", kind="bundle-disabled"
            )
        check_whole(workspace, bundle.id)
        active = slot_bundle(connection, bundle.scenario, bundle.role)
        return active is None or active.id != bundle.id

    return _act(workspace, "activate", bundle_id, check, by, why, forced=forced)


def disable(workspace: Workspace, bundle_id: str, *, by: str = OPERATOR, why: str = "") -> rows.Bundle:
    """Switch a bundle off; it stays its slot's, and serves nobody."""
    return _act(workspace, "disable", bundle_id, lambda c, bundle: not is_disabled(c, bundle.id), by, why)


def enable(workspace: Workspace, bundle_id: str, *, by: str = OPERATOR, why: str = "") -> rows.Bundle:
    """Switch a bundle on again."""
    return _act(workspace, "enable", bundle_id, lambda c, bundle: is_disabled(c, bundle.id), by, why)


def retire(workspace: Workspace, bundle_id: str, *, by: str = OPERATOR, why: str = "") -> rows.Bundle:
    """Take a bundle out of service for ever; its slot is empty then. Its files stay."""
    return _act(
        workspace, "retire", bundle_id, lambda c, bundle: not is_retired(c, bundle.id), by, why, retired_is_fine=True
    )


def delete(workspace: Workspace, bundle_id: str, *, by: str = OPERATOR, why: str = "") -> rows.Bundle:
    """Retire a bundle and remove its directory. The row first: a crash in between leaves a directory nobody routes to."""

    def check(connection: Connection, bundle: rows.Bundle) -> bool:
        return reader.last_act(connection, bundle.id, "delete") is None

    bundle = _act(workspace, "delete", bundle_id, check, by, why, retired_is_fine=True)
    remove(workspace.bundle_directory(bundle.id))
    workspace.reached("directory-removed")
    return bundle


def find(connection: Connection, bundle_id: str) -> rows.Bundle:
    """Return a registration by the beginning of its id.

    Raises:
        NotFound: No bundle's id begins so, or several do.
    """
    found = reader.bundles(connection, beginning=bundle_id) if bundle_id.isalnum() else []
    if len(found) == 1:
        return found[0]
    problem = f"{len(found)} bundles' ids begin with" if found else "There is no bundle"
    raise NotFound(f"{problem} {bundle_id!r}; `stepdown bundles list` shows them.", kind="unknown-bundle")


def check_whole(workspace: Workspace, bundle_id: str) -> None:
    """Refuse a bundle that is not whole on disk.

    Raises:
        Refused: With the kind that routing would name as its reason.
    """
    found = look(workspace.bundle_directory(bundle_id), bundle_id)
    if found.condition is not Condition.WHOLE:
        raise Refused(f"The bundle {bundle_id[:12]} is not whole: {found.problem}.", kind=REFUSALS[found.condition])


REFUSALS = {
    Condition.ABSENT: "bundle-absent",
    Condition.BROKEN: "bundle-integrity",
    Condition.NEWER: "bundle-incompatible",
}


def _act(
    workspace: Workspace,
    kind: Kind,
    bundle_id: str,
    changes: Callable[[Connection, rows.Bundle], bool],
    by: str,
    why: str,
    *,
    forced: bool = False,
    retired_is_fine: bool = False,
) -> rows.Bundle:
    """Record an act in one transaction, if it changes anything."""
    with workspace.writing() as connection:
        bundle = find(connection, bundle_id)
        if not retired_is_fine and is_retired(connection, bundle.id):
            raise Refused(f"The bundle {bundle.id[:12]} is retired for ever; train another.", kind="bundle-retired")
        if changes(connection, bundle):
            at = workspace.now()
            act = rows.Act(kind, bundle.scenario, bundle.role, bundle.id, forced, by, why, at)
            ledger.append(connection, act)
    workspace.reached("act-recorded")
    return bundle
