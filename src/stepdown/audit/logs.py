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
from stepdown.scenarios.wording import wording


def logs(evidence: Evidence) -> Iterator[Difference]:
    """Find in every log as many exchanges as it says, and derive each of them again (I7, I10)."""
    counts = Counter(exchange.log for exchange in evidence.exchanges)
    for log in evidence.logs:
        if log.exchanges != counts[log.id]:
            yield Difference(
                "I10", log.id, f"it says that {log.exchanges} of its lines became exchanges, and {counts[log.id]} did"
            )
        if log.prompts == "":
            yield Difference("I10", log.id, "it names another text than the first, and does not say which")
    named = {log.id: log for log in evidence.logs}
    for exchange in evidence.exchanges:
        log, where = named[exchange.log], f"{exchange.log} line {exchange.line}"
        scenario = evidence.scenarios(log.scenario)
        if scenario.version == log.scenario_version:
            yield from derived("I7", where, _again(scenario, log, exchange, where))


def reworded(evidence: Evidence) -> Iterator[str]:
    """Say of which logs the questions could not be put again, because the prompt's text is another by now."""
    for log in evidence.logs:
        if not _worded(evidence.scenarios(log.scenario), log):
            yield f"another text: {log.id} was put into words with another prompt's text, and that was not done again"


def _worded(scenario: Scenario, log: rows.Log) -> bool:
    return wording(scenario, log.role).is_of(log.prompts or "")


def _again(scenario: Scenario, log: rows.Log, exchange: rows.Exchange, where: str) -> Iterator[Difference]:
    role = role_named(scenario, log.role)
    seed, own = cases.seed_of(scenario, exchange.input)
    judgement = judge(scenario, role, exchange.reply, judged_on(scenario, seed, own=own))
    words = role.words(Knowledge(), exchange.input) if role.words is not None else None
    if log.prompts and words == exchange.prompt and not _worded(scenario, log):
        yield Difference("I10", where, f"it stands in the words of now, and {log.id} names another text")
    again = {
        "seed": seed,
        **({"prompt": words} if _worded(scenario, log) else {}),
        "answer": judgement.answer.text if judgement.answer is not None else None,
        **({"score": judgement.score} if reproducible(scenario) else {}),
    }
    yield from compare("I7", where, exchange, again, "deriving it again")
