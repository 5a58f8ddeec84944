"""How good a bundle was held to be follows from the evaluations that had been recorded when a step began. Pure."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from stepdown.audit.moments import Moment, moments
from stepdown.audit.witnesses import Difference, Evidence
from stepdown.history import rows

OTHERS = None
"""Terms that no evaluation was made under."""

Terms = Mapping[str | None, Sequence[rows.Evaluation]]


def measures(evidence: Evidence) -> Iterator[Difference]:
    """A step's score is the newest one under the terms of its session, and never an older one than a step before saw (I1).

    Which decoding a session served with is written nowhere. So some terms must explain all that its steps say of a bundle, as
    long as the scenario's version stays: that it counts as measured, and with which numbers.
    """
    under = _under(evidence)
    first = {row.bundle: row.id for row in reversed(evidence.evaluations) if row.run is None}
    left: dict[tuple[object, ...], dict[str | None, int]] = {}
    begun, refused = moments(evidence)
    for moment in (*begun, *refused):
        bundle = moment.facts["bundle"]
        if not isinstance(bundle, str):
            continue
        terms = _of_version(under[bundle], moment.run.scenario_version)
        # Of a step that asked nobody no row says in whose session it was.
        key = (moment.session or moment.step, moment.run.scenario, moment.run.scenario_version, bundle)
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
    evaluations: dict[str, dict[str | None, list[rows.Evaluation]]] = defaultdict(lambda: defaultdict(list))
    for row in evidence.evaluations:
        if row.run is None:
            evaluations[row.bundle][row.terms_digest].append(row)
    return evaluations


def _of_version(terms: Terms, version: int) -> Terms:
    return {
        name: evaluations
        for name, evaluations in terms.items()
        if evaluations[0].terms.get("scenario_version") == version
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
    return next((number for number, row in rest if (row.lower, row.valid) == claimed), None)
