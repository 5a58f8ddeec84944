"""The cases of invoices: a sentence in English, German or French that holds an invoice's number, date and amount.

Cases are made from a seed, without end: language, wording and notation are drawn, and the truth is exact because the sentence
is written from it. Babel knows how dates and amounts look in each country. Pure: the same seed gives the same case.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any

from babel.dates import format_date
from babel.numbers import format_currency, format_decimal

CURRENCIES = ("EUR", "CHF", "GBP", "USD")
FIRST_DAY, DAYS = date(2019, 1, 1), 2557
"""Seven years of invoices."""

COUNTRIES: Mapping[str, Sequence[str]] = {
    # In Britain the day comes first, everywhere here: 04/03/2025 is the fourth of March and nothing else.
    "en": ("en_GB", "en_IE"),
    "de": ("de_DE", "de_AT", "de_CH"),
    "fr": ("fr_FR", "fr_BE", "fr_CH"),
}

SENTENCES: Mapping[str, Sequence[str]] = {
    "en": (
        "Please find enclosed invoice {number} dated {date} for {amount}.",
        "Invoice {number} of {date}: the total of {amount} is due within 30 days.",
        "We have not yet received your payment of {amount} for invoice no. {number}, issued on {date}.",
        "On {date} we billed you {amount}; the reference is {number}.",
        "{amount} is outstanding. Our invoice {number} went out on {date}.",
        "Reminder: {number}, {date}, {amount}.",
        "Thank you for your order. Your invoice number is {number}, the invoice date is {date} and the sum is {amount}.",
    ),
    "de": (
        "Anbei die Rechnung {number} vom {date} über {amount}.",
        "Rechnung Nr. {number} vom {date}: Der Betrag von {amount} ist binnen 30 Tagen fällig.",
        "Für Ihre Bestellung berechnen wir {amount} (Rechnungsnummer {number}, Rechnungsdatum {date}).",
        "Am {date} haben wir Ihnen {amount} in Rechnung gestellt, Beleg {number}.",
        "{amount} stehen noch aus. Unsere Rechnung {number} ging am {date} an Sie.",
        "Mahnung: {number}, {date}, {amount}.",
        "Zu Ihrer Rechnung {number} über {amount}, ausgestellt am {date}, fehlt uns noch der Zahlungseingang.",
    ),
    "fr": (
        "Veuillez trouver ci-joint la facture {number} du {date} d'un montant de {amount}.",
        "Facture n° {number} du {date} : la somme de {amount} est à régler sous 30 jours.",
        "Nous n'avons pas encore reçu votre règlement de {amount} pour la facture {number}, émise le {date}.",
        "Le {date}, nous vous avons facturé {amount} sous la référence {number}.",
        "Il reste {amount} à payer. Notre facture {number} vous a été adressée le {date}.",
        "Rappel : {number}, {date}, {amount}.",
        "Merci de votre commande. Numéro de facture : {number}, date : {date}, total : {amount}.",
    ),
}


@dataclass(frozen=True, slots=True)
class InvoiceCase:
    """One sentence and what it says.

    Attributes:
        text: The sentence.
        language: `en`, `de` or `fr`.
        expected: `amount` (a number of two decimals), `currency` (ISO 4217), `date` (ISO 8601) and `number` (as written).
    """

    text: str
    language: str
    expected: Mapping[str, Any]


@lru_cache(1024)
def case(seed: int) -> InvoiceCase:
    """Return the case of a seed."""
    draw = random.Random(f"invoices/{seed}")
    language = draw.choice(sorted(SENTENCES))
    country = draw.choice(COUNTRIES[language])
    day = FIRST_DAY + timedelta(days=draw.randrange(DAYS))
    amount = Decimal(draw.choice((draw.randrange(100, 10_000), draw.randrange(10_000, 10_000_000)))) / 100
    currency, number = draw.choice(CURRENCIES), _number(draw, day)
    sentence = draw.choice(SENTENCES[language])
    text = sentence.format(
        number=number, date=_date(draw, day, country), amount=_amount(draw, amount, currency, country)
    )
    # A sentence may begin with a word of the date or the amount.
    text = text[0].upper() + text[1:]
    expected = {"amount": float(amount), "currency": currency, "date": day.isoformat(), "number": number}
    return InvoiceCase(" ".join(text.split()), language, expected)


def _number(draw: random.Random, day: date) -> str:
    running = draw.randrange(1, 100_000)
    return draw.choice(
        (
            f"INV-{day.year}-{running:05d}",
            f"RE{day.year % 100}{running:05d}",
            f"{day.year}/{running:04d}",
            f"F-{running:06d}",
            f"{draw.choice('ABCKMRT')}{draw.choice('ABCKMRT')}-{running}",
            f"{running:07d}",
        )
    )


def _date(draw: random.Random, day: date, country: str) -> str:
    written = draw.choice(("short", "medium", "long", "full", "iso", "dashes", "full year"))
    match written:
        case "iso":
            return day.isoformat()
        case "dashes":
            return f"{day.day:02d}-{day.month:02d}-{day.year}"
        case "full year":
            between = "." if country.startswith("de") else "/"
            return between.join((f"{day.day:02d}", f"{day.month:02d}", str(day.year)))
    return format_date(day, written, locale=country)


def _amount(draw: random.Random, amount: Decimal, currency: str, country: str) -> str:
    match draw.choice(("symbol", "name", "code before", "code after", "round")):
        case "symbol":
            return format_currency(amount, currency, locale=country)
        case "name":
            return format_currency(amount, currency, locale=country, format_type="name")
        case "code before":
            return f"{currency} {format_decimal(amount, '#,##0.00', locale=country)}"
        case "code after":
            return f"{format_decimal(amount, '#,##0.00', locale=country)} {currency}"
    # Without thousands marks, as somebody types it.
    return f"{format_decimal(amount, '0.00', locale=country)} {currency}"
