"""A failure while it is told: nothing that happens then may take its place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from stepdown_machine.findings import Disagreement
from stepdown_machine.protocol import HandoffSystem
from stepdown_machine.session import Session


@contextmanager
def telling(failure: BaseException, what: str, trouble: str) -> Iterator[None]:
    """Let nothing that happens while a failure is told take its place: the failure's notes say it instead."""
    try:
        yield
    except Exception as error:
        failure.add_note(f"  {what:11} {trouble} ({type(error).__name__}: {error})")


def opened(system: HandoffSystem) -> Session:
    """Open a session of a system; one that cannot be opened is given back, so that it leaves nothing open."""
    try:
        return Session(system)
    except Exception as failure:
        with telling(failure, "close", "the system could not be given back either"):
            system.close()
        raise


def claim_of(failure: Exception | None) -> str:
    """Name what a failure is about: the invariant that was broken, or its own kind."""
    if isinstance(failure, Disagreement):
        return failure.findings[0].claim
    return type(failure).__name__ if failure is not None else ""
