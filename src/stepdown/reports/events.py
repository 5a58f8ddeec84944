"""Who changed what, when and why: acts on bundles, verdicts, policy and harness, as one story. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from heapq import merge
from typing import Any

from stepdown.history import rows
from stepdown.routing.policy import Policy


@dataclass(frozen=True, slots=True)
class Event:
    """One change.

    Attributes:
        at: Aware UTC.
        kind: `activate`, `disable`, `enable`, `retire`, `delete`, `verdict`, `policy`, `harness` or `import`.
        scenario: Whose; None for the policy.
        role: The slot's; None for policy and harness.
        bundle: Its id; None for policy and harness.
        detail: What became of it, in a few words.
        by: Who or what did it: an operator, `promotion`, `rollback` or `prune`.
        forced: An operator overrode the evidence.
        why: The reason that was given.
    """

    at: datetime
    kind: str
    scenario: str | None
    role: str | None
    bundle: str | None
    detail: str
    by: str
    forced: bool
    why: str


def events(
    acts: Sequence[rows.Act],
    verdicts: Sequence[rows.Verdict],
    bundles: Iterable[rows.Bundle],
    policies: Sequence[rows.PolicyChange] = (),
    switches: Sequence[rows.HarnessSwitch] = (),
    logs: Sequence[rows.Log] = (),
) -> list[Event]:
    """Return every change, oldest first; each kind keeps the order of its rows, even where a clock was set back."""
    slot_of = {bundle.id: bundle for bundle in bundles}
    of_acts = (Event(a.at, a.kind, a.scenario, a.role, a.bundle, "", a.by, a.forced, a.why) for a in acts)
    of_verdicts = (_verdict(row, slot_of[row.bundle]) for row in verdicts)
    of_switches = (
        Event(s.at, "harness", s.scenario, None, None, f"{s.validator} {_on(s.enabled)}", s.by, False, s.why)
        for s in switches
    )
    of_logs = (
        Event(g.at, "import", g.scenario, g.role, None, f"{g.exchanges} exchanges of {g.file}", g.by, False, g.why)
        for g in logs
    )
    streams = (of_verdicts, of_acts, _policies(policies), of_switches, of_logs)
    return list(merge(*streams, key=lambda event: event.at))


def _verdict(row: rows.Verdict, bundle: rows.Bundle) -> Event:
    detail = f"{row.outcome} ({verdict_line(row)})"
    return Event(row.at, "verdict", bundle.scenario, bundle.role, bundle.id, detail, row.by, False, row.why)


def verdict_line(verdict: rows.Verdict) -> str:
    """Return a verdict's evidence in a line."""
    evidence: Mapping[str, Any] = verdict.evidence
    gap = evidence["to_frontier"]
    if gap is None:
        return "the frontier did not answer"
    line = f"{gap['mean']:+.4f} to the frontier, from {gap['lower']:+.4f} to {gap['upper']:+.4f}, margin "
    line += f"{evidence['trial']['margin']:g}, {evidence['seeds']} seeds, legal {evidence['valid']:.0%}"
    return f"{line}; {', '.join(evidence['objections'])}" if evidence["objections"] else line


def act_line(act: rows.Act) -> str:
    """Return an act in a line: what, by force or not, by whom, and why."""
    return f"{act.kind}{' by force' if act.forced else ''} by {act.by}{': ' if act.why else ''}{act.why}"


def _policies(changes: Sequence[rows.PolicyChange]) -> Iterator[Event]:
    before: Mapping[str, Any] = Policy().as_json()
    for change in changes:
        moved = {name: value for name, value in change.settings.items() if before.get(name) != value}
        detail = ", ".join(f"{name}={_value(value)}" for name, value in moved.items())
        yield Event(change.at, "policy", None, None, None, f"{change.number}: {detail}", change.by, False, change.why)
        before = change.settings


def _value(value: object) -> object:
    """Spell a policy's value as `policy set` takes it."""
    if isinstance(value, bool):
        return _on(value)
    return ",".join(value) if isinstance(value, list) else value


def _on(enabled: bool) -> str:
    return "on" if enabled else "off"


def judged_line(evaluation: rows.Evaluation) -> str:
    """Say in which runs a model judged the replies of an evaluation; empty where the scenario scores by itself."""
    runs = [place.rpartition("/")[0] for place in (evaluation.judged or "").split()]
    before = f", and before in {', '.join(runs[1:])}, which came to no end" if runs[1:] else ""
    return f"in {runs[0]}{before}" if runs else ""
