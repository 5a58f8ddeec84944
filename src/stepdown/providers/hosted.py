"""What all hosted services share: the way to ask, to ask again, and to say in one word why there is no answer.

The SDKs of OpenAI and Anthropic are made by one generator, so their errors have the same names. Their own retries are off:
the tries are made here, so that each one is a note of the completion or of the error, and stands in the trace.
"""

import json
import os
import random
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from stepdown.clock import utc_now
from stepdown.errors import InvalidValue, ProviderError
from stepdown.providers.outcomes import HIDDEN, RETRIED, CallOutcome, at_path, of_status, redacted, wait_asked
from stepdown.providers.protocol import Completion, Request
from stepdown.scenarios.prompt import interface

if TYPE_CHECKING:
    from stepdown.providers.wire import CallDeadline

MOST_TRIES = 4
"""The first and three more, as many as a patient user of either SDK sets."""

LONGEST_PAUSE = 8.0
"""Seconds between tries when the server does not say how long; the SDKs' own value."""

LONGEST_WORDS = 300
"""Characters of a server's own words in a sentence."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A try without an answer: a value, so that no exception with a request in it is ever chained to another.

    Attributes:
        outcome: Why.
        words: What happened, without the key.
        status: HTTP status, if the server answered.
        request_id: As the server says it.
        wait: Seconds that the server asks to wait.
    """

    outcome: CallOutcome
    words: str
    status: int | None = None
    request_id: str | None = None
    wait: float | None = None

    def note(self, number: int) -> str:
        """Return the try in one line."""
        status = f" {self.status}" if self.status else ""
        request_id = f", request {self.request_id}" if self.request_id else ""
        return f"try {number}: {self.outcome.value}{status}{request_id}"


@dataclass(frozen=True, slots=True)
class Service:
    """One hosted service, as far as the way to ask it goes.

    Attributes:
        name: Whom history and trace name.
        sdk: The SDK's module.
        key: What must appear nowhere; it is read from the environment for each call, and kept no longer.
        read: Turns a JSON reply and the server's id for the request into a completion or a failure.
    """

    name: str
    sdk: Any
    key: str = field(repr=False)
    read: Callable[[Any, str | None], Completion | Failure]


@dataclass(slots=True)
class Fallback:
    """What one provider has learned about its server: whether it takes a schema beside the prompt."""

    refused: bool = False


def asked(
    service: Service, request: Request, send: Callable[[float, bool], Any], learned: Fallback, pause: float
) -> Completion:
    """Ask until there is an answer, a failure that stays, or no time.

    Args:
        service: Whom.
        request: What; its time limit is that of all tries together.
        send: Sends it through the SDK, with seconds and whether the schema goes beside the prompt; returns the raw response.
        learned: What is known of the server; a refused schema is remembered once the prompt alone was answered.
        pause: Seconds before the second try, doubled for each later one.

    Raises:
        ProviderError: There is no answer; `error_type` is a `CallOutcome`, `notes` are the tries.
    """
    from stepdown.providers.wire import limited

    shaped = request.schema is not None
    notes = ["the schema is in the prompt: the server refused it beside it"] if shaped and learned.refused else []
    beside, number = shaped and not learned.refused, 0
    with limited(request.time_limit, service.key) as deadline:
        while True:
            number += 1
            completion = _once(service, send, deadline, beside)
            if isinstance(completion, Completion):
                learned.refused = not beside if shaped else learned.refused
                return replace(completion, notes=(*notes, *completion.notes))
            notes.append(completion.note(number))
            if beside and completion.status in (400, 422):
                beside = False
                notes.append("asked again with the schema in the prompt")
                continue
            if completion.outcome not in RETRIED or number >= MOST_TRIES:
                break
            wait = _wait(completion, request, number, pause)
            if wait >= deadline.left:
                notes.append(f"a wait of {wait:g} s is longer than the {deadline.left:.3g} s that are left")
                break
            notes.append(f"waited {wait:.3g} s")
            threading.Event().wait(wait)
    raise _error(service, completion, number, notes)


def _wait(failure: Failure, request: Request, number: int, pause: float) -> float:
    if failure.wait is not None:
        return failure.wait
    # Drawn from the call's own id: many calls at once do not come back together, and a test sees the same wait twice.
    share = random.Random(f"{request.call} {number}").uniform(0.75, 1)
    return float(min(LONGEST_PAUSE, pause * 2 ** (number - 1)) * share)


def _error(service: Service, failure: Failure, number: int, notes: list[str]) -> ProviderError:
    tries = f" after {number} tries" if number > 1 else ""
    waits = f"; {notes[-1]}" if notes[-1].startswith("a wait") else ""
    return ProviderError(
        f"{service.name} did not answer{tries}: {failure.words}{waits}.",
        error_type=failure.outcome.value,
        notes=tuple(notes),
    )


def _once(
    service: Service, send: Callable[[float, bool], Any], deadline: "CallDeadline", beside: bool
) -> Completion | Failure:
    import httpx2

    from stepdown.providers.wire import Unreadable

    try:
        response = send(deadline.patience, beside).http_response
    except service.sdk.APIStatusError as error:
        return _refused(service, error)
    except Unreadable as error:
        return Failure(CallOutcome.MALFORMED, str(error))
    except (service.sdk.APIConnectionError, httpx2.HTTPError) as error:
        # One SDK wraps what the body's reader raised, the other lets it through.
        if isinstance(error.__cause__, Unreadable):
            return Failure(CallOutcome.MALFORMED, str(error.__cause__))
        return _unreachable(service, error, deadline)
    try:
        body = redacted(response.json(), service.key)
    except (ValueError, RecursionError):
        kind = redacted(response.headers.get("content-type", "nothing that it names"), service.key)[:80]
        return Failure(CallOutcome.MALFORMED, f"it sent {kind} that is no JSON", response.status_code)
    return service.read(body, request_id(response.headers, service.key))


def _refused(service: Service, error: Any) -> Failure:
    """Return what an HTTP status says, in the server's own words as far as it has any."""
    body = redacted(error.body, service.key)
    message = at_path(body, "message") or at_path(body, "error", "message")
    words = f": {_shown(message)}" if isinstance(message, str) and message.strip() else ""
    outcome = of_status(error.status_code)
    if at_path(body, "code") == "content_filter":
        outcome = CallOutcome.CONTENT_FILTER
    wait = wait_asked({name.lower(): value for name, value in error.response.headers.items()}, utc_now())
    words = f"HTTP {error.status_code}, {outcome.value}{words}"
    return Failure(outcome, words, error.status_code, request_id(error.response.headers, service.key), wait)


_MASKED = re.compile(r"\bsk-[^\s'\",]+")


def _shown(message: str) -> str:
    """Return a server's words in one line. Services show a few letters of the key that they refuse; not even those are kept."""
    return _MASKED.sub(HIDDEN, " ".join(message.split()))[:LONGEST_WORDS].rstrip(".")


def _unreachable(service: Service, error: Any, deadline: "CallDeadline") -> Failure:
    if not deadline.left or isinstance(error, service.sdk.APITimeoutError):
        return Failure(CallOutcome.TIMEOUT, "the time was up")
    cause = redacted(str(error.__cause__ or error), service.key)[:LONGEST_WORDS].rstrip(".")
    return Failure(CallOutcome.CONNECTION, f"the connection failed ({cause})")


def request_id(headers: Mapping[str, str], secret: str) -> str | None:
    """Return the id that a server gave to a request, for its operator's logs."""
    named = next((headers[name] for name in ("x-request-id", "request-id") if headers.get(name)), None)
    return redacted(named, secret) if named is not None else None


def counted(*counts: Any) -> int | None:
    """Return the sum of the counts that a service states; None when it states none."""
    stated = [count for count in counts if isinstance(count, int) and not isinstance(count, bool)]
    return sum(stated) if stated else None


def text_of(request: Request, *, beside: bool) -> str:
    """Return what a model reads: the rules, the prompt that everybody is asked, and the schema if it has no other place."""
    parts = [request.instructions, request.prompt]
    if not beside and request.schema is not None:
        parts.append(interface(json.dumps(request.schema)))
    return "\n\n".join(part for part in parts if part)


def address(argument: str | None, name: str, variable: str) -> tuple[str, str | None]:
    """Return the model and the base URL that a word names: `MODEL` or `MODEL@URL`, else the URL of the environment.

    Raises:
        InvalidValue: No model is named, or the URL holds what belongs in the environment, or is none.
    """
    model, at, rest = (argument or "").partition("@http")
    url = f"http{rest}" if at else os.environ.get(variable) or None
    if not model.strip():
        raise InvalidValue(
            f"The frontier {name} needs a model; name it like {name}:MODEL or {name}:MODEL@http://HOST/v1."
        )
    if url is None:
        return model, None
    if not _plain(url):
        # The URL itself is not repeated: what is wrong with it may be the secret in it.
        raise InvalidValue(
            f"The URL of the frontier {name} must be http(s)://HOST[:PORT]/PATH without user, password or query; "
            "keys come from the environment alone."
        )
    return model, url


def _plain(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    spare = parts.username or parts.password or parts.query or parts.fragment
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not spare and url.isprintable()


def key_of(variable: str) -> str | None:
    """Return a key from the environment; None without one.

    Raises:
        InvalidValue: It cannot stand in a header, which is how every service is told.
    """
    key = os.environ.get(variable, "").strip()
    if not (key.isascii() and key.isprintable()):
        raise InvalidValue(f"{variable} holds characters that no key has; set it again, without line breaks.")
    return key or None


def called(name: str, url: str | None, home: str) -> str:
    """Return a provider's name: another server than the service's own is another provider, with no price of that one."""
    host = urlsplit(url).netloc if url else home
    return name if host == home else f"{name}@{host}"
