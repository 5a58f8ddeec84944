"""invoices from its published form: who judges a reply. What an answer is worth only whoever wrote the sentence knows."""

from datetime import date
from functools import lru_cache
from json import loads
from re import DOTALL, fullmatch
from typing import Any

KEYS = ("amount", "currency", "date", "number")
FORMS = {"currency": "[A-Z]{3}", "date": r"[0-9]{4}-[0-9]{2}-[0-9]{2}", "number": ".{1,40}"}
RICHEST = 1e12


@lru_cache(4096)
def objectors(text: str) -> frozenset[str]:
    """Name the validators that object to a reply, each judging only what is its own.

    `json-object` wants a JSON object; the others are silent on anything else. `known-keys` wants exactly the four keys, each
    once; `plain-amount` a number of 0 or more below 10**12; `plain-texts` three texts as they were asked for; `calendar-date` a
    day of the calendar, of a date that is written right.
    """
    try:
        pairs = loads(text, object_pairs_hook=tuple)
    except (ValueError, RecursionError):
        return frozenset({"json-object"})
    if not isinstance(pairs, tuple):
        return frozenset({"json-object"})
    fields = dict(pairs)
    verdicts = {
        "known-keys": sorted(name for name, _ in pairs) != sorted(KEYS),
        "plain-amount": "amount" in fields and not _is_amount(fields["amount"]),
        "plain-texts": any(name in fields and not _is_written(fields[name], form) for name, form in FORMS.items()),
        "calendar-date": _is_written(fields.get("date"), FORMS["date"]) and not _is_day(fields["date"]),
    }
    return frozenset(name for name, objects in verdicts.items() if objects)


def _is_amount(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < RICHEST


def _is_written(value: Any, form: str) -> bool:
    return isinstance(value, str) and fullmatch(form, value, DOTALL) is not None


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


@lru_cache(4096)
def refused(text: str) -> frozenset[str]:
    """Name who objects where the same is asked by a task in files.

    `readable` wants one JSON value in which no key stands twice; `schema`, silent on anything else, an object of exactly the
    four keys, each of the form that was asked for. A schema counts every number of 0 or more.
    """
    try:
        value = loads(text, object_pairs_hook=_each_once, parse_constant=_unread)
    except (ValueError, RecursionError):
        return frozenset({"readable"})
    fits = isinstance(value, dict) and value.keys() == set(KEYS) and _fields_fit(value)
    return frozenset() if fits else frozenset({"schema"})


def _fields_fit(fields: dict[str, Any]) -> bool:
    amount = fields["amount"]
    counted = isinstance(amount, int | float) and not isinstance(amount, bool) and amount >= 0
    written = all(_is_written(fields[name], form) for name, form in FORMS.items())
    return counted and written and _is_day(fields["date"])


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("a key stands twice")
    return dict(pairs)


def _unread(word: str) -> Any:
    raise ValueError(f"{word} is no JSON")
