"""How a local reply is decoded. Part of what an evaluation is bound to."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Decoding:
    """Decoding settings, the same when a bundle is evaluated and when it serves.

    Attributes:
        max_tokens: Longest reply, in tokens.
        temperature: 0 takes the likeliest token.
    """

    max_tokens: int = 96
    temperature: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)
