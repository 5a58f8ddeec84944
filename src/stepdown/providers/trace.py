"""The trace: JSON lines written around every provider call, by the provider side. The second witness.

What a bundle is examined with it answers all at once: such a batch has one line, with the digests of all prompts and replies.

Names are OpenTelemetry's GenAI attributes where it has one, and ours under `stepdown.`. A line is one `write` under a file
lock, made durable before the call goes on; a process that dies while writing leaves at most one torn line, which the next
writer closes and every reader passes over: what it would have said is then missing, and the audit says so.
"""

import fcntl
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Self

from stepdown.digest import digest
from stepdown.errors import WorkspaceError
from stepdown.providers.reply import COUNTS, tokens

KEYS = {
    "event": "event",
    "call": "stepdown.call",
    "target": "stepdown.target",
    "role": "gen_ai.agent.name",
    "bundle": "stepdown.bundle",
    "requested_provider": "stepdown.request.provider.name",
    "requested_model": "gen_ai.request.model",
    "provider": "gen_ai.provider.name",
    "model": "gen_ai.response.model",
    "weights_digest": "stepdown.weights.digest",
    "error_type": "error.type",
    "error": "stepdown.error.message",
    "reply": "stepdown.output.text",
    "input_tokens": "gen_ai.usage.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "cached_tokens": "gen_ai.usage.cache_read.input_tokens",
    "reasoning_tokens": "gen_ai.usage.reasoning.output_tokens",
    "request_id": "stepdown.response.request_id",
    "finish_reason": "gen_ai.response.finish_reason",
    "duration": "gen_ai.client.operation.duration",
    "noted": "stepdown.notes",
    "notes": "stepdown.provider.notes",
    "details": "stepdown.provider.details.digest",
    "size": "stepdown.batch.size",
    "asked": "stepdown.batch.prompts.digest",
    "answered": "stepdown.batch.replies.digest",
    "at": "time",
}
"""Field of `Line` to attribute name in the file."""


@dataclass(frozen=True, slots=True)
class Line:
    """One event of a call: `start` before the provider is asked, `end` when it answered or failed; or `batch`, answered whole.

    Attributes:
        noted: Fields of the reply that were not what they should be, and are unknown since, with a space between.
        notes: What the provider itself says of the call, a line each.
        details: Digest of the `DETAILS`, which history has no second word on: a changed one shows.
        size: Prompts of a batch, with `asked` and `answered`: the digests of those and of the replies, see `batches`.
    """

    event: Literal["start", "end", "batch"]
    call: str
    target: str
    role: str
    bundle: str | None
    requested_provider: str
    requested_model: str
    at: datetime
    provider: str | None = None
    model: str | None = None
    weights_digest: str | None = None
    error_type: str | None = None
    error: str | None = None
    reply: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    request_id: str | None = None
    finish_reason: str | None = None
    duration: float | None = None
    noted: str | None = None
    notes: str | None = None
    details: str | None = None
    size: int | None = None
    asked: str | None = None
    answered: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the attributes that have a value, under their names in the file."""
        values = {KEYS[field.name]: getattr(self, field.name) for field in fields(self)}
        values["time"] = self.at.isoformat()
        return {key: value for key, value in values.items() if value is not None}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Read what `as_json` wrote, and believe nothing else.

        Raises:
            ValueError: A value is not of the kind that stepdown writes.
            KeyError: What every line has is missing.
        """
        values: dict[str, Any] = {field: stored.get(key) for field, key in KEYS.items()}
        values["at"] = datetime.fromisoformat(stored["time"])
        if values["at"].tzinfo is None or values["event"] not in ("start", "end", "batch"):
            raise ValueError("it is no event of a call")
        for name in TEXTS:
            if not (isinstance(values[name], str) or (values[name] is None and name not in ALWAYS)):
                raise ValueError(f"its {KEYS[name]} is not a text")
        for name in (*COUNTS, "size"):
            if values[name] is not None and tokens(values[name]) is None:
                raise ValueError(f"its {KEYS[name]} is not a count")
        if not _seconds(values["duration"]):
            raise ValueError(f"its {KEYS['duration']} is not a number of seconds")
        if any((values["event"] == "batch") is (values[name] is None) for name in BATCH):
            raise ValueError("it is half a batch")
        return cls(**values)


BATCH = ("size", "asked", "answered")
"""Fields that a batch has, and no call else."""

DETAILS = ("cached_tokens", "reasoning_tokens", "request_id", "finish_reason", "notes")
"""Fields that only the provider's side knows."""


def details(line: Line) -> str | None:
    """Return the digest of what only the provider's side knows of a call; None when that is nothing."""
    given = {name: getattr(line, name) for name in DETAILS if getattr(line, name) is not None}
    return digest(given) if given else None


ALWAYS = frozenset(("call", "target", "role", "requested_provider", "requested_model"))
TEXTS = tuple(field for field in KEYS if field not in ("event", "at", "duration", "size", *COUNTS))


def _seconds(value: Any) -> bool:
    if value is None:
        return True
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0


def write(path: Path, line: Line, *, durable: bool) -> None:
    """Append a line.

    Args:
        path: The trace file; it is made if missing.
        line: What to say.
        durable: Wait until the disk has it.

    Raises:
        WorkspaceError: The file cannot be written, or the disk is full.
    """
    data = json.dumps(line.as_json(), ensure_ascii=False).encode() + b"\n"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            _append(descriptor, data)
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise WorkspaceError(
            f"The trace {path} cannot be written ({error.strerror}); free the disk or mend its permissions. "
            "No provider is asked without it."
        ) from error


def _append(descriptor: int, data: bytes) -> None:
    end = os.lseek(descriptor, 0, os.SEEK_END)
    if end and os.pread(descriptor, 1, end - 1) != b"\n":
        data = b"\n" + data
    written = os.write(descriptor, data)
    if written < len(data):
        raise OSError(28, "No space left on device")


@dataclass(frozen=True, slots=True)
class Content:
    """What a trace holds.

    Attributes:
        lines: Its whole lines, in the order they were written.
        damaged: The lines that are JSON and no line of a trace, by number from 1, and what is wrong with each. A line that is
            no JSON was torn by a process that died while it wrote.
    """

    lines: Sequence[Line]
    damaged: Sequence[tuple[int, str]]


def read(path: Path) -> Content:
    """Read a trace whole; nothing if there is no file.

    Raises:
        WorkspaceError: There is something, and it cannot be read.
    """
    whole: list[Line] = []
    damaged: list[tuple[int, str]] = []
    for number, line in _numbered(path):
        if isinstance(line, Line):
            whole.append(line)
        else:
            damaged.append((number, line))
    return Content(whole, damaged)


def lines(path: Path) -> Iterator[Line]:
    """Yield the whole lines of a trace, in the order they were written; none if there is no file.

    Raises:
        WorkspaceError: There is something, and it cannot be read.
    """
    return (line for _, line in _numbered(path) if isinstance(line, Line))


def _numbered(path: Path) -> Iterator[tuple[int, Line | str]]:
    """Yield each line that is JSON by its number, or what is wrong with it."""
    for number, data in enumerate(_raw(path), start=1):
        try:
            stored = json.loads(data)
        except (ValueError, RecursionError):
            continue
        try:
            yield number, Line.from_json(stored)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
            yield number, str(error)


def _raw(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            yield from file
    except FileNotFoundError:
        return
    except OSError as error:
        raise WorkspaceError(f"The trace {path} cannot be read ({error.strerror}); mend its permissions.") from error
