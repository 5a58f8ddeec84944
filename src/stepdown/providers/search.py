"""The embedded frontier: an evolution strategy that proposes from history. No network, no key, deterministic for a seed.

It stands where a frontier model would: it is asked the same prompts, answers the same JSON, and really improves. The
optimizer is CMA-ES (Hansen 2016), by way of the `cmaes` package. Where it stands follows from a request's examples alone, so
that a restart changes nothing; what the examples of the last request came to is kept, since a run asks with more each time.
"""

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, ClassVar

from stepdown.errors import InvalidValue, Refused
from stepdown.providers.protocol import Completion, Example, Request
from stepdown.scenarios.protocol import Box, Scenario
from stepdown.scenarios.roles import COACH

if TYPE_CHECKING:
    from cmaes import CMA

FIRST_STEP_SIZE = 0.3
"""Of the unit box: wide enough to see all of it, the `cmaes` package's own advice is a quarter to a half of the range."""

LEAST_POPULATION = 4
"""CMA-ES takes its mean from the better half, and needs more than one in it to learn a direction."""


def make(argument: str | None, scenario: Scenario) -> "Search":
    """Return the provider `search` for a scenario.

    Raises:
        InvalidValue: It takes no argument.
        Refused: The scenario's answers are no points of a box.
    """
    if argument is not None:
        raise InvalidValue(f"The frontier search takes no argument, and was given {argument!r}.")
    if not isinstance(scenario, Box):
        raise Refused(
            f"The frontier search looks for the best point of a box, and {scenario.name} has none; choose another one.",
            kind="frontier-cannot-propose",
        )
    return Search(scenario)


@dataclass(slots=True)
class _Course:
    """An optimizer that was told the generations of these examples, in populations of a size."""

    optimizer: "CMA"
    examples: tuple[Example, ...]
    size: int

    def continues(self, examples: tuple[Example, ...]) -> bool:
        """Tell whether examples are these and whole generations after them, none of them larger than a population."""
        count = len(self.examples)
        # Mostly the very same objects, which Python sees without comparing what is in them.
        if examples[:count] != self.examples:
            return False
        rest = examples[count:]
        whole = not rest or not count or rest[0].generation != self.examples[-1].generation
        return whole and _largest(rest) <= self.size


@dataclass(slots=True)
class Search:
    """Proposes strategies for one scenario."""

    scenario: Box
    name: ClassVar[str] = "search"
    model: ClassVar[str] = "cma-es"
    _course: _Course | None = field(default=None, repr=False, compare=False)
    _turn: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def complete(self, request: Request) -> Completion:
        """Propose an answer to a competitor, or a lesson to a coach."""
        reply = self._lesson(request) if request.role == COACH else self._strategy(request)
        return Completion(json.dumps(reply, separators=(",", ":"), sort_keys=True), self.name, self.model)

    def _strategy(self, request: Request) -> dict[str, float]:
        import numpy as np

        names = sorted(self.scenario.parameters)
        with self._turn:
            optimizer = self._optimizer(names, request.examples)
            # The step's own seed decides the draw; how the distribution has moved is decided by the examples alone.
            optimizer.reseed_rng(request.seed)
            drawn = optimizer.ask()
        return dict(self.scenario.repair(dict(zip(names, np.asarray(drawn).tolist(), strict=True))))

    def _optimizer(self, names: Sequence[str], examples: tuple[Example, ...]) -> "CMA":
        import numpy as np

        course = self._course
        if course is None or not course.continues(examples):
            course = self._begun(names, max(LEAST_POPULATION, _largest(examples)))
        for group in _generations(examples[len(course.examples) :]):
            worst = min(group, key=lambda example: example.score)
            full = [*group, *[worst] * (course.size - len(group))]
            course.optimizer.tell([(np.array([e.value[name] for name in names]), -e.score) for e in full])
        course.examples = examples
        self._course = course
        return course.optimizer

    def _begun(self, names: Sequence[str], size: int) -> _Course:
        import numpy as np
        from cmaes import CMA

        bounds = np.array([self.scenario.parameters[name] for name in names])
        middle = bounds.mean(axis=1)
        return _Course(CMA(mean=middle, sigma=FIRST_STEP_SIZE, bounds=bounds, population_size=size), (), size)

    def _lesson(self, request: Request) -> dict[str, str]:
        slopes = {name: _slope(request.examples, name) for name in sorted(self.scenario.parameters)}
        if not any(slopes.values()):
            return {"playbook": "Too little is known to prefer anything.", "hints": "Explore."}
        moves = [f"{'raise' if slope >= 0 else 'lower'} {name}" for name, slope in slopes.items()]
        strongest = max(slopes, key=lambda name: abs(slopes[name]))
        # No number of any example: knowledge is exported with every record, and must not carry another row's score.
        return {"playbook": f"What has paid: {', '.join(moves)}.", "hints": f"{strongest} matters most."}


def _generations(examples: Sequence[Example]) -> list[list[Example]]:
    return [list(group) for _, group in groupby(examples, key=lambda example: example.generation)]


def _largest(examples: Sequence[Example]) -> int:
    return max(map(len, _generations(examples)), default=0)


def _slope(examples: Sequence[Example], name: str) -> float:
    """Return the covariance of a parameter with the score: its sign says where scores grow."""
    if len(examples) < 3:
        return 0.0
    mean = sum(example.value[name] for example in examples) / len(examples)
    return float(sum((example.value[name] - mean) * example.score for example in examples) / len(examples))
