"""The oracle: the contract said a second time, in its own words, as plain data.

Nothing here imports the system, the rest of the machine, or anything but plain standard library, and nothing is read
back from a system to decide what should happen. What the contract leaves open is held open: a verdict may allow
several answers, a set of objections may have optional members, and the session may hold several models at once.
"""

from collections.abc import Callable, Mapping

from stepdown_machine.model import grid_ctf, invoices
from stepdown_machine.model.breaker import Breaker, after
from stepdown_machine.model.legal_answers import LegalAnswers
from stepdown_machine.model.limits import Limits
from stepdown_machine.model.promotion import ERROR_RATE, outcome, share, surest
from stepdown_machine.model.registered import Registered
from stepdown_machine.model.registry import Ground, Model
from stepdown_machine.model.routing import REASONS, Objections, objections

REFEREES: Mapping[str, Callable[[str], frozenset[str]]] = {
    "grid_ctf": grid_ctf.objectors,
    "invoices": invoices.objectors,
    "papers": invoices.refused,
}
"""By scenario: which validators object to a reply."""

__all__ = [
    "ERROR_RATE",
    "REASONS",
    "REFEREES",
    "Breaker",
    "Ground",
    "LegalAnswers",
    "Limits",
    "Model",
    "Objections",
    "Registered",
    "after",
    "objections",
    "outcome",
    "share",
    "surest",
]
