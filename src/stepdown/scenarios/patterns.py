"""Regular expressions that one person wrote, held against texts that somebody else did: every search ends. Pure.

Python's own may backtrack for hours over thirty letters. `regex` reads the same notation and takes a time limit.
"""

from dataclasses import dataclass
from typing import Any

import regex

SECONDS = 1.0
"""Most that one search may take; what is found takes microseconds."""


class UndecidedError(Exception):
    """A pattern could not be held against a text in time."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled expression.

    Attributes:
        expression: As `regex` compiled it.
    """

    expression: Any

    @property
    def groups(self) -> int:
        """How many groups it has."""
        number: int = self.expression.groups
        return number

    def search(self, text: str) -> Any:
        """Return the first match in a text, or None.

        Raises:
            UndecidedError: It took too long.
        """
        return _in_time(self.expression.search, text)

    def fullmatch(self, text: str) -> Any:
        """Return the match of a whole text, or None.

        Raises:
            UndecidedError: It took too long.
        """
        return _in_time(self.expression.fullmatch, text)


def compiled(written: str, *, dot_is_all: bool = False) -> Pattern:
    """Compile an expression.

    Args:
        written: In Python's notation.
        dot_is_all: Whether a dot stands for a line's end too.

    Raises:
        ValueError: It is none; in words that a sentence can go on with.
    """
    try:
        return Pattern(regex.compile(written, regex.DOTALL if dot_is_all else 0))
    except regex.error as error:
        raise ValueError(str(error)) from error


def _in_time(find: Any, text: str) -> Any:
    try:
        return find(text, timeout=SECONDS)
    except TimeoutError as error:
        raise UndecidedError from error
