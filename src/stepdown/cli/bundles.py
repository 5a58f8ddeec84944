"""Commands on bundles."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from stepdown.cli.advice import DEFAULT, advised
from stepdown.cli.consent import DryRun, Yes, agreed
from stepdown.cli.options import By, Directory, Json, Why, workspace
from stepdown.cli.output import emit, note, table

if TYPE_CHECKING:
    from stepdown.history.rows import Bundle

app = typer.Typer(help="Trained models: list, look at, and decide which one is its slot's.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(help="The bundle's id, or the beginning of it.")]


@app.command("list")
def list_(directory: Directory = DEFAULT, as_json: Json = False) -> None:
    """List every bundle, its standing, and whether it is whole on disk."""
    from stepdown.views.bundles import shelf
    from stepdown.workspace.unknown import unknown

    with workspace(directory) as opened:
        entries = [replace(each, outdated=advised(each.outdated)) for each in shelf(opened)]
        aside = unknown(opened.root)
    if aside:
        note(f"stepdown: {len(aside)} bundles and datasets that no row knows are kept in {aside[0].parents[1]}.")
    head = ("bundle", "slot", "standing", "on disk", "lower bound", "legal", "trained (UTC)")
    body = [
        (
            entry.bundle.id[:12],
            f"{entry.bundle.scenario} {entry.bundle.role}",
            entry.status,
            entry.condition,
            entry.evaluation.lower if entry.evaluation else None,
            entry.evaluation.valid if entry.evaluation else None,
            f"{entry.bundle.trained_at:%Y-%m-%d %H:%M:%S}",
        )
        for entry in entries
    ]
    emit(entries, as_json=as_json, people=lambda: table("bundles", head, body))
    for entry in (each for each in entries if each.outdated and each.status == "active"):
        note(f"stepdown: {entry.outdated}")


@app.command()
def show(bundle: Id, directory: Directory = DEFAULT, as_json: Json = False) -> None:
    """Show what a bundle promises, what its evaluation said, and what was done with it."""
    from stepdown.reports.events import act_line, verdict_line
    from stepdown.views.bundles import entry

    with workspace(directory) as opened:
        shown = entry(opened, bundle)
    shown = replace(shown, outdated=advised(shown.outdated))
    body = [
        ("id", shown.bundle.id),
        ("slot", f"{shown.bundle.scenario} {shown.bundle.role}"),
        ("standing", shown.status),
        ("on disk", f"{shown.condition} {shown.problem}".strip()),
        ("weights", shown.bundle.weights_digest),
        ("dataset", shown.bundle.dataset),
        ("trained (UTC)", shown.bundle.trained_at),
        *([("measured", shown.outdated)] if shown.outdated else []),
        *(shown.promise or {}).items(),
        *((f"verdict at {row.at:%Y-%m-%d %H:%M:%S}", f"{row.outcome}: {verdict_line(row)}") for row in shown.verdicts),
        *((f"act at {act.at:%Y-%m-%d %H:%M:%S}", act_line(act)) for act in shown.acts),
    ]
    emit(shown, as_json=as_json, people=lambda: table("bundle", ("", ""), body))


@app.command()
def verify(bundle: Id, directory: Directory = DEFAULT, as_json: Json = False) -> None:
    """Check every byte of a bundle, and open its weights. Exit 1 when it is not whole."""
    from stepdown.views.bundles import verify

    with workspace(directory) as opened:
        checked = verify(opened, bundle)
    line = f"{checked.bundle.id[:12]}  {checked.condition}  {checked.problem}".rstrip()
    emit(checked, as_json=as_json, people=lambda: line)
    if checked.condition != "whole":
        raise typer.Exit(1)


@app.command()
def activate(
    bundle: Id,
    directory: Directory = DEFAULT,
    force: Annotated[bool, typer.Option("--force", help="Without a standing verdict; kept in history.")] = False,
    why: Why = "",
    by: By = "operator",
    as_json: Json = False,
) -> None:
    """Make a bundle that was promoted its slot's. It serves only while every gate lets it."""
    from stepdown.acts import switch

    with workspace(directory) as opened:
        _said("active", switch.activate(opened, bundle, by=by, why=why, forced=force), as_json=as_json)


def _act(name: str, sentence: str, done: str) -> Callable[..., None]:
    def command(
        bundle: Id, directory: Directory = DEFAULT, why: Why = "", by: By = "operator", as_json: Json = False
    ) -> None:
        from stepdown.acts import switch

        with workspace(directory) as opened:
            _said(done, getattr(switch, name)(opened, bundle, by=by, why=why), as_json=as_json)

    command.__doc__ = sentence
    return command


for _name, _sentence, _done in (
    ("disable", "Switch a bundle off; it stays its slot's, and the frontier serves.", "disabled"),
    ("enable", "Switch a bundle on again.", "enabled"),
):
    app.command(_name)(_act(_name, _sentence, _done))


def _end(name: str, sentence: str, done: str, files: str) -> Callable[..., None]:
    def command(
        bundle: Id,
        directory: Directory = DEFAULT,
        why: Why = "",
        by: By = "operator",
        yes: Yes = False,
        dry_run: DryRun = False,
        as_json: Json = False,
    ) -> None:
        from stepdown.acts import switch
        from stepdown.views.bundles import entry

        with workspace(directory) as opened:
            target = entry(opened, bundle)
            meant = target.bundle
            slot = f"the {target.status} bundle {meant.id[:12]} of {meant.scenario} {meant.role}"
            if agreed([f"{name} {slot} for ever, and {files}"], yes=yes, dry_run=dry_run, as_json=as_json):
                # By the whole id: what was shown is what is done, whatever was registered meanwhile.
                _said(done, getattr(switch, name)(opened, meant.id, by=by, why=why), as_json=as_json)

    command.__doc__ = sentence
    return command


for _name, _sentence, _done, _files in (
    ("retire", "Take a bundle out of service for ever, and keep its files.", "retired", "keep its files"),
    ("delete", "Take a bundle out of service for ever, and remove its files.", "deleted", "remove its files"),
):
    app.command(_name)(_end(_name, _sentence, _done, _files))


def _said(what: str, bundle: "Bundle", *, as_json: bool) -> None:
    emit(bundle, as_json=as_json, people=lambda: f"{bundle.id[:12]}  {what}  {bundle.scenario} {bundle.role}")
