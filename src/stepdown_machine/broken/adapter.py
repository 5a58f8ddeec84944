"""The toy behind `HandoffSystem`: an adapter as a stranger would write it."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import asdict, replace
from types import ModuleType
from typing import Any

from stepdown_machine import operations as op
from stepdown_machine.broken import toy
from stepdown_machine.broken.describing import describe
from stepdown_machine.broken.disk import Disk
from stepdown_machine.broken.outside import (
    OPERATOR,
    bundle_of,
    copied,
    damage,
    digest,
    falsify,
    held,
    plant,
    promoted,
    records,
    shelf,
    shelved,
    signature,
    step_of,
    validators,
)  # fmt: skip
from stepdown_machine.broken.walks import alternate, finish, until
from stepdown_machine.observed import Call, Generation, Holding, Lesson, Observation, Step
from stepdown_machine.protocol import (
    START,
    Answer,
    Description,
    One,
)
from stepdown_machine.values import (
    Audited,
    Changed,
    Dataset,
    Imported,
    Pointed,
    Policy,
    Pruned,
    Ran,
    Refusal,
    Responded,
    Routed,
    RunReport,
    Spent,
)

RESPONDED = ("run", "text", "served", "reason", "score", "error")
SWITCHES: dict[type, str] = {op.Enable: "enable", op.Disable: "disable", op.Retire: "retire", op.Delete: "delete"}


class ToySystem:
    """A toy, its disk and what damage took away."""

    def __init__(self, module: ModuleType = toy, name: str = "correct") -> None:
        self._module, self._name = module, name
        self._disk = Disk(START)
        self._disk.acts.append(("policy", asdict(Policy())))
        self._toy = module.Toy(self._disk)
        self._originals: dict[str, dict[str, Any]] = {}
        self._forget()

    def _forget(self) -> None:
        self._steps: list[Step] = []
        self._calls: list[Call] = []
        self._generations: list[Generation] = []

    def describe(self) -> Description:
        """Return the static description."""
        return describe(self._name)

    def perform(self, operation: op.Operation) -> Answer:
        """Do one operation."""
        match operation:
            case op.Crash(operation=inner, point=point):
                self._crash(self._begin(self._toy, inner), point)
                return None
            case op.Rival():
                return self._raced(operation)
            case op.Interleave(first=first, second=second):
                return alternate(self._begin(self._toy, first), self._begin(self._toy, second), {"stored"})
            case plain:
                return finish(self._begin(self._toy, plain))

    def _raced(self, race: op.Rival) -> tuple[One, ...]:
        if isinstance(race.second, op.Crash):
            return self._survived(race.first, race.second)
        other = self._module.Toy(self._disk)
        rival = self._begin(other, race.second)
        if race.held is None and not isinstance(race.first, op.Crash):
            mine, theirs = alternate(self._begin(self._toy, race.first), rival, {""})
            self._disk.now += race.later
        else:
            reached, early = until(rival, race.held or "never")
            mine = self._first(race.first)
            self._disk.now += race.later
        more = [finish(self._begin(self._toy, each)) for each in race.then]
        if race.held is not None or isinstance(race.first, op.Crash):
            theirs = finish(rival) if reached else early
        self._disk.living.discard(other.process)
        return mine, theirs, *more

    def _survived(self, first: op.Plain | op.Crash, second: op.Crash) -> tuple[One, ...]:
        """Let another process be killed, act in this one, and open what both left."""
        dead = self._module.Toy(self._disk)
        until(self._begin(dead, second.operation), second.point)
        self._disk.living.discard(dead.process)
        mine = self._first(first)
        self._reopen()
        return mine, None

    def _first(self, operation: op.Plain | op.Crash) -> One:
        if isinstance(operation, op.Crash):
            self._crash(self._begin(self._toy, operation.operation), operation.point)
            return None
        return finish(self._begin(self._toy, operation))

    def _crash(self, begun: Generator[str, None, One], point: str) -> None:
        until(begun, point)
        self._reopen()

    def _reopen(self) -> None:
        """Let this process end, and another one open what it left."""
        self._disk.living.discard(self._toy.process)
        self._toy = self._module.Toy(self._disk)

    def _begin(self, process: Any, operation: op.Plain) -> Generator[str, None, One]:
        """Turn the toy's refusals into values."""
        try:
            return (yield from self._work(process, operation))
        except Exception as error:
            # A variant's own `Refused` is another class of the same name.
            if type(error).__name__ != "Refused":
                raise
            return Refusal(str(error))

    def _work(self, process: Any, operation: op.Plain) -> Generator[str, None, One]:
        match operation:
            case op.Run() | op.Ask() | op.Resume():
                return (yield from self._play(process, operation))
            case op.Route(role=role, seed=seed):
                return Routed(*process.route(role, seed))
            case op.Export() | op.Train() | op.Judge() | op.Import():
                return (yield from self._learn(process, operation))
            case op.SetPolicy(policy=policy):
                return (yield from process.govern(asdict(policy)))  # type: ignore[no-any-return]
            case op.SetValidator(name=name, enabled=enabled):
                return (yield from process.toggle(name, on=enabled))  # type: ignore[no-any-return]
            case op.Report() | op.Changes() | op.Audit():
                return self._told(process, operation)
            case op.Activate() | op.Enable() | op.Disable() | op.Retire() | op.Delete():
                yield from self._switch(process, operation)
                return None
            case op.Promote() | op.Evaluate() | op.Rollback() | op.Prune():
                return (yield from self._succeed(process, operation))
            case _:
                return self._outside(operation)

    def _told(self, process: Any, operation: op.Report | op.Changes | op.Audit) -> One:
        match operation:
            case op.Report(run=run):
                told = process.report(run) | process.told_of(run)
                return RunReport(**told | {"spent": tuple(Spent(**side) for side in told["spent"])})
            case op.Changes():
                return Changed(process.changes())
            case op.Audit(falsified=what):
                return Audited(process.audit() if what is None else self._falsified(what).audit())

    def _play(self, process: Any, operation: op.Run | op.Ask | op.Resume) -> Generator[str, None, One]:
        match operation:
            case op.Run(seed=seed, generations=generations, candidates=candidates):
                return Ran((yield from process.run(seed, generations, candidates)))
            case op.Resume(run=run):
                return Ran((yield from process.resume(run)))
            case op.Ask(seed=seed, more=more):
                rows = yield from process.ask((seed, *more))
                first, *others = (Responded(*(row[name] for name in RESPONDED)) for row in rows)
                return replace(first, more=tuple(others))

    def _learn(self, process: Any, operation: op.Plain) -> Generator[str, None, One]:
        match operation:
            case op.Export():
                return self._dataset((yield from process.export(asdict(operation))))
            case op.Train(dataset=dataset, plan=plan, fresh=fresh, resume=resume):
                bundle = yield from process.train(dataset, plan, fresh=fresh, resume=resume)
                return replace(bundle_of(bundle, self._disk), iterations=process.taken)
            case op.Import(lines=lines, model=model):
                log = yield from process.bring(lines)
                kept = self._disk.logs[log]
                scored = tuple((number, text, process.valued(seed, text)) for number, seed, text in kept)
                told = process.answering(f"{model}-asked", model, [line[0] for line in kept])
                return Imported(log, scored, told, process.skipping(len(lines), len(kept)))
            case op.Judge(run=run, position=position, score=score, refused=refused):
                yield from process.judge(run, position, score, refused=refused)
        return None

    def _switch(self, process: Any, operation: op.Plain) -> Generator[str, None, None]:
        match operation:
            case op.Activate(bundle=bundle, proven=proven):
                yield from process.activate(bundle, OPERATOR, proven=proven)
            case op.Enable() | op.Disable() | op.Retire() | op.Delete():
                yield from process.switch(operation.bundle, SWITCHES[type(operation)])

    def _succeed(self, process: Any, operation: op.Plain) -> Generator[str, None, One]:
        match operation:
            case op.Promote(bundle=bundle, margin=margin, resume=resume):
                verdict = yield from process.promote(bundle, margin, OPERATOR, resume)
                return promoted(verdict, bundle_of(bundle, self._disk))
            case op.Evaluate(bundle=bundle):
                yield from process.measure(bundle)
                return bundle_of(bundle, self._disk)
            case op.Rollback():
                return Pointed((yield from process.rollback(OPERATOR)))
            case op.Prune(bundle=named, keep=keep, ahead=ahead):
                return Pruned((yield from process.prune(named, keep, ahead=ahead)))
        return None

    def _outside(self, operation: op.Plain) -> One:
        """Do what happens behind the toy's back."""
        disk = self._disk
        match operation:
            case op.Damage(bundle=bundle, how=how):
                self._originals[bundle] = dict(disk.bundles[bundle])
                damage(disk.bundles, bundle, how)
            case op.Restore(bundle=bundle):
                disk.bundles[bundle] = self._originals.pop(bundle)
            case op.Plant(kind=kind):
                return plant(self._toy, disk, kind)
            case op.Tamper(dataset=dataset):
                disk.datasets[dataset] += "\n"  # Records are all that a dataset is here.
            case op.Revise() | op.Disturb():
                disk.environment |= asdict(operation)
            case op.Advance(seconds=seconds):
                disk.now += seconds
            case op.SetBase() | op.Reword() | op.Redecode():
                words = asdict(operation)
                disk.environment |= {"decoding": words["how"]} if "how" in words else words
            case op.Reopen():
                self._reopen()
        return None

    def _dataset(self, name: str) -> Dataset:
        text = self._disk.datasets[name]
        return Dataset(name, self._module.digest(text), records(text), text)

    def _falsified(self, what: str) -> Any:
        """Open the toy on a copy in which one persisted thing was altered."""
        copy = copied(self._disk)
        falsify(copy, what)
        return self._module.Toy(copy)

    def observe(self, *, thorough: bool = False) -> Observation:
        """Read the disk, and remember rows that were read before."""
        disk = self._disk
        if thorough:
            self._forget()
        self._steps += [step_of(row) for row in disk.steps[len(self._steps) :]]
        self._calls += [Call(**entry) for entry in disk.trace[len(self._calls) :]]
        self._generations += [Generation(**row) for row in disk.generations[len(self._generations) :]]
        acts = disk.acts
        return Observation(
            steps=tuple(self._steps),
            calls=tuple(self._calls),
            announced=tuple(disk.announced),
            generations=tuple(self._generations),
            holdings=self._holdings(),
            shelf=tuple(
                replace(shelved(disk.bundles.get(bundle), bundle), **(self._toy.shown(bundle) if thorough else {}))
                for bundle in shelf(acts)
            ),
            policy=next(Policy(**act[1]) for act in reversed(acts) if act[0] == "policy"),
            validators=validators(acts),
            acts=tuple(f"{act[0]} {act[1]}" for act in acts),
            signed=tuple(signature(act) for act in acts),
            datasets=tuple((name, digest(text)) for name, text in disk.datasets.items()),
            leftovers=tuple(sorted(disk.bundles.keys() - shelf(acts))),
            lessons=tuple(Lesson(number, *each) for number, each in enumerate(disk.lessons, 1)),
            judgements=tuple(disk.judgements),
            checkpoints=tuple(sorted(map(" ".join, disk.checkpoints))),
        )

    def _holdings(self) -> tuple[Holding, ...]:
        """See the slot from the acts, as the router sees it, and as people are shown it."""
        raw = [Holding("acts", "competitor", bundle) for bundle in held(self._disk.acts)]
        router = self._toy.active("competitor")
        listed = [Holding("list", role, bundle) for role, bundle in self._toy.slots().items()]
        return (*raw, *listed, *([Holding("router", "competitor", router)] if router else []))

    def close(self) -> None:
        """Forget the disk."""
        self._disk = Disk(START)
