"""What history alone says of a local model before one is trained, and what a promotion would cost."""

from collections import Counter
from dataclasses import dataclass
from statistics import fmean

from stepdown.acts.export import accepted
from stepdown.acts.question import rendering
from stepdown.errors import DatasetError
from stepdown.history import reader
from stepdown.scenarios import judging
from stepdown.scenarios.prompt import Knowledge
from stepdown.scenarios.protocol import Scenario
from stepdown.scenarios.roles import Role, judged_role, proposer
from stepdown.training.baselines import BASELINES, Known
from stepdown.training.evaluation import Summary, held_out_seeds, judge_held_out, summarize
from stepdown.training.promotion import Trial, alike
from stepdown.training.records import Filters
from stepdown.workspace import Workspace

MOST = 2000
"""Records that are looked at, the newest: a baseline of more would say the same and take longer."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """What an untrained way of answering comes to on the held-out questions.

    Attributes:
        name: What it does.
        scores: Mean, lower 95 % bound and legal share.
        gain: Mean score above that of one answer for all: how much the question decides.
    """

    name: str
    scores: Summary
    gain: float


@dataclass(frozen=True, slots=True)
class Scan:
    """What history says of one role.

    Attributes:
        scenario: Whose.
        role: Whose.
        records: Answers that could be learned from.
        looked_at: Of them, the newest.
        questions: Different ones among these.
        answers: Different ones among these.
        commonest: Share of the commonest answer, 0..1.
        baselines: The best first.
        held_out: Questions that they answered.
        look: Cases that a promotion compares at least, and `compared`: those that there are for it.
        calls: Fewest and most frontier calls that a promotion takes; None where there are too few cases for one.
        cost: What the most would cost, US dollars, by the calls of history; None where prices are unknown.
        judge: Who judges, where a model does: then nothing is known of a baseline before it is asked, and there is none.
        alike: Cases after which the next comparison shows that a bundle is as good which scores as the frontier on each.
        verdicts: The most calls that the judge is asked for an evaluation, and for a promotion with a champion, if there can be
            one.
    """

    scenario: str
    role: str
    records: int
    looked_at: int
    questions: int
    answers: int
    commonest: float
    baselines: tuple[Baseline, ...]
    held_out: int
    look: int
    compared: int
    calls: tuple[int, int] | None
    cost: float | None
    alike: int | None = None
    judge: str | None = None
    verdicts: tuple[int, int] | None = None


def scan(workspace: Workspace, filters: Filters) -> Scan:
    """Look at what an export of these filters would hold.

    Raises:
        NotFound: No such scenario, run or role.
        DatasetError: No step passes the filters.
        InvalidValue: The scenario has too few held-out questions.
    """
    scenario = workspace.scenario(filters.scenario)
    role = proposer(scenario) if filters.role is None else judged_role(scenario, filters.role)
    steps = accepted(workspace, filters)
    judge = judging.of(scenario)
    if not steps:
        without = "No step passes the filters; discover more, or ask for less."
        silent = (
            "No answer passes the filters and has a verdict; `stepdown doctor` says whether the judge can be asked."
        )
        raise DatasetError(without if judge is None else silent, kind="dataset-empty")
    looked_at = steps[-MOST:]
    with workspace.reading() as connection:
        knowledge = workspace.knowledge(connection, scenario.name)
        best = reader.best_run(connection, scenario.name)
        number = reader.comparisons(connection, scenario.name, role.name) + 1
        spent = reader.frontier_costs(connection, scenario.name, best.frontier, role.name) if best else None
    learned = Known(
        [step.prompt for step in looked_at],
        [role.reply(step.answer or "") for step in looked_at],
        [step.score or 0.0 for step in looked_at],
    )
    seeds = held_out_seeds(scenario)
    offered, most = len(scenario.comparison_seeds()), Trial().budget
    calls = (Trial().look, min(most, offered)) if offered >= Trial().look else None
    return Scan(
        scenario=scenario.name,
        role=role.name,
        records=len(steps),
        looked_at=len(looked_at),
        questions=len(set(learned.prompts)),
        answers=len(set(learned.answers)),
        commonest=Counter(learned.answers).most_common(1)[0][1] / len(looked_at),
        baselines=() if judge is not None else _baselines(scenario, role, learned, knowledge),
        held_out=len(seeds),
        look=Trial().look,
        compared=offered,
        calls=calls,
        cost=fmean(spent) * calls[1] if spent and calls else None,
        alike=alike(Trial().margin, Trial().share(number)),
        judge=judge.word if judge is not None else None,
        verdicts=(len(seeds), 3 * calls[1] if calls else 0) if judge is not None else None,
    )


def _baselines(scenario: Scenario, role: Role, learned: Known, knowledge: Knowledge) -> tuple[Baseline, ...]:
    """Return what untrained ways of answering come to on the held-out questions, the best first."""
    seeds = held_out_seeds(scenario)
    asked = [rendering(scenario, role, knowledge, seed) for seed in seeds]
    summaries = {}
    for name, answer in BASELINES.items():
        replies = zip(seeds, answer(learned, asked), strict=True)
        held = [judge_held_out(scenario, role, seed, reply) for seed, reply in replies]
        summaries[name] = summarize([row.score for row in held], [row.legal for row in held])
    floor = summaries[next(iter(BASELINES))].mean or 0.0
    baselines = [Baseline(name, scores, (scores.mean or 0.0) - floor) for name, scores in summaries.items()]
    return tuple(sorted(baselines, key=lambda each: -(each.scores.mean or 0.0)))
