"""Commands that do the work: demo, run, export, train."""

from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stepdown.cli.advice import DEFAULT, spelled
from stepdown.cli.options import Directory, Frontier, Json, ScenarioName, about, workspace
from stepdown.cli.output import emit, note, progress, table
from stepdown.cli.stopping import resumable, trainable

if TYPE_CHECKING:
    from collections.abc import Callable

    from stepdown.acts.under_way import RunUnderWay
    from stepdown.history.rows import Step
    from stepdown.reports.story import Story
    from stepdown.training.tuning import AnyPlan


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (demo, init, run, export, scan, train):
        app.command()(command)


def demo(
    directory: Directory = Path(".stepdown-demo"),
    seed: Annotated[int, typer.Option(help="Decides everything that is drawn.")] = 0,
    scenario: Annotated[
        str, typer.Option("--scenario", "-s", help="grid_ctf, in seconds; or invoices, with SmolLM2, in minutes.")
    ] = "grid_ctf",
    as_json: Json = False,
) -> None:
    """Do the whole journey once, in a fresh workspace, and show the evidence of each stage."""
    from stepdown.demo.journey import Demo
    from stepdown.demo.themes import THEMES
    from stepdown.errors import NotFound

    if scenario not in THEMES:
        raise NotFound(f"There is no demo of {scenario!r}; choose {' or '.join(THEMES)}.", kind="unknown-scenario")
    note(f"A fresh workspace in {directory}; every stage below is read back from rows, files and the trace.")
    note(THEMES[scenario].promise)
    with progress("demo") as show:
        stages = Demo(directory, seed, THEMES[scenario]).play(show)
    head = ("stage", "seconds", "observed", "evidence")
    rows = [(s.name, f"{s.seconds:.2f}", "yes" if s.observed else "NO", s.evidence) for s in stages]
    emit(stages, as_json=as_json, people=lambda: table("stepdown demo", head, rows))
    if not all(stage.observed for stage in stages):
        note(
            f"stepdown: seed {seed} did not come through: {stages[-1].name} was not observed. What was recorded stands in "
            f"{directory}; `stepdown report` shows it, and another --seed may come through."
        )
        raise typer.Exit(1)


def run(
    directory: Directory = DEFAULT,
    scenario: ScenarioName = None,
    seed: Annotated[int, typer.Option(help="Decides everything that is drawn.")] = 0,
    generations: Annotated[int, typer.Option(help="Generations to play.")] = 20,
    candidates: Annotated[int, typer.Option(help="Candidates in each.")] = 8,
    frontier: Frontier = None,
    role: Annotated[
        str | None, typer.Option(help="Whose answers are looked for; by default the one that is judged.")
    ] = None,
    at_once: Annotated[
        int | None, typer.Option(help="Calls under way at the frontier together; by default what it takes.")
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option("--resume", help="Go on with this run, which ended before it was done, as it was begun."),
    ] = None,
    database: Annotated[str | None, typer.Option(help="SQLAlchemy URL, for a new workspace.")] = None,
    as_json: Json = False,
) -> None:
    """Play a run: discovery while no bundle is fit, routed to the local one while it is."""
    from stepdown.acts.preparation import check
    from stepdown.acts.resume import resume_run
    from stepdown.acts.run import play, start
    from stepdown.views.runs import story
    from stepdown.workspace.marker import present

    asked = about(directory, scenario, frontier)
    if resume is None:
        plan = asked.scenario, seed, generations, candidates, asked.frontier
        check(asked.settings, *plan, at_once=at_once, role=role, routed=present(directory))
    with workspace(directory, create=resume is None, url=database) as opened, progress("run") as show:
        if resume is not None:
            under_way = resume_run(opened, resume, at_once=at_once)
        else:
            size = partial(start, seed=seed, generations=generations, candidates=candidates)
            under_way = size(opened, asked.scenario, frontier=asked.frontier, at_once=at_once, role=role, adopting=True)
        run = under_way.run
        with resumable(opened, lambda run_id: spelled(directory, "run", "--resume", run_id)):
            play(under_way, _counted(show, run.generations * _asked_in_one(under_way)))
        summary = story(opened, run.id)
    body = [(g.number, g.score, g.decision, g.champion_score, g.champion) for g in summary.generations]
    head = ("generation", "best score", "decision", "champion's score", "champion")
    title = f"{summary.run.id}: {', '.join(f'{count} {who}' for who, count in summary.served.items())}"
    emit(summary, as_json=as_json, people=lambda: table(title, head, body))
    _check_done(summary, f"stepdown report {run.id}")


def _asked_in_one(under_way: "RunUnderWay") -> int:
    """Return how many steps a generation has: its candidates, each with a judge where one judges, and the coach."""
    return under_way.run.candidates * (1 if under_way.bench is None else 2) + 1


def _check_done(summary: "Story", report: str) -> None:
    """Say how many answers a judging model said nothing of, and why a run did not come to its end; exit 8 where it did not."""
    from stepdown.reports.story import unjudged

    if summary.unjudged:
        note(f"stepdown: {unjudged(summary)} `{report}` shows those calls.")
    if summary.ending is not None and summary.ending.outcome != "completed":
        note(f"stepdown: {summary.ending.error} `{report}` says more.")
        raise typer.Exit(8)


def _counted(show: "Callable[[int, int, str], None]", total: int) -> "Callable[[Step], None]":
    """Return what watches a run: each step moves the bar by one."""
    done = count(1)
    return lambda step: show(next(done), total, f"{step.id} {step.served or step.outcome}")


def export(
    directory: Directory = DEFAULT,
    scenario: ScenarioName = None,
    run_id: Annotated[str | None, typer.Option("--run", help="Only this run.")] = None,
    min_score: Annotated[float | None, typer.Option(help="Least mean score, 0..1.")] = None,
    kept_only: Annotated[bool, typer.Option("--kept-only", help="Only generations that advanced.")] = False,
    include_local: Annotated[bool, typer.Option("--include-local", help="Also replies of local models.")] = False,
    matches: Annotated[bool, typer.Option("--matches", help="Also write each answer's matches.")] = False,
    imported: Annotated[bool, typer.Option("--imported", help="Also what logs say that were brought in.")] = False,
    as_json: Json = False,
) -> None:
    """Write answers as training data, from the rows as they are now."""
    from stepdown.acts.export import export
    from stepdown.training.records import Filters

    with workspace(directory) as opened:
        named = about(directory, scenario).scenario
        filters = Filters(named, run_id, min_score, kept_only, include_local, matches, imported=imported)
        dataset = export(opened, filters)
    line = f"{dataset.digest[:12]}  {dataset.train} to train, {dataset.valid} to validate  {dataset.path}"
    if dataset.reworded:
        line += f"\n{dataset.reworded} left out: asked with another text than prompts have now"
    value = {"digest": dataset.digest, "path": str(dataset.path), "train": dataset.train, "valid": dataset.valid}
    value |= {"reworded": dataset.reworded}
    emit(value, as_json=as_json, people=lambda: line)


def scan(
    directory: Directory = DEFAULT,
    scenario: ScenarioName = None,
    run: Annotated[str | None, typer.Option(help="Only this run.")] = None,
    min_score: Annotated[float | None, typer.Option(help="Least mean score, 0..1.")] = None,
    as_json: Json = False,
) -> None:
    """Say what a local model could reach, from history alone, and what a promotion would cost."""
    from stepdown.training.records import Filters
    from stepdown.views.scan import scan

    with workspace(directory) as opened:
        outlook = scan(opened, Filters(about(directory, scenario).scenario, run=run, min_score=min_score))
    head = ("without training", "mean", "lower 95 % bound", "legal", "gain by the question")
    body = [(b.name, b.scores.mean, b.scores.lower, b.scores.valid, f"{b.gain:+.3f}") for b in outlook.baselines]
    cost = "at prices that are not known" if outlook.cost is None else f"{outlook.cost:.2f} dollars at most"
    lines = [
        f"{outlook.records} answers of {outlook.scenario} {outlook.role}; of the newest {outlook.looked_at}: "
        f"{outlook.questions} different questions, {outlook.answers} different answers, the commonest {outlook.commonest:.0%}.",
        f"A promotion needs {outlook.look} cases for comparisons, and there are {outlook.compared}; add cases."
        if outlook.calls is None
        else f"A promotion asks the frontier {outlook.calls[0]} to {outlook.calls[1]} times, {cost}.",
    ]
    if outlook.calls is not None and outlook.alike is not None and outlook.compared < outlook.alike:
        lines.append(
            f"Even a bundle that scores as the frontier on every case is shown to be as good only after {outlook.alike} cases, "
            f"and {outlook.compared} are for comparisons: add cases, or promote with a larger --margin."
        )
    title = f"on {outlook.held_out} held-out questions"
    if outlook.verdicts is not None:
        evaluation, promotion = outlook.verdicts
        title = f"A model judges ({outlook.judge}): what is reached without training is not known before it is asked."
        more = f", and {promotion} for a promotion" if promotion else ""
        lines.append(f"The judge is asked {evaluation} times at most for an evaluation{more}.")
    emit(outlook, as_json=as_json, people=lambda: table(title, head, body) if body else title)
    note("\n".join(lines))


def init(
    directory: Annotated[Path, typer.Argument(help="Where the files are written; none is overwritten.")] = Path(),
    example: Annotated[str, typer.Option(help="The example to begin with.")] = "tickets",
    as_json: Json = False,
) -> None:
    """Write the files of a task of your own, to be changed: cases, instructions, schema, judge, frontier, policy."""
    from stepdown.acts.init import init

    written = init(directory, example)
    lines = [*map(str, written), f"Change them, then `stepdown run` in {directory}."]
    emit([str(path) for path in written], as_json=as_json, people=lambda: "\n".join(lines))


def train(
    dataset: Annotated[str, typer.Argument(help="An export: its directory, or the beginning of its digest.")],
    directory: Directory = DEFAULT,
    role: Annotated[str | None, typer.Option(help="The role it shall serve; the dataset's.")] = None,
    plan: Annotated[str, typer.Option(help="default, tiny, or a JSON file of a plan's values.")] = "default",
    base: Annotated[str | None, typer.Option(help="A base to tune, instead of a net of our own.")] = None,
    time_limit: Annotated[float, typer.Option(help="Seconds the training may take.")] = 3600.0,
    fresh: Annotated[bool, typer.Option("--fresh", help="Train again, and demand the same weights.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where an equal tuning was killed.")] = False,
    as_json: Json = False,
) -> None:
    """Train a bundle in a child process, evaluate it on held-out seeds, and register it. It is not activated."""
    from stepdown.acts.datasets import find_dataset
    from stepdown.acts.localize import localize
    from stepdown.reports.events import judged_line

    options = [*(["--base", base] if base else []), *(["--plan", plan] if plan != "default" else [])]
    command = partial(spelled, directory)
    with (
        workspace(directory) as opened,
        progress("train") as show,
        trainable(opened, command, "train", dataset, *options),
    ):
        trained = localize(
            opened,
            find_dataset(opened, dataset),
            plan=_plan(plan, base),
            role=role,
            time_limit=time_limit,
            fresh=fresh,
            resume=resume,
            watch=lambda p: show(p.iteration, p.iterations, f"loss {p.loss:.3f}"),
        )
    evaluation = trained.evaluation
    body = [
        ("bundle", trained.bundle.id),
        ("trained", "an equal job's bundle was whole already" if trained.reused else "anew"),
        ("mean held-out score", evaluation.mean),
        ("lower 95 % bound", evaluation.lower),
        ("legal replies", evaluation.valid),
        ("held-out seeds", evaluation.seeds),
        *([("judged by a model", line)] if (line := judged_line(evaluation)) else []),
    ]
    emit(trained, as_json=as_json, people=lambda: table("trained", ("", ""), body))
    note(f"It serves nobody yet: `stepdown promote {trained.bundle.id[:12]}` compares it.")


def _plan(name: str, base: str | None) -> "AnyPlan | None":
    """Return the plan of a word or a file; None for the one that suits the scenario."""
    from stepdown import files
    from stepdown.errors import InvalidValue, in_one_line
    from stepdown.training.plan import Plan
    from stepdown.training.tuning import Tuning, parse_plan

    if name == "default":
        return None if base is None else Tuning(base)
    if name == "tiny" and base is None:
        return Plan.tiny()
    try:
        written = files.text(Path(name))
    except (OSError, ValueError) as error:
        raise InvalidValue(
            f"There is no plan {name!r} ({in_one_line(error)}); choose default, tiny, or a JSON file."
        ) from error
    return parse_plan(written, base)
