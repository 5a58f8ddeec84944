"""Read both witnesses, whole, and compare them. The comparing is pure: `history.audit` and `history.rederive`."""

from collections.abc import Collection, Iterator, Sequence
from itertools import chain

from stepdown.history import audit, changes, gaps, reader, rederive, rows, verdicts
from stepdown.history.audit import Difference, Evidence
from stepdown.providers import trace
from stepdown.sessions import alive
from stepdown.workspace import Workspace

CHECKS = (
    gaps.missing,
    gaps.surplus,
    audit.doubles,
    audit.witnesses,
    audit.weights,
    rederive.steps,
    rederive.breakers,
    rederive.generations,
    rederive.evaluations,
    rederive.lessons,
    changes.acts,
    changes.activations,
    changes.policies,
    changes.switches,
    changes.judges,
    verdicts.verdicts,
)


def differences(workspace: Workspace) -> list[Difference]:
    """Return every difference between what history says and what happened; none when all is true."""
    return list(found(workspace))


def found(workspace: Workspace) -> Iterator[Difference]:
    """Yield the differences as they are found, for whoever only asks whether there is one."""
    read = evidence(workspace)
    dangling = list(gaps.dangling(read))
    yield from dangling or chain.from_iterable(check(read) for check in CHECKS)


def evidence(workspace: Workspace) -> Evidence:
    """Read both witnesses, as of one moment: what living processes had under way then, or began since, is in neither."""
    with workspace.reading() as connection:
        under_way = reader.unfinished(connection)
        announced = reader.all_of(connection, rows.Announcement)
        lines = list(trace.lines(workspace.trace))
        left_out = _moving(workspace, under_way, {line.call for line in lines} - {call.call for call in announced})
        return Evidence(
            runs=reader.all_of(connection, rows.Run),
            endings=reader.all_of(connection, rows.Ending),
            announcements=[call for call in announced if call.call not in left_out],
            attempts=reader.all_of(connection, rows.Attempt),
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
            trace=[line for line in lines if line.call not in left_out],
            scenarios=workspace.scenario,
        )


def _moving(workspace: Workspace, under_way: Sequence[rows.Announcement], unknown: Collection[str]) -> set[str]:
    """Return the calls that were no longer, or not yet, in both witnesses when these were read one after the other.

    Args:
        workspace: Whose trace was read after its history.
        under_way: Announced and not finished when history was read.
        unknown: In the trace, and not announced when history was read.
    """
    alive_now = {call.call for call in under_way if alive(workspace.root / "sessions", call.session)}
    others = {call.call for call in under_way} - alive_now
    if not others and not unknown:
        return alive_now
    # Another transaction, which sees what was written since.
    with workspace.reading() as connection:
        finished = reader.with_calls(connection, rows.Attempt, others)
        return alive_now | finished | reader.with_calls(connection, rows.Announcement, unknown)
