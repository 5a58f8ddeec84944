"""The digest of the text that a role's questions are made from: what is learned with one text holds for it alone. Pure."""

from dataclasses import dataclass

from stepdown.digest import sha256
from stepdown.scenarios.protocol import Scenario
from stepdown.scenarios.roles import roles


@dataclass(frozen=True, slots=True)
class Wording:
    """The text of a role's questions, as it is now.

    Attributes:
        digest: SHA-256 of `Role.text`, hex; empty where the scenario does not say it.
        first: The same of the text that whatever names no digest was asked with.
    """

    digest: str
    first: str

    @property
    def named(self) -> str:
        """What terms and facts say of it: nothing of the first text, so that older evaluations and steps keep their form."""
        return "" if self.digest == self.first else self.digest

    def is_of(self, stored: str) -> bool:
        """Tell whether a digest that was stored, or none, is of this text."""
        return (stored or self.first) == self.digest


def wording(scenario: Scenario, role: str) -> Wording:
    """Return the text of a role's questions as it is now; of a role that the scenario does not have there is none."""
    declared = roles(scenario).get(role)
    return Wording("", "") if declared is None else Wording(_digest(declared.text), _digest(declared.first))


def _digest(text: str) -> str:
    return sha256(text.encode()) if text else ""
