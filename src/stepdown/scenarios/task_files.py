"""The files of a task, read strictly: whatever is wrong with them is a sentence with file and line. Pure: texts in."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from stepdown.digest import digest, parsed, why
from stepdown.errors import InvalidValue, in_one_line
from stepdown.scenarios import judging
from stepdown.scenarios.prompt import COMPETITOR
from stepdown.scenarios.readers import READERS, written
from stepdown.scenarios.schemas import check_parts
from stepdown.scenarios.tasks import LEAST_COMPARED, LEAST_HELD_OUT, TASK, Case, Task, judge_of, split
from stepdown.scenarios.texts import blanks, filled, plain

KEYS: Mapping[str, type] = {
    "name": str,
    "version": int,
    "cases": str,
    "instructions": str,
    "schema": str,
    "prompt": str,
    "reader": str,
    "judge": dict,
    "frontier": dict,
    "training": dict,
    "policy": dict,
}
DEFAULTS = {"version": 1, "cases": "cases.jsonl", "instructions": "instructions.txt", "schema": "answer.schema.json"}
NAME = re.compile(r"[a-z][a-z0-9_-]{0,59}")


@dataclass(frozen=True, slots=True)
class TaskSettings:
    """What a task's own file says.

    Attributes:
        name: The task's name.
        version: Its author's version.
        cases: Name of the file of cases, and `instructions` and `schema`: of theirs.
        prompt: Name of the file with its prompt's text; empty for the text of those that bring none.
        reader: How an answer stands in a reply.
        judge: How an answer is judged.
        others: The tables `frontier`, `training` and `policy`.
    """

    name: str
    version: int
    cases: str
    instructions: str
    schema: str
    prompt: str
    reader: str
    judge: Mapping[str, Any]
    others: Mapping[str, Any]


def settings(text: str, file: str = TASK) -> TaskSettings:
    """Read a task's own file.

    Raises:
        InvalidValue: It is no TOML, or a value is missing, unknown or of the wrong form.
    """
    try:
        table = tomllib.loads(text)
        _check_whole(table)
    except (ValueError, RecursionError) as error:
        raise InvalidValue(f"{file} is no TOML: {in_one_line(error)}.") from error
    if unknown := sorted(table.keys() - KEYS.keys()):
        raise InvalidValue(f"{file}{line_of(text, unknown[0])} has {unknown[0]!r}, which no task has.")
    for name, value in table.items():
        if not isinstance(value, KEYS[name]) or isinstance(value, bool):
            raise InvalidValue(f"{file}{line_of(text, name)}: {name} must be {_kind(KEYS[name])}.")
    for name in ("name", "judge"):
        if name not in table:
            raise InvalidValue(f"{file} needs {name}.")
    if not NAME.fullmatch(table["name"]):
        raise InvalidValue(
            f"{file}{line_of(text, 'name')}: a name is of small letters, digits, - and _, at most 60, a letter first, not "
            f"{table['name']!r}."
        )
    reader = table.get("reader", "json")
    if reader not in READERS:
        raise InvalidValue(
            f"{file}{line_of(text, 'reader')}: reader must be one of {', '.join(READERS)}, not {reader!r}."
        )
    try:
        judge_of(table["judge"])
    except InvalidValue as error:
        raise InvalidValue(f"{file}{line_of(text, 'judge')}: {error}") from error
    complete = {**DEFAULTS, **table}
    others = {name: table.get(name, {}) for name in ("frontier", "training", "policy")}
    return TaskSettings(
        name=complete["name"],
        version=complete["version"],
        cases=complete["cases"],
        instructions=complete["instructions"],
        schema=complete["schema"],
        prompt=complete.get("prompt", ""),
        reader=reader,
        judge=complete["judge"],
        others=others,
    )


def _check_whole(value: Any) -> None:
    """Refuse what no whole number of TOML is: they have 64 bits, and no sentence could show a longer one."""
    if isinstance(value, int) and value.bit_length() > 63:
        raise ValueError("a whole number in it has more than 64 bits")
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _check_whole(inner)


def _kind(kind: type) -> str:
    return {str: "a text", int: "a whole number", dict: "a table"}[kind]


def line_of(text: str, key: str) -> str:
    """Return where a key stands, as a message says it."""
    pattern = re.compile(rf"\s*(\[{re.escape(key)}[\].]|{re.escape(key)}\s*[=.])")
    lines = (number for number, line in enumerate(text.splitlines(), start=1) if pattern.match(line))
    number = next(lines, None)
    return f" line {number}" if number is not None else ""


def schema(text: str, file: str) -> Mapping[str, Any]:
    """Read the schema of an answer.

    Raises:
        InvalidValue: It is no JSON, or no JSON Schema.
    """
    try:
        schema_ = parsed(text)
    except ValueError as error:
        raise InvalidValue(f"{file} is no JSON: {error}.") from error
    if not isinstance(schema_, dict):
        raise InvalidValue(f"{file} must be a JSON object, a schema.")
    if problem := unkept(schema_):
        raise InvalidValue(f"{file} holds what cannot be kept: {problem}.")
    try:
        Draft202012Validator.check_schema(schema_)
    except RecursionError as error:
        raise InvalidValue(f"{file} is nested too deeply.") from error
    except SchemaError as error:
        where = "/".join(map(str, error.absolute_path)) or "its top"
        raise InvalidValue(f"{file} is no JSON Schema, at {where}: {error.message[:200]}.") from error
    check_parts(schema_, file)
    return schema_


def unkept(value: Any) -> str:
    """Return why a JSON value cannot be kept, in a sentence's end; empty when it can."""
    try:
        digest(value)
    except (ValueError, RecursionError) as error:
        return why(error)
    return ""


def check_text(text: str, file: str) -> str:
    """Return a text that goes into prompts.

    Raises:
        InvalidValue: No prompt can hold it.
    """
    if "\0" in text:
        raise InvalidValue(f"{file} holds a NUL, which no prompt can.")
    return text


BLANKS = frozenset(("scenario", "version", "rules", "schema", "playbook", "hints", "case"))
"""What a prompt's text may leave to be filled, and only the case must."""


def prompts(text: str, file: str) -> Mapping[str, str]:
    """Read the text of a task's prompt.

    Raises:
        InvalidValue: It has a blank that nobody fills, none for the case, or what no prompt can hold.
    """
    text = plain(text)
    check_text(text, file)
    try:
        named = set(blanks(text))
        filled(text, dict.fromkeys(BLANKS, ""))
    except InvalidValue as error:
        raise InvalidValue(f"{file}: {error} Its blanks are ${', $'.join(sorted(BLANKS))}; $$ is a dollar.") from error
    if "case" not in named:
        raise InvalidValue(f"{file} must say where the case stands, with $case.")
    return {COMPETITOR: text}


def cases(text: str, file: str) -> list[Case]:
    """Read the cases, one a line; empty lines are passed over.

    Raises:
        InvalidValue: A line is no case, or two lines ask the same and expect different answers.
    """
    listed: list[Case] = []
    seen: dict[str, Case] = {}
    # Not splitlines(): JSON may hold a line separator (U+2028) as it is.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        case = _case(line, f"{file} line {number}", number)
        key = _key(case, f"{file} line {number}")
        twin = seen.get(key)
        if twin is not None and (twin.labelled, twin.expected) != (case.labelled, case.expected):
            raise InvalidValue(f"{file} line {number} asks what line {twin.line} asks, and expects another answer.")
        if twin is None:
            seen[key] = case
            listed.append(case)
    return listed


def _case(line: str, where: str, number: int) -> Case:
    try:
        row = parsed(line)
    except ValueError as error:
        raise InvalidValue(f"{where} is no JSON: {error}.") from error
    if not isinstance(row, dict) or "input" not in row:
        raise InvalidValue(f'{where} must be an object with "input", and "expected" where the answer is known.')
    if unknown := sorted(row.keys() - {"input", "expected"}):
        raise InvalidValue(f"{where} has {unknown[0]!r}; a case has input and expected.")
    given = row["input"]
    seen = {"text": given} if isinstance(given, str) else given
    if not isinstance(seen, dict) or not seen:
        raise InvalidValue(f"{where}: input must be a text, or an object of names and values.")
    return Case(seen, row.get("expected"), "expected" in row, number)


def _key(case: Case, where: str) -> str:
    if problem := unkept([case.input, case.expected]):
        raise InvalidValue(f"{where} holds what cannot be kept: {problem}.")
    return digest(case.input)


def task(
    settings: TaskSettings,
    instructions: str,
    answers: Mapping[str, Any],
    listed: list[Case],
    file: str,
    own: Mapping[str, str] | None = None,
) -> Task:
    """Return the task, if its files fit together.

    Raises:
        InvalidValue: An expected answer is not one that reader and schema accept, or a side of the split is too small.
    """
    task_ = Task(
        settings.name,
        settings.version,
        check_text(instructions, settings.instructions).strip(),
        answers,
        settings.reader,
        settings.judge,
        listed,
        settings.others,
        own or {},
    )
    for case in listed:
        if case.labelled:
            try:
                task_.parse(written(settings.reader, case.expected))
            except ValueError as error:
                raise InvalidValue(f"{file} line {case.line}: what is expected is no answer: {error}.") from error
    if not instructions.strip():
        raise InvalidValue(f"{settings.instructions} is empty; say what a good answer is.")
    sides = split(listed, unlabelled=judging.by_model(settings.judge))
    # What a model judges may be meant for runs and live questions alone, with no case to evaluate a bundle on.
    others = () if judging.by_model(settings.judge) else (("held-out", LEAST_HELD_OUT), ("comparison", LEAST_COMPARED))
    for side, least in (("training", 2), *others):
        if len(sides[side]) < least:
            raise InvalidValue(
                f"{file} has {len(listed)} cases, and {len(sides[side])} of them fall to {side}, which needs {least}; add "
                "cases whose answers are known."
            )
    return task_
