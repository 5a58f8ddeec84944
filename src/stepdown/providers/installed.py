"""Frontier providers by name, found by entry point, so that a package of yours can bring its own.

A provider is registered in the group `stepdown.providers` under the word that names it. What is registered is called with what
stands behind a colon in that word (None without one) and with the scenario, and returns a `Provider`::

    [project.entry-points."stepdown.providers"]
    ours = "our_package.frontier:make"

    def make(argument: str | None, scenario: Scenario) -> Provider: ...

It raises `InvalidValue` for an argument that it cannot take, `Unavailable` while something is missing that it needs (a package,
a key), and `Refused` for a scenario that it cannot answer for.
"""

from collections.abc import Callable

from stepdown.errors import NotFound, StepdownError, Unavailable, of_code
from stepdown.packages import brought
from stepdown.providers.protocol import Provider
from stepdown.scenarios.protocol import Scenario

GROUP = "stepdown.providers"

Factory = Callable[[str | None, Scenario], Provider]


def frontier_named(spec: str, scenario: Scenario) -> Provider:
    """Return the frontier provider that a word names.

    Args:
        spec: A provider's name, or `NAME:ARGUMENT`, for example `search` or `recorded:PATH`.
        scenario: What it will be asked about.

    Raises:
        NotFound: No installed package brings a provider of that name.
        Unavailable: It cannot be loaded, or something is missing that it needs.
        InvalidValue: It does not take the argument.
        Refused: It cannot propose answers for such a scenario.
    """
    name, colon, argument = spec.partition(":")
    return provider(name, factory(name), argument if colon else None, scenario)


def factory(name: str) -> Factory:
    """Return what makes the providers of a name.

    Raises:
        NotFound: No installed package brings it.
        Unavailable: It cannot be loaded (kind `provider-broken`).
    """
    point = next((each for each in brought(GROUP) if each.name == name), None)
    if point is None:
        choices = ", ".join(names())
        raise NotFound(f"There is no frontier {name!r}; choose one of {choices}.", kind="unknown-provider")
    try:
        make: Factory = point.load()
    except (Exception, SystemExit) as error:
        raise _broken(name, "be loaded", error) from error
    return make


def provider(name: str, make: Factory, argument: str | None, scenario: Scenario) -> Provider:
    """Let a factory make a provider, and believe it only when it has what a provider needs.

    Raises:
        Unavailable: It broke, or made something else (kind `provider-broken`).
    """
    try:
        candidate = make(argument, scenario)
        _ = str(candidate.name), str(candidate.model), candidate.complete
    except StepdownError:
        raise
    except (Exception, SystemExit) as error:
        raise _broken(name, "be made", error) from error
    return candidate


def _broken(name: str, what: str, error: BaseException) -> Unavailable:
    return Unavailable(
        f"The frontier {name} cannot {what} ({of_code(error)}); mend its package, or choose another.",
        kind="provider-broken",
    )


def names() -> tuple[str, ...]:
    """Return the names of all installed frontier providers, sorted."""
    return tuple(sorted({point.name for point in brought(GROUP)}))
