"""A bundle's breaker, folded again from its attempts: as each attempt left it, and as a step found it. Pure."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from stepdown.audit.moments import Moment, moments
from stepdown.audit.witnesses import Difference, Evidence, compare, policies_of
from stepdown.history import rows
from stepdown.routing.breaker import Breaker
from stepdown.routing.policy import Policy


def checkpoints(evidence: Evidence) -> Iterator[Difference]:
    """Fold every bundle's breaker again from its attempts (I10)."""
    for attempt, breaker in _folded(evidence):
        stored = None if breaker is None else breaker.as_json()
        yield from compare("I10", attempt.call, attempt, {"breaker": stored}, "folding its bundle's attempts")


def _folded(evidence: Evidence) -> Iterator[tuple[rows.Attempt, Breaker | None]]:
    """Yield every attempt with its bundle's breaker after it; None where it moves none."""
    step_of = {step.id: step for step in evidence.steps}
    policies = policies_of(evidence)
    now: dict[str, Breaker] = defaultdict(Breaker)
    for attempt in evidence.attempts:
        if attempt.bundle is None or attempt.shadow or attempt.recovered:
            yield attempt, None
            continue
        policy = policies.get(step_of[attempt.step].policy, Policy())
        now[attempt.bundle] = now[attempt.bundle].after(policy, attempt.at, failed=not attempt.accepted)
        yield attempt, now[attempt.bundle]


@dataclass(slots=True)
class _Health:
    """A bundle's breaker over time.

    Attributes:
        states: Before its first attempt, and after each.
        announced: By attempt, the latest index of an announcement of it or of one before it.
        ended: By attempt, the latest line number in the trace of an end of it or of one before it.
    """

    states: list[Breaker] = field(default_factory=lambda: [Breaker()])
    announced: list[int] = field(default_factory=list)
    ended: list[int] = field(default_factory=list)

    def note(self, breaker: Breaker, announced: int, ended: int) -> None:
        """Add one attempt."""
        self.states.append(breaker)
        self.announced.append(max(announced, self.announced[-1] if self.announced else 0))
        self.ended.append(max(ended, self.ended[-1] if self.ended else -1))


def breakers(evidence: Evidence) -> Iterator[Difference]:
    """A step found the breaker as some attempt before it had left it, and none after what a step before had found (I1).

    An attempt is recorded after its announcement and after its end in the trace, so none that was announced or that ended
    later than a step began was seen by it. A run begins no step before one that asks local is over. Of another session's
    attempts in between nobody knows whether they had been recorded: the breaker before and the one after are both believed.
    """
    health, number_of = _healths(evidence)
    policies = policies_of(evidence)
    starts = {line.call: index for index, line in enumerate(evidence.trace) if line.event == "start"}
    seen: dict[str, int] = defaultdict(int)
    over: dict[tuple[str, str], int] = defaultdict(int)
    trained = {bundle.id: bundle.trained_at for bundle in evidence.bundles}
    begun, refused = moments(evidence)
    for moment in (*begun, *refused):
        bundle, policy = moment.facts["bundle"], policies.get(moment.policy)
        if policy is None or not isinstance(bundle, str):
            continue
        mine, least, most = health[bundle], 0, len(health[bundle].announced)
        if moment.call is not None:
            least = max(seen[bundle], over[moment.run.id, bundle])
            most = min(
                bisect_left(mine.announced, moment.index),
                bisect_right(mine.ended, starts.get(moment.call, _after(mine))),
            )
        looked_at = moment.at if bundle not in trained else _looked_at(moment, trained[bundle])
        numbers = range(least, most + 1)
        number = next((n for n in numbers if _explains(mine.states[n], moment, policy, looked_at)), None)
        if number is None:
            stated = f"{moment.facts['breaker']}{', with a probe under way' if moment.facts['probing'] else ''}"
            yield Difference(
                "I1", moment.step, f"its facts say that the breaker was {stated}; no attempt had left it so"
            )
        if moment.call is not None:
            seen[bundle] = least if number is None else number
            # Whoever asks live asks several at once.
            done = number_of.get(moment.step, 0) if moment.run.purpose != rows.LIVE else 0
            over[moment.run.id, bundle] = max(over[moment.run.id, bundle], done)


def _after(mine: _Health) -> int:
    """Return a line number of the trace not before any that a bundle's attempts ended at."""
    return mine.ended[-1] if mine.ended else 0


def _healths(evidence: Evidence) -> tuple[Mapping[str, _Health], Mapping[str, int]]:
    """Return each bundle's breaker over time, and for each step that asked local the number of attempts up to its own."""
    indexes = {call.call: index for index, call in enumerate(evidence.announcements)}
    ends = {line.call: index for index, line in enumerate(evidence.trace) if line.event == "end"}
    health: dict[str, _Health] = defaultdict(_Health)
    number_of: dict[str, int] = {}
    for attempt, breaker in _folded(evidence):
        if breaker is not None and attempt.bundle is not None:
            health[attempt.bundle].note(breaker, indexes[attempt.call], ends.get(attempt.call, -1))
            number_of[attempt.step] = len(health[attempt.bundle].announced)
    return health, number_of


def _looked_at(moment: Moment, trained_at: datetime) -> datetime:
    """Return when the step looked at the clock: its bundle's age says so to the microsecond."""
    age = moment.facts["age"]
    try:
        return moment.at if age is None else trained_at + timedelta(seconds=age)
    except OverflowError:
        return moment.at  # No calendar has that day: whoever holds the age against the clock says so.


def _explains(breaker: Breaker, moment: Moment, policy: Policy, looked_at: datetime) -> bool:
    if moment.facts["probing"] and breaker.opened_at is None:
        return False
    return breaker.state(policy, looked_at).value == str(moment.facts["breaker"])
