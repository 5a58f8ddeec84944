"""What a reply is worth: parsed once, played once, and judged alike by step, evaluation, comparison and audit. Pure."""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from stepdown.errors import InvalidValue
from stepdown.scenarios import harness, judging
from stepdown.scenarios.guard import guarded
from stepdown.scenarios.prompt import Knowledge, in_one_line
from stepdown.scenarios.protocol import Answer, IllegalAnswer, Match, Scenario
from stepdown.scenarios.roles import Role


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is said of a reply.

    Attributes:
        refusals: Why it cannot be used; empty when it can.
        answer: The legal answer in it; None when there is none, which a weak harness may have let through.
        matches: The answer on each seed it was played on.
        score: Mean of the matches, 0..1; 0 for an illegal reply that was let through; None when it was refused, or when
            nobody can say.
    """

    refusals: tuple[str, ...]
    answer: Answer | None
    matches: tuple[Match, ...]
    score: float | None


def judge(
    scenario: Scenario, role: Role, reply: str, seeds: Sequence[int], validators: Collection[str] = ()
) -> Judgement:
    """Judge a reply: the harness first, then the referee, who alone says what an answer is and how good.

    Args:
        scenario: Whose harness and score.
        role: Whose reply.
        reply: The reply, untouched.
        seeds: To play on; without any, nobody can say how good an answer is yet.
        validators: Those that are switched on.

    Raises:
        InvalidValue: The scenario broke, or gave a score that cannot be compared.
    """
    if nesting(reply) > DEEPEST:
        # How deep a parser gets depends on who called it, and a judgement must not.
        return Judgement((f"The reply is nested more than {DEEPEST} deep.",), None, (), None)
    refusals = harness.objections(scenario, validators, reply) if role.validated else ()
    answer, refusal = _parsed(scenario, role, reply)
    if not role.validated and refusal is not None:
        refusals = (refusal,)
    if refusals or role.play is None:
        return Judgement(refusals, None if refusals else answer, (), None)
    if answer is None:
        return Judgement((), None, (), 0.0)
    matches = tuple(_played(scenario, role.play, answer, seed) for seed in seeds)
    return Judgement((), answer, matches, round(fmean(match.score for match in matches), 6) if matches else None)


DEEPEST = 100
"""How deep a reply may be nested; no answer that anybody asked for comes near."""


def nesting(reply: str) -> int:
    """Return how deep a reply that is a JSON object or array is nested, at the most; 0 for any other."""
    if not reply.lstrip().startswith(("[", "{")) or reply.count("[") + reply.count("{") <= DEEPEST:
        return 0
    depth = deepest = 0
    for character in _STRINGS.sub("", reply):
        if character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest


_STRINGS = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)


def seeds_of(scenario: Scenario, seed: int) -> Sequence[int]:
    """Return the seeds that an answer is judged on: a game's whole tournament, or its own, if anybody knows what is right."""
    if not own_case(scenario):
        return scenario.tournament_seeds()
    labelled = getattr(scenario, "labelled", None)
    return (seed,) if labelled is None or labelled(seed) else ()


def judged_on(scenario: Scenario, seed: int, *, own: bool) -> Sequence[int]:
    """Return the seeds that the answer to somebody's case is judged on.

    Args:
        scenario: Whose case it may be.
        seed: The case's, see `cases.seed_of`.
        own: Whether that is the seed of one of the scenario's cases; else it is only drawn.
    """
    return seeds_of(scenario, seed) if own or not own_case(scenario) else ()


def live_seeds(scenario: Scenario, role: Role, seed: int, knowledge: Knowledge, prompt: str) -> Sequence[int]:
    """Return the seeds that the answer to somebody's question is judged on: all in a game, else its own, if it has that prompt.

    Args:
        scenario: Where it was asked.
        role: Who was asked.
        seed: Of the question; that of one of the scenario's cases, or drawn from the content of a case that somebody brought.
        knowledge: What was known.
        prompt: What was asked.
    """
    return seeds_of(scenario, seed) if not own_case(scenario) or is_of_seed(role, seed, knowledge, prompt) else ()


def is_of_seed(role: Role, seed: int, knowledge: Knowledge, prompt: str) -> bool:
    """Tell whether a prompt is what a role is asked on a seed; else it is of a case that somebody brought."""
    try:
        return role.prompt is not None and role.prompt(knowledge, seed) == prompt
    except Exception:  # A drawn seed means nothing to a scenario.
        return False


def judging_prompt(scenario: Scenario, role: Role, seed: int, knowledge: Knowledge, asked: str, given: str) -> str:
    """Return what a judging model is asked about an answer: with its case, and what was expected, if it is the scenario's own.

    Args:
        scenario: Where it was given.
        role: Who was asked.
        seed: Of the question.
        knowledge: What was known.
        asked: The question's prompt; it stands for the case where somebody brought one.
        given: The answer, in canonical form.
    """
    judge_ = judging.of(scenario)
    assert judge_ is not None, "only what a model judges is put to one"
    own = is_of_seed(role, seed, knowledge, asked)
    expected = getattr(scenario, "expected", None)
    case = in_one_line(scenario.observation(seed)) if own else asked
    return judging.prompt(judge_, scenario.rules, case, expected(seed) if own and expected else None, given)


def own_case(scenario: Scenario) -> bool:
    """Tell whether an answer is judged on the question it answers, and on no other."""
    return bool(getattr(scenario, "own_case", False))


def reproducible(scenario: Scenario) -> bool:
    """Tell whether the scenario says that it gives the same score for the same answer again."""
    return bool(getattr(scenario, "reproducible", True))


def _parsed(scenario: Scenario, role: Role, reply: str) -> tuple[Answer | None, str | None]:
    try:
        return guarded(scenario, "reading a reply", lambda: role.parse(reply)), None
    except IllegalAnswer as error:
        return None, str(error) or f"The reply is no answer of a {role.name}."


def _played(scenario: Scenario, play: Callable[[Answer, int], Match], answer: Answer, seed: int) -> Match:
    match, score = guarded(scenario, f"playing seed {seed}", lambda: _scored(play(answer, seed)))
    if not 0 <= score <= 1:
        raise InvalidValue(
            f"{scenario.name} gave a score of {match.score!r} on seed {seed}, which cannot be compared; scores are numbers "
            "from 0 to 1.",
            kind="score-out-of-range",
        )
    # What is the least score in one database must be it in every text: -0.0 is 0.0, and a number of numpy's is a number.
    return match if repr(match.score) == repr(score) else replace(match, score=score)


def _scored(match: Match) -> tuple[Match, float]:
    """Return a match with its score, where it has one."""
    return match, float(match.score) + 0.0
