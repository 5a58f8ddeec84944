"""Bring in a log of another system: questions and legal answers to learn from, whole or not at all.

Nothing of it counts as something that happened here: no step, no attempt, no call in the trace, no cost, no share of anybody.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from stepdown.acts.switch import OPERATOR, check_name
from stepdown.digest import parsed
from stepdown.errors import InvalidValue, Refused
from stepdown.history import ledger, reader, rows
from stepdown.providers.reply import storable, word
from stepdown.scenarios import cases, patterns
from stepdown.scenarios.guard import guarded
from stepdown.scenarios.patterns import Pattern
from stepdown.scenarios.prompt import Knowledge
from stepdown.scenarios.protocol import Scenario
from stepdown.scenarios.referee import judge, judged_on
from stepdown.scenarios.roles import Role, judged_role, proposer
from stepdown.scenarios.wording import wording
from stepdown.training.logs import UNKEPT, LogEntry, Skipped, entry
from stepdown.workspace import Workspace

ILLEGAL = "its answer is none that the scenario accepts"
KEPT = "its case is kept for evaluations and comparisons"
NO_CASE = "its question is no case of the scenario"

LONGEST_LINE = 1 << 26
"""Bytes; what has no end of line is read no further, whatever device or file it is."""


def read(scenario: Scenario, path: Path, *, role: str | None = None, pattern: str | None = None) -> "Read":
    """Read a log, before anything is recorded or a workspace is made for it.

    Args:
        scenario: Whose cases its questions are.
        path: A file of JSON lines, see `training.logs`.
        role: Whose answers its replies are; the first that is judged, if nobody says.
        pattern: A regular expression that finds the case in a question: by named groups, or its first group where a case is
            one text. Without it, a question is the text of the case, or a JSON object of the case's names.

    Raises:
        NotFound: No such role.
        Refused: The role's answers are not judged, or its questions cannot be put into words.
        InvalidValue: The file cannot be read, a line is no JSON, no line holds anything, or the pattern is none.
    """
    asked = judged_role(scenario, role) if role is not None else proposer(scenario)
    if asked.words is None:
        raise Refused(f"The role {asked.name} of {scenario.name} is asked by seed only.", kind="case-not-asked")
    log = Read(path.name, scenario, asked, _pattern(pattern))
    log.take(path)
    return log


def bring(workspace: Workspace, log: "Read", *, by: str = OPERATOR, why: str = "") -> rows.Log:
    """Bring in a log that was read, once: bytes that were brought in for the role already are not brought in again.

    Raises:
        InvalidValue: Nobody does it.
    """
    check_name(by)
    with workspace.writing() as connection:
        row = reader.log(connection, log.scenario.name, log.role.name, log.digest.hexdigest())
        if row is None:
            row = log.row(f"log-{reader.count(connection, rows.Log) + 1}", by, why, workspace.now())
            ledger.append(connection, row)
            ledger.append_all(connection, [rows.Exchange(row.id, **values) for values in log.exchanges])
    workspace.reached("act-recorded")
    return row


def _opened(path: Path) -> BinaryIO:
    """Open a log to be read; a pipe that nobody writes into is empty, and is not waited for."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    os.set_blocking(descriptor, True)
    return open(descriptor, "rb")  # noqa: PTH123 - a descriptor


def _because(skipped: Mapping[str, int]) -> str:
    return ": " + ", ".join(f"{reason} ({count})" for reason, count in skipped.items()) if skipped else ""


def _pattern(written: str | None) -> Pattern | None:
    try:
        return patterns.compiled(written, dot_is_all=True) if written is not None else None
    except ValueError as error:
        raise InvalidValue(f"The pattern {written!r} is no regular expression: {error}.") from error


@dataclass(slots=True)
class Read:
    """A log as it was read.

    Attributes:
        name: Of its file.
        scenario: Whose cases.
        role: Whose answers.
        pattern: Finds the case in a question.
        lines: That hold something, so far.
        skipped: Why lines became nothing, so far.
        digest: Of the bytes, so far.
        exchanges: The values of each exchange, without the log's id.
    """

    name: str
    scenario: Scenario
    role: Role
    pattern: Pattern | None
    lines: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    digest: Any = field(default_factory=hashlib.sha256)
    exchanges: list[dict[str, Any]] = field(default_factory=list)

    def take(self, path: Path) -> None:
        """Read the file.

        Raises:
            InvalidValue: The file cannot be read, a line is no JSON, or no line holds anything.
        """
        try:
            self.exchanges = list(self._exchanges(path))
        except OSError as error:
            raise InvalidValue(f"The log {path} cannot be read: {error.strerror}.", kind="log-unreadable") from error
        if not self.exchanges:
            raise InvalidValue(
                f"No line of {path.name} became an exchange{_because(self.skipped)}; `stepdown import --help` says what is "
                "read.",
                kind="log-empty",
            )

    def row(self, name: str, by: str, why: str, at: datetime) -> rows.Log:
        """Return what history says of the log as a whole."""
        return rows.Log(
            id=name,
            scenario=self.scenario.name,
            scenario_version=self.scenario.version,
            role=self.role.name,
            file=self.name,
            digest=self.digest.hexdigest(),
            lines=self.lines,
            skipped=dict(sorted(self.skipped.items())),
            prompts=wording(self.scenario, self.role.name).named or None,
            by=by,
            why=why,
            at=at,
        )

    def _exchanges(self, path: Path) -> Iterator[dict[str, Any]]:
        """Yield the values of an exchange for each line that holds one."""
        seen = cases.names(self.scenario)
        with _opened(path) as file:
            for number, line in enumerate(iter(partial(file.readline, LONGEST_LINE + 1), b""), start=1):
                if len(line) > LONGEST_LINE:
                    raise InvalidValue(
                        f"{self.name} line {number} is longer than {LONGEST_LINE >> 20} MiB; nothing of the log was kept.",
                        kind="log-unreadable",
                    )
                self.digest.update(line)
                if not line.strip():
                    continue
                self.lines += 1
                try:
                    yield {"line": number, **self._exchange(entry(line, f"{self.name} line {number}"), seen)}
                except Skipped as reason:
                    self.skipped[str(reason)] += 1

    def _exchange(self, entry: LogEntry, seen: tuple[str, ...]) -> dict[str, Any]:
        if not storable(entry.question) or not storable(entry.reply):
            raise Skipped(UNKEPT)
        case = _case(entry.question, seen, self.pattern)
        try:
            seed, own = cases.seed_of(self.scenario, case)
        except InvalidValue as error:
            if error.kind != cases.NO_CASE:
                raise
            raise Skipped(UNKEPT) from None
        if own and cases.kept(self.scenario, seed):
            raise Skipped(KEPT)
        words = self.role.words
        assert words is not None, "it was asked for before"
        prompt = guarded(self.scenario, "rendering a case", lambda: words(Knowledge(), case))
        judgement = judge(self.scenario, self.role, entry.reply, judged_on(self.scenario, seed, own=own))
        if judgement.answer is None:
            raise Skipped(ILLEGAL)
        if not storable(prompt + judgement.answer.text):
            raise Skipped(UNKEPT)
        return {
            "input": case,
            "seed": seed,
            "prompt": prompt,
            "reply": entry.reply,
            "answer": judgement.answer.text,
            "score": judgement.score,
            "model": word(entry.model) if entry.model is not None else None,
        }


def _case(question: str, seen: tuple[str, ...], pattern: Pattern | None) -> dict[str, Any]:
    """Return the case in a question, by the names that the scenario shows."""
    if pattern is not None:
        try:
            match = pattern.search(question)
        except patterns.UndecidedError:
            raise Skipped("the pattern could not be held against its question in time") from None
        if match is None or not match.groups():
            raise Skipped("the pattern finds no case in its question")
        named = match.groupdict() or ({seen[0]: match[1]} if len(seen) == 1 else {})
        case: Any = named
    elif len(seen) == 1:
        case = {seen[0]: question}
    else:
        try:
            case = parsed(question)
        except ValueError:
            case = None
    if not isinstance(case, dict) or set(case) != set(seen):
        raise Skipped(NO_CASE)
    return {name: case[name] for name in seen}
