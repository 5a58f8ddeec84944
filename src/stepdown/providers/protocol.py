"""What a provider is asked and what it answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Example:
    """An earlier answer of the same run and its score, for providers that propose from history.

    It travels beside the prompt, never in it: prompts are exported, and another row's score must not leak through them.
    """

    generation: int
    value: Any
    text: str
    score: float


@dataclass(frozen=True, slots=True)
class Request:
    """One question.

    Attributes:
        call: Id made by the step; a provider may log it and never makes one.
        role: `competitor`, `coach`, …
        prompt: The whole prompt.
        schema: JSON Schema of the reply; None where it is more, or other, than JSON.
        seed: For providers that can be seeded.
        time_limit: Seconds the reply may take.
        examples: Earlier answers of the run, oldest first.
        instructions: The scenario's rules, for a model that cannot know them. A bundle learned them from examples.
        case: What is to be seen, by name, as the scenario's `observation` returns it: the same that the prompt puts into words,
            for a provider that reads no prose. None where the question is about no case, like a coach's.
    """

    call: str
    role: str
    prompt: str
    schema: Mapping[str, Any] | None
    seed: int
    time_limit: float
    examples: tuple[Example, ...] = ()
    instructions: str = ""
    case: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Completion:
    """One answer, as the provider that gave it describes it.

    Attributes:
        reply: The text that it returned, untouched.
        provider: Who answered, in its own words; not an echo of the request.
        model: The model that answered, in its own words.
        weights_digest: SHA-256 of the weights in memory, if local.
        input_tokens: As counted by the provider; None when it does not count.
        output_tokens: Likewise.
        cached_tokens: Input tokens among them that came from the provider's cache.
        reasoning_tokens: Output tokens among them that were thought and not said.
        request_id: The provider's own id for the call.
        finish_reason: Why the model stopped, in the provider's words.
        notes: What else is worth knowing of the call: each try before this one, what was left out of the answer.
    """

    reply: str
    provider: str
    model: str
    weights_digest: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    request_id: str | None = None
    finish_reason: str | None = None
    notes: tuple[str, ...] = ()


class Provider(Protocol):
    """Answers requests.

    Attributes:
        name: Who is asked (`gen_ai.provider.name`).
        model: What is asked for (`gen_ai.request.model`).

    A provider that may be asked in several threads at once says how many calls it takes in `concurrency`; without it, one.
    """

    @property
    def name(self) -> str:
        """Who is asked."""

    @property
    def model(self) -> str:
        """What is asked for."""

    def complete(self, request: Request) -> Completion:
        """Answer.

        Raises:
            ProviderError: No answer; `error_type` says why.
        """


class LocalProvider(Provider, Protocol):
    """A provider behind a bundle: it can also answer many prompts at once, for evaluation."""

    def answer(
        self, prompts: Sequence[str], seeds: Sequence[int], schema: Mapping[str, Any] | None = None
    ) -> list[str]:
        """Answer prompts with the very settings of serving; one reply each, in order.

        Args:
            prompts: What is asked.
            seeds: One per prompt, for drawing.
            schema: JSON Schema of a reply, as a request carries it.

        Raises:
            LocalError: The bundle cannot be loaded, or a prompt does not fit its window.
        """
