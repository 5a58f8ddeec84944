"""Frontier providers by name, as a command line or a setting spells them."""

from pathlib import Path

from stepdown.errors import NotFound, Refused
from stepdown.providers.protocol import Provider
from stepdown.scenarios.protocol import Box, Scenario


def frontier(spec: str, scenario: Scenario) -> Provider:
    """Return the frontier provider that a word names.

    Args:
        spec: `search`, or `recorded:PATH` for a tape.
        scenario: What it will be asked about.

    Raises:
        NotFound: There is no provider of that name.
        InvalidValue: The tape is not one.
        Refused: The provider cannot propose answers for such a scenario.
    """
    name, _, argument = spec.partition(":")
    if name == "search" and not argument:
        from stepdown.providers.search import Search

        if not isinstance(scenario, Box):
            raise Refused(
                f"The frontier search looks for the best point of a box, and {scenario.name} has none; choose another one.",
                kind="frontier-cannot-propose",
            )
        return Search(scenario)
    if name == "recorded" and argument:
        from stepdown.providers.recorded import Recorded

        return Recorded.load(Path(argument))
    raise NotFound(f"There is no frontier {spec!r}; choose search or recorded:PATH.", kind="unknown-provider")
