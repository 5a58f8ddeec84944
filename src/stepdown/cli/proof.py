"""Commands that prove: report, audit, doctor."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from stepdown.cli.advice import DEFAULT, advised
from stepdown.cli.options import Directory, Json, workspace
from stepdown.cli.output import Page, emit, on_terminal, table, together
from stepdown.reports.invariants import EVERY

if TYPE_CHECKING:
    from stepdown.history.rows import Ending, Run
    from stepdown.reports.markdown import Block


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(report)
    app.command(epilog=f"The numbers of the promises that it checks: {EVERY}")(audit)
    app.command()(doctor)


def report(
    run: Annotated[str | None, typer.Argument(help="A run; without one, the runs are listed.")] = None,
    directory: Directory = DEFAULT,
    as_json: Json = False,
) -> None:
    """Tell a run from its rows, as Markdown or JSON: trajectory, who served and why, tokens, bundles, knowledge."""
    from stepdown.reports.markdown import blocks, render
    from stepdown.reports.story import advising
    from stepdown.views.runs import runs, story

    with workspace(directory) as opened:
        if run is not None:
            summary = advising(story(opened, run), advised)
            page = lambda: _page(blocks(summary, advised)) if on_terminal() else render(summary, advised)  # noqa: E731
            emit(summary, as_json=as_json, people=page)
            return
        every_run = runs(opened)
    value = [{"run": begun, "ending": end} for begun, end in every_run]
    emit(value, as_json=as_json, people=lambda: _listed(every_run))


def _page(parts: "Iterable[Block]") -> Page:
    """Return a report as a terminal shows it; what is redirected into a file is Markdown."""
    return Page(tuple(each if isinstance(each, str) else table("", each.head, each.body) for each in parts))


def _listed(every_run: "Sequence[tuple[Run, Ending | None]]") -> object:
    """Return a table for each purpose: work, comparisons of promotions, live questions, evaluations by a model."""
    from stepdown.history.rows import COMPARISON, EVALUATION, LIVE, WORK

    head = ("run", "scenario", "seed", "started (UTC)", "outcome")
    tables = []
    titles = {
        WORK: "runs",
        COMPARISON: "comparisons for promotions",
        LIVE: "live questions",
        EVALUATION: "evaluations by a judging model",
    }
    for purpose, title in titles.items():
        body = [
            (run.id, run.scenario, run.seed, f"{run.at:%Y-%m-%d %H:%M:%S}", end.outcome if end else "under way")
            for run, end in every_run
            if run.purpose == purpose
        ]
        if body or purpose == WORK:
            tables.append(table(title, head, body))
    return together(*tables)


def audit(directory: Directory = DEFAULT, as_json: Json = False) -> None:
    """Compare history with the provider trace, and derive every decision and score again. Exit 1 on any difference."""
    from stepdown.reports.invariants import legend
    from stepdown.views.audit import examined

    with workspace(directory) as opened:
        differences, left = examined(opened)
    agreed = "History and trace agree; every decision follows again" + ("." if left else ", and every score.")
    means = legend(difference.claim for difference in differences)
    lines = "\n".join([*(map(str, differences) if differences else [agreed]), *left, *([""] if means else []), *means])
    emit(differences, as_json=as_json, people=lambda: lines)
    if differences:
        raise typer.Exit(1)


def doctor(directory: Directory = DEFAULT, as_json: Json = False) -> None:
    """Show what stepdown stands on here: versions, BLAS, database, disk. Exit 1 when something is wrong."""
    from stepdown.views.doctor import examine

    checks = [replace(check, finding=advised(check.finding)) for check in examine(directory)]
    body = [(check.name, "ok" if check.good else "WRONG", check.finding) for check in checks]
    emit(checks, as_json=as_json, people=lambda: table("doctor", ("", "", "found"), body))
    if not all(check.good for check in checks):
        raise typer.Exit(1)
