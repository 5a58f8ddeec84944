"""A provider with a witness: every call leaves a line before it and a line after it, whatever happens in between."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stepdown.clock import Clock
from stepdown.errors import ProviderError
from stepdown.providers import trace
from stepdown.providers.protocol import Completion, Provider, Request


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

    def complete(self, request: Request) -> Completion:
        """Ask the provider, and write down what it was asked and what it said.

        Raises:
            ProviderError: The provider failed, in its own words or with any other exception.
        """
        start = trace.Line(
            event="start",
            call=request.call,
            target=self.target,
            role=request.role,
            bundle=self.bundle,
            requested_provider=self.provider.name,
            requested_model=self.provider.model,
            at=self.clock.now(),
        )
        # Not synced: the announcement in history already survives, and the end of the call syncs both lines.
        trace.write(self.path, start, durable=False)
        began = self.clock.monotonic()
        try:
            completion = self._ask(request)
        except ProviderError as error:
            self._end(start, began, error_type=error.error_type, error=str(error))
            raise
        self._end(
            start,
            began,
            provider=completion.provider,
            model=completion.model,
            digest=completion.digest,
            text=completion.text,
            input_tokens=completion.input_tokens,
            output_tokens=completion.output_tokens,
        )
        return completion

    def _ask(self, request: Request) -> Completion:
        try:
            return self.provider.complete(request)
        except ProviderError:
            raise
        except Exception as error:
            # A provider is somebody else's code: whatever it throws is a failed call with a reason, and never a lost step.
            kind = type(error).__name__
            raise ProviderError(f"{self.provider.name} broke: {kind}: {error}", error_type=kind) from error

    def _end(self, start: trace.Line, began: float, **said: Any) -> None:
        duration = max(0.0, self.clock.monotonic() - began)
        end = replace(start, event="end", at=self.clock.now(), duration=duration, **said)
        trace.write(self.path, end, durable=self.durable)
