"""stepdown behind `HandoffSystem`: its own functions do, raw rows and files tell, real processes are killed."""

from __future__ import annotations

import gc
import shutil
import tempfile
from functools import cache
from itertools import count
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any, ClassVar

from stateful import bases, exported, other_scenarios
from stateful.betting import bounds
from stateful.children import HELD, SAID, Errand, process, said, settle
from stateful.damages import clear, damage
from stateful.doing import COMPARED, answered, interleaved, spelled
from stateful.environment import (
    ASKED,
    FIRST_LESSON,
    IN_FILES,
    LENGTHS,
    ON_GRID,
    PRICES,
    SCENARIO,
    TEXTS,
    Environment,
    examined,
    settings,
    strange,
)
from stateful.falsifying import WAYS, Forgery
from stateful.observing import PERSON, Observer, canary_draw, lesson_of, lesson_said
from stateful.plans import PLANS, TUNED
from stateful.planting import plant
from stateful.ranges import MOST
from stateful.saying import measured, policy_changes
from stepdown.acts import configure
from stepdown.acts.opening import open_workspace
from stepdown.acts.run import fail, start
from stepdown.bundles.disk import Condition, look
from stepdown.bundles.standing import fold
from stepdown.errors import StepdownError
from stepdown.history import reader
from stepdown.scenarios.roles import coach
from stepdown.views.bundles import shelf
from stepdown.views.history import active_at
from stepdown.views.losses import lost_bundles
from stepdown_machine import operations as op
from stepdown_machine.model import REFEREES
from stepdown_machine.observed import Holding, Observation
from stepdown_machine.orders import ASKED_AGAIN
from stepdown_machine.protocol import (
    MISSING,
    MUTE,
    OUTAGES,
    PLANTS,
    UNPRICED,
    Answer,
    Description,
    One,
    Origin,
    Probe,
    Teaching,
)
from stepdown_machine.values import Audited, Changed, Dataset, Policy

ACT = ("act-appended", "act-recorded")
POINTS = {
    "Run": (
        "looked",
        "announced",
        ASKED,
        ASKED_AGAIN,
        "answered",
        "step-appended",
        "step-finished",
        "generation-decided",
        SAID,
        "knowledge-learned",
    ),
    "Ask": ("announced", ASKED, "answered", "step-finished"),
    "Export": ("dataset-written", "dataset-renamed", "dataset-recorded"),
    "Train": (bases.CHECKPOINTED, "weights-written", "bundle-renamed", "bundle-registered"),
    "Resume": ("knowledge-learned", "announced", SAID, "generation-decided", "step-finished"),
    "Judge": ("act-recorded",),
    "Activate": ACT,
    "Enable": ACT,
    "Disable": ACT,
    "Retire": ACT,
    "Delete": (*ACT, "directory-removed"),
    "Promote": ("announced", ASKED, "answered", "step-finished", "comparison-played", *ACT),
    "Rollback": ("rollback-checked", *ACT),
    "Prune": ("act-recorded", "directory-removed"),
    "SetPolicy": ("policy-recorded",),
    "SetValidator": ("policy-recorded",),
}
TEARING = ("step-finished", "generation-decided", "knowledge-learned")
TORN = b'{"event": "start", "stepdown.ca'
"""How a line ends that nobody could write to its end."""
HOLDS = {
    "Run": ("looked", "announced", ASKED, "answered", "step-finished", "generation-decided", "knowledge-learned"),
    "Resume": ("announced",),
    "Promote": ("announced", ASKED, "comparison-played"),
    "Rollback": ("rollback-checked",),
    "Train": ("weights-written",),
}
"""Where a process can wait in the middle of its act: it holds no lock of the database."""
SURE = (1.8945, 1.8946) if ON_GRID else (2.3533, 2.3534)
"""Standard errors of a mean of 8 or of 4 scores below which it lies with a chance of 5 %: the tables' t of 7 and of 3."""
FILES = {Condition.ABSENT: "gone", Condition.BROKEN: "damaged", Condition.NEWER: "whole", Condition.WHOLE: "whole"}
"""The machine's word for what a list of bundles says; what only a newer version can read is as it was."""
SHM = Path("/dev/shm")


@cache
def room() -> Path:
    """Return a directory of this process for workspaces and finished trainings."""
    made = Path(tempfile.mkdtemp(dir=SHM if SHM.is_dir() else None, prefix="stepdown-machine-"))
    # At the end of a process that multiprocessing started nothing else is called. One that gets ready there may be ended in
    # the middle of it, by the end of this one.
    Finalize(None, shutil.rmtree, args=(made,), kwargs={"ignore_errors": True}, exitpriority=0)
    if ON_GRID:
        plans = (PLANS["tiny-a"], PLANS["tiny-b"])
        other_scenarios.settle(made / "template", made / "cache", plans, SCENARIO)
    else:
        _found(made / "template", made / "cache")
    (made / "rehearsals").mkdir()
    # What is loaded by now stays. Looked at by the collector it would cost a tenth of a second, every few seconds.
    gc.freeze()
    return made


def _found(root: Path, cache: Path) -> None:
    """Make a workspace in which nothing happened, but that a task in files was begun, and asked for its policy."""
    with open_workspace(root, settings=settings(Environment(), root, cache)) as opened:
        if IN_FILES:
            fail(start(opened, SCENARIO, adopting=True), StepdownError("Nobody was asked."))


class StepdownSystem:
    """A fresh workspace, the environment around it, and an observer beside it."""

    excused: ClassVar[bool] = True
    """Whether a lie that this history holds nothing for is another one."""

    def __init__(self) -> None:
        self._environment = Environment()
        # Always the same place while it is free: whatever knows a database by its path goes on knowing it.
        self._base = next(place for number in count() if not (place := room() / f"place-{number}").exists())
        self._base.mkdir()
        self._root = self._base / "workspace"
        shutil.copytree(self.template(), self._root)
        self._open()
        if not IN_FILES:
            configure.set_policy(self._workspace, spelled(Policy()))
        self._observer = Observer(self._root)
        self._changed = len(policy_changes(self._workspace))
        self._forgery: Forgery | None = None
        self._damages = count()
        self._comers, self._kills = count(), count()
        self._link = self._base / "link"
        self._link.symlink_to(self._root, target_is_directory=True)
        self._based = False

    @staticmethod
    def template() -> Path:
        """Return the workspace that it begins with."""
        return room() / "template"

    def _open(self) -> None:
        self._workspace = open_workspace(self._root, settings=settings(self._environment, self._root, room() / "cache"))

    def describe(self) -> Description:
        """Return the static description."""
        scenario = self._workspace.scenario(SCENARIO)
        objectors = REFEREES[SCENARIO]
        probes = tuple(Probe(probe.reply, probe.legal, objectors(probe.reply)) for probe in scenario.probes())
        return Description(
            origin=Origin("stateful.adapter", "StepdownSystem"),
            probes=probes,
            plans=tuple(PLANS),
            tuned=tuple(TUNED),
            bases=bases.STATES if TUNED else (),
            texts=TEXTS,
            decodings=tuple(LENGTHS),
            questions=4,
            examined=examined(scenario),
            strange=strange(scenario),
            plants=(*PLANTS, MUTE),
            outages=(*OUTAGES, UNPRICED, MISSING),
            points=POINTS,
            holds=HOLDS,
            falsifiable=WAYS if ON_GRID else (),
            most=MOST,
            scenario=SCENARIO,
            validators=tuple(scenario.validators),
            scores=ON_GRID,
            referee=SCENARIO,
            prices=PRICES,
            astray=0.05,
            draw=canary_draw,
            teaching=Teaching(lesson_of, lesson_said(**FIRST_LESSON)) if coach(scenario) is not None else None,
            shared=True,
            sure=SURE,
            bounds=bounds,
            compares=COMPARED,
            foresees=True,
            splits="answer" if ON_GRID else "question",
            operator=PERSON,
        )

    def perform(self, operation: op.Operation) -> Answer:
        """Do one operation. What was wrong around the one before is said now: whatever the oracle sees of it comes first."""
        self._say_what_was_wrong()
        if not (isinstance(operation, op.Audit) and operation.falsified):
            self._forget_the_forgery()
        if not self._based and any(map(needs_base, op.parts(operation))):
            self._based = True
            self._lay_the_base()
        rivals = op.parts(operation) if isinstance(operation, op.Rival) else ()
        self._environment.alone = not any(isinstance(rival, op.Run) for rival in rivals)
        return self._performed(operation)

    def _say_what_was_wrong(self) -> None:
        assert not self._environment.wrong, self._environment.wrong[0]

    def _performed(self, operation: op.Operation) -> Answer:
        match operation:
            case op.Crash(operation=op.Train() as inner, point=bases.CHECKPOINTED) if again(inner):
                answered(self._workspace, inner)
                return None
            case op.Crash():
                self._workspace.close()
                self._killed(operation)
                self._open()
                return None
            case op.Rival():
                return self._raced(operation)
            case op.Interleave(first=first, second=second):
                return interleaved(self._workspace, first, second)
            case op.Damage() | op.Restore() | op.Plant() | op.Tamper() | op.SetBase() | op.Audit(falsified=str()):
                return self._outside(operation)
            case op.Revise() | op.Reword() | op.Redecode() | op.Disturb() | op.Advance() | op.Reopen():
                return self._around(operation)
            case op.Export():
                return self._exported(operation)
            case op.Changes():
                told = answered(self._workspace, operation)
                # What was changed before the machine came is the neighbours'.
                return Changed(told.policies[self._changed :]) if isinstance(told, Changed) else told
            case plain:
                return answered(self._workspace, plain)

    def _killed(self, crash: op.Crash) -> None:
        """Let another process act, and be killed on its way."""
        # Every third time it is only asked to stop.
        asked = next(self._kills) % 3 == 2
        errand = Errand(self._way(), self._environment, room() / "cache", crash.operation, crash.point, politely=asked)
        with process(room(), errand):
            pass
        if not asked and crash.point in TEARING:
            # It died while it wrote to the trace, where all that it had to say was written before.
            with (self._root / "trace.jsonl").open("ab") as file:
                file.write(TORN)

    def _way(self) -> Path:
        """Return the path by which another process comes: it is the same place, by another name every other time."""
        return self._root if next(self._comers) % 2 else self._link

    def _lay_the_base(self) -> None:
        """Lay the base there that a fresh system has: most examples never ask for it."""
        if not (room() / "bases").exists():
            bases.settle(room() / "bases")
        bases.lay(self._root, room() / "bases", "own")

    def _exported(self, operation: op.Export) -> One:
        made = answered(self._workspace, operation)
        # What was logged elsewhere is for the oracle alone.
        if isinstance(made, Dataset) and ON_GRID and not operation.imported:
            directory, reworded = self._root / "datasets" / made.dataset, self._environment.text != TEXTS[0]
            asked = exported.wrong(directory, operation, self._observer.rows, reworded=reworded)
            self._environment.wrong += asked
        return made

    def _raced(self, race: op.Rival) -> tuple[One, ...]:
        """Act while another process acts, or is held in the middle of it; or after one that acted was killed."""
        if isinstance(race.second, op.Crash):
            self._killed(race.second)
            mine = answered(self._workspace, race.first)
            self._reopened()
            return mine, None
        errand = Errand(self._way(), self._environment, room() / "cache", race.second, hold_at=race.held)
        with process(room(), errand) as pipe:
            pipe.send("go")
            told = said(pipe, errand) if race.held else HELD
            mine = None if isinstance(race.first, op.Crash) else self._meanwhile(race.first)
            if isinstance(race.first, op.Crash):
                self._killed(race.first)
            if isinstance(race.first, op.Reopen | op.Crash):
                self._reopened()
            self._environment.now += race.later
            more = [self._meanwhile(each) for each in race.then]
            if race.held and told == HELD:
                pipe.send(race.later)
            theirs, wrong = said(pipe, errand) if told == HELD else told
        self._environment.wrong += wrong
        return mine, theirs, *more

    def _meanwhile(self, operation: op.Plain) -> One:
        """Act while another process waits; what disturbs providers disturbs those of this process."""
        if isinstance(operation, op.Disturb):
            return self._around(operation)
        return answered(self._workspace, operation)

    def _around(self, operation: op.Plain) -> None:
        match operation:
            case op.Revise(version=version):
                self._environment.version = version
            case op.Reword(text=text):
                self._environment.text = text
            case op.Disturb(local=local, frontier=frontier):
                self._environment.local, self._environment.frontier = local, frontier
            case op.Advance(seconds=seconds):
                self._environment.now += seconds
            case op.Redecode(how=how):
                self._environment.decoding = how
                self._reopened()
            case op.Reopen():
                self._reopened()

    def _reopened(self) -> None:
        self._workspace.close()
        self._open()

    def _outside(self, operation: op.Plain) -> One:
        """Do what happens behind stepdown's back."""
        match operation:
            case op.Damage(bundle=bundle, how=how):
                directory = self._root / "bundles" / bundle
                # A copy may be left from before an equal training made it whole again.
                shutil.copytree(directory, self._base / bundle, dirs_exist_ok=True)
                turn, before = next(self._damages), look(directory, bundle)
                due = damage(directory, how, turn, aside=self._base / f"aside-{turn}")
                seen = look(directory, bundle)
                known = before.condition in (Condition.WHOLE, Condition.NEWER)
                assert seen.problem == due or not known, (
                    f"after {how} it is said that {seen.problem}, and not that {due}"
                )
            case op.Restore(bundle=bundle):
                directory = self._root / "bundles" / bundle
                clear(directory)
                (self._base / bundle).rename(directory)
            case op.Plant(kind=kind):
                return plant(self._workspace, self._base, kind)
            case op.Tamper(dataset=dataset, how=how):
                name = "train.jsonl" if how == "append" else "more.jsonl"
                with (self._root / "datasets" / dataset / name).open("a") as file:
                    file.write("\n")
            case op.SetBase(base=base):
                bases.lay(self._root, room() / "bases", base)
            case op.Audit(falsified=str(what)):
                return self._falsified(what)
        return None

    def _falsified(self, what: str) -> Audited:
        """Audit a copy in which a lie was told; lies told one after another share it."""
        if self._forgery is None:
            copy = self._base / "falsified"
            shutil.copytree(self._root, copy, ignore=shutil.ignore_patterns("stepdown.db*"))
            # Never open a live database as a file: closing it would give up the locks that SQLite holds in this process.
            self._observer.copy_database(copy / "stepdown.db")
            composed = settings(self._environment, copy, room() / "cache")
            self._forgery = Forgery(copy, composed, self._environment.version, excused=self.excused)
        return Audited(self._forgery.audited(what))

    def _forget_the_forgery(self) -> None:
        if self._forgery is not None:
            self._forgery.close()
            self._forgery = None
            shutil.rmtree(self._base / "falsified")

    def observe(self, *, thorough: bool = False) -> Observation:
        """Read rows, trace and files; the open process and the router are two more observers of the slot."""
        if thorough:
            self._observer.forget()
        with self._workspace.reading() as connection:
            found = reader.slot_bundle(connection, SCENARIO, "competitor")
            acts = reader.acts(connection)
            standing = fold(acts)
        served = [Holding("process", "competitor", found.id)] if found else []
        slot = standing.active.get((SCENARIO, "competitor"))
        now = self._workspace.now()
        if thorough and all(act.at <= now for act in acts):
            # Asked about this instant, whoever keeps to instants says the same. A clock set back leaves acts to come.
            then = active_at(self._workspace, now).get((SCENARIO, "competitor"))
            slot = then.id if then else None
        listed = [Holding("fold", "competitor", slot)] if slot else []
        told = self._told() if thorough else {}
        return self._observer.observe([*served, *listed], lambda bundle: standing.status(bundle).value, told)

    def _told(self) -> dict[str, dict[str, Any]]:
        """Return what people are told of each bundle."""
        warned = tuple(lost_bundles(self._workspace))
        return {
            entry.bundle.id: {
                "standing": entry.status.value,
                "listed": FILES[entry.condition],
                "measured": entry.evaluation and measured(entry.evaluation),
                "missed": any(line.startswith(entry.bundle.id[:12]) for line in warned),
            }
            for entry in shelf(self._workspace)
        }

    def close(self) -> None:
        """Give everything back; what was wrong around the last operation is said first."""
        try:
            self._say_what_was_wrong()
        finally:
            self._close()

    def _close(self) -> None:
        self._forget_the_forgery()
        settle()
        self._observer.close()
        self._workspace.close()
        shutil.rmtree(self._base)


def needs_base(operation: op.Plain) -> bool:
    """Tell whether an operation has to do with the base."""
    return isinstance(operation, op.SetBase) or (isinstance(operation, op.Train) and operation.plan in TUNED)


KILLED: set[op.Train] = set()
"""Tunings that were killed on their way in this process; a second time would only take as long again."""


def again(tuning: op.Train) -> bool:
    """Tell whether a tuning was killed on its way before, and remember it."""
    known = bases.FEW or tuning in KILLED
    KILLED.add(tuning)
    return known
