"""Commands that prove: report, audit, doctor."""

from typing import Annotated

import typer

from stepdown.cli.options import DEFAULT, Directory, Json, workspace
from stepdown.cli.output import emit, table


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (report, audit, doctor):
        app.command()(command)


def report(
    run: Annotated[str | None, typer.Argument(help="A run; without one, the runs are listed.")] = None,
    directory: Directory = DEFAULT,
    as_json: Json = False,
) -> None:
    """Tell a run from its rows, as Markdown or JSON: trajectory, who served and why, tokens, bundles, knowledge."""
    from stepdown.reports.markdown import render
    from stepdown.views.runs import runs, story

    with workspace(directory) as opened:
        if run is not None:
            told = story(opened, run)
            emit(told, as_json=as_json, people=lambda: render(told))
            return
        found = runs(opened)
    head = ("run", "scenario", "seed", "purpose", "started (UTC)", "outcome")
    body = [
        (
            begun.id,
            begun.scenario,
            begun.seed,
            begun.purpose,
            f"{begun.at:%Y-%m-%d %H:%M:%S}",
            end.outcome if end else "under way",
        )
        for begun, end in found
    ]
    value = [{"run": begun, "ending": end} for begun, end in found]
    emit(value, as_json=as_json, people=lambda: table("runs", head, body))


def audit(directory: Directory = DEFAULT, as_json: Json = False) -> None:
    """Compare history with the provider trace, and derive every decision and score again. Exit 1 on any difference."""
    from stepdown.views.audit import examined

    with workspace(directory) as opened:
        found, left = examined(opened)
    agreed = "History and trace agree; every decision follows again" + ("." if left else ", and every score.")
    lines = "\n".join([*(map(str, found) if found else [agreed]), *left])
    emit(found, as_json=as_json, people=lambda: lines)
    if found:
        raise typer.Exit(1)


def doctor(directory: Directory = DEFAULT, as_json: Json = False) -> None:
    """Show what stepdown stands on here: versions, BLAS, database, disk. Exit 1 when something is wrong."""
    from stepdown.views.doctor import examine

    found = examine(directory)
    body = [(check.name, "ok" if check.good else "WRONG", check.finding) for check in found]
    emit(found, as_json=as_json, people=lambda: table("doctor", ("", "", "found"), body))
    if not all(check.good for check in found):
        raise typer.Exit(1)
