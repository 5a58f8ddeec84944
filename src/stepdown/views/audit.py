"""Read both witnesses, whole, and compare them. The comparing is pure, in the room `audit`."""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from stepdown.acts.datasets import promised
from stepdown.audit import (
    acts,
    breakers,
    budgets,
    evaluations,
    gaps,
    generations,
    heard,
    logs,
    measures,
    moments,
    origins,
    promotions,
    runs,
    steps,
    verdicts,
    witnesses,
)
from stepdown.audit.witnesses import Difference, Evidence, Shelf
from stepdown.bundles.disk import promise
from stepdown.history import reader, rows, sound
from stepdown.history.ledger import TABLES
from stepdown.providers import trace
from stepdown.workspace import Workspace
from stepdown.workspace.unknown import lying

CHECKS = (
    gaps.missing,
    gaps.unlearned,
    gaps.surplus,
    witnesses.doubles,
    witnesses.witnesses,
    witnesses.unreadable,
    witnesses.weights,
    moments.standing,
    moments.policies,
    moments.ages,
    moments.switches,
    breakers.checkpoints,
    breakers.breakers,
    measures.measures,
    measures.lessons,
    generations.generations,
    generations.coached,
    evaluations.evaluations,
    evaluations.witnessed,
    evaluations.knowledge,
    heard.heard,
    generations.lessons,
    acts.acts,
    acts.activations,
    acts.policies,
    acts.switches,
    promotions.verdicts,
    promotions.spendings,
    gaps.judged,
    verdicts.verdicts,
    budgets.budgets,
    budgets.availability,
    origins.bundles,
    origins.losses,
    origins.datasets,
    logs.logs,
    runs.runs,
    runs.endings,
    runs.numbering,
    # Last, because it plays every answer again: whoever asks only whether there is a difference often needs no more.
    steps.steps,
)

FIELDS = {
    rows.Run: "runs",
    rows.Ending: "endings",
    rows.Resumption: "resumptions",
    rows.Announcement: "announcements",
    rows.Attempt: "attempts",
    rows.Step: "steps",
    rows.PlayedMatch: "matches",
    rows.Generation: "generations",
    rows.Lesson: "lessons",
    rows.PolicyChange: "policies",
    rows.HarnessSwitch: "switches",
    rows.Bundle: "bundles",
    rows.Evaluation: "evaluations",
    rows.Holdout: "holdouts",
    rows.Act: "acts",
    rows.Verdict: "verdicts",
    rows.GivenScore: "judgements",
    rows.Dataset: "datasets",
    rows.Spending: "spendings",
    rows.Loss: "losses",
    rows.Log: "logs",
    rows.Exchange: "exchanges",
}
"""What `Evidence` calls each kind of row."""


def differences(workspace: Workspace) -> list[Difference]:
    """Return every difference between what history says and what happened; none when all is true.

    Raises:
        NotFound: A scenario that history names is not installed here.
    """
    return list(each_difference(workspace))


def each_difference(workspace: Workspace) -> Iterator[Difference]:
    """Yield the differences as they are found, for whoever only asks whether there is one."""
    yield from compared(evidence(workspace))


def examined(workspace: Workspace) -> tuple[list[Difference], list[str]]:
    """Return every difference, and in sentences what nobody can check again."""
    read = evidence(workspace)
    return list(compared(read)), [] if read.unsound else [
        *steps.unreproducible(read),
        *verdicts.unreproducible(read),
        *steps.reworded(read),
        *logs.reworded(read),
    ]


def compared(read: Evidence) -> Iterator[Difference]:
    """Yield what does not agree in what was read: values first, then what rows name, then what follows from them."""
    for unsure in (witnesses.unsound, gaps.dangling):
        problems = list(unsure(read))
        if problems:
            yield from problems
            return
    for name in dict.fromkeys(chain((run.scenario for run in read.runs), (bundle.scenario for bundle in read.bundles))):
        read.scenarios(name)
    for check in CHECKS:
        yield from witnesses.derived("I10", check.__name__, check(read))


def unchecked(workspace: Workspace) -> list[str]:
    """Return in sentences what nobody can check again."""
    return examined(workspace)[1]


def evidence(workspace: Workspace) -> Evidence:
    """Read both witnesses, as of one moment: what living processes had under way then, or began since, is in neither."""
    with workspace.reading() as connection:
        under_way = sound.under_way(connection)
        moving = {call for call, session in under_way.items() if workspace.session.alive(session)}
        stored: dict[type, sound.Content[Any]] = {kind: sound.stored(connection, kind) for kind in FIELDS}
        announced, attempts = stored[rows.Announcement], stored[rows.Attempt]
        traced = trace.read(workspace.trace)
        # Another transaction sees what was written since, by processes that may have ended meanwhile.
        with workspace.reading() as later:
            moving |= reader.calls_after(later, rows.Announcement, len(announced.numbers))
            moving |= under_way.keys() & reader.calls_after(later, rows.Attempt, len(attempts.numbers))
        last = sound.last_numbers(connection)
    announced.rows[:] = [call for call in announced.rows if call.call not in moving]
    return Evidence(
        **{name: stored[kind].rows for kind, name in FIELDS.items()},
        trace=[line for line in traced.lines if line.call not in moving],
        scenarios=workspace.scenario,
        damaged=traced.damaged,
        unsound=[value for each in stored.values() for value in each.unsound],
        numbers={TABLES[kind].name: (each.numbers, last.get(TABLES[kind].name)) for kind, each in stored.items()},
        shelf=_shelf(workspace, stored[rows.Bundle].rows, stored[rows.Dataset].rows),
    )


def _shelf(workspace: Workspace, bundles: Sequence[rows.Bundle], datasets: Sequence[rows.Dataset]) -> Shelf:
    of_bundles = {bundle.id: promise(workspace.bundle_directory(bundle.id), bundle.id) for bundle in bundles}
    of_folders = {path.name.partition(".")[0]: promised(path) for path in lying(workspace.root, "datasets")}
    exports = {digest: manifest for digest, manifest in of_folders.items() if manifest is not None}
    recorded = {dataset.digest for dataset in datasets}
    return Shelf(
        bundles={bundle: manifest for bundle, manifest in of_bundles.items() if manifest is not None},
        datasets={digest: manifest for digest, manifest in exports.items() if digest in recorded},
        strays={digest: manifest for digest, manifest in exports.items() if digest not in recorded},
    )
