"""Compare history with the trace, and history with what it follows from. Pure: rows and lines in, differences out.

Nothing here is derived from what it checks: calls are compared with lines that the provider side wrote, decisions are
decided again from their facts, scores are played again. What no second source knows cannot be checked: instants, a latency
that was made longer, and what a person said: a name, a reason, a margin.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stepdown.bundles.manifest import Manifest
from stepdown.errors import StepdownError, in_one_line
from stepdown.history import rows
from stepdown.history.rows import Unsound
from stepdown.providers.reply import COUNTS, LONGEST_WORD, UNKNOWN
from stepdown.providers.trace import Line, details
from stepdown.routing.policy import Policy
from stepdown.scenarios.prompt import Knowledge
from stepdown.scenarios.protocol import Scenario


@dataclass(frozen=True, slots=True)
class Difference:
    """Two things that should be the same and are not.

    Attributes:
        claim: The invariant that is broken, `I1` to `I12`.
        where: Id of the call, step, generation, evaluation or act.
        sentence: What the one says and what the other.
    """

    claim: str
    where: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.claim} {self.where}: {self.sentence}"


@dataclass(frozen=True, slots=True)
class Shelf:
    """What lies on the disk and hashes to its name, so that it is as its maker left it.

    Attributes:
        bundles: Manifests by bundle id.
        datasets: Manifests by digest, of those that a row names.
        strays: Manifests by digest, of those that no row names, wherever they lie.
    """

    bundles: Mapping[str, Manifest] = field(default_factory=dict)
    datasets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    strays: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that the two witnesses say, each list oldest first, and what lies beside them.

    Attributes:
        scenarios: Finds a scenario by name.
        damaged: Lines of the trace that say nothing, by number.
        unsound: Values that no ledger wrote; where there are any, rows are missing here.
        numbers: The numbers of every table's rows, and the last one that it ever gave, where the database says so.
        shelf: What bundles and datasets say of themselves.
    """

    runs: Sequence[rows.Run]
    endings: Sequence[rows.Ending]
    resumptions: Sequence[rows.Resumption]
    announcements: Sequence[rows.Announcement]
    attempts: Sequence[rows.Attempt]
    steps: Sequence[rows.Step]
    matches: Sequence[rows.PlayedMatch]
    generations: Sequence[rows.Generation]
    lessons: Sequence[rows.Lesson]
    policies: Sequence[rows.PolicyChange]
    switches: Sequence[rows.HarnessSwitch]
    bundles: Sequence[rows.Bundle]
    evaluations: Sequence[rows.Evaluation]
    holdouts: Sequence[rows.Holdout]
    acts: Sequence[rows.Act]
    verdicts: Sequence[rows.Verdict]
    judgements: Sequence[rows.GivenScore]
    datasets: Sequence[rows.Dataset]
    trace: Sequence[Line]
    scenarios: Callable[[str], Scenario]
    damaged: Sequence[tuple[int, str]] = ()
    unsound: Sequence[Unsound] = ()
    numbers: Mapping[str, tuple[Sequence[int], int | None]] = field(default_factory=dict)
    shelf: Shelf = field(default_factory=Shelf)
    spendings: Sequence[rows.Spending] = ()
    losses: Sequence[rows.Loss] = ()
    logs: Sequence[rows.Log] = ()
    exchanges: Sequence[rows.Exchange] = ()


def unsound(evidence: Evidence) -> Iterator[Difference]:
    """Name every value that no ledger wrote (I10). While there is one, nothing can be derived from it."""
    for value in evidence.unsound:
        yield Difference("I10", f"{value.table} {value.seq}", f"its {value.column} {value.why}")


def derived(claim: str, where: str, differences: Iterable[Difference]) -> Iterator[Difference]:
    """Yield the differences, and one more where they cannot be derived: whatever history says, an audit ends in sentences."""
    try:
        yield from differences
    except StepdownError as error:
        yield Difference(claim, where, f"nothing can be derived from what history says of it: {error}")
    except Exception as error:
        yield Difference(claim, where, f"nothing can be derived from what history says of it: {in_one_line(error)}")


def policies_of(evidence: Evidence) -> Mapping[int, Policy]:
    """Return every policy by its number; 0 is the default one."""
    return {0: Policy(), **{change.number: Policy.from_json(change.settings) for change in evidence.policies}}


def knowledge_of(evidence: Evidence) -> Mapping[tuple[str, int], Knowledge]:
    """Return every version of the knowledge that history has, by scenario and number."""
    return {(row.scenario, row.version): Knowledge(row.version, row.playbook, row.hints) for row in evidence.lessons}


def witnesses(evidence: Evidence) -> Iterator[Difference]:
    """Compare attempts in history with calls in the trace, field by field, in order (I4, I5)."""
    starts, ends = _by_call(evidence.trace, "start"), _by_call(evidence.trace, "end")
    announced = {call.call: call for call in evidence.announcements}
    finished = {attempt.call for attempt in evidence.attempts}
    for event, lines_of in (("start", starts), ("end", ends)):
        for call, lines in lines_of.items():
            if len(lines) > 1:
                yield Difference("I4", call, f"the trace has {len(lines)} {event} lines for one call")
            if call not in announced:
                yield Difference("I4", call, f"the trace has its {event}, history never announced it")
            elif event == "end" and call not in finished:
                yield Difference("I4", call, "the trace has its end, history has no attempt")
    for attempt in evidence.attempts:
        start, end = (lines_of.get(attempt.call, [None])[0] for lines_of in (starts, ends))
        yield from _attempt(attempt, announced[attempt.call], start, end)
    yield from _order(evidence)


def unreadable(evidence: Evidence) -> Iterator[Difference]:
    """Name what stands in the trace and is no line of one, and notes of what is known all the same (I4)."""
    for number, problem in evidence.damaged:
        yield Difference("I4", f"trace line {number}", f"it is no line that a provider's side writes: {problem}")
    for line in evidence.trace:
        if line.details != details(line):
            yield Difference("I4", line.call, "what the trace says of its provider's details is not what was written")
        for name in (line.noted or "").split():
            value = getattr(line, name) if name in UNKNOWN_AS else ""
            unknown = value in (None, UNKNOWN) or len(str(value)) == LONGEST_WORD
            if line.event != "end" or not unknown:
                yield Difference(
                    "I4", line.call, f"the trace notes that {name} was not what it should be, and keeps it"
                )


UNKNOWN_AS = frozenset(("provider", "model", "digest", "request_id", "finish_reason", *COUNTS))


def _by_call(trace: Sequence[Line], event: str) -> Mapping[str, list[Line]]:
    lines_of: dict[str, list[Line]] = defaultdict(list)
    for line in trace:
        if line.event == event:
            lines_of[line.call].append(line)
    return lines_of


def _attempt(
    attempt: rows.Attempt, announcement: rows.Announcement, start: Line | None, end: Line | None
) -> Iterator[Difference]:
    where = attempt.call
    promised = {
        "step": announcement.step,
        "target": announcement.target,
        "shadow": announcement.shadow,
        "requested_provider": announcement.provider,
        "requested_model": announcement.model,
        "bundle": announcement.bundle,
    }
    yield from compare("I4", where, attempt, promised, "its announcement")
    if start is None and not attempt.recovered:
        yield Difference("I4", where, "history has the attempt, the trace has no start of it")
    for line in (line for line in (start, end) if line is not None):
        asked = {name: getattr(line, name) for name in ("target", "bundle", "requested_provider", "requested_model")}
        yield from compare("I4", where, attempt, asked, "the trace")
        if line.role != announcement.role:
            yield Difference("I4", where, f"announced for {announcement.role}, traced for {line.role}")
    if end is not None:
        yield from _ended(attempt, end)
    elif not attempt.recovered or attempt.error_type != "interrupted":
        yield Difference("I4", where, "history has an outcome, the trace has no end of it")
    else:
        nothing = dict.fromkeys((*ANSWERED, "digest", "latency"))
        yield from compare("I4", where, attempt, nothing, "a trace without an end of it")


ANSWERED = ("provider", "model", "reply", "input_tokens", "output_tokens")


def _ended(attempt: rows.Attempt, end: Line) -> Iterator[Difference]:
    where = attempt.call
    yield from compare("I4", where, attempt, {name: getattr(end, name) for name in ANSWERED}, "the trace")
    yield from compare("I5", where, attempt, {"digest": end.digest}, "the trace")
    judged = attempt.error_type == "invalid-output" and end.error_type is None and not attempt.recovered
    # What the harness said of a reply is history's alone; the provider had no error.
    failed = (None, None) if judged else (attempt.error_type, attempt.error)
    if failed != (end.error_type, end.error):
        yield difference("I4", where, "error", failed, (end.error_type, end.error), "the trace")
    if end.duration is None or attempt.latency is None or attempt.latency < end.duration:
        yield Difference("I12", where, f"latency {attempt.latency} is shorter than the traced {end.duration}")


def _order(evidence: Evidence) -> Iterator[Difference]:
    """A run's calls start in the trace as history announced them; only calls that were in flight together may differ.

    Whatever is asked side by side, a call is announced before it starts. So one that had ended before another started
    cannot have been announced after it, and no call ends before it starts.
    """
    starts, ends = _line_numbers(evidence.trace, "start"), _line_numbers(evidence.trace, "end")
    latest: dict[str, int] = {}
    late: dict[str, None] = {}
    for call in evidence.announcements:
        start, end = starts.get(call.call), ends.get(call.call)
        if start is None:
            continue
        if end is not None and end < start:
            yield Difference("I4", call.call, "the trace has its end before its start")
        if end is not None and end < latest.get(call.run, -1):
            late[call.run] = None
        latest[call.run] = max(start, latest.get(call.run, -1))
    for run in late:
        yield Difference("I4", run, "the trace has its calls in another order than history")


def _line_numbers(trace: Sequence[Line], event: str) -> Mapping[str, int]:
    return {line.call: number for number, line in enumerate(trace) if line.event == event}


def compare(claim: str, where: str, value: Any, expected: Mapping[str, Any], other: str) -> Iterator[Difference]:
    """Yield a difference for each field that is not what another source says it is."""
    for name, wanted in expected.items():
        stored = getattr(value, name)
        if stored != wanted:
            yield difference(claim, where, name, stored, wanted, other)


def difference(claim: str, where: str, name: str, stored: object, wanted: object, other: str) -> Difference:
    """Say that history and another source disagree about one field."""
    return Difference(claim, where, f"history has {name} {stored!r}, {other} says {wanted!r}")


def weights(evidence: Evidence) -> Iterator[Difference]:
    """What answered for a bundle is what was registered under its name (I5)."""
    registered = {bundle.id: bundle.weights for bundle in evidence.bundles}
    for attempt in evidence.attempts:
        if attempt.bundle is not None and attempt.reply is not None:
            expected = {"digest": registered.get(attempt.bundle)}
            yield from compare("I5", attempt.call, attempt, expected, "its bundle's registration")


def doubles(evidence: Evidence) -> Iterator[Difference]:
    """Nothing stands twice (I4): a database keeps its promises only while its unique indexes do."""
    named: dict[str, list[object]] = {
        "run": [run.id for run in evidence.runs],
        "announcement": [call.call for call in evidence.announcements],
        "attempt": [attempt.call for attempt in evidence.attempts],
        "step": [step.id for step in evidence.steps],
        "generation": [(row.run, row.number) for row in evidence.generations],
        "bundle": [bundle.id for bundle in evidence.bundles],
        "evaluation": [row.id for row in evidence.evaluations],
    }
    for kind, keys in named.items():
        for key, count in Counter(keys).items():
            if count > 1:
                yield Difference("I4", str(key), f"history has this {kind} {count} times")
