"""One system before the oracle. No Hypothesis here: a script is a session and a list of operations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from stepdown_machine import operations as op
from stepdown_machine.adapter import AdapterError, described, fresh
from stepdown_machine.capabilities import can, claims, fitted
from stepdown_machine.changes import initial_model
from stepdown_machine.explanations import review_steps
from stepdown_machine.filling import completed, heard
from stepdown_machine.findings import Disagreement, Finding
from stepdown_machine.invariants import CLAIMS, INVARIANTS
from stepdown_machine.model import Model, Registered
from stepdown_machine.names import Names
from stepdown_machine.orders import explanations
from stepdown_machine.protocol import Answer, HandoffSystem
from stepdown_machine.resuming import learned, over_budget, seeds
from stepdown_machine.story import Came, told
from stepdown_machine.transition import Memory, StepReview, Transition
from stepdown_machine.values import Bundle, Dataset, Promoted, Ran


class Session:
    """Performs operations on a system and compares what follows with every world that is still possible.

    Attributes:
        system: The adapter.
        description: Its description.
        worlds: Models that explain everything seen so far; more than one only after a crash or a race.
        seen: The last observation.
        names: Readable names of the system's ids.
        operations: What was performed, with readable names; `came` is what came of each.
        reviews: Steps of the last operation, as reviewed in the world that was kept; `routed` are all of the competitor.
    """

    def __init__(self, system: HandoffSystem) -> None:
        self.system = system
        self.description = described(system)
        self.names = Names()
        self.operations: list[op.Operation] = []
        self.came: list[Came] = []
        self.reviews: tuple[StepReview, ...] = ()
        self.routed: list[StepReview] = []
        self.failed = False
        self._memory = Memory()
        self.seen = heard(fresh(system), self.description)
        self.worlds = [initial_model(self.description)]
        for bundle in self.description.given:
            self.names.learn(bundle)
            self._memory.answered[bundle.bundle] = bundle
        if self.can(op.SetPolicy):
            # The oracle never asks a system for its defaults: it says what it wants.
            self._begin(op.SetPolicy(self.description.policy))
            self.came.clear()

    @property
    def model(self) -> Model:
        """The first world that is still possible."""
        return self.worlds[0]

    def can(self, what: type | str | op.Operation) -> bool:
        """Tell whether the system has an operation, a reason or an invariant: see `capabilities.can`."""
        return can(self.description, what)

    def fitted(self, operation: op.Operation) -> op.Operation:
        """Leave out of an operation what the system cannot be told."""
        return fitted(self.description, operation)

    def act(self, operation: op.Operation) -> Answer:
        """Perform one operation, given with readable names, and judge it.

        Returns:
            The system's answer, with the system's ids.

        Raises:
            Disagreement: A promise was broken.
            AdapterError: The description does not declare the operation.
        """
        if not self.can(operation):
            raise AdapterError(f"The description of {type(self.system).__name__} does not declare {operation!r}.")
        self.operations.append(operation)
        return self._begin(operation)

    def registered(self, bundle: str) -> Registered | None:
        """Return what the model remembers of a bundle, by its readable name."""
        return self.model.bundles.get(self.names.ids["bundle"].get(bundle, ""))

    def usable(self, choice: int, *, weak: bool = False) -> str | None:
        """Return the name of a bundle that could serve once it is whole and enabled, the slot's first; `None` if none.

        Args:
            choice: Which one, counted from the first.
            weak: Only one with illegal held-out replies; otherwise only one with a score.
        """
        model = self.model
        fit = [
            name
            for name, id_ in self.names.ids["bundle"].items()
            if model.fits(registered := model.bundles[id_])
            and not registered.retired
            and model.counts(registered)
            and not registered.mute
            and (registered.valid < 1.0 if weak else registered.valid == 1.0)
            and registered.score == registered.score
            and model.based(registered)
        ]
        fit.sort(key=lambda name: self.names.ids["bundle"][name] != model.slots.get("competitor"))
        return fit[choice % len(fit)] if fit else None

    def look_again(self) -> None:
        """Read everything durable anew, so that rows that changed after they were read are seen.

        Raises:
            Disagreement: History or state is not what it was.
        """
        fresh = heard(self.system.observe(thorough=True), self.description)
        transition = Transition(op.Advance(0.0), None, self.seen, fresh, self.description, self._memory)
        self._judge(transition)

    def told(self, failure: str = "") -> str:
        """Return what was done and what came of it, in sentences; of much that was done, what a failure speaks of."""
        return told(self.operations, self.came, self.names, failure)

    def close(self) -> None:
        """Give the system back."""
        self.system.close()

    def _begin(self, operation: op.Operation) -> Answer:
        translated = self.names.translate(operation)
        self.failed = True
        answer = self.system.perform(translated)
        before, self.seen = self.seen, heard(self.system.observe(), self.description)
        self.names.learn(answer)
        transition = Transition(translated, answer, before, self.seen, self.description, self._memory)
        self._learn(transition)
        self.came.append((answer, transition.steps))
        self._judge(transition)
        self._remember(transition)
        return answer

    def _judge(self, transition: Transition) -> None:
        """Keep the worlds that explain the transition."""
        self.failed = True
        kept: list[tuple[Model, tuple[StepReview, ...]]] = []
        worst: list[tuple[Finding, ...]] = []
        for model, reviews, findings in self._futures(transition):
            if findings:
                worst.append(findings)
            elif all(model != other for other, _ in kept):
                kept.append((model, reviews))
        if not kept:
            # The world with the fewest broken promises is the most likely one, and the easiest to read.
            raise self._disagreement(min(worst, key=len), transition)
        self.worlds, self.reviews = [model for model, _ in kept], kept[0][1]
        self.routed += [one for one in self.reviews if one.step.role == "competitor" and one.step.purpose == "work"]
        self.failed = False

    def _futures(self, transition: Transition) -> Iterator[tuple[Model, tuple[StepReview, ...], tuple[Finding, ...]]]:
        for world in self.worlds:
            for explanation in explanations(transition):
                model, steps = world.fork(), self._memory.steps
                begun = replace(transition, before=completed(transition.before, world, self.description, steps))
                reviews, findings = review_steps(model, explanation, begun)
                steps = steps | {one.step.step: one.step for one in reviews}
                full = replace(begun, seen=completed(transition.seen, model, self.description, steps))
                for code in claims(self.description):
                    findings += INVARIANTS[code](full, model, reviews)
                yield model, reviews, tuple(findings)

    def _learn(self, transition: Transition) -> None:
        """Take in what has to be known before judging: names that answers and rows bring, and possible strays."""
        for step in transition.steps:
            if step.run not in self.names.ids["run"].values():
                self.names.name("run", step.run)
        for operation, answer in transition.answered():
            if isinstance(operation, op.Export) and isinstance(answer, Dataset):
                self._memory.exported[answer.dataset] = answer
        if isinstance(transition.operation, op.Crash) and isinstance(transition.operation.operation, op.Promote):
            before = self.model.compared
            self._memory.numbers |= {step.run: before for step in transition.steps if step.purpose == "comparison"}
        if isinstance(transition.operation, op.Crash) and isinstance(transition.operation.operation, op.Train):
            self._memory.begun += 1
            self._memory.strays |= {shelved.bundle for shelved in transition.seen.shelf} - self.model.bundles.keys()

    def _remember(self, transition: Transition) -> None:
        memory = self._memory
        memory.steps |= {one.step.step: one.step for one in self.reviews}
        memory.called.update(attempt.call for step in transition.steps for attempt in step.attempts)
        if transition.steps:
            memory.plans |= dict(learned(transition, self.model))
            new = {step.run for step in transition.steps} & memory.plans.keys()
            memory.seeds |= dict(seeds(transition.seen, {run: memory.plans[run] for run in new}))
        for operation, answer in transition.answered():
            match operation, answer:
                case op.Run() | op.Resume(), Ran():
                    memory.ended[answer.run] = any(
                        map(over_budget, (s for s in transition.steps if s.run == answer.run))
                    )
                case op.Train(), Bundle():
                    memory.answered[answer.bundle] = replace(answer, iterations=None)
                    memory.strays.discard(answer.bundle)
                    job = self.model.job(memory.exported[operation.dataset].digest, operation.plan)
                    memory.weights[job] = answer.weights
                case op.Promote(), Promoted():
                    memory.answered[answer.now.bundle] = answer.now
                    memory.compared.add(answer.run)
                case op.Export(), Dataset():
                    rows = frozenset((record.step, record.score) for record in answer.records)
                    memory.exports[operation, rows] = answer.digest

    def _disagreement(self, findings: tuple[Finding, ...], transition: Transition) -> Disagreement:
        order = list(CLAIMS)
        ranked = sorted(findings, key=lambda finding: order.index(finding.claim))
        readable = tuple(
            Finding(one.claim, *(self.names.readable(text) for text in (one.says, one.did, one.because)))
            for one in ranked
        )
        return Disagreement(readable, dict(CLAIMS), self.names.readable(repr(transition.operation)))
