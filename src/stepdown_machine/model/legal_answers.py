"""Which answers to an operation are legal."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LegalAnswers:
    """Legal answers to one operation.

    Attributes:
        accept: Doing it is legal.
        kinds: Refusals that are legal.
        because: The rule, for people.
    """

    accept: bool = True
    kinds: frozenset[str] = frozenset()
    because: str = "nothing stands against it"

    def allows(self, refusal: str | None) -> bool:
        """Tell whether this answer is legal: a refusal's kind, or `None` when the operation was done."""
        return self.accept if refusal is None else refusal in self.kinds

    def __str__(self) -> str:
        words = sorted(f"refused as {kind}" for kind in self.kinds)
        return " or ".join(["done", *words] if self.accept else words)


def refused(*kinds: str, because: str) -> LegalAnswers:
    """Build the verdict that only these refusals are legal."""
    return LegalAnswers(False, frozenset(kinds), because)
