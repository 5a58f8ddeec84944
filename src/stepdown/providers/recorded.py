"""A frontier on tape: it replays recorded replies, illegal ones included, and can be told to fail."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

from stepdown import files
from stepdown.errors import InvalidValue, ProviderError, in_one_line
from stepdown.providers.protocol import Completion, Request
from stepdown.scenarios.protocol import Scenario


def make(argument: str | None, _scenario: Scenario) -> "Recorded":
    """Return a tape as the provider `recorded:PATH`.

    Raises:
        InvalidValue: No tape is named, or it is none.
    """
    if not argument:
        raise InvalidValue("The frontier recorded plays a tape; name it like recorded:PATH.")
    return Recorded.load(Path(argument))


@dataclass(slots=True)
class Recorded:
    """Replays a tape, in order for each role, and from the start again at its end.

    Attributes:
        tape: Role to its replies. A reply is `text` with optional `model`, `input_tokens` and `output_tokens`, or `error`
            (an `error.type`) for a call that failed when it was recorded.
        failing: An `error.type` that every call fails with, until it is None again.
    """

    tape: Mapping[str, list[Mapping[str, Any]]]
    failing: str | None = None
    played: dict[str, int] = field(default_factory=dict)
    name: ClassVar[str] = "recorded"
    model: ClassVar[str] = "tape"

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a tape: JSON lines, each with `role` and a reply.

        Raises:
            InvalidValue: The file is missing, empty or malformed.
        """
        tape: dict[str, list[Mapping[str, Any]]] = {}
        try:
            for line in files.text(path).split("\n"):
                if not line.strip():
                    continue
                row = json.loads(line)
                if "error" not in row:
                    row["text"].encode()
                tape.setdefault(row["role"], []).append(row)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise InvalidValue(f"{path} is not a tape of recorded replies: {in_one_line(error)}.") from error
        if not tape:
            raise InvalidValue(f"{path} is an empty tape; record a reply first.")
        return cls(tape)

    def complete(self, request: Request) -> Completion:
        """Replay the role's next reply."""
        if self.failing is not None:
            raise ProviderError(f"The tape was told to fail with {self.failing}.", error_type=self.failing)
        replies = self.tape.get(request.role)
        if not replies:
            raise ProviderError(f"The tape holds no reply for the role {request.role}.", error_type="no-reply")
        index = self.played.get(request.role, 0)
        self.played[request.role] = index + 1
        row = replies[index % len(replies)]
        if "error" in row:
            raise ProviderError(f"The recorded call failed with {row['error']}.", error_type=row["error"])
        return Completion(
            row["text"],
            self.name,
            row.get("model", self.model),
            input_tokens=row.get("input_tokens"),
            output_tokens=row.get("output_tokens"),
        )
