"""invoices: a sentence about an invoice in, its number, date, amount and currency out; each judged on its own sentence."""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import date
from statistics import fmean
from typing import Any, ClassVar

from stepdown.scenarios import texts
from stepdown.scenarios.invoice_cases import case
from stepdown.scenarios.judges import judge
from stepdown.scenarios.protocol import Answer, IllegalAnswer, Match, Probe, Validator, answer

KEYS = ("amount", "currency", "date", "number")
LONGEST_NUMBER = 40
"""Characters of an invoice's number."""

FIELDS = judge(
    {"kind": "fields", "fields": {"amount": "number", "currency": "text", "date": "date", "number": "text"}},
)


class Invoices:
    """The scenario `invoices`; `Scenario` says what each method promises."""

    name: ClassVar[str] = "invoices"
    frontier: ClassVar[str] = "extract"
    version: ClassVar[int] = 1
    prompts: ClassVar[Mapping[str, str]] = texts.named("invoices")
    rules: ClassVar[str] = prompts["rules"]
    own_case: ClassVar[bool] = True

    @property
    def validators(self) -> Mapping[str, Validator]:
        """The harness: each looks at one thing, and together they see what the referee sees."""
        return VALIDATORS

    def schema(self) -> Mapping[str, Any]:
        """Return the answer's JSON Schema."""
        return {
            "type": "object",
            "properties": {
                "amount": {"type": "number", "minimum": 0},
                "currency": {"type": "string", "pattern": "^[A-Z]{3}$"},
                "date": {"type": "string", "format": "date", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"},
                "number": {"type": "string", "minLength": 1, "maxLength": LONGEST_NUMBER},
            },
            "required": list(KEYS),
            "additionalProperties": False,
        }

    def observation(self, seed: int) -> Mapping[str, str]:
        """Return the sentence of a seed."""
        return {"text": case(seed).text}

    def parse(self, reply: str) -> Answer:
        """Read an answer strictly: exactly four fields of the right form, each key once."""
        try:
            fields = json.loads(reply, object_pairs_hook=_each_key_once)
        except (ValueError, RecursionError) as error:
            raise IllegalAnswer(f"not a JSON object: {error}") from None
        if not isinstance(fields, dict) or fields.keys() != set(KEYS):
            raise IllegalAnswer(f"not an object of exactly {', '.join(KEYS)}")
        for name, fits in FORMS.items():
            if not fits(fields[name]):
                raise IllegalAnswer(f"{name} has not the form that was asked for")
        return answer({**fields, "amount": float(fields["amount"])})

    def play(self, answer: Answer, seed: int) -> Match:
        """Return the share of right fields."""
        parts = FIELDS(answer.value, case(seed).expected)
        score = round(fmean(parts.values()), 4)
        return Match(seed, score, score == 1, parts)

    def probes(self) -> Sequence[Probe]:
        """Return replies whose legality is known: one of each kind of mistake, and what is right in its place."""
        return PROBES

    def tournament_seeds(self) -> Sequence[int]:
        """Return none: every answer is judged on its own sentence."""
        return ()

    def holdout_seeds(self) -> Sequence[int]:
        """Return the held-out sentences."""
        return range(1_000_000, 1_000_128)

    def comparison_seeds(self) -> Sequence[int]:
        """Return the sentences for comparisons."""
        return range(2_000_000, 2_000_256)


def _amount_fits(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, int | float) and 0 <= value < 1e12


def _currency_fits(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch("[A-Z]{3}", value) is not None


def _date_fits(value: Any) -> bool:
    if not isinstance(value, str) or re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", value) is None:
        return False
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True


def _number_fits(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= LONGEST_NUMBER


FORMS = {"amount": _amount_fits, "currency": _currency_fits, "date": _date_fits, "number": _number_fits}


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError("a key stands twice")
    return dict(pairs)


# The validators are written apart from `parse` on purpose: coverage compares the two, so they must not share code.


def _read(reply: str) -> dict[str, Any] | None:
    try:
        parsed = json.loads(reply)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None


def json_object(reply: str) -> str | None:
    """Object to a reply that is not one JSON object."""
    return "The reply is not a JSON object." if _read(reply) is None else None


def known_keys(reply: str) -> str | None:
    """Object to a missing, an extra or a repeated key."""
    fields = _read(reply)
    if fields is None:
        return None
    seen: list[str] = []
    json.loads(reply, object_pairs_hook=lambda pairs: seen.extend(key for key, _ in pairs))
    return None if sorted(seen) == sorted(KEYS) else f"The keys must be exactly {', '.join(KEYS)}, each once."


def plain_amount(reply: str) -> str | None:
    """Object to an amount that is no number of money."""
    fields = _read(reply)
    if fields is None or "amount" not in fields:
        return None
    amount = fields["amount"]
    fits = type(amount) in (int, float) and amount == amount and -0.0 <= amount < 10**12
    return None if fits else "amount must be a number of 0 or more."


def plain_texts(reply: str) -> str | None:
    """Object to a currency, a date or a number that is not written as it was asked for."""
    fields = _read(reply)
    if fields is None:
        return None
    for name, pattern in PATTERNS.items():
        if name in fields and not (isinstance(fields[name], str) and re.fullmatch(pattern, fields[name], re.DOTALL)):
            return f"{name} is not written as it was asked for."
    return None


def calendar_date(reply: str) -> str | None:
    """Object to a day that no calendar has."""
    fields = _read(reply)
    written = fields.get("date") if fields is not None else None
    if not isinstance(written, str) or not re.fullmatch(PATTERNS["date"], written):
        return None
    year, month, day = map(int, written.split("-"))
    last = (31, 29 if year % 4 == 0 and (year % 100 or year % 400 == 0) else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
    fits = year > 0 and 1 <= month <= 12 and 1 <= day <= last[month - 1]
    return None if fits else "date is no day of the calendar."


PATTERNS = {"currency": "[A-Z]{3}", "date": "[0-9]{4}-[0-9]{2}-[0-9]{2}", "number": f".{{1,{LONGEST_NUMBER}}}"}

VALIDATORS: Mapping[str, Validator] = {
    "json-object": json_object,
    "known-keys": known_keys,
    "plain-amount": plain_amount,
    "plain-texts": plain_texts,
    "calendar-date": calendar_date,
}


def _probe(why: str, *, legal: bool = False, **changes: Any) -> Probe:
    """Return a probe that differs from a right answer in what is named; None takes a key away."""
    right = {"amount": 12.5, "currency": "EUR", "date": "2024-02-29", "number": "INV-7"}
    fields = {name: value for name, value in {**right, **changes}.items() if value is not None}
    return Probe(json.dumps(fields), legal, why)


PROBES: Sequence[Probe] = (
    _probe("a right answer", legal=True),
    _probe("a whole amount", legal=True, amount=12),
    _probe("nothing to pay", legal=True, amount=0),
    _probe("a number of the longest length", legal=True, number="7" * LONGEST_NUMBER),
    Probe("", False, "an empty reply"),
    Probe("12.5 EUR", False, "no JSON"),
    Probe("[12.5]", False, "an array"),
    Probe('```json\n{"amount":1}\n```', False, "a code fence"),
    Probe('{"amount":1,"amount":1,"currency":"EUR","date":"2024-01-01","number":"7"}', False, "a key twice"),
    Probe('{"amount":NaN,"currency":"EUR","date":"2024-01-01","number":"7"}', False, "an amount that is no number"),
    Probe('{"amount":Infinity,"currency":"EUR","date":"2024-01-01","number":"7"}', False, "an amount without end"),
    _probe("a missing key", number=None),
    _probe("an extra key", total=1),
    _probe("an amount as text", amount="12.50"),
    _probe("true as an amount", amount=True),
    _probe("an amount below zero", amount=-1),
    _probe("a symbol for a currency", currency="€"),
    _probe("a currency in lower case", currency="eur"),
    _probe("a date as people write it", date="29.02.2024"),
    _probe("a day that no calendar has", date="2023-02-29"),
    _probe("a thirteenth month", date="2024-13-01"),
    _probe("an empty number", number=""),
    _probe("a number as a number", number=7),
    _probe("a number that is too long", number="7" * (LONGEST_NUMBER + 1)),
)
