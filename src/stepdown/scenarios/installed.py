"""Scenarios by name, found by entry point, so that a package of yours can bring its own."""

from functools import cache
from importlib.metadata import entry_points

from stepdown.errors import NotFound
from stepdown.scenarios.protocol import Scenario

GROUP = "stepdown.scenarios"


@cache
def scenario(name: str) -> Scenario:
    """Return the scenario of that name.

    Raises:
        NotFound: No installed package brings it.
    """
    found = entry_points(group=GROUP, name=name)
    if not found:
        raise NotFound(f"There is no scenario {name!r}; choose one of {', '.join(names())}.", kind="unknown-scenario")
    made: Scenario = next(iter(found)).load()()
    return made


def names() -> tuple[str, ...]:
    """Return the names of all installed scenarios, sorted."""
    return tuple(sorted(point.name for point in entry_points(group=GROUP)))
