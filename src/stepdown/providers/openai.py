"""OpenAI's chat completions, and every server that speaks them, through the `openai` SDK.

`openai:MODEL` asks OpenAI or the server of `OPENAI_BASE_URL`, `openai:MODEL@http://127.0.0.1:8080/v1` the one it names. The
key is `OPENAI_API_KEY`; a server of your own may need none.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from stepdown.errors import Unavailable
from stepdown.providers.hosted import Failure, Fallback, Service, address, asked, called, counted, key_of, text_of
from stepdown.providers.outcomes import CallOutcome, at_path
from stepdown.providers.protocol import Completion, Request
from stepdown.scenarios.protocol import Scenario

HOME = "api.openai.com"

NO_KEY = "none"
"""What the SDK is given where a server needs no key: it takes nothing for an answer only from its own home."""


def make(argument: str | None, _scenario: Scenario) -> "OpenAI":
    """Return the provider `openai:MODEL` or `openai:MODEL@URL`.

    Raises:
        InvalidValue: No model is named, or the URL is not one.
        Unavailable: The SDK is missing, or OpenAI itself is asked without a key.
    """
    try:
        import_module("openai")
    except ImportError as error:
        raise Unavailable("The frontier openai needs its SDK: pip install 'stepdown[openai]'.") from error
    model, url = address(argument, "openai", "OPENAI_BASE_URL")
    provider = OpenAI(model, url)
    if provider.name == "openai" and not key_of("OPENAI_API_KEY"):
        raise Unavailable("OpenAI is asked with a key; put it in the environment variable OPENAI_API_KEY.")
    return provider


@dataclass(frozen=True, slots=True)
class OpenAI:
    """A model behind chat completions. It holds no key.

    Attributes:
        model: What is asked for.
        url: Base URL; None for OpenAI's own.
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
        """`openai`, or with the host of another server."""
        return called("openai", self.url, HOME)

    def complete(self, request: Request) -> Completion:
        """Ask.

        Raises:
            ProviderError: There is no answer; `error_type` is a `CallOutcome`.
        """
        import openai

        from stepdown.providers import wire

        key = key_of("OPENAI_API_KEY") or NO_KEY
        url = self.url or f"https://{HOME}/v1"
        sdk = openai.OpenAI(api_key=key, base_url=url, max_retries=0, http_client=wire.client())

        def send(seconds: float, beside: bool) -> Any:
            shape = self._shape(request.schema, request.seed) if beside and request.schema is not None else {}
            text = text_of(request, beside=beside)
            return sdk.chat.completions.with_raw_response.create(
                model=self.model, messages=[{"role": "user", "content": text}], timeout=seconds, **shape
            )

        return asked(Service(self.name, openai, key, self._read), request, send, self.learned, self.pause)

    def _shape(self, schema: Mapping[str, Any], seed: int) -> dict[str, Any]:
        named = {"name": "reply", "schema": dict(schema), "strict": True}
        return {"response_format": {"type": "json_schema", "json_schema": named}, "seed": seed}

    def _read(self, body: Any, request_id: str | None) -> Completion | Failure:
        choices = at_path(body, "choices")
        finish, text = at_path(choices, 0, "finish_reason"), at_path(choices, 0, "message", "content")
        refusal = at_path(choices, 0, "message", "refusal")
        if choices == []:
            return Failure(CallOutcome.NO_CHOICE, "its list of choices is empty", 200, request_id)
        if finish == "length":
            return Failure(CallOutcome.CUT_OFF, "its answer was cut off (finish_reason length)", 200, request_id)
        if finish == "content_filter":
            return Failure(CallOutcome.CONTENT_FILTER, "a content filter held its answer back", 200, request_id)
        if refusal:
            return Failure(CallOutcome.REFUSAL, "the model refuses to answer", 200, request_id)
        if not isinstance(text, str):
            return Failure(CallOutcome.MALFORMED, "it sent no chat completion with a text in it", 200, request_id)
        usage = at_path(body, "usage")
        return Completion(
            text,
            self.name,
            at_path(body, "model"),
            input_tokens=counted(at_path(usage, "prompt_tokens")),
            output_tokens=counted(at_path(usage, "completion_tokens")),
            cached_tokens=counted(at_path(usage, "prompt_tokens_details", "cached_tokens")),
            reasoning_tokens=counted(at_path(usage, "completion_tokens_details", "reasoning_tokens")),
            request_id=request_id or at_path(body, "id"),
            finish_reason=finish,
            notes=(f"{len(choices)} choices, the first is taken",) if len(choices) > 1 else (),
        )
