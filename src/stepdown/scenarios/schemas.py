"""An answer's JSON Schema: checked before anybody is asked, and held against values that nobody chose. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import SPECIFICATIONS

from stepdown.digest import shown
from stepdown.errors import InvalidValue

UNMEASURED = "a number in it is too large for the schema, or it is nested too deeply"

DATA = ("const", "default", "enum", "examples")
"""Words of a schema whose values are data, and name no other schema whatever they look like."""


def validator(schema: Mapping[str, Any]) -> Draft202012Validator:
    """Return what holds values against a schema; it knows the standard's own schemas, and fetches none."""
    return Draft202012Validator(
        dict(schema), format_checker=Draft202012Validator.FORMAT_CHECKER, registry=SPECIFICATIONS
    )


def check_references(schema: Mapping[str, Any], file: str) -> None:
    """Refuse a schema that names another one, or a part of itself that it does not have, or itself without end.

    Raises:
        InvalidValue: With the name.
    """
    for name in _references(schema):
        if not name.startswith("#"):
            raise InvalidValue(
                f"{file} names another schema, {name[:100]!r}, and none is fetched; write it into the file."
            )
    try:
        values: tuple[Any, ...] = (None, True, 0, "", [], {})
        for value in values:
            validator(schema).is_valid(value)
        for name in _references(schema):
            validator({**schema, "$ref": name}).is_valid(None)
    except RecursionError:
        raise InvalidValue(f"{file} describes itself by itself, without end.") from None
    except Exception as error:  # A library's word for a name that leads nowhere; every one of its versions has another.
        raise InvalidValue(f"{file} names a part of itself that it does not have.") from error


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        name = value.get("$ref")
        if isinstance(name, str):
            yield name
    for inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        if inner[0] not in DATA:
            yield from _references(inner[1])


def mismatch(schema: Draft202012Validator, value: Any) -> str | None:
    """Return in JSON's notation what does not match, where, and which word of the schema it fails; None if all does."""
    try:
        problem = next(iter(schema.iter_errors(value)), None)
    except (OverflowError, RecursionError):
        # A reply may hold whole numbers that no fraction of the schema can be held against.
        return UNMEASURED
    return _words(problem) if problem is not None else None


def _words(problem: ValidationError) -> str:
    where = "/".join(map(str, problem.absolute_path))
    at = f" at {where}" if where else ""
    return f"{shown(problem.instance)[:100]}{at} fails {problem.validator} {shown(problem.validator_value)}"[:200]
