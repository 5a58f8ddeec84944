"""Which case of a scenario it is that somebody brings, and whether it is kept for examinations. Pure."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from stepdown.digest import digest, why
from stepdown.errors import InvalidValue
from stepdown.scenarios.generation import SEEDS
from stepdown.scenarios.guard import guarded
from stepdown.scenarios.protocol import Scenario
from stepdown.scenarios.referee import own_case

NO_CASE = "no-case"
"""The kind of a refusal of what is no case of a scenario."""


def names(scenario: Scenario) -> tuple[str, ...]:
    """Return what is seen in a case, by name."""
    return tuple(guarded(scenario, "showing a case", lambda: scenario.observation(0)))


def check(scenario: Scenario, case: Mapping[str, Any]) -> None:
    """Refuse a case that has other names than the scenario's, where those all have the same: a slip would be asked about.

    Raises:
        InvalidValue: With the names that a case has, or because it is no JSON object (kind `no-case`).
    """
    seed_of(scenario, case)
    listed = getattr(scenario, "cases", None)
    shown = guarded(
        scenario,
        "showing cases",
        lambda: [each.input for each in listed] if listed else [scenario.observation(seed) for seed in LOOKED_AT],
    )
    (first, *others) = {frozenset(each) for each in shown}
    if not others and frozenset(case) != first:
        raise InvalidValue(
            f"A case of {scenario.name} has {', '.join(sorted(first))}; name these and no other.", kind=NO_CASE
        )


LOOKED_AT = range(8)
"""Seeds of the cases that say what a case has, where a scenario does not list all."""


def seed_of(scenario: Scenario, case: Mapping[str, Any]) -> tuple[int, bool]:
    """Return the seed of a case.

    Returns:
        The seed, and whether it is the scenario's own; else it is drawn from the case's content, and means nothing there.

    Raises:
        InvalidValue: The case is no JSON object (kind `no-case`).
    """
    try:
        key = digest(dict(case))
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidValue(f"The case is no JSON object: {why(error)}.", kind=NO_CASE) from error
    own = getattr(scenario, "seed_of", None)
    seed = guarded(scenario, "finding a case", lambda: own(case)) if own is not None else _kept_by(scenario).get(key)
    return (seed, True) if seed is not None else (drawn(key), False)


def drawn(key: str) -> int:
    """Return the seed that stands for a case that is not the scenario's own, from the digest of its content."""
    return int(key[:16], 16) % SEEDS


def kept(scenario: Scenario, seed: int) -> bool:
    """Tell whether a case is kept for evaluations and comparisons: whoever learned it could not be examined any more."""
    return own_case(scenario) and (seed in scenario.holdout_seeds() or seed in scenario.comparison_seeds())


def _kept_by(scenario: Scenario) -> Mapping[str, int]:
    if not own_case(scenario):
        return {}
    try:
        return _remembered(scenario)  # type: ignore[arg-type]
    except TypeError:
        # A protocol says nothing of hashing: what cannot be remembered is looked for each time.
        return _remembered.__wrapped__(scenario)


@cache
def _remembered(scenario: Scenario) -> Mapping[str, int]:
    """Return the seeds that are kept for examinations by the content of their cases."""
    seeds = (*scenario.holdout_seeds(), *scenario.comparison_seeds())
    return {digest(dict(scenario.observation(seed))): seed for seed in seeds}
