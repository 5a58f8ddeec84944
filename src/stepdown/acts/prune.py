"""Remove bundles that nobody needs: not the active ones, not those a rollback leads to, not what a kept run refers to.

History keeps every row; a pruned bundle is retired by an act, and its directory is removed after that is committed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from stepdown.acts import switch
from stepdown.acts.rollback import leads_to
from stepdown.acts.switch import OPERATOR
from stepdown.bundles.disk import remove
from stepdown.bundles.standing import PRUNE
from stepdown.errors import InvalidValue, Refused
from stepdown.history import ledger, reader, rows, unfinished
from stepdown.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was removed, and why the others were not.

    Attributes:
        removed: Oldest first.
        kept: Bundle id, or name of a checkpoint, to what needs it.
        checkpoints: Names of the checkpoints of unfinished tunings that were removed.
    """

    removed: tuple[rows.Bundle, ...]
    kept: dict[str, str]
    checkpoints: tuple[str, ...] = ()


def prune(
    workspace: Workspace,
    bundle_ids: Sequence[str] = (),
    *,
    keep: int | None = None,
    by: str = OPERATOR,
    why: str = "",
) -> Pruned:
    """Remove bundles that nobody needs.

    Args:
        workspace: Where they are registered.
        bundle_ids: These and no others; without any, all that nobody needs.
        keep: How many of the newest runs are kept, with the bundles they asked or compared; None keeps every run.
        by: Who asks.
        why: The reason.

    Raises:
        NotFound: A named bundle does not exist.
        InvalidValue: `keep` is negative, or nobody asks.
        Refused: A named bundle is needed (kind `bundle-needed`) or gone already; nothing is removed then.
    """
    _check_count(keep)
    switch.check_name(by)
    with workspace.writing() as connection:
        chosen, kept = _choose(workspace, connection, bundle_ids, keep)
        for bundle in chosen:
            at, reason = workspace.now(), switch.asked_for(by, why)
            act = rows.Act("delete", bundle.scenario, bundle.role, bundle.id, False, PRUNE, reason, at)
            ledger.append(connection, act)
    workspace.reached("act-recorded")
    for bundle in chosen:
        remove(workspace.bundle_directory(bundle.id))
    workspace.reached("directory-removed")
    return Pruned(tuple(chosen), kept)


def plan(
    workspace: Workspace, bundle_ids: Sequence[str] = (), *, keep: int | None = None, candidates: bool = False
) -> Pruned:
    """Return what `prune` would remove, and remove nothing.

    Args:
        workspace: Where they are registered.
        bundle_ids: These and no others; without any, all that nobody needs.
        keep: As for `prune`.
        candidates: Also those that nobody has compared, judged or activated yet: they may be minutes old, and the evidence
            on them is still to come.

    Raises:
        NotFound: A named bundle does not exist.
        InvalidValue: `keep` is negative.
        Refused: A named bundle is needed or gone already.
    """
    _check_count(keep)
    with workspace.reading() as connection:
        chosen, kept = _choose(workspace, connection, bundle_ids, keep)
        fresh = {
            bundle.id: "it is a candidate, not compared yet; name it, or say --candidates"
            for bundle in chosen
            if not (candidates or bundle_ids or _judged(connection, bundle))
        }
    return Pruned(tuple(bundle for bundle in chosen if bundle.id not in fresh), {**kept, **fresh})


def _check_count(keep: int | None) -> None:
    if keep is not None and keep < 0:
        raise InvalidValue(f"Prune can keep 0 or more of the newest runs, not {keep}.")


def _choose(
    workspace: Workspace, connection: Connection, bundle_ids: Sequence[str], keep: int | None
) -> tuple[list[rows.Bundle], dict[str, str]]:
    kept = needed(workspace, connection, keep)
    named = [switch.find(connection, name) for name in dict.fromkeys(bundle_ids)]
    for bundle in named:
        _check(connection, bundle, kept)
    every = reader.bundles(connection)
    return named or [b for b in every if b.id not in kept and not _gone(connection, b)], kept


def _judged(connection: Connection, bundle: rows.Bundle) -> bool:
    """Tell whether anybody has said anything of a bundle: a verdict, or any act."""
    acted = any(act.bundle == bundle.id for act in reader.all_of(connection, rows.Act))
    return acted or reader.verdict(connection, bundle.id) is not None


def needed(workspace: Workspace, connection: Connection, keep: int | None) -> dict[str, str]:
    """Return the bundles that must stay, and what needs each: a run, a rollback or a slot."""
    reasons = _asked(connection, keep)
    for scenario, role in reader.slots(connection):
        slot = f"{scenario} {role}"
        target = leads_to(workspace, connection, scenario, role)
        if target is not None:
            reasons[target.id] = f"it is where a rollback of {slot} leads"
        active = reader.slot_bundle(connection, scenario, role)
        if active is not None:
            reasons[active.id] = f"it is the active bundle of {slot}"
    return {bundle: why for bundle, why in reasons.items() if not reader.is_retired(connection, bundle)}


def _asked(connection: Connection, keep: int | None) -> dict[str, str]:
    """Return the bundles that a kept run asked or compared, and the newest such run; one under way is always kept."""
    under_way = {run.id for run in unfinished.runs(connection)}
    newest_first = [run.id for run in reversed(reader.all_of(connection, rows.Run))]
    kept = [run for position, run in enumerate(newest_first) if keep is None or position < keep or run in under_way]
    position_of = {run: position for position, run in enumerate(kept)}
    asked = sorted(
        ((position_of[run], run, bundle) for run, bundle in reader.asked(connection) if run in position_of),
        reverse=True,
    )
    return {bundle: f"{run} asked it" for _, run, bundle in asked}


def _check(connection: Connection, bundle: rows.Bundle, kept: dict[str, str]) -> None:
    if _gone(connection, bundle):
        raise Refused(f"The bundle {bundle.id[:12]} was removed already.", kind="bundle-retired")
    if bundle.id in kept:
        raise Refused(
            f"The bundle {bundle.id[:12]} is needed: {kept[bundle.id]}; nothing was removed.", kind="bundle-needed"
        )


def _gone(connection: Connection, bundle: rows.Bundle) -> bool:
    return reader.last_act(connection, bundle.id, "delete") is not None
