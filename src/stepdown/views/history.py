"""Read what changed and what was true when, from rows alone."""

from datetime import UTC, datetime

from stepdown.bundles.standing import Slot, fold
from stepdown.errors import InvalidValue
from stepdown.history import reader, rows
from stepdown.reports.events import Event, events
from stepdown.scenarios.roles import proposer, role_named
from stepdown.workspace import Workspace


def history(workspace: Workspace, slot: tuple[str, str | None] | None = None) -> list[Event]:
    """Return every change, oldest first; with a slot, those of its bundles, and without a role those of the judged one.

    Raises:
        NotFound: The slot's scenario or role does not exist.
    """
    if slot is not None:
        scenario, role = workspace.scenario(slot[0]), slot[1]
        slot = scenario.name, (role_named(scenario, role) if role is not None else proposer(scenario)).name
    with workspace.reading() as connection:
        changes = events(
            reader.acts(connection),
            reader.all_of(connection, rows.Verdict),
            reader.bundles(connection),
            reader.all_of(connection, rows.PolicyChange),
            reader.all_of(connection, rows.HarnessSwitch),
            reader.all_of(connection, rows.Log),
        )
    return [event for event in changes if slot is None or (event.scenario, event.role) == slot]


def active_at(workspace: Workspace, instant: datetime | None = None) -> dict[Slot, rows.Bundle]:
    """Return the bundle that each slot held at an instant; now, without one.

    Args:
        workspace: Whose slots.
        instant: Aware, and not in the future.

    Raises:
        InvalidValue: The instant is naive or has not come yet.
    """
    until = _past(instant, workspace.now()) if instant is not None else None
    with workspace.reading() as connection:
        standing = fold(reader.acts(connection, until=until))
        held = {slot: reader.bundle(connection, bundle) for slot, bundle in sorted(standing.active.items())}
    return {slot: bundle for slot, bundle in held.items() if bundle is not None}


def instant(text: str) -> datetime:
    """Read an instant as a command line spells it: ISO 8601 with its offset.

    Raises:
        InvalidValue: It is not one.
    """
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidValue(f"{text!r} is not a time; write it like 2026-11-22T14:30:00+00:00.") from error


def _past(instant: datetime, now: datetime) -> datetime:
    """Return an instant in UTC, if it can be meant and has come."""
    if instant.tzinfo is None:
        raise InvalidValue(f"{instant.isoformat()} has no time zone; add an offset like +00:00, or Z.")
    if instant > now:
        raise InvalidValue(f"{instant.isoformat()} has not come yet; it is {now.isoformat(timespec='seconds')}.")
    try:
        return instant.astimezone(UTC)
    except OverflowError as error:
        # The first day of the calendar in an eastern zone is, in UTC, a day that the calendar does not have.
        raise InvalidValue(f"{instant.isoformat()} lies before the calendar begins in UTC.") from error
