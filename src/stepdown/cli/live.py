"""Commands for questions and answers that come from outside: ask, judge, import."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from stepdown.cli.advice import DEFAULT, advised
from stepdown.cli.options import By, Directory, Frontier, Json, ScenarioName, Why, about, workspace
from stepdown.cli.output import emit


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (ask, judge):
        app.command()(command)
    app.command("import")(bring)


def ask(
    case: Annotated[str, typer.Argument(help="What is to be seen: a JSON object, or the seed of one of the cases.")],
    directory: Directory = DEFAULT,
    scenario: ScenarioName = None,
    role: Annotated[str | None, typer.Option(help="Who is asked; by default the role that is judged.")] = None,
    frontier: Frontier = None,
    as_json: Json = False,
) -> None:
    """Ask one question, routed like any other step, and say who served, why, and under which call."""
    from stepdown.acts.ask import live
    from stepdown.acts.preparation import check
    from stepdown.scenarios import cases
    from stepdown.workspace.marker import present

    asked, who = _case(case), about(directory, scenario, frontier)
    if isinstance(asked, dict):
        cases.check(who.settings.scenario(who.scenario), asked)  # Before a workspace is made for it.
    check(who.settings, who.scenario, 0, 1, 1, who.frontier, role=role, routed=present(directory))
    with (
        workspace(directory, create=True) as opened,
        live(opened, who.scenario, role=role, frontier=who.frontier) as desk,
    ):
        response = desk.ask(asked)
    lines = [json.dumps(response.value, ensure_ascii=False) if response.served else f"nobody served: {response.error}"]
    score = "" if response.score is None else f"score {response.score:.3f}; "
    lines.append(
        f"{score}served by {response.served or 'nobody'}; local did not: {response.reason or '–'}; call {response.call or '–'}"
    )
    if response.unjudged:
        lines.append(response.unjudged)
    emit(response, as_json=as_json, people=lambda: "\n".join(lines))
    if response.served is None:
        raise typer.Exit(8)


def judge(
    call: Annotated[str, typer.Argument(help="The call that served the answer, as `stepdown ask` names it.")],
    score: Annotated[float, typer.Argument(help="How good it was, 0 to 1.")],
    directory: Directory = DEFAULT,
    why: Why = "",
    by: By = "operator",
    as_json: Json = False,
) -> None:
    """Say later how good an answer was; the last word counts, and is exported like any score."""
    from stepdown.acts.ask import judge

    with workspace(directory) as opened:
        row = judge(opened, call, score, by=by, why=why)
    emit(row, as_json=as_json, people=lambda: f"{row.call}  {row.score:g}  by {row.by}")


def _case(text: str) -> Any:
    """Read a case as a command line spells it.

    Raises:
        InvalidValue: It is neither a JSON object nor a seed.
    """
    from stepdown.digest import parsed
    from stepdown.errors import InvalidValue, in_one_line

    why = ""
    try:
        case = parsed(text)
    except ValueError as error:
        case, why = None, f" ({in_one_line(error)})"
    if isinstance(case, dict) or (isinstance(case, int) and not isinstance(case, bool) and 0 <= case < 2**63):
        return case
    raise InvalidValue(f'A case is a JSON object like {{"message": "…"}}, or a seed from 0 on, not {text!r}{why}.')


def bring(
    file: Annotated[Path, typer.Argument(help="JSON lines: messages, prompt and completion, or request and response.")],
    directory: Directory = DEFAULT,
    scenario: ScenarioName = None,
    role: Annotated[
        str | None, typer.Option(help="Whose answers these are; by default the role that is judged.")
    ] = None,
    pattern: Annotated[
        str | None, typer.Option(help="Regular expression that finds the case in a question: a group, or named ones.")
    ] = None,
    why: Why = "",
    by: By = "operator",
    as_json: Json = False,
) -> None:
    """Bring in a log of another system to learn from; nothing of it counts as having happened here."""
    from stepdown.acts.imports import bring, read

    asked = about(directory, scenario)
    entries = read(asked.settings.scenario(asked.scenario), file, role=role, pattern=pattern)
    with workspace(directory, create=True) as opened:
        log = bring(opened, entries, by=by, why=why)
    skipped = [f"skipped {count}: {reason}" for reason, count in log.skipped.items()]
    first = f"{log.id}  {log.exchanges} exchanges of {log.lines} lines of {log.file}"
    last = advised("`stepdown export --imported` takes them in.")
    emit(log, as_json=as_json, people=lambda: "\n".join([first, *skipped, last]))
