"""An answer's JSON Schema: checked before anybody is asked, and held against values that nobody chose. Pure."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import SPECIFICATIONS, extend

from stepdown.digest import shown
from stepdown.errors import InvalidValue
from stepdown.scenarios import patterns

UNMEASURED = "a number in it is too large for the schema, or it is nested too deeply"
UNDECIDED = "a pattern of the schema could not be held against it in time"

DATA = ("const", "default", "enum", "examples")
"""Words of a schema whose values are data, and name no other schema whatever they look like."""


def validator(schema: Mapping[str, Any]) -> Validator:
    """Return what holds values against a schema; it knows the standard's own schemas, and fetches none."""
    made: Validator = _InTime(dict(schema), format_checker=Draft202012Validator.FORMAT_CHECKER, registry=SPECIFICATIONS)
    return made


_compiled = lru_cache(maxsize=256)(patterns.compiled)


def _pattern(held: Validator, written: str, value: Any, _schema: Any) -> Iterator[ValidationError]:
    if held.is_type(value, "string") and not _compiled(written).search(value):
        yield ValidationError(f"{value!r} does not match {written!r}")


def _pattern_properties(
    held: Any, by_pattern: Mapping[str, Any], value: Any, _schema: Any
) -> Iterator[ValidationError]:
    for written, wanted in by_pattern.items() if held.is_type(value, "object") else ():
        for name in value:
            if _compiled(written).search(name):
                yield from held.descend(value[name], wanted, path=name, schema_path=written)


def _additional_properties(held: Any, wanted: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
    if not held.is_type(value, "object"):
        return
    named, written = schema.get("properties", {}), schema.get("patternProperties", {})
    for name in value:
        if name not in named and not any(_compiled(each).search(name) for each in written):
            if wanted is False:
                yield ValidationError(f"{name!r} is not one of its properties")
            else:
                yield from held.descend(value[name], wanted, path=name)


_InTime = extend(
    Draft202012Validator,
    {
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional_properties,
    },
)
"""The library's own words for these search with Python's expressions, which may backtrack without end."""


def check_parts(schema: Mapping[str, Any], file: str) -> None:
    """Refuse a schema with a pattern that is none, that names another one or a part that it does not have, or is endless.

    Raises:
        InvalidValue: With the pattern or the name.
    """
    for written in _patterns(schema):
        try:
            _compiled(written)
        except ValueError as error:
            raise InvalidValue(f"{file}: the pattern {written[:100]!r} is no regular expression: {error}.") from error
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


def _references(schema: Any) -> Iterator[str]:
    names = (part.get("$ref") for part in _objects(schema))
    return (name for name in names if isinstance(name, str))


def _patterns(schema: Any) -> Iterator[str]:
    for part in _objects(schema):
        if isinstance(part.get("pattern"), str):
            yield part["pattern"]
        if isinstance(part.get("patternProperties"), dict):
            yield from part["patternProperties"]


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every object of a schema that is not data."""
    if isinstance(value, dict):
        yield value
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        if key not in DATA:
            yield from _objects(inner)


def mismatch(schema: Validator, value: Any) -> str | None:
    """Return in JSON's notation what does not match, where, and which word of the schema it fails; None if all does."""
    try:
        problem = next(iter(schema.iter_errors(value)), None)
    except (OverflowError, RecursionError):
        # A reply may hold whole numbers that no fraction of the schema can be held against.
        return UNMEASURED
    except patterns.UndecidedError:
        return UNDECIDED
    return _words(problem) if problem is not None else None


def _words(problem: ValidationError) -> str:
    where = "/".join(map(str, problem.absolute_path))
    at = f" at {where}" if where else ""
    return f"{shown(problem.instance)[:100]}{at} fails {problem.validator} {shown(problem.validator_value)}"[:200]
