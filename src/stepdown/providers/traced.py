"""A provider with a witness: every call leaves a line before it and a line after it, whatever happens in between."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stepdown.clock import Clock
from stepdown.errors import ProviderError
from stepdown.providers import trace
from stepdown.providers.protocol import Completion, Provider, Request
from stepdown.providers.reply import checked, failure, notes, word


@dataclass(frozen=True, slots=True)
class Traced:
    """Wraps a provider. It knows nothing of the run database, and the database nothing of it.

    Attributes:
        provider: Who really answers.
        target: `local` or `frontier`.
        bundle: The bundle behind a local provider.
        path: The trace file.
        clock: Of the workspace.
        durable: Whether each line waits for the disk.
    """

    provider: Provider
    target: str
    bundle: str | None
    path: Path
    clock: Clock
    durable: bool

    @property
    def name(self) -> str:
        """Who is asked, as history and trace both keep it."""
        return word(str(self.provider.name))

    @property
    def model(self) -> str:
        """What is asked for, as history and trace both keep it."""
        return word(str(self.provider.model))

    def complete(self, request: Request) -> Completion:
        """Ask the provider, and write down what it was asked and what it said.

        Raises:
            ProviderError: The provider failed, in its own words or with any other exception.
        """
        return self.start(request).answer()

    def start(self, request: Request) -> "Call":
        """Write down what the provider is about to be asked; asking it is for `Call.answer`, in whatever thread."""
        start = trace.Line(
            event="start",
            call=request.call,
            target=self.target,
            role=request.role,
            bundle=self.bundle,
            requested_provider=self.name,
            requested_model=self.model,
            at=self.clock.now(),
        )
        # Not synced: the announcement in history already survives, and the end of the call syncs both lines.
        trace.write(self.path, start, durable=False)
        return Call(self, request, start)


@dataclass(frozen=True, slots=True)
class Call:
    """One call whose start is written down.

    Attributes:
        traced: Who is asked, and where it is written down.
        request: What is asked.
        start: The line that is written already.
    """

    traced: Traced
    request: Request
    start: trace.Line

    def answer(self) -> Completion:
        """Ask the provider, and write down what it said.

        Raises:
            ProviderError: The provider failed, in its own words or with any other exception.
        """
        began = self.traced.clock.monotonic()
        try:
            completion, noted = checked(self._ask(), self.traced.name)
        except ProviderError as error:
            self._end(began, error_type=error.error_type, error=str(error), notes=_lines(notes(error)))
            raise
        self._end(
            began,
            provider=completion.provider,
            model=completion.model,
            weights_digest=completion.weights_digest,
            reply=completion.reply,
            input_tokens=completion.input_tokens,
            output_tokens=completion.output_tokens,
            cached_tokens=completion.cached_tokens,
            reasoning_tokens=completion.reasoning_tokens,
            request_id=completion.request_id,
            finish_reason=completion.finish_reason,
            noted=" ".join(noted) or None,
            notes=_lines(completion.notes),
        )
        return completion

    def _ask(self) -> object:
        try:
            if self.traced.target == FRONTIER:
                return within(self.request.time_limit, lambda: self.traced.provider.complete(self.request))
            return self.traced.provider.complete(self.request)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            # A provider is somebody else's code: whatever it throws is a failed call with a reason, and never a lost step.
            raise failure(error, self.traced.name) from error

    def _end(self, began: float, **outcome: Any) -> None:
        clock = self.traced.clock
        duration = max(0.0, clock.monotonic() - began)
        end = replace(self.start, event="end", at=clock.now(), duration=duration, **outcome)
        end = replace(end, details=trace.details(end))
        trace.write(self.traced.path, end, durable=self.traced.durable)


def _lines(notes: tuple[str, ...]) -> str | None:
    return "\n".join(notes) or None


FRONTIER = "frontier"


def within(seconds: float, call: Callable[[], object]) -> object:
    """Return what a call returns, or raise what it raises, unless it takes longer than it may.

    A provider that keeps to its own time limit never notices. One that does not is left behind in its thread, which nobody
    can stop: what it says later is no answer any more.

    Raises:
        ProviderError: It took too long (`timeout`).
    """
    outcome: list[tuple[object, BaseException | None]] = []

    def ask() -> None:
        try:
            outcome.append((call(), None))
        except BaseException as error:
            outcome.append((None, error))

    asking = threading.Thread(target=ask, name="stepdown-call", daemon=True)
    asking.start()
    asking.join(min(seconds, threading.TIMEOUT_MAX))
    if not outcome:
        raise ProviderError(f"It did not answer within {seconds:g} s.", error_type="timeout")
    answer, error = outcome[0]
    if error is not None:
        raise error
    return answer
