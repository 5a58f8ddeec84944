"""A scenario is somebody else's code: whatever it throws becomes one sentence that names it. Pure."""

from collections.abc import Callable
from typing import TypeVar

from stepdown.errors import InvalidValue, StepdownError, of_code
from stepdown.scenarios.protocol import IllegalAnswer, Scenario

Result = TypeVar("Result")


def guarded(scenario: Scenario, doing: str, call: Callable[[], Result]) -> Result:
    """Call a scenario.

    Args:
        scenario: Who is called.
        doing: What it does, for the sentence.
        call: The call.

    Raises:
        IllegalAnswer: It refuses a reply, which is its right.
        InvalidValue: It broke (kind `scenario-broken`).
    """
    try:
        return call()
    except (IllegalAnswer, StepdownError):
        raise
    except (Exception, SystemExit) as error:
        name = getattr(scenario, "name", type(scenario).__name__)
        raise InvalidValue(
            f"The scenario {name} broke while {doing} ({of_code(error)}); mend it, or leave it out.",
            kind="scenario-broken",
        ) from error
