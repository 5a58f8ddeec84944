"""Read both witnesses, whole, and compare them. The comparing is pure, in the room `audit`."""

from collections.abc import Iterator
from itertools import chain

from stepdown.audit import acts, budgets, evaluations, gaps, generations, promotions, steps, witnesses
from stepdown.audit.witnesses import Difference, Evidence
from stepdown.history import reader, rows
from stepdown.providers import trace
from stepdown.workspace import Workspace

CHECKS = (
    gaps.missing,
    gaps.unlearned,
    gaps.surplus,
    witnesses.doubles,
    witnesses.witnesses,
    witnesses.unreadable,
    witnesses.weights,
    steps.steps,
    steps.breakers,
    generations.generations,
    evaluations.evaluations,
    generations.lessons,
    acts.acts,
    acts.activations,
    acts.policies,
    acts.switches,
    acts.judges,
    promotions.verdicts,
    gaps.judged,
    budgets.budgets,
)


def differences(workspace: Workspace) -> list[Difference]:
    """Return every difference between what history says and what happened; none when all is true."""
    return list(found(workspace))


def found(workspace: Workspace) -> Iterator[Difference]:
    """Yield the differences as they are found, for whoever only asks whether there is one."""
    read = evidence(workspace)
    dangling = list(gaps.dangling(read))
    yield from dangling or chain.from_iterable(check(read) for check in CHECKS)


def unchecked(workspace: Workspace) -> list[str]:
    """Return in sentences what nobody can check again."""
    return list(steps.unreproducible(evidence(workspace)))


def evidence(workspace: Workspace) -> Evidence:
    """Read both witnesses, as of one moment: what living processes had under way then, or began since, is in neither."""
    with workspace.reading() as connection:
        under_way = reader.unfinished(connection)
        moving = {call.call for call in under_way if workspace.session.alive(call.session)}
        announced = reader.all_of(connection, rows.Announcement)
        attempts = reader.all_of(connection, rows.Attempt)
        lines = list(trace.lines(workspace.trace))
        # Another transaction sees what was written since, by processes that may have ended meanwhile.
        with workspace.reading() as later:
            moving |= reader.calls_after(later, rows.Announcement, len(announced))
            moving |= {call.call for call in under_way} & reader.calls_after(later, rows.Attempt, len(attempts))
        return Evidence(
            runs=reader.all_of(connection, rows.Run),
            endings=reader.all_of(connection, rows.Ending),
            announcements=[call for call in announced if call.call not in moving],
            attempts=attempts,
            steps=reader.all_of(connection, rows.Step),
            matches=reader.all_of(connection, rows.Match),
            generations=reader.all_of(connection, rows.Generation),
            lessons=reader.all_of(connection, rows.Lesson),
            policies=reader.all_of(connection, rows.PolicyChange),
            switches=reader.all_of(connection, rows.HarnessSwitch),
            bundles=reader.all_of(connection, rows.Bundle),
            evaluations=reader.all_of(connection, rows.Evaluation),
            holdouts=reader.all_of(connection, rows.Holdout),
            acts=reader.all_of(connection, rows.Act),
            verdicts=reader.all_of(connection, rows.Verdict),
            judgements=reader.all_of(connection, rows.Judgement),
            trace=[line for line in lines if line.call not in moving],
            scenarios=workspace.scenario,
            damaged=list(trace.damaged(workspace.trace)),
        )
