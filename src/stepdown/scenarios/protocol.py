"""What a scenario must offer. Written as protocols, so that a scenario needs no import from here.

Register one under the entry point group `stepdown.scenarios`; `stepdown.scenarios.registry.scenario` finds it by name.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Strategy:
    """A legal move, parsed once.

    Attributes:
        values: Parameter name to number.
        text: Canonical JSON. The database column, the exported completion and every digest are these very bytes.
    """

    values: Mapping[str, float]
    text: str


@dataclass(frozen=True, slots=True)
class Match:
    """One strategy played on one seed.

    Attributes:
        seed: The seed it was played on.
        score: 0..1, four decimals.
        won: Whether the score reaches the scenario's winning score.
        parts: Named parts of the score, 0..1.
    """

    seed: int
    score: float
    won: bool
    parts: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Probe:
    """A reply whose legality is known, to measure what a harness can see.

    Attributes:
        reply: The reply's text.
        legal: What the scenario's referee says of it.
        source: Where the probe comes from.
    """

    reply: str
    legal: bool
    source: str


class Validator(Protocol):
    """Says why a reply is illegal, or None. A validator that cannot read the reply stays silent: another one will not."""

    def __call__(self, reply: str) -> str | None:
        """Return one sentence, or None."""


class Scenario(Protocol):
    """A game that strategies are found for."""

    name: str
    version: int
    rules: str
    parameters: Mapping[str, tuple[float, float]]
    validators: Mapping[str, Validator]

    def schema(self) -> Mapping[str, Any]:
        """Return the JSON Schema of a strategy."""

    def observation(self, seed: int) -> Mapping[str, float]:
        """Return what a player sees before moving."""

    def parse(self, reply: str) -> Strategy:
        """Return the strategy in a reply: the referee's word on legality.

        Raises:
            IllegalStrategy: The reply is not a legal strategy.
        """

    def repair(self, values: Mapping[str, float]) -> Mapping[str, float]:
        """Return the nearest legal values, for a proposer that searches a box."""

    def play(self, strategy: Strategy, seed: int) -> Match:
        """Play one match. Deterministic."""

    def probes(self) -> Sequence[Probe]:
        """Return the fixed set that coverage is measured on."""

    def tournament_seeds(self) -> Sequence[int]:
        """Return the seeds that candidates are judged on."""

    def holdout_seeds(self) -> Sequence[int]:
        """Return the seeds that bundles are evaluated on; never in a prompt that is trained on."""

    def comparison_seeds(self) -> Sequence[int]:
        """Return more held-out seeds, for promotion: a bundle chosen by its evaluation is proven on others."""


class IllegalStrategy(ValueError):
    """The referee refuses a reply; the message says why."""
