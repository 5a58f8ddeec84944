"""How good an answer is, where what was expected is known: a value against a value, in named parts from 0 to 1. Pure.

A judge of a task in files is named by a table of its settings::

    {"kind": "exact"}                        the same JSON value
    {"kind": "choice"}                       the same word, but for case and white space around it
    {"kind": "regex", "pattern": "..."}      a text that the pattern matches whole, within a second; its first group, if any, is
                                             the expected one
    {"kind": "fields", "fields": {...}}      the share of right fields, each by its comparison: text, number or date

An answer that is not even of the right kind is wrong, never an error.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from stepdown.errors import InvalidValue
from stepdown.scenarios import patterns

Judge = Callable[[Any, Any], Mapping[str, float]]
"""Takes an answer and what was expected, both JSON values; returns the parts of the score, 0..1. The score is their mean."""

Comparison = Callable[[Any, Any], bool]


def judge(settings: Mapping[str, Any]) -> Judge:
    """Return the judge that a table of settings names.

    Raises:
        InvalidValue: It names none, or a setting is unknown, missing or of the wrong form.
    """
    kind = settings.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise InvalidValue(f"judge: kind must be one of {', '.join(KINDS)}, not {kind!r}.")
    make, allowed = KINDS[kind]
    if unknown := sorted(settings.keys() - {"kind", *allowed}):
        raise InvalidValue(f"judge: {kind} has no setting {unknown[0]!r}{_choices(allowed)}.")
    return make(settings)


def _choices(allowed: tuple[str, ...]) -> str:
    return f"; it has {', '.join(allowed)}" if allowed else ""


def _exact(_settings: Mapping[str, Any]) -> Judge:
    return lambda answer, expected: {"exact": float(same(answer, expected))}


def _choice(_settings: Mapping[str, Any]) -> Judge:
    return lambda answer, expected: {"choice": float(_same_text(answer, expected))}


def _regex(settings: Mapping[str, Any]) -> Judge:
    written = settings.get("pattern")
    if not isinstance(written, str):
        raise InvalidValue("judge: regex needs a pattern, a text.")
    try:
        pattern = patterns.compiled(written)
    except ValueError as error:
        raise InvalidValue(f"judge: the pattern {written!r} is no regular expression: {error}.") from error

    def matches(answer: Any, expected: Any) -> Mapping[str, float]:
        try:
            match = pattern.fullmatch(answer) if isinstance(answer, str) else None
        except patterns.UndecidedError:
            match = None
        right = match is not None and (expected is None or (match[1] if pattern.groups else match[0]) == expected)
        return {"regex": float(right)}

    return matches


def _fields(settings: Mapping[str, Any]) -> Judge:
    written = settings.get("fields")
    if not isinstance(written, Mapping) or not written:
        raise InvalidValue('judge: fields needs a table of fields, such as fields.total = {compare = "number"}.')
    comparisons = {name: _comparison(name, spec) for name, spec in written.items()}

    def right(answer: Any, expected: Any) -> Mapping[str, float]:
        given = answer if isinstance(answer, Mapping) else {}
        wanted = expected if isinstance(expected, Mapping) else {}
        return {
            name: float(name in given and name in wanted and compare(given[name], wanted[name]))
            for name, compare in comparisons.items()
        }

    return right


def _comparison(field: str, spec: Any) -> Comparison:
    settings = {"compare": spec} if isinstance(spec, str) else spec
    if not isinstance(settings, Mapping) or settings.get("compare") not in ("text", "number", "date"):
        raise InvalidValue(f"judge: the field {field} is compared as text, number or date, not {spec!r}.")
    allowed = {"compare", "tolerance"} if settings["compare"] == "number" else {"compare"}
    if unknown := sorted(settings.keys() - allowed):
        raise InvalidValue(f"judge: the field {field} has no setting {unknown[0]!r}.")
    if settings["compare"] == "number":
        tolerance = settings.get("tolerance", 0)
        if isinstance(tolerance, bool) or not isinstance(tolerance, int | float) or not 0 <= tolerance < math.inf:
            raise InvalidValue(f"judge: the tolerance of {field} is a number of 0 or more, not {tolerance!r}.")
        return _Near(Decimal(str(tolerance)))
    return _same_text if settings["compare"] == "text" else _same_day


KINDS: Mapping[str, tuple[Callable[[Mapping[str, Any]], Judge], tuple[str, ...]]] = {
    "exact": (_exact, ()),
    "choice": (_choice, ()),
    "regex": (_regex, ("pattern",)),
    "fields": (_fields, ("fields",)),
}


def same(one: Any, other: Any) -> bool:
    """Tell whether two JSON values are the same: 1 and 1.0 are one number, and neither is true."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    numbers = isinstance(one, int | float) and isinstance(other, int | float)
    return (numbers or type(one) is type(other)) and one == other


def _same_text(one: Any, other: Any) -> bool:
    return isinstance(one, str) and isinstance(other, str) and _folded(one) == _folded(other)


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


@dataclass(frozen=True, slots=True)
class _Near:
    """Compares numbers exactly as they are written, so that 0.1 + 0.2 is no matter of binary fractions."""

    tolerance: Decimal

    def __call__(self, one: Any, other: Any) -> bool:
        mine, its = _decimal(one), _decimal(other)
        return mine is not None and its is not None and abs(mine - its) <= self.tolerance


def _decimal(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = Decimal(str(value))
    except (InvalidOperation, ValueError):
        return None
    # A comparison must not cost what an exponent of a million costs.
    return number if number.is_finite() and abs(number.adjusted()) < 1000 else None


def _same_day(one: Any, other: Any) -> bool:
    mine, its = _day(one), _day(other)
    return mine is not None and mine == its


def _day(value: Any) -> date | None:
    if not isinstance(value, str):
        return None
    try:
        return datetime.fromisoformat(value.strip()).date()
    except ValueError:
        return None
