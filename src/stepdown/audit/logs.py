"""Derive again what was taken from logs of other systems: cases into words, replies into answers, answers into scores. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

from stepdown.audit.witnesses import Difference, Evidence, compare, derived
from stepdown.history import rows
from stepdown.scenarios import cases
from stepdown.scenarios.prompt import Knowledge
from stepdown.scenarios.protocol import Scenario
from stepdown.scenarios.referee import judge, judged_on, reproducible
from stepdown.scenarios.roles import role_named


def logs(evidence: Evidence) -> Iterator[Difference]:
    """Find in every log as many exchanges as it says, and derive each of them again (I7, I10)."""
    counts = Counter(exchange.log for exchange in evidence.exchanges)
    for log in evidence.logs:
        if log.exchanges != counts[log.id]:
            yield Difference(
                "I10", log.id, f"it says that {log.exchanges} of its lines became exchanges, and {counts[log.id]} did"
            )
    named = {log.id: log for log in evidence.logs}
    unworded = {log for log, fits in _worded(evidence).items() if not any(fits)}
    for exchange in evidence.exchanges:
        log, where = named[exchange.log], f"{exchange.log} line {exchange.line}"
        scenario = evidence.scenarios(log.scenario)
        if scenario.version == log.scenario_version:
            again = _again(scenario, log, exchange, where, worded=exchange.log not in unworded)
            yield from derived("I7", where, again)


def _worded(evidence: Evidence) -> Mapping[str, list[bool]]:
    """Return which exchanges of each log stand in the words of now. Where none does, the prompt's text was another then."""
    named, fits = {log.id: log for log in evidence.logs}, defaultdict[str, list[bool]](list)
    for exchange in evidence.exchanges:
        log = named[exchange.log]
        role = role_named(evidence.scenarios(log.scenario), log.role)
        fits[log.id].append(role.words is None or role.words(Knowledge(), exchange.input) == exchange.prompt)
    return fits


def reworded(evidence: Evidence) -> Iterator[str]:
    """Say of which logs the questions could not be put again, because the prompt's text is another by now."""
    for log, fits in _worded(evidence).items():
        if not any(fits):
            yield f"another text: {log} was put into words with another prompt's text, and that was not done again"


def _again(
    scenario: Scenario, log: rows.Log, exchange: rows.Exchange, where: str, *, worded: bool
) -> Iterator[Difference]:
    role = role_named(scenario, log.role)
    seed, own = cases.seed_of(scenario, exchange.input)
    judgement = judge(scenario, role, exchange.reply, judged_on(scenario, seed, own=own))
    again = {
        "seed": seed,
        **({"prompt": role.words(Knowledge(), exchange.input)} if role.words is not None and worded else {}),
        "strategy": judgement.answer.text if judgement.answer is not None else None,
        **({"score": judgement.score} if reproducible(scenario) else {}),
    }
    yield from compare("I7", where, exchange, again, "deriving it again")
