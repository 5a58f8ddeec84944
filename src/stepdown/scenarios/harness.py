"""The harness: validators that can be switched off, and how much of what is illegal the remaining ones still see."""

from collections.abc import Collection

from stepdown.scenarios.protocol import Scenario


def objections(scenario: Scenario, enabled: Collection[str], reply: str) -> tuple[str, ...]:
    """Return what the enabled validators say against a reply; empty when they accept it."""
    said = (validator(reply) for name, validator in scenario.validators.items() if name in enabled)
    return tuple(sentence for sentence in said if sentence is not None)


def coverage(scenario: Scenario, enabled: Collection[str]) -> float:
    """Return the share (0..1) of the scenario's probes that the enabled validators judge as its referee does."""
    probes = scenario.probes()
    agreed = sum(probe.legal == (not objections(scenario, enabled, probe.reply)) for probe in probes)
    return agreed / len(probes) if probes else 0.0
