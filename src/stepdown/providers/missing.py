"""A frontier that was named rightly and cannot be had now. It stands where the provider would, and answers nothing."""

from dataclasses import dataclass
from typing import Never

from stepdown.errors import ProviderError, Unavailable
from stepdown.providers.protocol import Request

UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class Missing:
    """No provider, and the reason. Every step that has it for its frontier says so among its facts.

    Attributes:
        name: Who would be asked.
        model: What would be asked for.
        why: Why it cannot be had, in a sentence.
        kind: The same, in the word of the refusal.
    """

    name: str
    model: str
    why: str
    kind: str = Unavailable.kind

    @classmethod
    def named(cls, spec: str, error: Unavailable) -> "Missing":
        """Return what stands for the provider of a word."""
        name, _, argument = spec.partition(":")
        return cls(name, argument or name, str(error), error.kind)

    def complete(self, request: Request) -> Never:
        """Answer nothing.

        Raises:
            ProviderError: Always (`unavailable`).
        """
        raise ProviderError(self.why, error_type=UNAVAILABLE, notes=(f"{request.call} was sent to nobody",))
