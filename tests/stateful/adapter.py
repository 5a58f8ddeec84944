"""stepdown behind `HandoffSystem`: its own functions do, raw rows and files tell, real processes are killed."""

from __future__ import annotations

import gc
import json
import math
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from stateful import neighbours
from stateful.children import HELD, REAL, Errand, process, said, settle
from stateful.damages import clear, damage
from stateful.falsifying import WAYS, Forgery
from stateful.observing import Observer, sha256
from stateful.weather import Weather, settings
from stepdown import operate, registry
from stepdown.auditing import differences
from stepdown.bundles.disk import listing, publish
from stepdown.bundles.manifest import Manifest
from stepdown.bundles.standing import fold
from stepdown.chronicle import active_at
from stepdown.errors import StepdownError
from stepdown.gather import slot_bundle
from stepdown.history import ledger, reader, rows
from stepdown.localize import find_dataset, localize
from stepdown.promote import promote
from stepdown.prune import prune
from stepdown.reporting import story
from stepdown.rollback import rollback
from stepdown.run import RunUnderWay, play, start
from stepdown.training.evaluation import held_out, summarize, terms
from stepdown.training.export import export
from stepdown.training.plan import Plan
from stepdown.training.promotion import Trial
from stepdown.training.records import Filters
from stepdown.workspace import Workspace
from stepdown_machine import operations as op
from stepdown_machine.model import grid_ctf
from stepdown_machine.observed import Holding, Observation
from stepdown_machine.protocol import Answer, Description, One, Origin, Probe
from stepdown_machine.values import (
    Audited,
    Bundle,
    Dataset,
    Pair,
    Pointed,
    Policy,
    Promoted,
    Pruned,
    Ran,
    Record,
    Refusal,
    RunReport,
)

SCENARIO = "grid_ctf"
SMALL = {"width": 32, "heads": 2, "ffn": 48, "batch": 4, "rehearsals": 1}
PLANS = {
    # With few words of its own a net spells: this one is legal under every lesson of the coach, the other now and then is not.
    "tiny-a": Plan.tiny(**SMALL, vocab=300, iterations=50, seed=2),
    "tiny-b": Plan.tiny(**SMALL, iterations=60, seed=1),
    "weak": Plan.tiny(**SMALL, iterations=12, seed=3),
}
ACT = ("act-appended", "act-recorded")
POINTS = {
    "Run": (
        "announced",
        "asked",
        "answered",
        "step-appended",
        "step-finished",
        "generation-decided",
        "knowledge-learned",
    ),
    "Export": ("dataset-written", "dataset-renamed", "dataset-recorded"),
    "Train": ("weights-written", "bundle-renamed", "bundle-registered"),
    "Activate": ACT,
    "Enable": ACT,
    "Disable": ACT,
    "Retire": ACT,
    "Delete": (*ACT, "directory-removed"),
    "Promote": ("announced", "asked", "answered", "step-finished", "comparison-played", *ACT),
    "Rollback": ("rollback-checked", *ACT),
    "Prune": ("act-recorded", "directory-removed"),
    "SetPolicy": ("policy-recorded",),
    "SetValidator": ("policy-recorded",),
}
HOLDS = {
    "Run": ("announced", "asked", "answered", "step-finished"),
    "Promote": ("announced", "asked", "comparison-played"),
    "Rollback": ("rollback-checked",),
}
"""Where a process holds no lock of the database."""
SHM = Path("/dev/shm")


@cache
def room() -> Path:
    """Return a directory of this process for workspaces and finished trainings."""
    shm = SHM if SHM.is_dir() else None
    # A process that gets ready there may be ended in the middle of it, by the end of this one.
    made = tempfile.TemporaryDirectory(dir=shm, prefix="stepdown-machine-", ignore_cleanup_errors=True)
    ROOMS.append(made)
    plans = (PLANS["tiny-a"], PLANS["tiny-b"])
    neighbours.settle(Path(made.name) / "template", Path(made.name) / "cache", plans, SCENARIO)
    (Path(made.name) / "rehearsals").mkdir()
    # What is loaded by now stays. Looked at by the collector it would cost a tenth of a second, every few seconds.
    gc.freeze()
    return Path(made.name)


ROOMS: list[tempfile.TemporaryDirectory[str]] = []


class StepdownSystem:
    """A fresh workspace, the weather around it, and an observer beside it."""

    def __init__(self) -> None:
        self._weather = Weather()
        # Always the same place while it is free: whatever knows a database by its path goes on knowing it.
        self._base = next(place for number in count() if not (place := room() / f"place-{number}").exists())
        self._base.mkdir()
        self._root = self._base / "workspace"
        shutil.copytree(room() / "template", self._root)
        self._open()
        operate.set_policy(self._workspace, spelled(Policy()))
        self._observer = Observer(self._root)
        self._forgery: Forgery | None = None
        self._damages = count()

    def _open(self) -> None:
        self._workspace = Workspace.open(self._root, settings=settings(self._weather, room() / "cache"))

    def describe(self) -> Description:
        """Return the static description."""
        scenario = self._workspace.scenario(SCENARIO)
        probes = tuple(Probe(probe.reply, probe.legal, grid_ctf.objectors(probe.reply)) for probe in scenario.probes())
        return Description(
            origin=Origin("stateful.adapter", "StepdownSystem"),
            probes=probes,
            plans=tuple(PLANS),
            points=POINTS,
            holds=HOLDS,
            falsifiable=WAYS,
        )

    def perform(self, operation: op.Operation) -> Answer:
        """Do one operation."""
        if not (isinstance(operation, op.Audit) and operation.falsified):
            self._forget_the_forgery()
        match operation:
            case op.Crash(operation=inner, point=point):
                self._workspace.close()
                with process(room(), Errand(self._root, self._weather, room() / "cache", inner, point)):
                    pass
                self._open()
                return None
            case op.Rival():
                return self._raced(operation)
            case op.Interleave(first=first, second=second):
                return interleaved(self._workspace, first, second)
            case op.Damage() | op.Restore() | op.Plant() | op.Tamper() | op.Audit(falsified=str()):
                return self._outside(operation)
            case op.Revise() | op.Disturb() | op.Advance() | op.Reopen():
                return self._around(operation)
            case plain:
                return answered(self._workspace, plain)

    def _raced(self, race: op.Rival) -> tuple[One, One]:
        """Act while another process acts, or is held in the middle of it."""
        errand = Errand(self._root, self._weather, room() / "cache", race.second, hold_at=race.held)
        with process(room(), errand) as pipe:
            pipe.send("go")
            if race.held is None:
                return answered(self._workspace, race.first), said(pipe)
            theirs = said(pipe)
            mine = answered(self._workspace, race.first)
            if theirs == HELD:
                pipe.send("go on")
                theirs = said(pipe)
            return mine, theirs

    def _around(self, operation: op.Plain) -> None:
        match operation:
            case op.Revise(version=version):
                self._weather.version = version
            case op.Disturb(local=local, frontier=frontier):
                self._weather.local, self._weather.frontier = local, frontier
            case op.Advance(seconds=seconds):
                self._weather.now += seconds
            case op.Reopen():
                self._workspace.close()
                self._open()

    def _outside(self, operation: op.Plain) -> One:
        """Do what happens behind stepdown's back."""
        match operation:
            case op.Damage(bundle=bundle, how=how):
                directory = self._root / "bundles" / bundle
                # A copy may be left from before an equal training made it whole again.
                shutil.copytree(directory, self._base / bundle, dirs_exist_ok=True)
                turn = next(self._damages)
                damage(directory, how, turn, aside=self._base / f"aside-{turn}")
            case op.Restore(bundle=bundle):
                directory = self._root / "bundles" / bundle
                clear(directory)
                (self._base / bundle).rename(directory)
            case op.Plant(kind=kind):
                return plant(self._workspace, self._base, kind)
            case op.Tamper(dataset=dataset):
                with (self._root / "datasets" / dataset / "train.jsonl").open("a") as file:
                    file.write("\n")
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
            self._forgery = Forgery(copy, settings(self._weather, room() / "cache"), self._weather.version)
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
            found = slot_bundle(connection, SCENARIO, "competitor")
            acts = reader.acts(connection)
            standing = fold(acts)
        served = [Holding("process", "competitor", found.id)] if found else []
        told = standing.active.get((SCENARIO, "competitor"))
        now = self._workspace.now()
        if thorough and all(act.at <= now for act in acts):
            # Asked about this instant, whoever keeps to instants says the same. A clock set back leaves acts to come.
            then = active_at(self._workspace, now).get((SCENARIO, "competitor"))
            told = then.id if then else None
        listed = [Holding("fold", "competitor", told)] if told else []
        return self._observer.observe([*served, *listed], lambda bundle: standing.status(bundle).value)

    def close(self) -> None:
        """Give everything back."""
        self._forget_the_forgery()
        settle()
        self._observer.close()
        self._workspace.close()
        shutil.rmtree(self._base)


def answered(workspace: Workspace, operation: op.Plain) -> One:
    """Do one operation, and say a refusal as a value."""
    try:
        return work(workspace, operation)
    except StepdownError as error:
        return Refusal(error.kind, str(error))


def work(workspace: Workspace, operation: op.Plain) -> One:
    """Do one operation through stepdown's own functions."""
    match operation:
        case op.Run():
            return Ran(play(begun(workspace, operation)).id)
        case op.Export(run=run, scenario=scenario, min_score=limit, kept_only=kept_only, include_local=include_local):
            if scenario not in (None, SCENARIO):
                # stepdown knows no scenario but those installed, and says so; the machine's word is that none has rows.
                return report(workspace, run) and Refusal("no-records") if run else Refusal("no-records")
            asked = {"run": run, "min_score": limit, "kept_only": kept_only, "include_local": include_local}
            # What is not asked for is not said: what then happens is for stepdown to know.
            told: dict[str, Any] = {
                name: value for name, value in asked.items() if value is not None and value is not False
            }
            made = export(workspace, Filters(SCENARIO, **told))
            return dataset(made.path)
        case op.Train(dataset=name, plan=plan, fresh=fresh):
            before, afresh = finished(workspace), fresh and (name, plan) not in AFRESH
            trained = localize(workspace, find_dataset(workspace, name), plan=PLANS[plan], fresh=afresh)
            REAL["trainings"] += afresh or finished(workspace) > before
            if afresh:
                AFRESH.add((name, plan))
            return bundle(workspace, trained.bundle.id)
        case op.Activate(bundle=name):
            registry.activate(workspace, name, forced=True)
        case op.Disable(bundle=name):
            registry.disable(workspace, name)
        case op.Enable(bundle=name):
            registry.enable(workspace, name)
        case op.Retire(bundle=name):
            registry.retire(workspace, name)
        case op.Delete(bundle=name):
            registry.delete(workspace, name)
        case op.Promote() | op.Rollback() | op.Prune():
            return succession(workspace, operation)
        case op.SetPolicy(policy=policy):
            operate.set_policy(workspace, spelled(policy))
        case op.SetValidator(name=name, enabled=enabled):
            operate.switch_validator(workspace, SCENARIO, name, enabled=enabled)
        case op.Report(run=run):
            return report(workspace, run)
        case op.Audit():
            return Audited(tuple(map(str, differences(workspace))))
    return None


def succession(workspace: Workspace, operation: op.Promote | op.Rollback | op.Prune) -> One:
    """Let a bundle follow another by evidence or back again, or clear away what nobody needs."""
    match operation:
        case op.Promote(bundle=name, margin=margin):
            return promoted(workspace, promote(workspace, name, trial=Trial(margin, budget=16, look=8)))
        case op.Rollback():
            return Pointed(rollback(workspace, SCENARIO).id)
        case op.Prune(bundle=named, keep=keep):
            gone = prune(workspace, [named] if named else [], keep=keep).removed
            return Pruned(tuple(each.id for each in gone))


def promoted(workspace: Workspace, verdict: rows.Verdict) -> Promoted:
    """Say a verdict and what it rests on: the bundle's own replies, and the frontier's steps."""
    shown = verdict.evidence
    with workspace.reading() as connection:
        taken = reader.steps(connection, verdict.run)
        said = {step.seed: reader.frontier_reply(connection, step.id) for step in taken}
        mine = ledger.TABLES[rows.Holdout].c.evaluation == shown["challenger"]
        replies = reader.all_of(connection, rows.Holdout, mine)
        rival = reader.newest(connection, rows.Evaluation, id=shown["champion"]) if shown["champion"] else None
    scenario = workspace.scenario(SCENARIO)
    pairs = tuple(
        Pair(each.seed, each.reply, each.score, held_out(scenario, each.seed, its).score)
        for each in replies
        if (its := said[each.seed]) is not None
    )
    bounds = shown["to_frontier"] or dict.fromkeys(("mean", "lower", "upper"), math.nan)
    ahead = (shown["to_champion"] or {}).get("upper", math.nan)
    return Promoted(
        run=verdict.run,
        outcome=verdict.outcome,
        pairs=pairs,
        unanswered=shown["unanswered"],
        **bounds,
        valid=shown["valid"],
        champion=rival.bundle if rival else None,
        ahead=ahead,
        now=bundle(workspace, verdict.bundle),
    )


AFRESH: set[tuple[str, str]] = set()
"""Datasets and plans that were trained a second time and gave the same weights; a third time would only say so again."""


def finished(workspace: Workspace) -> int:
    """Count the trainings that need not be done again; in a child process too, which has no room of its own."""
    return len(list((workspace.settings.cache or workspace.root).glob("*")))


def begun(workspace: Workspace, asked: op.Run) -> RunUnderWay:
    return start(workspace, SCENARIO, seed=asked.seed, generations=asked.generations, candidates=asked.candidates)


def interleaved(workspace: Workspace, first: op.Run, second: op.Run) -> tuple[One, One]:
    """Let two runs take turns, a step at a time."""
    under_way = [begun(workspace, asked) for asked in (first, second)]
    turns = [_steps(run) for run in under_way]
    while turns:
        turns = [turn for turn in turns if next(turn, None) is not None]
    for run in under_way:
        run.end()
    return Ran(under_way[0].run.id), Ran(under_way[1].run.id)


def _steps(under_way: RunUnderWay) -> Iterator[rows.Step]:
    for _ in range(under_way.run.generations):
        yield from under_way.steps()


def spelled(policy: Policy) -> dict[str, str]:
    """Say the machine's policy as a command line spells it."""
    return {name: _spelled(value) for name, value in asdict(policy).items()}


def _spelled(value: object) -> str:
    match value:
        case None:
            return "inf"
        case bool():
            return "on" if value else "off"
        case tuple():
            return ",".join(value)
    return str(value)


def dataset(path: Path) -> Dataset:
    """Read an export's files."""
    files = {split: path / f"{split}.jsonl" for split in ("train", "valid")}
    texts = {split: file.read_text("utf-8") for split, file in files.items() if file.exists()}
    found = tuple(
        Record(row["step"], split, row["prompt"], row["completion"], row["score"], row["served"]["target"])
        for split, text in texts.items()
        for row in map(json.loads, text.splitlines())
    )
    text = "".join(texts.values())
    return Dataset(path.name, sha256(text.encode()), found, text)


def bundle(workspace: Workspace, name: str) -> Bundle:
    """Say a bundle's row and its newest evaluation."""
    with workspace.reading() as connection:
        row = reader.bundle(connection, name)
        # A comparison is an evaluation too, on other seeds.
        _, counted = terms(workspace.scenario(SCENARIO), workspace.settings.decoding)
        evaluation = reader.evaluation(connection, name, counted)
        assert row is not None
        assert evaluation is not None
        held_out = reader.all_of(connection, rows.Holdout, ledger.TABLES[rows.Holdout].c.evaluation == evaluation.id)
    marks = tuple((each.seed, each.score if each.legal else None) for each in held_out)
    score = evaluation.lower if evaluation.lower is not None else float("nan")
    trained_at = row.trained_at.timestamp()
    return Bundle(
        name, row.weights, trained_at, score, evaluation.valid or 0.0, marks, evaluation.terms["scenario_version"]
    )


def report(workspace: Workspace, run: str) -> RunReport:
    """Say what stepdown's report says."""
    told = story(workspace, run)
    served = tuple(sorted((who, count) for who, count in told.served.items() if who in ("local", "frontier")))
    tokens = [sum(getattr(spend, name) for spend in told.spends) for name in ("input_tokens", "output_tokens")]
    saved = tuple((role, found.saved if found else None) for role, found in told.savings.items())
    return RunReport(run, len(told.steps), served, tuple(sorted(told.reasons.items())), told.best, *tokens, saved)


def plant(workspace: Workspace, base: Path, kind: str) -> Bundle:
    """Register and activate a whole bundle that does not belong, as another version of stepdown could have."""
    part = base / "planted"
    part.mkdir()
    now = workspace.now()
    with workspace.reading() as connection:
        number = reader.count(connection, rows.Bundle)
    (part / "model.safetensors").write_bytes(f"planted {kind}, bundle {number}".encode())
    (part / "config.json").write_text("{}")
    manifest = Manifest(
        format=1,
        scenario="othello" if kind == "other-scenario" else SCENARIO,
        scenario_version=1,
        role="competitor",
        prompt_format=1,
        dataset="0" * 64,
        plan={},
        job="0" * 64,
        backend={},
        files=listing(part),
        losses={},
        trained_at=now,
        stepdown="0",
    )
    if kind == "newer-format":
        manifest = replace(manifest, format=2)
    with workspace.writing() as connection:
        session = workspace.session.begin()
        row = rows.Bundle(manifest.id, SCENARIO, "competitor", "0" * 64, "0" * 64, manifest.weights, now, session, now)
        publish(part, manifest, workspace.root / "bundles")
        ledger.append(connection, row)
        _evaluated(workspace, connection, row)
        ledger.append(connection, rows.Act("activate", SCENARIO, "competitor", manifest.id, True, "nemesis", kind, now))
    shutil.rmtree(part, ignore_errors=True)
    return bundle(workspace, manifest.id)


def _evaluated(workspace: Workspace, connection: Connection, row: rows.Bundle) -> None:
    """Append an evaluation that every gate likes: the best strategy on every held-out seed."""
    scenario = workspace.scenario(SCENARIO)
    bound, digest = terms(scenario, workspace.settings.decoding)
    best = scenario.parse('{"aggression":1.0,"defense":0.4,"path_bias":1.0}')
    seeds = scenario.holdout_seeds()
    scores = [scenario.play(best, seed).score for seed in seeds]
    summary = summarize(scores, [True] * len(scores))
    name = f"evaluation-{reader.count(connection, rows.Evaluation) + 1}"
    numbers = (summary.mean, summary.lower, summary.valid)
    ledger.append(connection, rows.Evaluation(name, row.id, bound, digest, 0, len(seeds), *numbers, row.at))
    for seed, score in zip(seeds, scores, strict=True):
        ledger.append(connection, rows.Holdout(name, seed, score, legal=True, reply=best.text))
