"""What a scenario must offer. Written as protocols, so that a scenario needs no import from here.

Register one under the entry point group `stepdown.scenarios`; `stepdown.scenarios.registry.scenario` finds it by name.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from stepdown.digest import canonical


class IllegalAnswer(ValueError):
    """A reply is no answer; the message says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A legal answer, parsed once.

    Attributes:
        value: A JSON value of any kind: an object, an array, a text, a number.
        text: Canonical JSON. The database column, the exported completion and every digest are these very bytes.
    """

    value: Any
    text: str


def answer(value: Any) -> Answer:
    """Return a JSON value as an answer, in canonical form: sorted keys, no spaces, floats as Python's shortest repr.

    Raises:
        IllegalAnswer: It has no such form: a number that is none, half a surrogate pair, or nested beyond all use.
    """
    try:
        return Answer(value, canonical(value).decode())
    except (ValueError, TypeError, RecursionError) as error:
        raise IllegalAnswer(f"The answer has no canonical form: {error}.") from None


@dataclass(frozen=True, slots=True)
class Match:
    """One answer played on one seed.

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
    """What is asked, and how an answer is judged.

    Beside what stands here a scenario may say:

    - `own_case = True`: an answer is judged on the question it answers, as in a task, and not on every tournament seed, as
      in a game. Score, split, plan and the gate of a generation follow from it.
    - `labelled(seed)`: beside `own_case`, whether the right answer to a seed's question is known; where it is not, an
      answer has no score until somebody judges it.
    - `seed_of(case)`: the seed of a case that somebody brings, or None where it is none of the scenario's own.
    - `reproducible = False`: the same answer may get another score another time; an audit then says that it cannot score
      again, and never that a score is wrong.
    - `roles()`: see `scenarios.roles`; without it, a competitor and a coach.
    - `written(answer)`: how an answer, given in canonical form, stands in a reply, where that is not its canonical form itself;
      such a reply is held to no JSON Schema.
    - `prompts`: texts by name that take the place of those in `scenarios/prompts`, see `scenarios.texts`.
    """

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def version(self) -> int:
        """Grows, or differs, with any change of what an answer or its score depends on."""

    @property
    def rules(self) -> str:
        """What a language model must know to answer."""

    @property
    def validators(self) -> Mapping[str, Validator]:
        """The harness, by name."""

    def schema(self) -> Mapping[str, Any]:
        """Return the JSON Schema of an answer."""

    def observation(self, seed: int) -> Mapping[str, Any]:
        """Return what is seen before answering: names to numbers or texts."""

    def parse(self, reply: str) -> Answer:
        """Return the answer in a reply: the referee's word on legality.

        Raises:
            IllegalAnswer: There is none.
        """

    def play(self, answer: Answer, seed: int) -> Match:
        """Say how good an answer is on a seed."""

    def probes(self) -> Sequence[Probe]:
        """Return the fixed set that coverage is measured on."""

    def tournament_seeds(self) -> Sequence[int]:
        """Return the seeds that candidates are judged on, where they are not judged on their own case."""

    def holdout_seeds(self) -> Sequence[int]:
        """Return the seeds that bundles are evaluated on; never in a prompt that is trained on."""

    def comparison_seeds(self) -> Sequence[int]:
        """Return more held-out seeds, for promotion: a bundle chosen by its evaluation is proven on others."""


@runtime_checkable
class Box(Protocol):
    """A scenario whose answers are points of a box, so that a search can propose them."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def parameters(self) -> Mapping[str, tuple[float, float]]:
        """Name to lower and upper bound."""

    def repair(self, values: Mapping[str, float]) -> Mapping[str, float]:
        """Return the nearest legal values."""
