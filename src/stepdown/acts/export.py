"""From committed rows to a dataset directory, in constant memory. The same rows give the same bytes."""

import hashlib
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy import Connection

from stepdown.acts.datasets import NAME, ExportedDataset, described, is_whole
from stepdown.bundles.disk import sync
from stepdown.digest import canonical, digest, sha256
from stepdown.errors import DatasetError, NotFound, WorkspaceError
from stepdown.history import ledger, reader, rows
from stepdown.scenarios import cases
from stepdown.scenarios.prompt import Knowledge
from stepdown.scenarios.protocol import Scenario
from stepdown.scenarios.referee import is_of_seed, own_case
from stepdown.scenarios.roles import judged_role, proposer, role_named
from stepdown.scenarios.wording import Wording, wording
from stepdown.training.records import Filters, Split, content, imported, line, manifest, record
from stepdown.workspace import Workspace
from stepdown.workspace.unknown import set_aside


def export(workspace: Workspace, filters: Filters) -> ExportedDataset:
    """Export the steps that a filter accepts.

    Raises:
        NotFound: No such scenario or run.
        DatasetError: No step passes the filters.
        WorkspaceError: The directory cannot be written.
    """
    scenario = workspace.scenario(filters.scenario)
    name = judged_role(scenario, filters.role).name if filters.role is not None else proposer(scenario).name
    part = workspace.root / "datasets" / f".{workspace.session.begin()}.part"
    try:
        with workspace.reading() as connection:
            selection = _Selection(connection, scenario, name, filters, wording(scenario, name))
            written, reworded = _write(selection, part)
        workspace.reached("dataset-written")
        dataset = replace(_publish(workspace, part, filters, written), reworded=reworded)
    except OSError as error:
        raise WorkspaceError(f"The dataset cannot be written: {error.strerror}. Nothing was kept of it.") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    workspace.reached("dataset-recorded")
    return dataset


def accepted(workspace: Workspace, filters: Filters) -> list[rows.Step]:
    """Return the steps that an export of a filter would hold, oldest first.

    Raises:
        NotFound: No such scenario, run or role.
    """
    scenario = workspace.scenario(filters.scenario)
    name = judged_role(scenario, filters.role).name if filters.role is not None else proposer(scenario).name
    with workspace.reading() as connection:
        _check_run(connection, filters)
        selection = _Selection(connection, scenario, name, filters, wording(scenario, name))
        return [step for step, _ in selection.accepted()]


@dataclass(frozen=True)
class _Selection:
    """The rows that a filter accepts, as one transaction sees them."""

    connection: Connection
    scenario: Scenario
    role: str
    filters: Filters
    words: Wording

    def accepted(self) -> Iterator[tuple[rows.Step, rows.Generation | None]]:
        """Yield steps that were asked with the text of now, and their generations, as the reader orders them."""
        return (row for row in self._passing() if self._fits(row[0]))

    def exchanges(self) -> Iterator[rows.Exchange]:
        """Yield what logs say, as far as the filter wants any of it; their cases were asked elsewhere, and are put as now."""
        words = role_named(self.scenario, self.role).words if self.filters.imported else None
        for exchange in self._logged():
            yield exchange if words is None else replace(exchange, prompt=words(Knowledge(), exchange.input))

    def content(self, row: rows.Step | rows.Exchange) -> str:
        """Return the hash that decides on which side a row falls; of a case that somebody brought live, that of its own."""
        if isinstance(row, rows.Exchange) or self._is_own(row):
            return content(self.scenario, row)
        return self._brought.get(row.seed) or digest({"seed": row.seed})

    def _is_own(self, step: rows.Step) -> bool:
        """Tell whether a step was asked on a case of the scenario, whose seed says what it was."""
        if step.run not in self._live or not own_case(self.scenario):
            return True
        knowledge = _knowledge(self.connection, self.scenario.name, step.knowledge)
        return is_of_seed(role_named(self.scenario, self.role), step.seed, knowledge, step.prompt)

    @cached_property
    def _live(self) -> frozenset[str]:
        live = {"scenario": self.scenario.name, "purpose": rows.LIVE}
        return frozenset(run.id for run in reader.all_of(self.connection, rows.Run, **live))

    @cached_property
    def _brought(self) -> Mapping[int, str]:
        """The contents of cases that were brought live, by their drawn seeds, where other rows say what they are."""
        seeds = {step.seed for step, _ in self.accepted() if not self._is_own(step)}
        own = (step for step, _ in self.accepted() if self._is_own(step))
        others: Iterator[rows.Step | rows.Exchange] = chain(own, self.exchanges()) if seeds else iter(())
        keys = (content(self.scenario, row) for row in others)
        return {cases.drawn(key): key for key in keys if cases.drawn(key) in seeds}

    def reworded(self) -> int:
        """Count the steps that the filter accepts and that were asked with another text: nobody will be asked so any more."""
        return sum(not self._fits(step) for step, _ in self._passing())

    def _fits(self, step: rows.Step) -> bool:
        return self.words.is_of(step.facts.get("prompts", ""))

    def _passing(self) -> Iterator[tuple[rows.Step, rows.Generation | None]]:
        for step, generation in reader.exportable(self.connection, self.scenario.name, self.filters.run):
            if step.role != self.role:
                continue
            if cases.kept(self.scenario, step.seed):
                continue  # Somebody asked a held-out case: answered, and never learned.
            judged = self._judged(step)
            if self.filters.accept(judged, generation):
                yield judged, generation

    def _logged(self) -> Iterator[rows.Exchange]:
        if self.filters.imported:
            for exchange in reader.exchanges(self.connection, self.scenario.name, self.role):
                if self.filters.accept_exchange(exchange) and not cases.kept(self.scenario, exchange.seed):
                    yield exchange

    def _judged(self, step: rows.Step) -> rows.Step:
        """Return a step with the score that was last said of it, whoever said so."""
        later = reader.judgement(self.connection, step.served_call) if step.served_call is not None else None
        return replace(step, score=later.score) if later is not None else step


def _write(source: _Selection, part: Path) -> tuple[dict[str, Any], int]:
    """Write the record files, in passes over one state of the rows: what is left out, where the split lies, the records.

    Returns:
        What the dataset says of itself, and how many rows were left out for their text.
    """
    _check_run(source.connection, source.filters)
    keys: list[str | None] = [None, None]
    steps: Iterator[rows.Step | rows.Exchange] = (step for step, _ in source.accepted())
    for row in chain(steps, source.exchanges()):
        key = source.content(row)
        keys = [min(keys[0] or key, key), max(keys[1] or key, key)]
    reworded = source.reworded()
    if keys[0] is None or keys[1] is None:
        if reworded:
            raise DatasetError(
                f"All {reworded} steps that pass these filters were asked with another text than prompts have now; bring that "
                "text back, or discover with the new one.",
                kind="no-records",
            )
        raise DatasetError(
            "No step passes these filters; export with fewer of them, or discover more.", kind="no-records"
        )
    part.mkdir()
    return _write_files(source, Split(keys[0], keys[1]), part), reworded


def _check_run(connection: Connection, filters: Filters) -> None:
    if filters.run is None:
        return
    run = reader.run(connection, filters.run)
    if run is None:
        raise NotFound(f"There is no run {filters.run!r}; `stepdown report` lists them.", kind="unknown-run")
    if run.scenario != filters.scenario:
        raise NotFound(f"{filters.run} is a run of {run.scenario}, not of {filters.scenario}.", kind="unknown-run")


def _write_files(source: _Selection, split: Split, part: Path) -> dict[str, Any]:
    files, connection, filters = _Files(part), source.connection, source.filters
    runs, logs = Counter[str](), Counter[str]()
    reply = role_named(source.scenario, source.role).reply
    with files.open:
        for step, generation in source.accepted():
            knowledge = _knowledge(connection, filters.scenario, step.knowledge)
            served = reader.attempt(connection, step.served_call or "")
            side = "valid.jsonl" if split.validates(source.content(step)) else "train.jsonl"
            files.write(side, line(record(step, generation, knowledge, served, reply(step.answer or ""))))
            runs[step.run] += 1
            if filters.matches:
                for match in reader.matches(connection, step.id):
                    files.write("matches.jsonl", line({"strategy": step.answer, **_match(match)}))
        for exchange in source.exchanges():
            side = "valid.jsonl" if split.validates(source.content(exchange)) else "train.jsonl"
            files.write(side, line(imported(exchange, reply(exchange.answer))))
            logs[exchange.log] += 1
    digests = {name: hash_.hexdigest() for name, hash_ in files.hashes.items()}
    return manifest(filters, files.counts, digests, runs, logs, source.words.digest)


class _Files:
    """Record files being written: each is opened when its first line comes, and hashed as it grows."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.open = ExitStack()
        self.counts: Counter[str] = Counter()
        self.hashes: dict[str, Any] = {}
        self._streams: dict[str, BinaryIO] = {}

    def write(self, name: str, data: bytes) -> None:
        """Append one line."""
        if name not in self._streams:
            self._streams[name] = self.open.enter_context((self.directory / name).open("wb"))
            self.hashes[name] = hashlib.sha256()
        self._streams[name].write(data)
        self.hashes[name].update(data)
        self.counts[name] += 1


def _knowledge(connection: Connection, scenario: str, version: int) -> Knowledge:
    lesson = reader.knowledge(connection, scenario, version)
    return Knowledge(lesson.version, lesson.playbook, lesson.hints) if lesson else Knowledge()


def _match(match: rows.PlayedMatch) -> dict[str, Any]:
    return {"step": match.step, "seed": match.seed, "score": match.score, "won": match.won, **match.parts}


def _publish(workspace: Workspace, part: Path, filters: Filters, written: dict[str, Any]) -> ExportedDataset:
    """Write the manifest last, make everything durable, and record the dataset in the transaction that renames it."""
    data = canonical(written)
    digest = sha256(data)
    target = workspace.root / "datasets" / digest
    (part / NAME).write_bytes(data)
    for path in part.iterdir():
        sync(path)
    dataset = described(target, digest, written)
    with workspace.writing() as connection:
        if not is_whole(target, digest):
            if os.path.lexists(target):
                # Somebody changed it, and may have meant to: it is set aside, and never removed.
                set_aside(target, workspace.root, f"{digest}.changed")
            part.rename(target)
            sync(target.parent)
        workspace.reached("dataset-renamed")
        if reader.dataset(connection, digest) is None:
            at = workspace.now()
            ledger.append(connection, rows.Dataset(digest, filters.scenario, filters.as_json(), dataset.records, at))
    return dataset
