"""Anthropic's messages, through the `anthropic` SDK.

`anthropic:MODEL` asks Anthropic or the server of `ANTHROPIC_BASE_URL`, `anthropic:MODEL@URL` the one it names. The key is
`ANTHROPIC_API_KEY`.
"""

from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from stepdown.errors import Unavailable
from stepdown.providers.hosted import Failure, Fallback, Service, address, asked, called, counted, key_of, text_of
from stepdown.providers.outcomes import CallOutcome, at_path
from stepdown.providers.protocol import Completion, Request
from stepdown.scenarios.protocol import Scenario

HOME = "api.anthropic.com"
NO_KEY = "none"

MOST_TOKENS = 4096
"""Tokens of a reply: the service wants a number. A lesson is 1,200 characters, the longest answer of a shipped scenario 100."""


def make(argument: str | None, _scenario: Scenario) -> "Anthropic":
    """Return the provider `anthropic:MODEL` or `anthropic:MODEL@URL`.

    Raises:
        InvalidValue: No model is named, or the URL is not one.
        Unavailable: The SDK is missing, or Anthropic itself is asked without a key.
    """
    try:
        import_module("anthropic")
    except ImportError as error:
        raise Unavailable("The frontier anthropic needs its SDK: pip install 'stepdown[anthropic]'.") from error
    model, url = address(argument, "anthropic", "ANTHROPIC_BASE_URL")
    provider = Anthropic(model, url)
    if provider.name == "anthropic" and not key_of("ANTHROPIC_API_KEY"):
        raise Unavailable("Anthropic is asked with a key; put it in the environment variable ANTHROPIC_API_KEY.")
    return provider


@dataclass(frozen=True, slots=True)
class Anthropic:
    """A model behind the messages API. It holds no key.

    Attributes:
        model: What is asked for.
        url: Base URL; None for Anthropic's own.
        pause: Seconds before the second try.
        concurrency: Calls that may be under way at once.
    """

    model: str
    url: str | None = None
    pause: float = 0.5
    concurrency: int = 8
    learned: Fallback = field(default_factory=Fallback, repr=False, compare=False)

    @property
    def name(self) -> str:
        """`anthropic`, or with the host of another server."""
        return called("anthropic", self.url, HOME)

    def complete(self, request: Request) -> Completion:
        """Ask.

        Raises:
            ProviderError: There is no answer; `error_type` is a `CallOutcome`.
        """
        import anthropic

        from stepdown.providers import wire

        key = key_of("ANTHROPIC_API_KEY") or NO_KEY
        url = self.url or f"https://{HOME}"
        sdk = anthropic.Anthropic(api_key=key, base_url=url, max_retries=0, http_client=wire.client())

        def send(seconds: float, beside: bool) -> Any:
            shape: Any = {"type": "json_schema", "schema": dict(request.schema or {})}
            text = text_of(request, beside=beside)
            return sdk.messages.with_raw_response.create(
                model=self.model,
                max_tokens=MOST_TOKENS,
                messages=[{"role": "user", "content": text}],
                timeout=seconds,
                output_config={"format": shape} if beside else anthropic.omit,
            )

        return asked(Service(self.name, anthropic, key, self._read), request, send, self.learned, self.pause)

    def _read(self, body: Any, request_id: str | None) -> Completion | Failure:
        content, stop = at_path(body, "content"), at_path(body, "stop_reason")
        if stop == "refusal":
            return Failure(CallOutcome.REFUSAL, "the model refuses to answer", 200, request_id)
        if stop in ("max_tokens", "model_context_window_exceeded"):
            return Failure(CallOutcome.CUT_OFF, f"its answer was cut off (stop_reason {stop})", 200, request_id)
        if content == []:
            return Failure(CallOutcome.NO_CHOICE, "its answer has no content", 200, request_id)
        blocks = content if isinstance(content, list) else []
        texts = [at_path(block, "text") for block in blocks if at_path(block, "type") == "text"]
        if not texts or not all(isinstance(text, str) for text in texts):
            return Failure(CallOutcome.MALFORMED, "it sent no message with a text in it", 200, request_id)
        usage = at_path(body, "usage")
        cached = at_path(usage, "cache_read_input_tokens")
        return Completion(
            # One answer may come in several blocks; the service splits it, the text is all of them.
            "".join(texts),
            self.name,
            at_path(body, "model"),
            # What came from a cache, or went into one, was read too: the service counts it apart from the rest.
            input_tokens=counted(at_path(usage, "input_tokens"), at_path(usage, "cache_creation_input_tokens"), cached),
            output_tokens=counted(at_path(usage, "output_tokens")),
            cached_tokens=counted(cached),
            reasoning_tokens=counted(at_path(usage, "output_tokens_details", "thinking_tokens")),
            request_id=request_id or at_path(body, "id"),
            finish_reason=stop,
        )
