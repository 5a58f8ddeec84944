"""Challenger, champion and frontier answer the same held-out seeds, until the difference is clear or the budget spent.

The frontier is asked in a run of its own (`rows.Run.purpose` is `comparison`), one step a seed, so that every call is
announced, traced, priced and audited like any other; what it answered is never exported, or a later bundle would learn its
own examination. It is asked at its best: with the examples of the run that found the scenario's best champion. Bundles
answer in batches, with the very prompt and decoding of serving.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain

from stepdown.acts.concurrent import take_all
from stepdown.acts.examine import comparing
from stepdown.acts.question import Assignment, Question, ask
from stepdown.acts.under_way import RunUnderWay
from stepdown.errors import LocalError
from stepdown.history import reader, rows
from stepdown.providers.batches import Examiner
from stepdown.providers.protocol import Example, LocalProvider
from stepdown.scenarios.prompt import Knowledge
from stepdown.scenarios.protocol import Scenario
from stepdown.scenarios.roles import Role
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

    def play(
        self, examiner: Examiner, scenario: Scenario, role: Role, prompts: Sequence[str], seeds: Sequence[int]
    ) -> None:
        """Answer one block of seeds.

        Raises:
            LocalError: It cannot answer.
        """
        answers = examiner.ask(self.provider, role, prompts, seeds)
        self.replies += [
            judge_held_out(scenario, role, seed, reply) for seed, reply in zip(seeds, answers, strict=True)
        ]


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
        frontier: Its scores by seed, as far as it answered.
        seeds: Compared so far.
        standing: By position, the steps of a comparison that goes on which were taken before it had ended.
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
    seeds: list[int] = field(default_factory=list)
    standing: dict[int, rows.Step] = field(default_factory=dict)

    def play(self, watch: Callable[[int, int], None]) -> None:
        """Play block after block, until the differences settle it or the budget is spent.

        Raises:
            LocalError: The challenger cannot answer.
            InvalidValue: A score cannot be compared.
        """
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
        self.challenger.play(self._examiner(self.challenger), scenario, role, prompts, block)
        if self.champion is not None:
            try:
                self.champion.play(self._examiner(self.champion), scenario, role, prompts, block)
            except LocalError:
                # The slot's bundle is no rival if it cannot even answer; routing says so at every step.
                self.champion = None
        first = len(self.seeds)
        positions = range(first, first + len(questions))
        standing = [self.standing[position] for position in positions if position in self.standing]
        assignments = [
            self._assignment(at, question)
            for at, question in zip(positions, questions, strict=True)
            if at not in self.standing
        ]
        for step in chain(standing, take_all(self.run.workspace, assignments, self.run.at_once)):
            reply = self._frontier_reply(step)
            if reply is not None:
                self.frontier[step.seed] = judge_held_out(scenario, role, step.seed, reply).score
        self.seeds += block

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
        """Challenger minus frontier, on the seeds that the frontier answered."""
        pairs = [(r.score, self.frontier[r.seed]) for r in self.challenger.replies if r.seed in self.frontier]
        return differences([mine for mine, _ in pairs], [its for _, its in pairs])

    @property
    def to_champion(self) -> list[float]:
        """Challenger minus champion, on every seed; empty without a champion."""
        if self.champion is None:
            return []
        return differences([r.score for r in self.challenger.replies], [r.score for r in self.champion.replies])
