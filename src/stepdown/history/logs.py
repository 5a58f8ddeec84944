"""Tables and rows of what other systems logged: brought in to learn from, and never counted as something that happened here."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column, Float, Index, Integer, Text

from stepdown.history.columns import by, ref, table, word

log = table(
    "log",
    word("id", unique=True),
    word("scenario"),
    Column("scenario_version", Integer, nullable=False),
    word("role"),
    Column("file", Text, nullable=False),
    word("digest"),
    Column("lines", Integer, nullable=False),
    Column("skipped", JSON, nullable=False),
    word("prompts", nullable=True),
    *by(),
    Index(None, "scenario", "role", "seq"),
)

exchange = table(
    "exchange",
    ref("log", "log.id"),
    Column("line", Integer, nullable=False),
    Column("input", JSON, nullable=False),
    Column("seed", Integer, nullable=False),
    Column("prompt", Text, nullable=False),
    Column("reply", Text, nullable=False),
    Column("strategy", Text, nullable=False, key="answer"),
    Column("score", Float),
    word("model", nullable=True),
    Index(None, "log", "line", unique=True),
)


@dataclass(frozen=True, slots=True)
class Log:
    """A log was brought in.

    Attributes:
        scenario_version: Its version then.
        role: Whose answers its replies are.
        file: Its name, without its directory.
        digest: SHA-256 of its bytes, hex.
        lines: How many lines of it hold something.
        skipped: Why lines did not become exchanges, and how many for each reason.
        prompts: Digest of the text that its cases were put in; None of the first text, and where the scenario does not say it.
    """

    id: str
    scenario: str
    scenario_version: int
    role: str
    file: str
    digest: str
    lines: int
    skipped: Mapping[str, int]
    prompts: str | None
    by: str
    why: str
    at: datetime

    @property
    def exchanges(self) -> int:
        """How many of its lines became exchanges."""
        return self.lines - sum(self.skipped.values())


@dataclass(frozen=True, slots=True)
class Exchange:
    """A question of a log, and the legal answer that it got there.

    Attributes:
        log: Id of the log.
        line: Where it stands in it, from 1.
        input: The case, by name, as the scenario's `observation` returns one.
        seed: Of that case in its scenario; drawn from its content where the scenario does not have it.
        prompt: The case in the scenario's words, as a bundle is asked; the log's own words are not kept.
        reply: What was answered, untouched.
        answer: The answer in it, canonical JSON.
        score: 0..1, four decimals; None where nobody knows what is right.
        model: Who answered, as the log says it.
    """

    log: str
    line: int
    input: Mapping[str, Any]
    seed: int
    prompt: str
    reply: str
    answer: str
    score: float | None
    model: str | None
