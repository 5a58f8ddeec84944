"""How good a bundle was held to be follows from the evaluations that had been recorded when a step began. Pure."""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from stepdown.audit.moments import Moment, moments
from stepdown.audit.witnesses import Difference, Evidence, difference, policies_of
from stepdown.history import rows
from stepdown.routing.facts import Facts

OTHERS = None
"""Terms that no evaluation was made under."""

Terms = Mapping[str | None, Sequence[rows.Evaluation]]


def measures(evidence: Evidence) -> Iterator[Difference]:
    """A step's score is the newest one under the terms of its session, and never an older one than a step before saw (I1).

    So is the number of lessons between the knowledge of its prompt and that of the evaluation.

    Which decoding a session served with is written nowhere. So some terms must explain all that its steps say of a bundle, as
    long as the scenario's version and the text of prompts stay: that it counts as measured, and with which numbers.
    """
    under = _under(evidence)
    earliest = {row.bundle: row for row in reversed(evidence.evaluations) if row.run is None}
    # A bundle that a model is to measure is registered before it is.
    first = {bundle: row.id for bundle, row in earliest.items() if row.judged is None}
    left: dict[tuple[object, ...], dict[str | None, int]] = {}
    begun, refused = moments(evidence)
    for moment in (*begun, *refused):
        bundle = moment.facts["bundle"]
        if not isinstance(bundle, str):
            continue
        prompts = moment.facts.get("prompts", "")
        terms = _asked_so(under[bundle], moment.run.scenario_version, prompts)
        # Of a step that asked nobody no row says in whose session it was.
        key = (moment.session or moment.step, moment.run.scenario, moment.run.scenario_version, prompts, bundle)
        before = left.get(key, dict.fromkeys((*terms, OTHERS), 0))
        now = {
            name: number
            for name, least in before.items()
            if (number := _least(terms, name, least, moment, first.get(bundle))) is not None
        }
        if not now:
            claimed = f"{moment.facts['score']} and {moment.facts['valid']}" if moment.facts["evaluated"] else "nothing"
            yield Difference(
                "I1", moment.step, f"its facts say {claimed} of its bundle's score, and no evaluation then said so"
            )
        left[key] = now or before


def _under(evidence: Evidence) -> Mapping[str, Terms]:
    """Return the evaluations that routing can count, by bundle and by terms."""
    counted: dict[str, dict[str | None, list[rows.Evaluation]]] = defaultdict(lambda: defaultdict(list))
    for row in evidence.evaluations:
        if row.run is None:
            counted[row.bundle][row.terms_digest].append(row)
    return counted


def _asked_so(terms: Terms, version: int, prompts: str) -> Terms:
    """Return the evaluations of a version and a text: no other counts for a step that was asked so."""
    return {
        name: evaluations
        for name, evaluations in terms.items()
        if (evaluations[0].terms.get("scenario_version"), evaluations[0].terms.get("prompts", "")) == (version, prompts)
    }


def _least(terms: Terms, name: str | None, least: int, moment: Moment, first: str | None) -> int | None:
    """Return how many evaluations under some terms explain what a step says, at least so many; None where none do.

    A bundle's first evaluation is recorded with the bundle, so it was there before any step could find it in a slot.
    """
    facts = moment.facts
    if not facts["evaluated"]:
        yet = name is OTHERS or (least == 0 and terms[name][0].id != first)
        return least if yet else None
    if name is OTHERS:
        return None
    claimed = (facts["score"], facts["valid"])
    rest = enumerate(terms[name][max(least - 1, 0) :], start=max(least, 1))
    return next((n for n, row in rest if (row.lower, row.valid) == claimed and _as_far(row, moment)), None)


def _as_far(row: rows.Evaluation, moment: Moment) -> bool:
    """Tell whether a step counts the lessons since an evaluation rightly, or not at all: an earlier version did not."""
    return moment.facts.get("lessons") in (None, abs(moment.knowledge - row.knowledge))


def lessons(evidence: Evidence) -> Iterator[Difference]:
    """How many lessons may pass is what the policy says; a step that counts none is of an earlier version (I1).

    After the first that counts them, all do.
    """
    begun, refused = moments(evidence)
    policies = policies_of(evidence)
    since = min((moment.index for moment in begun if COUNTED & moment.facts.keys()), default=math.inf)
    for moment in (*begun, *refused):
        facts = Facts.from_json(moment.facts)
        policy = policies.get(moment.policy)
        if policy is None or (moment.index <= since and not COUNTED & moment.facts.keys()):
            continue
        if facts.max_lessons != policy.max_lessons:
            yield difference("I1", moment.step, "max_lessons", facts.max_lessons, policy.max_lessons, "its policy")
        if facts.evaluated is (facts.lessons is None):
            yield Difference("I1", moment.step, "its facts count lessons without an evaluation, or none beside one")


COUNTED = {"lessons", "max_lessons"}
"""What the facts of an earlier version do not say."""
