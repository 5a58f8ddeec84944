"""Commands on what decides: policy, harness, route."""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from stepdown.cli.advice import DEFAULT, advised
from stepdown.cli.options import By, Directory, Json, ScenarioName, Why, about, workspace
from stepdown.cli.output import emit, note, table
from stepdown.cli.roles import known_role

policy = typer.Typer(help="What the gates demand.", no_args_is_help=True)
harness = typer.Typer(help="The validators that judge replies.", no_args_is_help=True)


if TYPE_CHECKING:
    from stepdown.scenarios.protocol import Scenario


def register(app: typer.Typer) -> None:
    """Add the command that is no group."""
    app.command()(route)


@policy.command("show")
def policy_show(directory: Directory = DEFAULT, as_json: Json = False) -> None:
    """Show the policy as it is now."""
    with workspace(directory) as opened, opened.reading() as connection:
        number, rules = opened.policy(connection)
    _show_policy(number, rules.as_json(), as_json=as_json)


@policy.command("set")
def policy_set(
    changes: Annotated[list[str], typer.Argument(help="NAME=VALUE, for example min_score=0.8.")],
    directory: Directory = DEFAULT,
    why: Why = "",
    by: By = "operator",
    as_json: Json = False,
) -> None:
    """Change some values of the policy: all of them, or none if one is wrong."""
    from stepdown.acts.configure import set_policy

    wanted = _wanted(changes)
    with workspace(directory) as opened:
        for name in ("local_roles", "local_never", "frontier_never"):
            for role in filter(None, map(str.strip, wanted.get(name, "").split(","))):
                known_role(opened, role)
        set_policy(opened, wanted, by=by, why=why)
        with opened.reading() as connection:
            number, rules = opened.policy(connection)
    _show_policy(number, rules.as_json(), as_json=as_json)


def _wanted(changes: list[str]) -> dict[str, str]:
    """Return the values that a line asks for, by name.

    Raises:
        InvalidValue: One is no pair, or a name stands twice.
    """
    from stepdown.errors import InvalidValue

    wanted: dict[str, str] = {}
    for change in changes:
        name, value = _pair(change)
        if name in wanted:
            raise InvalidValue(f"{name} stands twice; say it once.")
        wanted[name] = value
    return wanted


def _pair(change: str) -> tuple[str, str]:
    from stepdown.errors import InvalidValue

    name, equals, value = change.partition("=")
    if not equals:
        raise InvalidValue(f"{change!r} is not NAME=VALUE, for example min_score=0.8.")
    return name.strip().replace("-", "_"), value.strip()


def _show_policy(number: int, values: dict[str, object], *, as_json: bool) -> None:
    head = ("value", "")
    body = [(name, ", ".join(value) if isinstance(value, list) else value) for name, value in values.items()]
    emit({"number": number, **values}, as_json=as_json, people=lambda: table(f"policy {number}", head, body))


@harness.command("show")
def harness_show(directory: Directory = DEFAULT, scenario: ScenarioName = None, as_json: Json = False) -> None:
    """Show which validators are on, and the coverage they are measured at."""
    with workspace(directory) as opened, opened.reading() as connection:
        scenario_ = opened.scenario(about(directory, scenario).scenario)
        enabled = opened.validators(connection, scenario_)
    _show_harness(scenario_, enabled, as_json=as_json)


@harness.command("enable")
def harness_enable(
    validator: str,
    directory: Directory = DEFAULT,
    scenario: ScenarioName = None,
    why: Why = "",
    by: By = "operator",
    as_json: Json = False,
) -> None:
    """Switch a validator on."""
    from stepdown.acts.configure import switch_validator

    with workspace(directory) as opened:
        scenario_ = opened.scenario(about(directory, scenario).scenario)
        enabled = switch_validator(opened, scenario_.name, validator, enabled=True, by=by, why=why)
    _show_harness(scenario_, enabled, as_json=as_json)


@harness.command("disable")
def harness_disable(
    validator: str,
    directory: Directory = DEFAULT,
    scenario: ScenarioName = None,
    why: Why = "",
    by: By = "operator",
    as_json: Json = False,
) -> None:
    """Switch a validator off. Coverage falls with it, and local stops serving below the policy's limit."""
    from stepdown.acts.configure import switch_validator

    with workspace(directory) as opened:
        scenario_ = opened.scenario(about(directory, scenario).scenario)
        enabled = switch_validator(opened, scenario_.name, validator, enabled=False, by=by, why=why)
    _show_harness(scenario_, enabled, as_json=as_json)


def _show_harness(scenario: "Scenario", enabled: frozenset[str], *, as_json: bool) -> None:
    from stepdown.scenarios.harness import coverage

    measured = coverage(scenario, enabled)
    switches = {name: name in enabled for name in scenario.validators}
    body = [(name, "on" if on else "off") for name, on in switches.items()]
    title = f"harness of {scenario.name}: coverage {measured:.2f}"
    value = {"scenario": scenario.name, "coverage": measured, "validators": switches}
    emit(value, as_json=as_json, people=lambda: table(title, ("validator", ""), body))


def route(
    directory: Directory = DEFAULT,
    scenario: ScenarioName = None,
    role: Annotated[str | None, typer.Option(help="The role that would ask; the one that is judged.")] = None,
    seed: Annotated[int, typer.Option(help="The step's seed; it decides a canary's draw.")] = 0,
    explain: Annotated[bool, typer.Option("--explain", help="Show every gate with its facts.")] = False,
    as_json: Json = False,
) -> None:
    """Say who would serve a step now, and why. Nobody is asked."""
    from stepdown.views.route import explain_route

    with workspace(directory) as opened:
        explanation = explain_route(opened, about(directory, scenario).scenario, role, seed)
    explanation = replace(explanation, outdated=advised(explanation.outdated))
    line = f"{explanation.serves}  {explanation.reason or 'every gate passed'}"
    head = ("gate", "objects", "facts")
    body = [(gate.name, gate.objection or "–", gate.facts) for gate in explanation.gates]
    emit(explanation, as_json=as_json, people=lambda: table(line, head, body) if explain else line)
    if explain and explanation.outdated:
        note(f"stepdown: {explanation.outdated}")
