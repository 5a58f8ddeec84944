"""The harness: validators that can be switched off, and how much of what is illegal the remaining ones still see."""

from collections.abc import Collection
from functools import cache

from stepdown.scenarios.protocol import Scenario


def objections(scenario: Scenario, enabled: Collection[str], reply: str) -> tuple[str, ...]:
    """Return what the enabled validators say against a reply; empty when they accept it."""
    sentences = (validator(reply) for name, validator in scenario.validators.items() if name in enabled)
    return tuple(sentence for sentence in sentences if sentence is not None)


def coverage(scenario: Scenario, enabled: Collection[str]) -> float:
    """Return the share (0..1) of the scenario's probes that the enabled validators judge as its referee does."""
    try:
        judged = _judged(scenario)  # type: ignore[arg-type]
    except TypeError:
        # A protocol says nothing of hashing: what cannot be remembered is measured each time.
        judged = _judged.__wrapped__(scenario)
    agreed = sum(legal is objectors.isdisjoint(enabled) for legal, objectors in judged)
    return agreed / len(judged) if judged else 0.0


@cache
def _judged(scenario: Scenario) -> tuple[tuple[bool, frozenset[str]], ...]:
    """Return for each probe whether it is legal and which validators object; probes and validators never change."""
    return tuple(
        (probe.legal, frozenset(name for name in scenario.validators if objections(scenario, {name}, probe.reply)))
        for probe in scenario.probes()
    )
