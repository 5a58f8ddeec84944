"""stepdown under the machine: everything that can happen, in any order.

`pytest tests/stateful` runs a minute of it; `--machine-profile=ci --machine-reach` the campaign that decides, with what it
has to have seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from multiprocessing.connection import Connection

import pytest
from hypothesis import settings

from stateful.adapter import StepdownSystem
from stateful.bases import HERE
from stateful.children import REAL
from stateful.falsifying import JUDGED_LIES, LIES
from stateful.lies import JudgedBefore, LiedAbout, tell_every_lie
from stateful.parts import Part, part_beside, together
from stepdown_machine import operations as op
from stepdown_machine.machine import HandoffMachine, LearningMachine, RegistryMachine, RoutingMachine, case
from stepdown_machine.protocol import HandoffSystem
from stepdown_machine.reach import LEAST_PAIRS, LEAST_SHARE, MOST_ABORTED, reach
from stepdown_machine.rules.bases import BASE
from stepdown_machine.rules.environment import FRONTIER
from stepdown_machine.rules.spending import SPEND
from stepdown_machine.rules.turns import Episode, TurnMachine
from stepdown_machine.settings import deterministic
from stepdown_machine.values import Policy

# What the machines have seen is counted in one process, and a machine that others use takes its time.
pytestmark = [pytest.mark.xdist_group("campaign"), pytest.mark.timeout(900)]

BESIDE = 15
"""Examples that the whole machine has in `ci` in a process beside this one, while this one goes on to the focused machines."""


FEW = {"STEPDOWN_MACHINE_TUNINGS": "few"}
READ = {"examples": 2, "turns": 8}
"""Examples on invoices, and turns in each."""
FILED = {"examples": 1, "turns": 6}
"""The same for the task in files: each revision is learned anew, which takes seconds."""
TOLD = {"examples": 1, "turns": 1}
"""The same for the lies, all of which are told before the first turn."""
MET = (SPEND, "coverage-weak", "validity-below-threshold", "local-invalid-output")
ASKED_FOR = ("bundle-incompatible", "validity-below-threshold", "quality-below-threshold", SPEND)


class StepdownMachine(HandoffMachine):
    """The whole machine, pointed at stepdown."""

    def system(self) -> HandoffSystem:
        return StepdownSystem()


class StepdownLearning(LearningMachine):
    """Runs, exports, trainings and reports, closely."""

    def system(self) -> HandoffSystem:
        return StepdownSystem()


class StepdownRegistry(RegistryMachine):
    """Kills and races around the registry, closely."""

    def system(self) -> HandoffSystem:
        return StepdownSystem()


def bring_and_ask(machine: TurnMachine) -> None:
    """Bring in what others logged and ask live, on cases of the scenario, on one that is kept, and on one that is nobody's."""
    description = machine.session.description
    legal = next(probe.text for probe in description.probes if probe.legal)
    kept = (*description.examined[:1], *description.strange)
    machine.tell(
        (
            op.Import(tuple((seed, legal) for seed in (0, *description.strange, 1))),
            op.Ask(3, kept),
            op.Export(include_local=True, imported=True),
            op.Audit(),
        )
    )


class StepdownInvoices(RoutingMachine):
    """Who serves and why where sentences are read, and a tuned base reads them: in a process that plays nothing else."""

    def system(self) -> HandoffSystem:
        return StepdownSystem()

    def episodes(self) -> dict[str, Episode]:
        """Meet what sentences and a base change: the rest is as on the grid, and a tuned base is slow."""
        known = super().episodes()
        return {word: known[word] for word in MET}

    def play_warm_up(self, warm_up: tuple[tuple[str, int], ...]) -> None:
        """Lose the base first, and get it back: every other example would do without. Then let the hosted frontier fail."""
        self._lead(BASE, 1)
        bring_and_ask(self)
        self._fail_at_the_frontier()
        self.spend(2)
        super().play_warm_up(warm_up)

    def _fail_at_the_frontier(self) -> None:
        """Ask so often that each way to fail comes up, in every language, while nobody else is asked."""
        self.act(op.SetPolicy(Policy(mode="frontier-only")))
        for frontier in dict.fromkeys(FRONTIER):
            self.tell((op.Disturb(frontier=frontier), op.Run(1, 1, 16 if frontier == "error" else 3)))
            self.tell(op.Report(run) for run in self.session.names.of("run")[-1:])
        self.tell((op.Disturb(), op.SetPolicy(Policy())))


class StepdownPapers(RoutingMachine):
    """Who serves and why in a task that is files: its policy, its plans and its versions are what the files say."""

    def system(self) -> HandoffSystem:
        return StepdownSystem()

    def episodes(self) -> dict[str, Episode]:
        """Meet what files say: the rest is as on invoices."""
        known = super().episodes()
        return {word: known[word] for word in ASKED_FOR}

    def play_warm_up(self, warm_up: tuple[tuple[str, int], ...]) -> None:
        """Revise the files first, by judge and by label, and ask for another plan: every other example would do without."""
        for choice in (0, 2):
            self._lead("bundle-incompatible", choice)
            self.act(op.Revise(self.session.model.version + 1))
        self.tell(
            op.Train(dataset, self.session.description.plans[-1]) for dataset in self.session.names.of("dataset")[-1:]
        )
        self.spend(2)
        bring_and_ask(self)
        super().play_warm_up(warm_up)


class StepdownWitnesses(HandoffMachine):
    """What an audit finds: every lie about a history in which each can be told."""

    shortens = False  # Each time that it is tried, all of them are told again.

    def system(self) -> HandoffSystem:
        return LiedAbout()

    def play_warm_up(self, warm_up: tuple[tuple[str, int], ...]) -> None:
        """Tell them all, of a system that serves locally."""
        self._prepare("serving")
        tell_every_lie(self)
        super().play_warm_up(warm_up)


class StepdownJury(HandoffMachine):
    """What an audit finds where a model has judged: first nothing, and then every lie about it."""

    shortens = False

    def system(self) -> HandoffSystem:
        return JudgedBefore()

    def play_warm_up(self, warm_up: tuple[tuple[str, int], ...]) -> None:
        """Tell them all."""
        self.tell(map(op.Audit, (None, *self.session.description.falsifiable)))
        super().play_warm_up(warm_up)


def bounded(made: object, *, dev: int, ci: int) -> object:
    """Give a test case as many examples as a real system, which is slower than the toy, can afford in this profile."""
    if made.settings.max_examples <= 200:  # type: ignore[attr-defined]
        made.settings = settings(made.settings, max_examples=ci if deterministic() else dev)  # type: ignore[attr-defined]
    return made


ALONE: dict[type[TurnMachine], int] = {StepdownMachine: 12, StepdownLearning: 9, StepdownRegistry: 7}
"""Examples that each machine has in `ci` in this process."""


@pytest.fixture(scope="module")
def beside() -> Iterator[Connection | None]:
    """The other part of the campaign that decides."""
    if not deterministic():
        yield None
        return
    with part_beside(StepdownMachine, BESIDE, **FEW) as other:
        yield other


@pytest.fixture(scope="module")
def reading() -> Iterator[Connection | None]:
    """The part on invoices, begun when the other one is nearly over."""
    if not deterministic() or not HERE:
        yield None
        return
    with part_beside(StepdownInvoices, **READ, **FEW, STEPDOWN_MACHINE_SCENARIO="invoices") as other:
        yield other


@pytest.fixture(scope="module")
def told() -> Iterator[Connection | None]:
    """The part that lies, begun with the last machine here."""
    if not deterministic():
        yield None
        return
    with part_beside(StepdownWitnesses, **TOLD, **FEW) as other:
        yield other


@pytest.fixture(scope="module")
def heard() -> Iterator[Connection | None]:
    """The part in which a model has judged, begun when the first one is over."""
    if not deterministic():
        yield None
        return
    with part_beside(StepdownJury, **TOLD, **FEW) as other:
        yield other


@pytest.fixture(scope="module")
def filed() -> Iterator[Connection | None]:
    """The part on a task in files, begun last."""
    if not deterministic() or not HERE:
        yield None
        return
    with part_beside(StepdownPapers, **FILED, **FEW, STEPDOWN_MACHINE_SCENARIO="papers") as other:
        yield other


TestStepdown = pytest.mark.usefixtures("beside")(bounded(case(StepdownMachine), dev=8, ci=ALONE[StepdownMachine]))
TestStepdownLearning = pytest.mark.usefixtures("reading", "heard")(
    bounded(case(StepdownLearning), dev=4, ci=ALONE[StepdownLearning])
)
TestStepdownRegistry = pytest.mark.usefixtures("filed", "told")(
    bounded(case(StepdownRegistry), dev=2, ci=ALONE[StepdownRegistry])
)


@pytest.mark.skipif(not HERE, reason="bases are tuned with mlx-lm")
@pytest.mark.skipif(not deterministic(), reason="a dataset of sentences is tuned on for every process")
def test_the_same_promises_are_kept_on_invoices(reading: Connection) -> None:
    found: Part = reading.recv()

    assert found.failure == ""
    assert {"local", BASE} <= found.reach.routed.keys(), found.reach.summary()
    assert found.real["hosted"] >= 60


@pytest.mark.skipif(not deterministic(), reason="every lie is told, which takes half a minute")
def test_no_lie_about_a_history_is_believed(told: Connection) -> None:
    found: Part = told.recv()

    assert found.failure == ""
    assert found.reach.operations["Audit"] >= len(LIES)


@pytest.mark.skipif(not deterministic(), reason="every lie is told, which takes a quarter of a minute")
def test_no_lie_about_what_a_model_said_is_believed(heard: Connection) -> None:
    found: Part = heard.recv()

    assert found.failure == ""
    assert found.reach.operations["Audit"] >= len(JUDGED_LIES)


@pytest.mark.skipif(not HERE, reason="bases are tuned with mlx-lm")
@pytest.mark.skipif(not deterministic(), reason="each revision of the files is learned anew")
def test_the_same_promises_are_kept_of_a_task_in_files(filed: Connection) -> None:
    found: Part = filed.recv()

    assert found.failure == ""
    assert {"local", "bundle-incompatible"} <= found.reach.routed.keys(), found.reach.summary()


@pytest.mark.skipif(not deterministic(), reason="only the campaign that decides must have seen everything")
def test_the_campaign_saw_what_it_must(beside: Connection) -> None:
    """Runs after the machines of this module, and speaks of both parts of the whole one.

    Who wins a race is for the machine's cores to say, and the examples after it follow from that: here there is slack, so
    that a slow machine fails nothing; `--machine-reach` asks for all of it.
    """
    other: Part = beside.recv()
    seen = reach("StepdownMachine")
    assert seen.examples, "the whole machine ran in another process than this; are groups kept together?"
    together(seen, other.reach)
    real = REAL + other.real

    assert other.failure == ""
    assert seen.offered <= seen.rules.keys(), seen.summary()
    assert all(seen.share(reason) >= LEAST_SHARE * 2 / 3 for reason in seen.reasons), seen.summary()
    assert 0.22 <= seen.share("local") <= 0.55, seen.summary()
    assert seen.paired >= LEAST_PAIRS - 0.05, seen.summary()
    assert seen.aborted <= MOST_ABORTED * seen.examples, seen.summary()
    assert real["trainings"] >= 20
    assert real["kills"] >= 20
    assert real["trained again"] <= 1
