"""The embedded frontier of `invoices`: no model, but libraries that read dates and prices, and that really err.

Which part of a sentence is which is a matter of three patterns; what a part means is said by dateparser and price-parser. So
discovery runs without a key, and what it finds is as imperfect as a frontier's answers are.
"""

import json
import re
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from typing import Any, ClassVar

from stepdown.errors import InvalidValue, ProviderError, Refused
from stepdown.providers.protocol import Completion, Request
from stepdown.scenarios.prompt import one_line
from stepdown.scenarios.protocol import Scenario
from stepdown.scenarios.roles import COACH

DATE = re.compile(r"\d{4}-\d{2}-\d{2}|\d{1,2}([./-])\d{1,2}\1\d{2,4}|\d{1,2}\.? [^\W\d]+\.? \d{4}")
NUMBER = re.compile(r"\b(?:[A-Z]{1,3}-?\d[\d-]*|\d{4}/\d+|\d{7})\b")
SIGNS = {"€": "EUR", "£": "GBP", "$": "USD", "US$": "USD"}

READ_DATES = {"DATE_ORDER": "DMY", "STRICT_PARSING": True, "RELATIVE_BASE": datetime(2026, 1, 1)}  # noqa: DTZ001 - dateparser's own
"""The same sentence gives the same date on every day."""


def make(argument: str | None, scenario: Scenario) -> "Extract":
    """Return the provider `extract`.

    Raises:
        InvalidValue: It takes no argument.
        Refused: The scenario is another one.
    """
    if argument is not None:
        raise InvalidValue(f"The frontier extract takes no argument, and was given {argument!r}.")
    if scenario.name != "invoices":
        raise Refused(
            f"The frontier extract reads invoices, and cannot answer for {scenario.name}; choose another one.",
            kind="frontier-cannot-propose",
        )
    return Extract()


@dataclass(frozen=True, slots=True)
class Extract:
    """Reads the sentence of the case that is asked about, however a prompt puts it."""

    name: ClassVar[str] = "extract"

    @property
    def model(self) -> str:
        """The libraries that read."""
        return f"dateparser-{version('dateparser')} price-parser-{version('price-parser')}"

    def complete(self, request: Request) -> Completion:
        """Answer from the sentence alone, or teach what little can be taught.

        Raises:
            ProviderError: The case has no sentence (`no-sentence`).
        """
        if request.role == COACH:
            reply: dict[str, Any] = {
                "playbook": "Copy the number as it is written; write the date as year, month, day.",
                "hints": "A symbol or a name stands for a currency of three letters.",
            }
        else:
            sentence = (request.case or {}).get("text")
            if not isinstance(sentence, str):
                raise ProviderError("The case has no text to read; give one by that name.", error_type="no-sentence")
            reply = extract(one_line(sentence))
        return Completion(json.dumps(reply, ensure_ascii=False, sort_keys=True), self.name, self.model)


def extract(sentence: str) -> dict[str, Any]:
    """Return what the libraries make of a sentence; what they cannot read is left out."""
    import dateparser
    from price_parser import Price

    written = DATE.search(sentence)
    day = dateparser.parse(written[0], languages=["en", "de", "fr"], settings=READ_DATES) if written else None
    rest = sentence.replace(written[0], " ") if written else sentence
    number = NUMBER.search(rest)
    price = Price.fromstring(rest.replace(number[0], " ") if number else rest)
    currency = SIGNS.get(price.currency or "", price.currency)
    fields = {
        "amount": price.amount_float,
        "currency": currency,
        "date": day.date().isoformat() if day else None,
        "number": number[0] if number else None,
    }
    return {name: value for name, value in fields.items() if value is not None}
