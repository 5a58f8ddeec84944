"""Scenarios by name, found by entry point, so that a package of yours can bring its own."""

from functools import cache

from stepdown.errors import InvalidValue, NotFound, of_code
from stepdown.packages import brought
from stepdown.scenarios.protocol import Scenario

GROUP = "stepdown.scenarios"

NEEDED = (
    "name",
    "version",
    "rules",
    "validators",
    "schema",
    "observation",
    "parse",
    "play",
    "probes",
    "tournament_seeds",
    "holdout_seeds",
    "comparison_seeds",
)
"""What `Scenario` promises."""


@cache
def scenario_named(name: str) -> Scenario:
    """Return the scenario of that name.

    Raises:
        NotFound: No installed package brings it.
        InvalidValue: It cannot be loaded, or lacks what a scenario needs (kind `scenario-broken`).
    """
    point = next((each for each in brought(GROUP) if each.name == name), None)
    if point is None:
        raise NotFound(f"There is no scenario {name!r}; choose one of {', '.join(names())}.", kind="unknown-scenario")
    try:
        scenario: Scenario = point.load()()
        missing = [need for need in NEEDED if not hasattr(scenario, need)]
    except (Exception, SystemExit) as error:
        raise InvalidValue(
            f"The scenario {name} cannot be loaded ({of_code(error)}); mend its package.",
            kind="scenario-broken",
        ) from error
    if missing:
        raise InvalidValue(f"The scenario {name} lacks {', '.join(missing)}; mend its package.", kind="scenario-broken")
    return scenario


def names() -> tuple[str, ...]:
    """Return the names of all installed scenarios, sorted."""
    return tuple(sorted({point.name for point in brought(GROUP)}))
