"""The facts of a step follow from what was there when it began: acts, policies, switches and the clock. Pure.

How that can be known, and where it cannot, is said in `trails`.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from stepdown.audit.steps import grouped
from stepdown.audit.trails import Reached, Trail, caps
from stepdown.audit.witnesses import Difference, Evidence, difference
from stepdown.bundles.standing import PROMOTION, ROLLBACK, Standing
from stepdown.history import rows
from stepdown.routing.breaker import State
from stepdown.scenarios.wording import wording

EMPTY = (None, False)
"""What the facts say of an empty slot: no bundle, and none that is switched on."""


LOOKS = 1.0
"""Seconds that may lie between two looks at a clock in one transaction."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A step as it began.

    Attributes:
        step: Its id.
        run: Its run.
        role: Who was asked.
        knowledge: Version in its prompt.
        policy: Number of the policy that it names.
        validators: Those that it says were on.
        facts: What it was decided from.
        call: Its first one; None for a step that asked nobody.
        session: Whose process it was, where it called.
        at: When, by the clock that looked.
        index: Of its first announcement among all; for a step that asked nobody, how many there were at least.
    """

    step: str
    run: rows.Run
    role: str
    knowledge: int
    policy: int
    validators: tuple[str, ...]
    facts: Mapping[str, Any]
    call: str | None
    session: str | None
    at: datetime
    index: int


def moments(evidence: Evidence) -> tuple[list[Moment], list[Moment]]:
    """Return the steps that announced a call, in the order in which they did, and those that asked nobody, in theirs."""
    run_of = {run.id: run for run in evidence.runs}
    begun: dict[str, Moment] = {}
    for index, call in enumerate(evidence.announcements):
        if call.step not in begun:
            begun[call.step] = _moment(call.step, call, run_of, (call.call, call.session), index)
    refused, index = [], 0
    for step in evidence.steps:
        if step.id in begun:
            index = max(index, begun[step.id].index + 1)
        else:
            refused.append(_moment(step.id, step, run_of, (None, None), index))
    return list(begun.values()), refused


def _moment(
    step: str,
    row: rows.Announcement | rows.Step,
    run_of: Mapping[str, rows.Run],
    asked: tuple[str | None, str | None],
    index: int,
) -> Moment:
    validators = tuple(row.validators)
    return Moment(
        step, run_of[row.run], row.role, row.knowledge, row.policy, validators, row.facts, *asked, row.at, index
    )


Least = Callable[[Moment, int], int | None]
"""Returns the least number of rows, not below one, that explains what a moment says; None where none does."""


def _followed_through(evidence: Evidence, least_of: Least, reached: Reached) -> Iterator[tuple[Moment, int | None]]:
    """Yield each moment with the number of rows that explains it, and note what had been reached at each announcement."""
    begun, refused = moments(evidence)
    least = 0
    for moment in begun:
        number = least_of(moment, least)
        yield moment, number
        least = number if number is not None else least
        reached.note(moment.index, least)
    least = 0
    for moment in refused:
        least = max(least, reached.before(moment.index))
        number = least_of(moment, least)
        yield moment, number
        least = least if number is None else number


def standing(evidence: Evidence) -> Iterator[Difference]:
    """The slot's bundle, and whether it was switched on, follow from the acts before (I1)."""
    trail, now = Trail(EMPTY), Standing()
    for done, act in enumerate(evidence.acts, start=1):
        now = now.after(act)
        trail.note(done, {slot: (held, held not in now.disabled) for slot, held in now.active.items()})
    most = caps(_relied_on(evidence), len(evidence.announcements), len(evidence.acts))

    def least_of(moment: Moment, least: int) -> int | None:
        held = moment.facts["bundle"], moment.facts["enabled"]
        number = trail.least((moment.run.scenario, moment.role), held, least)
        return None if number is None or (moment.call and number > most[moment.index]) else number

    for moment, number in _followed_through(evidence, least_of, Reached()):
        if number is None:
            bundle, enabled = moment.facts["bundle"], moment.facts["enabled"]
            slot = f"{bundle[:12]}, switched {'on' if enabled else 'off'}" if isinstance(bundle, str) else "no bundle"
            yield Difference("I1", moment.step, f"its facts say {slot}; the acts before it had not left its slot so")


def _relied_on(evidence: Evidence) -> Iterator[tuple[int, int]]:
    """Yield the last announcement of the comparison that an activation relied on, and the number of acts before that one.

    An activation by promotion is of one transaction with its verdict, and who activates without force relies on one.
    """
    last, promoted = _last_indexes(evidence), grouped(evidence.verdicts, "bundle")
    used: Counter[str] = Counter()
    for number, act in enumerate(evidence.acts):
        verdicts = [row for row in promoted[act.bundle] if row.outcome == "promote"]
        if act.kind != "activate" or act.forced or act.by == ROLLBACK or not verdicts:
            continue
        nth = used[act.bundle] if act.by == PROMOTION else 0
        used[act.bundle] += act.by == PROMOTION
        index = last.get(verdicts[min(nth, len(verdicts) - 1)].run)
        if index is not None:
            yield index, number


def _last_indexes(evidence: Evidence) -> Mapping[str, int]:
    """Return the index of each run's last announcement."""
    return {call.run: index for index, call in enumerate(evidence.announcements)}


def policies(evidence: Evidence) -> Iterator[Difference]:
    """No step names an older policy than one that began before it, and no verdict than the comparison that it is of (I1)."""
    reached = Reached()
    named = lambda moment, newest: moment.policy if moment.policy >= newest else None  # noqa: E731
    for moment, number in _followed_through(evidence, named, reached):
        if number is None:
            yield Difference("I1", moment.step, f"it names policy {moment.policy}, and a newer one held before it")
    last, newest = _last_indexes(evidence), 0
    for row in evidence.verdicts:
        newest = max(newest, reached.before(last.get(row.run, -1) + 1))
        if row.policy < newest:
            where = f"verdict on {row.bundle[:12]} of {row.run}"
            yield Difference("I1", where, f"it names policy {row.policy}, and policy {newest} held before it")
        newest = max(newest, row.policy)


def ages(evidence: Evidence) -> Iterator[Difference]:
    """A bundle's age is the time from its training to the moment of the step; an empty slot's facts say nothing (I1)."""
    trained = {bundle.id: bundle.trained_at for bundle in evidence.bundles}
    begun, refused = moments(evidence)
    for moment in (*begun, *refused):
        held, age = moment.facts["bundle"], moment.facts["age"]
        expected = (moment.at - trained[held]).total_seconds() if held in trained else None
        # Earlier versions looked at the clock twice, for the facts and then for the row.
        near = age is not None and expected is not None and 0 <= expected - age <= LOOKS
        if age != expected and not near:
            yield difference("I1", moment.step, "age", age, expected, "its moment and its bundle's training")
        if problem := _unbelievable(moment, evidence):
            yield Difference("I1", moment.step, problem)


def _unbelievable(moment: Moment, evidence: Evidence) -> str | None:
    """Say what cannot be true of a bundle at once, or of that one."""
    facts = moment.facts
    described = any(facts[name] for name in ("present", "enabled", "evaluated", "probing"))
    if facts["bundle"] is None and (described or facts["breaker"] != State.CLOSED):
        return "its facts say much of a bundle, and name none"
    if (facts["compatible"] and not facts["whole"]) or (facts["whole"] and not facts["present"]):
        return "its facts say more of a bundle than can be known of one that is not there, or not whole"
    if not facts["evaluated"] and (facts["score"], facts["valid"]) != (None, None):
        return "its facts have a score, and no evaluation"
    manifest = evidence.shelf.bundles.get(str(facts["bundle"]))
    if facts["compatible"] and manifest is not None:
        made_for = (manifest.scenario, manifest.role)
        if made_for != (moment.run.scenario, moment.role):
            return f"its facts say compatible, and its bundle was made for {' '.join(made_for)}"
        first = wording(evidence.scenarios(moment.run.scenario), moment.role).first
        if (manifest.prompts or first) != (facts.get("prompts") or first):
            return "its facts say compatible, and name another prompt's text than its bundle"
    return None


def switches(evidence: Evidence) -> Iterator[Difference]:
    """Whoever judged had just the validators that the switches before had left on (I10)."""
    scenarios = {name: evidence.scenarios(name) for name in {run.scenario for run in evidence.runs}}
    trail, off = Trail(frozenset()), {name: frozenset[str]() for name in scenarios}
    for done, switch in enumerate(evidence.switches, start=1):
        if switch.scenario in scenarios and switch.validator in scenarios[switch.scenario].validators:
            before, change = off[switch.scenario], frozenset((switch.validator,))
            off[switch.scenario] = before - change if switch.enabled else before | change
            trail.note(done, dict(off))

    def least_of(run: rows.Run, validators: Sequence[str], least: int) -> int | None:
        scenario = scenarios[run.scenario]
        if scenario.version != run.scenario_version:
            return least  # Nobody knows which validators another version had.
        on = frozenset(scenario.validators) & frozenset(validators)
        return trail.least(scenario.name, frozenset(scenario.validators) - on, least) if _as(on, validators) else None

    reached = Reached()
    judged = lambda moment, least: least_of(moment.run, moment.validators, least)  # noqa: E731
    for moment, number in _followed_through(evidence, judged, reached):
        if number is None:
            yield _unswitched(moment.step, moment.validators)
    run_of, last, least = {run.id: run for run in evidence.runs}, _last_indexes(evidence), 0
    for row in evidence.verdicts:
        least = max(least, reached.before(last.get(row.run, -1) + 1))
        number = least_of(run_of[row.run], row.validators, least)
        if number is None:
            yield _unswitched(f"verdict of {row.run}", row.validators)
        least = least if number is None else number


def _as(on: frozenset[str], validators: Sequence[str]) -> bool:
    """Tell whether validators are written as a ledger writes them, and none is a stranger."""
    return list(validators) == sorted(on)


def _unswitched(where: str, validators: Sequence[str]) -> Difference:
    return Difference("I10", where, f"the switches before it had not left just {list(validators)} on")
