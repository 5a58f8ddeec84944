"""The decision: a pure function of facts, and the walk that follows from it."""

from dataclasses import dataclass
from enum import StrEnum

from stepdown.routing.facts import Facts
from stepdown.routing.gates import GATES
from stepdown.routing.reasons import FrontierObjection, Reason


class Target(StrEnum):
    """A side of the handoff."""

    LOCAL = "local"
    FRONTIER = "frontier"


@dataclass(frozen=True, slots=True)
class Decision:
    """What the gates said.

    Attributes:
        objections: Every gate's objection, in the order of `Reason`; empty when local may serve.
    """

    objections: tuple[Reason, ...]

    @property
    def local(self) -> bool:
        """Whether local may serve."""
        return not self.objections

    @property
    def reason(self) -> Reason | None:
        """*The* reason: the first objection."""
        return self.objections[0] if self.objections else None


def decide(facts: Facts) -> Decision:
    """Ask every gate and keep every objection, so a report can name them all."""
    return Decision(tuple(reason for gate in GATES if (reason := gate.ask(facts)) is not None))


def walk(decision: Decision, objection: FrontierObjection | None) -> tuple[Target, ...]:
    """Return who is asked, in order: local at most once, then the frontier, unless something is to be said against it."""
    local = (Target.LOCAL,) if decision.local else ()
    frontier = (Target.FRONTIER,) if objection is None else ()
    return (*local, *frontier)


def shadowed(decision: Decision) -> bool:
    """Tell whether local would serve were it not kept in the shadow."""
    return decision.objections == (Reason.SHADOW_ONLY,)
