"""What an operator changes: the policy and the harness. Each change is a row that says who, when and why."""

from collections.abc import Mapping
from typing import Any

from stepdown.acts.switch import OPERATOR, check_name
from stepdown.errors import NotFound
from stepdown.history import ledger, rows
from stepdown.routing.policy import Policy
from stepdown.scenarios.protocol import Scenario
from stepdown.scenarios.tasks import TASK
from stepdown.workspace import Workspace


def set_policy(workspace: Workspace, changes: Mapping[str, Any], *, by: str = OPERATOR, why: str = "") -> Policy:
    """Change some of the policy's values, all or none.

    Raises:
        InvalidValue: A name is unknown, a value is out of its range, or nobody changes it; nothing is changed then.
    """
    check_name(by)
    with workspace.writing() as connection:
        number, policy = workspace.policy(connection)
        changed = policy.replacing(changes)
        if changed != policy:
            row = rows.PolicyChange(number + 1, changed.as_json(), by, why, workspace.now())
            ledger.append(connection, row)
    workspace.reached("policy-recorded")
    return changed


def adopt_policy(workspace: Workspace, scenario: Scenario) -> Policy | None:
    """Take over the policy that a task's own file asks for, unless somebody has set one already.

    Raises:
        InvalidValue: A name in it is unknown, or a value out of its range.
    """
    wanted = getattr(scenario, "settings", {}).get("policy")
    with workspace.reading() as connection:
        number, _ = workspace.policy(connection)
    if not wanted or number:
        return None
    return set_policy(workspace, wanted, by=TASK, why=f"the policy of {scenario.name}")


def switch_validator(
    workspace: Workspace, scenario_name: str, validator: str, *, enabled: bool, by: str = OPERATOR, why: str = ""
) -> frozenset[str]:
    """Switch a validator of a scenario's harness on or off, and return those that are on.

    Raises:
        NotFound: No such scenario or validator.
        InvalidValue: Nobody switches it.
    """
    check_name(by)
    scenario = workspace.scenario(scenario_name)
    if validator not in scenario.validators:
        choices = ", ".join(scenario.validators)
        raise NotFound(
            f"{scenario_name} has no validator {validator!r}; choose one of {choices}.", kind="unknown-validator"
        )
    with workspace.writing() as connection:
        if (validator in workspace.validators(connection, scenario)) is not enabled:
            row = rows.HarnessSwitch(scenario_name, validator, enabled, by, why, workspace.now())
            ledger.append(connection, row)
        now_on = workspace.validators(connection, scenario)
    workspace.reached("policy-recorded")
    return now_on
