"""Commands on a bundle's life: promote, evaluate, history, active, rollback, prune."""

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stepdown.cli.advice import DEFAULT, advised, spelled
from stepdown.cli.bundles import Id
from stepdown.cli.consent import DryRun, Yes, agreed
from stepdown.cli.options import By, Directory, Json, Why, about, workspace
from stepdown.cli.output import emit, note, progress, table
from stepdown.cli.stopping import resumable

if TYPE_CHECKING:
    from stepdown.history.rows import Verdict
    from stepdown.training.promotion import Trial

Slot = Annotated[str, typer.Option("--slot", help="SCENARIO or SCENARIO/ROLE; by default the task's, or grid_ctf.")]


def register(app: typer.Typer, bundles: typer.Typer) -> None:
    """Add the commands: what concerns everything at the top, what concerns bundles under `bundles`."""
    app.command()(promote)
    app.command()(history)
    bundles.command()(evaluate)
    bundles.command("history")(bundles_history)
    for command in (active, rollback, prune):
        bundles.command()(command)


def promote(
    bundle: Id,
    directory: Directory = DEFAULT,
    margin: Annotated[float, typer.Option(help="How much worse than the frontier is still as good, 0..0.5.")] = 0.05,
    error_rate: Annotated[float, typer.Option(help="Chance of a false verdict, each way.")] = 0.05,
    budget: Annotated[int, typer.Option(help="Most seeds that are compared.")] = 256,
    look: Annotated[int, typer.Option(help="Seeds between two looks at the difference.")] = 32,
    frontier: Annotated[str | None, typer.Option(help="search, or recorded:PATH; by default the best run's.")] = None,
    resume: Annotated[
        str | None,
        typer.Option(
            "--resume", help="Go on with this comparison, which ended before its verdict; give the same limits."
        ),
    ] = None,
    why: Why = "",
    by: By = "operator",
    as_json: Json = False,
) -> None:
    """Compare a bundle with the frontier on held-out seeds, and activate it if it is as good. Exit 1 when it is not."""
    from stepdown.acts.promote import promote
    from stepdown.reports.events import verdict_line
    from stepdown.training.promotion import Trial

    trial = Trial(margin, error_rate, budget, look)
    given = [word for field in fields(trial) for word in _given(trial, field.name, field.default)]
    again = [bundle, *given, *(["--frontier", frontier] if frontier else [])]
    with workspace(directory) as opened, progress("promote") as show:
        watch = lambda done, most: show(done, most, "seeds")  # noqa: E731
        with resumable(opened, lambda run_id: spelled(directory, "promote", *again, "--resume", run_id)):
            verdict = promote(
                opened, bundle, trial=trial, frontier=frontier, by=by, why=why, resume=resume, watch=watch
            )
    emit(verdict, as_json=as_json, people=lambda: f"{verdict.outcome}  {verdict.bundle[:12]}  {verdict_line(verdict)}")
    if verdict.outcome != "promote":
        note(
            "stepdown: the frontier goes on serving; `stepdown run` with another --seed finds more, then export, train and "
            f"promote again. `stepdown report {verdict.run}` shows the comparison."
        )
        if (needed := _short_of(trial, verdict)) is not None:
            note(
                f"stepdown: even answers that score alike on every seed show it only after {needed} seeds, and there were "
                f"{verdict.evidence['seeds']}: add cases for comparisons, or allow a larger --margin."
            )
        raise typer.Exit(1)


def _short_of(trial: "Trial", verdict: "Verdict") -> int | None:
    """Return how many seeds would have shown what so few could not, however good the bundle is; None where enough were seen."""
    from stepdown.training.promotion import INCONCLUSIVE, alike

    evidence = verdict.evidence
    if INCONCLUSIVE not in evidence["objections"] or verdict.outcome != "hold":
        return None
    needed = alike(trial.margin, evidence.get("share") or trial.error_rate)
    return needed if needed is not None and needed > evidence["seeds"] else None


def _given(trial: "Trial", name: str, usual: object) -> list[str]:
    """Return the words that give a limit of a comparison, where it is not the usual one."""
    value = getattr(trial, name)
    return [] if value == usual else [f"--{name.replace('_', '-')}", f"{value!r}"]


def evaluate(bundle: Id, directory: Directory = DEFAULT, as_json: Json = False) -> None:
    """Evaluate a bundle anew on the held-out seeds, as scenario, prompt and decoding are now."""
    from stepdown.acts.localize import evaluate
    from stepdown.reports.events import judged_line

    with workspace(directory) as opened:
        evaluation = evaluate(opened, bundle)
    body = [
        ("bundle", evaluation.bundle),
        ("mean held-out score", evaluation.mean),
        ("lower 95 % bound", evaluation.lower),
        ("legal replies", evaluation.valid),
        ("held-out seeds", evaluation.seeds),
        *([("judged by a model", line)] if (line := judged_line(evaluation)) else []),
    ]
    emit(evaluation, as_json=as_json, people=lambda: table(evaluation.id, ("", ""), body))


def history(directory: Directory = DEFAULT, as_json: Json = False) -> None:
    """Show who changed what, when and why: bundles, verdicts, policy and harness, oldest first."""
    _show_history(directory, None, as_json=as_json)


def bundles_history(directory: Directory = DEFAULT, slot: Slot = "", as_json: Json = False) -> None:
    """Show who decided what about bundles, when and why, oldest first; `stepdown history` adds policy and harness."""
    _show_history(directory, slot, as_json=as_json)


def _show_history(directory: Directory, slot: str | None, *, as_json: bool) -> None:
    from stepdown.views.history import history

    with workspace(directory) as opened:
        events = history(opened, _slot(slot, directory) if slot else None)
    if slot is not None:
        events = [event for event in events if event.bundle is not None]
    head = ("at (UTC)", "what", "slot", "bundle", "by", "why")
    body = [
        (
            f"{event.at:%Y-%m-%d %H:%M:%S}",
            f"{event.kind}{' by force' if event.forced else ''} {event.detail}".strip(),
            " ".join(filter(None, (event.scenario, event.role))),
            (event.bundle or "")[:12],
            event.by,
            event.why,
        )
        for event in events
    ]
    emit(events, as_json=as_json, people=lambda: table("history", head, body))


def active(
    directory: Directory = DEFAULT,
    at: Annotated[str | None, typer.Option("--at", help="A time with its offset; by default now.")] = None,
    as_json: Json = False,
) -> None:
    """Show which bundle each slot holds, or held at a time."""
    from stepdown.views.history import active_at, instant

    with workspace(directory) as opened:
        bundles = active_at(opened, instant(at) if at is not None else None)
    body = [(" ".join(slot), bundle.id, f"{bundle.trained_at:%Y-%m-%d %H:%M:%S}") for slot, bundle in bundles.items()]
    emit(
        list(bundles.values()),
        as_json=as_json,
        people=lambda: table(f"active at {at or 'this moment'}", ("slot", "bundle", "trained (UTC)"), body),
    )


def rollback(
    directory: Directory = DEFAULT,
    slot: Slot = "",
    why: Why = "",
    by: By = "operator",
    as_json: Json = False,
) -> None:
    """Return a slot to its last good bundle: it is found whole and answers before anything moves."""
    from stepdown.acts.rollback import rollback

    with workspace(directory) as opened:
        active = rollback(opened, *_slot(slot, directory), by=by, why=why)
    emit(active, as_json=as_json, people=lambda: f"{active.id[:12]}  active  {active.scenario} {active.role}")


def prune(
    bundles: Annotated[list[str] | None, typer.Argument(help="Only these; by default all that nobody needs.")] = None,
    directory: Directory = DEFAULT,
    keep: Annotated[
        int | None,
        typer.Option("--keep", help="Newest runs to keep, with the bundles they asked or compared; by default all."),
    ] = None,
    candidates: Annotated[
        bool, typer.Option("--candidates", help="Also those that nobody has compared or judged yet.")
    ] = False,
    unfinished: Annotated[
        bool,
        typer.Option("--checkpoints", help="Also what killed tunings left, from which train --resume would go on."),
    ] = False,
    why: Why = "",
    by: By = "operator",
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Remove bundles that no slot, no rollback and no kept run needs. Their rows stay."""
    from stepdown.acts import checkpoints
    from stepdown.acts.prune import Pruned, plan, prune

    with workspace(directory) as opened:
        meant = plan(opened, bundles or (), keep=keep, candidates=candidates)
        left = [path.name for path in checkpoints.abandoned(opened)]
        pruned = Pruned((), {**meant.kept, **({} if unfinished else dict.fromkeys(left, RESUMABLE))})
        would = [f"remove {bundle.id[:12]} of {bundle.scenario} {bundle.role} for ever" for bundle in meant.removed]
        would += [f"remove {name[:12]}, the checkpoint of a tuning, for ever" for name in left if unfinished]
        if would:
            if not agreed(would, yes=yes, dry_run=dry_run, as_json=as_json):
                return
            named = [bundle.id for bundle in meant.removed]
            gone = prune(opened, named, keep=keep, by=by, why=why).removed if named else ()
            pruned = Pruned(gone, pruned.kept, tuple(checkpoints.remove(opened, left if unfinished else ())))
    lines = [f"{bundle.id[:12]}  removed  {bundle.scenario} {bundle.role}" for bundle in pruned.removed]
    lines += [f"{name[:12]}  removed  the checkpoint of a tuning" for name in pruned.checkpoints]
    lines += [f"{bundle[:12]}  kept  {advised(reason)}" for bundle, reason in pruned.kept.items()]
    emit(pruned, as_json=as_json, people=lambda: "\n".join(lines) or "There is no bundle to prune.")


RESUMABLE = (
    "it is the checkpoint of a tuning that was not finished; `stepdown train DATASET --resume` goes on from it, --checkpoints "
    "removes it"
)


def _slot(text: str, directory: Path) -> tuple[str, str | None]:
    scenario, _, role = text.partition("/")
    return about(directory, scenario or None).scenario, role or None
