"""Derive again what was taken from logs of other systems: cases into words, replies into answers, answers into scores. Pure."""

from collections import Counter
from collections.abc import Iterator

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
    for exchange in evidence.exchanges:
        log, where = named[exchange.log], f"{exchange.log} line {exchange.line}"
        scenario = evidence.scenarios(log.scenario)
        if scenario.version == log.scenario_version:
            yield from derived("I7", where, _again(scenario, log, exchange, where))


def _again(scenario: Scenario, log: rows.Log, exchange: rows.Exchange, where: str) -> Iterator[Difference]:
    role = role_named(scenario, log.role)
    seed, own = cases.seed_of(scenario, exchange.input)
    judgement = judge(scenario, role, exchange.reply, judged_on(scenario, seed, own=own))
    again = {
        "seed": seed,
        "prompt": role.words(Knowledge(), exchange.input) if role.words is not None else None,
        "strategy": judgement.answer.text if judgement.answer is not None else None,
        **({"score": judgement.score} if reproducible(scenario) else {}),
    }
    yield from compare("I7", where, exchange, again, "deriving it again")
