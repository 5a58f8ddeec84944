"""How a call to a hosted model can end without an answer: one closed list of words, for every service. Pure.

The words are the trace's and history's `error.type`; words are added, never renamed.
"""

from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from math import isfinite
from typing import Any


class CallOutcome(StrEnum):
    """Why there is no answer."""

    TIMEOUT = "timeout"
    CONNECTION = "connection"
    RATE_LIMIT = "rate-limit"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not-found"
    BAD_REQUEST = "bad-request"
    SERVER_ERROR = "server-error"
    REFUSAL = "refusal"
    CONTENT_FILTER = "content-filter"
    CUT_OFF = "cut-off"
    NO_CHOICE = "no-choice"
    MALFORMED = "malformed-reply"


RETRIED = frozenset((CallOutcome.CONNECTION, CallOutcome.RATE_LIMIT, CallOutcome.SERVER_ERROR))
"""What may be better a moment later. Time that is up is not: it was the whole call's."""

_STATUS = {
    401: CallOutcome.UNAUTHORIZED,
    403: CallOutcome.FORBIDDEN,
    404: CallOutcome.NOT_FOUND,
    # A server that gave up waiting for us, or that is busy with another writer: both SDKs ask again.
    408: CallOutcome.SERVER_ERROR,
    409: CallOutcome.SERVER_ERROR,
    429: CallOutcome.RATE_LIMIT,
}

LEAST_SECRET = 12
"""Characters. Local servers are given `x` or `ollama` as a key; taking that out of replies would change answers."""

HIDDEN = "[key]"


def of_status(status: int) -> CallOutcome:
    """Return the outcome that an HTTP status stands for; a redirect is nothing that an API answers with."""
    if status in _STATUS:
        return _STATUS[status]
    if status >= 500:
        return CallOutcome.SERVER_ERROR
    return CallOutcome.BAD_REQUEST if status >= 400 else CallOutcome.MALFORMED


def wait_asked(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the seconds that a server asks to wait, or None when it does not say in a way that can be followed.

    Args:
        headers: Of its answer, with names in lower case.
        now: Aware; for a `Retry-After` that is a date.
    """
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) * unit
        except (KeyError, ValueError):
            continue
        return max(0.0, seconds) if isfinite(seconds) else None
    try:
        return max(0.0, (parsedate_to_datetime(headers["retry-after"]) - now).total_seconds())
    except (KeyError, ValueError, TypeError, OverflowError):
        return None


def redacted(value: Any, secret: str) -> Any:
    """Return a JSON value in which a secret is nowhere: a server may echo the key it was given wherever it likes."""
    if len(secret) < LEAST_SECRET:
        return value
    if isinstance(value, str):
        return value.replace(secret, HIDDEN)
    if isinstance(value, Mapping):
        return {redacted(key, secret): redacted(inner, secret) for key, inner in value.items()}
    return [redacted(inner, secret) for inner in value] if isinstance(value, list) else value


def at_path(value: Any, *path: str | int) -> Any:
    """Return what lies at a path of a JSON value; None when nothing does."""
    for step in path:
        if isinstance(step, str) and isinstance(value, Mapping):
            value = value.get(step)
        elif isinstance(step, int) and isinstance(value, list) and len(value) > step:
            value = value[step]
        else:
            return None
    return value
