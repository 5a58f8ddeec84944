"""Challenger, champion and frontier answer the same held-out seeds, until the difference is clear or the budget spent.

The frontier is asked in a run of its own (`rows.Run.purpose` is `comparison`), one step a seed, so that every call is
announced, traced, priced and audited like any other; what it answered is never exported, or a later bundle would learn its
own examination. It is asked at its best: with the examples of the run that found the scenario's best champion. Bundles
answer in batches, with the very prompt and decoding of serving. Where a model judges, it is asked in the same run about every
answer, whoever gave it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from stepdown.acts.concurrent import take_all
from stepdown.acts.examine import comparing
from stepdown.acts.hearing import Hearing, check_heard
from stepdown.acts.question import Assignment, Question, ask
from stepdown.acts.under_way import RunUnderWay
from stepdown.errors import LocalError
from stepdown.history import reader, rows
from stepdown.providers.batches import Examiner
from stepdown.providers.protocol import Example, LocalProvider
from stepdown.scenarios.prompt import Knowledge
from stepdown.scenarios.protocol import Scenario
from stepdown.scenarios.roles import Role
from stepdown.training import hearing
from stepdown.training.evaluation import judge_held_out
from stepdown.training.promotion import Trial, differences, settled
from stepdown.workspace import Workspace


@dataclass(slots=True)
class Player:
    """A bundle that answers held-out seeds.

    Attributes:
        bundle: Its id.
        provider: Who answers for it.
        replies: So far, judged, in the order of the seeds.
    """

    bundle: str
    provider: LocalProvider
    replies: list[rows.Holdout] = field(default_factory=list)

    def answers(
        self, examiner: Examiner, scenario: Scenario, role: Role, prompts: Sequence[str], seeds: Sequence[int]
    ) -> list[rows.Holdout]:
        """Answer one block of seeds, judged as far as the scenario can by itself.

        Raises:
            LocalError: It cannot answer.
        """
        replies = examiner.ask(self.provider, role, prompts, seeds)
        return [judge_held_out(scenario, role, seed, reply) for seed, reply in zip(seeds, replies, strict=True)]


def player(workspace: Workspace, bundle_id: str) -> Player | None:
    """Return a bundle as a player; None for one that is not whole."""
    look = workspace.look(bundle_id)
    if look.manifest is None or look.base_problem:
        return None
    return Player(bundle_id, workspace.provider(workspace.bundle_directory(bundle_id), look))


@dataclass(slots=True)
class Comparison:
    """A comparison under way.

    Attributes:
        run: In which the frontier is asked.
        role: Whose prompts these are.
        trial: What was promised.
        share: What of its error rate may be spent here.
        knowledge: In every prompt.
        examples: Examples for the frontier.
        challenger: The bundle in question.
        champion: The slot's, if there is another one that can answer.
        frontier: Its scores by seed, as far as it answered and has them.
        heard: What it answered, where a model judges.
        seeds: Compared so far.
        standing: By position, the steps of a comparison that goes on which were taken before it had ended.
        judged: Those of them that judge.
    """

    run: RunUnderWay
    role: Role
    trial: Trial
    share: float
    knowledge: Knowledge
    examples: tuple[Example, ...]
    challenger: Player
    champion: Player | None
    frontier: dict[int, float] = field(default_factory=dict)
    heard: list[rows.Holdout] = field(default_factory=list)
    seeds: list[int] = field(default_factory=list)
    standing: dict[int, rows.Step] = field(default_factory=dict)
    judged: Sequence[rows.Step] = ()

    def play(self, watch: Callable[[int, int], None]) -> None:
        """Play block after block, until the differences settle it or the budget is spent.

        Raises:
            LocalError: The challenger cannot answer.
            InvalidValue: A score cannot be compared.
            ProviderError: A model judges, and was silent on too many answers.
        """
        self._play(watch)
        if self.run.bench is not None:
            again = f"`stepdown promote {self.challenger.bundle[:12]}`"
            for replies in (self.challenger.replies, self.champion.replies if self.champion else (), self.heard):
                check_heard(self.run.workspace, self.run.run, replies, again)

    def _play(self, watch: Callable[[int, int], None]) -> None:
        seeds = self.run.scenario.comparison_seeds()[: self.trial.budget]
        for first in range(0, len(seeds), self.trial.look):
            answered = len(self.frontier)
            self._play_block(seeds[first : first + self.trial.look])
            watch(len(self.seeds), len(seeds))
            # A frontier that answered nothing in a whole block is down, and more calls will not raise it.
            if len(self.frontier) == answered or settled(self.to_frontier, self.trial.margin, self.share):
                return

    def _play_block(self, block: Sequence[int]) -> None:
        scenario, role = self.run.scenario, self.role
        questions = [ask(scenario, role, self.knowledge, seed, self.examples) for seed in block]
        prompts = [question.prompt for question in questions]
        first = len(self.seeds)
        positions = range(first, first + len(questions))
        self._answer(self.challenger, hearing.CHALLENGER, prompts, dict(zip(positions, block, strict=True)))
        if self.champion is not None:
            try:
                self._answer(self.champion, hearing.CHAMPION, prompts, dict(zip(positions, block, strict=True)))
            except LocalError:
                # The slot's bundle is no rival if it cannot even answer; routing says so at every step.
                self.champion = None
        standing = [self.standing[position] for position in positions if position in self.standing]
        assignments = [
            self._assignment(at, question)
            for at, question in zip(positions, questions, strict=True)
            if at not in self.standing
        ]
        replies = {}
        for step in chain(standing, take_all(self.run.workspace, assignments, self.run.at_once)):
            reply = self._frontier_reply(step)
            if reply is not None:
                replies[step.position] = judge_held_out(scenario, role, step.seed, reply)
        answered = self._scored(hearing.FRONTIER, replies)
        self.frontier |= {reply.seed: reply.score for reply in answered if reply.score is not None}
        self.heard += answered
        self.seeds += block

    def _answer(self, who: Player, generation: int, prompts: Sequence[str], seeds: Mapping[int, int]) -> None:
        """Let a bundle answer the seeds of some places, and keep what it said with its scores."""
        block = list(seeds.values())
        answers = who.answers(self._examiner(who), self.run.scenario, self.role, prompts, block)
        who.replies += self._scored(generation, dict(zip(seeds, answers, strict=True)))

    def _scored(self, generation: int, replies: Mapping[int, rows.Holdout]) -> list[rows.Holdout]:
        """Return replies by place with their scores: those that they have, or what the model says that judges."""
        bench = self.run.bench
        if bench is None:
            return list(replies.values())
        sitting = Hearing(self.run.workspace, bench, self.role, generation, self.knowledge, self.judged)
        return list(sitting.judged(replies).values())

    def _examiner(self, who: Player) -> Examiner:
        return comparing(self.run.workspace, who.bundle, self.run.run.id)

    def _assignment(self, position: int, question: Question) -> Assignment:
        return Assignment(self.run.run.id, 1, position, question, self.run.frontier, comparison=True)

    def _frontier_reply(self, step: rows.Step) -> str | None:
        """Return what the frontier said in a step; an illegal reply is a reply, a call that failed or was cut off is none."""
        if step.recovered:
            return None
        with self.run.workspace.reading() as connection:
            return reader.frontier_reply(connection, step.id)

    @property
    def to_frontier(self) -> list[float]:
        """Challenger minus frontier, on the seeds where both have a score."""
        return _paired(self.challenger.replies, self.frontier)

    @property
    def to_champion(self) -> list[float]:
        """Challenger minus champion, likewise; empty without a champion."""
        its = self.champion.replies if self.champion is not None else ()
        return _paired(self.challenger.replies, {r.seed: r.score for r in its if r.score is not None})


def _paired(replies: Sequence[rows.Holdout], other: Mapping[int, float]) -> list[float]:
    """Return how much better the replies are than another's, on the seeds where both have a score."""
    pairs = [(r.score, other[r.seed]) for r in replies if r.score is not None and r.seed in other]
    return differences([mine for mine, _ in pairs], [its for _, its in pairs])
