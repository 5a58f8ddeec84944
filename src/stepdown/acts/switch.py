"""Acts on bundles: each is one row, in one transaction, and the standing is the fold of them all."""

from typing import Literal

from sqlalchemy import Connection

from stepdown.bundles.disk import Condition, remove
from stepdown.bundles.manifest import Manifest
from stepdown.bundles.standing import MECHANISMS
from stepdown.errors import InvalidValue, NotFound, Refused
from stepdown.history import ledger, reader, rows
from stepdown.scenarios.wording import wording
from stepdown.workspace import Workspace
from stepdown.workspace.facts import is_disabled, unfit

OPERATOR = "operator"

SHORTEST_PREFIX = 6
"""Letters of an id that name a bundle: with fewer, a slip of the hand names another one."""

LONGEST_NAME = 120
"""Characters that every database keeps of a name."""

Kind = Literal["activate", "disable", "enable", "retire", "delete"]


def activate(
    workspace: Workspace, bundle_id: str, *, by: str = OPERATOR, why: str = "", forced: bool = False
) -> rows.Bundle:
    """Make a bundle its slot's. It is looked at first: what is not whole does not become active.

    Args:
        workspace: Where it is registered.
        bundle_id: The bundle's id, or the beginning of it.
        by: Who does it.
        why: The reason.
        forced: An operator answers for it, whatever promotion said or did not say.

    Raises:
        NotFound: There is no such bundle.
        Refused: It is retired, switched off, gone, broken, of a newer format, or not promoted as things are now.
    """
    check_name(by)
    with workspace.reading() as connection:
        bundle = find(connection, bundle_id)
    workspace.look(bundle.id)  # Every byte of a large bundle, before anybody has to wait for this writer.
    with workspace.writing() as connection:
        check_usable(workspace, connection, bundle.id)
        active = reader.slot_bundle(connection, bundle.scenario, bundle.role)
        if active is None or active.id != bundle.id:
            if not forced and not is_promoted(workspace, connection, bundle):
                raise Refused(
                    f"The bundle {bundle.id[:12]} has no standing verdict to promote it; `stepdown promote "
                    f"{bundle.id[:12]}` asks for one, and --force does without.",
                    kind="not-promoted",
                )
            _append(workspace, connection, "activate", bundle, by, why, forced=forced)
    workspace.reached("act-recorded")
    return bundle


def is_promoted(workspace: Workspace, connection: Connection, bundle: rows.Bundle) -> bool:
    """Tell whether the newest verdict on a bundle promotes it, under the terms of now."""
    verdict = reader.verdict(connection, bundle.id)
    if verdict is None or verdict.outcome != "promote":
        return False
    return verdict.terms_digest == workspace.terms(workspace.scenario(bundle.scenario), bundle.role).digest


def point(workspace: Workspace, connection: Connection, bundle: rows.Bundle, *, by: str, why: str) -> None:
    """Point the slot at a bundle, inside the transaction of what it follows from: a promotion or a rollback.

    Raises:
        Refused: It cannot serve any more.
    """
    check_usable(workspace, connection, bundle.id)
    _append(workspace, connection, "activate", bundle, by, why)


def disable(workspace: Workspace, bundle_id: str, *, by: str = OPERATOR, why: str = "") -> rows.Bundle:
    """Switch a bundle off; it stays its slot's, and serves nobody."""
    check_name(by)
    with workspace.writing() as connection:
        bundle = find(connection, bundle_id)
        check_in_service(connection, bundle.id)
        if not is_disabled(connection, bundle.id):
            _append(workspace, connection, "disable", bundle, by, why)
    workspace.reached("act-recorded")
    return bundle


def enable(workspace: Workspace, bundle_id: str, *, by: str = OPERATOR, why: str = "") -> rows.Bundle:
    """Switch a bundle on again."""
    check_name(by)
    with workspace.writing() as connection:
        bundle = find(connection, bundle_id)
        check_in_service(connection, bundle.id)
        if is_disabled(connection, bundle.id):
            _append(workspace, connection, "enable", bundle, by, why)
    workspace.reached("act-recorded")
    return bundle


def retire(workspace: Workspace, bundle_id: str, *, by: str = OPERATOR, why: str = "") -> rows.Bundle:
    """Take a bundle out of service for ever; its slot is empty then. Its files stay."""
    check_name(by)
    with workspace.writing() as connection:
        bundle = find(connection, bundle_id)
        if not reader.is_retired(connection, bundle.id):
            _append(workspace, connection, "retire", bundle, by, why)
    workspace.reached("act-recorded")
    return bundle


def delete(workspace: Workspace, bundle_id: str, *, by: str = OPERATOR, why: str = "") -> rows.Bundle:
    """Retire a bundle and remove its directory. The row first: a crash in between leaves a directory nobody routes to."""
    check_name(by)
    with workspace.writing() as connection:
        bundle = find(connection, bundle_id)
        if reader.last_act(connection, bundle.id, "delete") is None:
            _append(workspace, connection, "delete", bundle, by, why)
    workspace.reached("act-recorded")
    remove(workspace.bundle_directory(bundle.id))
    workspace.reached("directory-removed")
    return bundle


def find(connection: Connection, bundle_id: str) -> rows.Bundle:
    """Return a registration by the beginning of its id.

    Raises:
        NotFound: No bundle's id begins so, or several do, or the beginning is shorter than six letters.
    """
    if len(bundle_id) < SHORTEST_PREFIX:
        raise NotFound(
            f"{bundle_id!r} is too short to name a bundle; give at least {SHORTEST_PREFIX} letters of its id, which "
            "`stepdown bundles list` shows.",
            kind="unknown-bundle",
        )
    matching = reader.bundles(connection, beginning=bundle_id) if bundle_id.isalnum() else []
    if len(matching) == 1:
        return matching[0]
    problem = f"{len(matching)} bundles' ids begin with" if matching else "There is no bundle"
    raise NotFound(f"{problem} {bundle_id!r}; `stepdown bundles list` shows them.", kind="unknown-bundle")


def hands(connection: Connection, scenario: str, role: str) -> tuple[int, str | None]:
    """Return what stays the same until a slot changes hands: its last activation, and the bundle it holds since, if still.

    The end of any other bundle of the slot is none of its business.
    """
    held = reader.slot_bundle(connection, scenario, role)
    return reader.pointer(connection, scenario, role), held.id if held is not None else None


def check_usable(workspace: Workspace, connection: Connection, bundle_id: str) -> None:
    """Refuse a bundle that is retired, switched off or not whole.

    Raises:
        Refused: With the kind that routing would name as its reason.
    """
    check_in_service(connection, bundle_id)
    if is_disabled(connection, bundle_id):
        raise Refused(
            f"The bundle {bundle_id[:12]} is disabled; `stepdown bundles enable` it first.", kind="bundle-disabled"
        )
    check_whole(workspace, bundle_id)


def check_in_service(connection: Connection, bundle_id: str) -> None:
    """Refuse a bundle that never serves again.

    Raises:
        Refused: With the kind `bundle-retired`.
    """
    if reader.is_retired(connection, bundle_id):
        raise Refused(f"The bundle {bundle_id[:12]} is retired for ever; train another.", kind="bundle-retired")


def check_whole(workspace: Workspace, bundle_id: str) -> Manifest:
    """Return what a bundle promises, or refuse one that is not whole on disk.

    Raises:
        Refused: With the kind that routing would name as its reason.
    """
    look = workspace.look(bundle_id)
    if look.condition is not Condition.WHOLE:
        raise Refused(f"The bundle {bundle_id[:12]} is not whole: {look.problem}.", kind=REFUSALS[look.condition])
    if look.base_problem:
        raise Refused(f"The bundle {bundle_id[:12]} has not its base: {look.base_problem}.", kind="base-mismatch")
    assert look.manifest is not None, "a whole bundle has a manifest"
    return look.manifest


def misfit(workspace: Workspace, bundle: rows.Bundle) -> str:
    """Return what a bundle was made for instead of its slot and of prompts as they are; empty when for these, or not whole."""
    manifest, scenario = workspace.look(bundle.id).manifest, workspace.scenario(bundle.scenario)
    return unfit(manifest, scenario, bundle.role, wording(scenario, bundle.role)) if manifest is not None else ""


def check_fits(workspace: Workspace, bundle: rows.Bundle) -> None:
    """Refuse a bundle that routing would find incompatible, before anybody is asked for its sake.

    Raises:
        Refused: Kind `bundle-incompatible`.
    """
    if problem := misfit(workspace, bundle):
        raise Refused(f"The bundle {bundle.id[:12]} could not serve: {problem}.", kind="bundle-incompatible")


REFUSALS = {
    Condition.ABSENT: "bundle-absent",
    Condition.BROKEN: "bundle-integrity",
    Condition.NEWER: "bundle-incompatible",
}


def check_name(by: str) -> None:
    """Refuse an act of nobody, or under the name of what acts by itself.

    Raises:
        InvalidValue: With `--by` in the sentence.
    """
    if not 0 < len(by.strip()) <= LONGEST_NAME:
        raise InvalidValue(f"History says who did it; give a name of 1 to {LONGEST_NAME} characters with --by.")
    if by.strip() in MECHANISMS:
        raise InvalidValue(f"{by!r} is what stepdown itself acts under; name a person with --by.")


def asked_for(by: str, why: str) -> str:
    """Return the reason of what stepdown itself does, which names who asked for it."""
    return f"{by}: {why}" if why else f"asked for by {by}"


def _append(
    workspace: Workspace,
    connection: Connection,
    kind: Kind,
    bundle: rows.Bundle,
    by: str,
    why: str,
    *,
    forced: bool = False,
) -> None:
    act = rows.Act(kind, bundle.scenario, bundle.role, bundle.id, forced, by, why, workspace.now())
    ledger.append(connection, act)
    workspace.reached("act-appended")
