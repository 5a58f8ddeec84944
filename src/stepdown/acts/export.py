"""From committed rows to a dataset directory, in constant memory. The same rows give the same bytes."""

import hashlib
import json
import os
import shutil
import stat
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy import Connection

from stepdown.bundles.disk import manifest_bytes, sync
from stepdown.digest import canonical, sha256
from stepdown.digest import digest as digest_of
from stepdown.errors import DatasetError, NotFound, WorkspaceError
from stepdown.history import ledger, reader, rows
from stepdown.scenarios import cases
from stepdown.scenarios.prompt import Knowledge
from stepdown.scenarios.protocol import Scenario
from stepdown.scenarios.roles import judged_role, proposer
from stepdown.training.records import Filters, Split, content, imported, line, manifest, record
from stepdown.workspace import Workspace
from stepdown.workspace.unknown import set_aside

NAME = "manifest.json"


@dataclass(frozen=True, slots=True)
class Dataset:
    """An export on disk.

    Attributes:
        digest: SHA-256 of its manifest, which lists the digest of every file.
        content: Digest of the record files alone: what a training learns from, whatever the filters were called.
        path: Its directory.
        records: How many records train and validate together.
        train: Records in `train.jsonl`.
        valid: Records in `valid.jsonl`; 0 (and no file) when there is one distinct strategy only.
    """

    digest: str
    content: str
    path: Path
    records: int
    train: int
    valid: int


def export(workspace: Workspace, filters: Filters) -> Dataset:
    """Export the steps that a filter accepts.

    Raises:
        NotFound: No such scenario or run.
        DatasetError: No step passes the filters.
        WorkspaceError: The directory cannot be written.
    """
    scenario = workspace.scenario(filters.scenario)
    role = judged_role(scenario, filters.role).name if filters.role is not None else proposer(scenario).name
    part = workspace.root / "datasets" / f".{workspace.session.begin()}.part"
    try:
        with workspace.reading() as connection:
            written = _write(_Selection(connection, scenario, role, filters), part)
        workspace.reached("dataset-written")
        dataset = _publish(workspace, part, filters, written)
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
    role = judged_role(scenario, filters.role).name if filters.role is not None else proposer(scenario).name
    with workspace.reading() as connection:
        _check_run(connection, filters)
        return [step for step, _ in _Selection(connection, scenario, role, filters).accepted()]


@dataclass(frozen=True, slots=True)
class _Selection:
    """The rows that a filter accepts, as one transaction sees them."""

    connection: Connection
    scenario: Scenario
    role: str
    filters: Filters

    def accepted(self) -> Iterator[tuple[rows.Step, rows.Generation | None]]:
        """Yield steps and their generations, as the reader orders them."""
        for step, generation in reader.exportable(self.connection, self.scenario.name, self.filters.run):
            if step.role != self.role:
                continue
            if cases.kept(self.scenario, step.seed):
                continue  # Somebody asked a held-out case: answered, and never learned.
            judged = self._judged(step)
            if self.filters.accept(judged, generation):
                yield judged, generation

    def exchanges(self) -> Iterator[rows.Exchange]:
        """Yield what logs say, as far as the filter wants any of it."""
        if self.filters.imported:
            for exchange in reader.exchanges(self.connection, self.scenario.name, self.role):
                if self.filters.accept_exchange(exchange) and not cases.kept(self.scenario, exchange.seed):
                    yield exchange

    def _judged(self, step: rows.Step) -> rows.Step:
        """Return a step with the score that was last said of it, whoever said so."""
        later = reader.judgement(self.connection, step.served_call) if step.served_call is not None else None
        return replace(step, score=later.score) if later is not None else step


def _write(source: _Selection, part: Path) -> dict[str, Any]:
    """Write the record files, in two passes over one state of the rows: where the split lies, then the records."""
    _check_run(source.connection, source.filters)
    keys: list[str | None] = [None, None]
    steps: Iterator[rows.Step | rows.Exchange] = (step for step, _ in source.accepted())
    for row in chain(steps, source.exchanges()):
        key = content(source.scenario, row)
        keys = [min(keys[0] or key, key), max(keys[1] or key, key)]
    if keys[0] is None or keys[1] is None:
        raise DatasetError(
            "No step passes these filters; export with fewer of them, or discover more.", kind="no-records"
        )
    part.mkdir()
    return _write_files(source, Split(keys[0], keys[1]), part)


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
    with files.open:
        for step, generation in source.accepted():
            knowledge = _knowledge(connection, filters.scenario, step.knowledge)
            served = reader.attempt(connection, step.served_call or "")
            side = "valid.jsonl" if split.validates(content(source.scenario, step)) else "train.jsonl"
            files.write(side, line(record(step, generation, knowledge, served)))
            runs[step.run] += 1
            if filters.matches:
                for match in reader.matches(connection, step.id):
                    files.write("matches.jsonl", line({"strategy": step.strategy, **_match(match)}))
        for exchange in source.exchanges():
            side = "valid.jsonl" if split.validates(content(source.scenario, exchange)) else "train.jsonl"
            files.write(side, line(imported(exchange)))
            logs[exchange.log] += 1
    digests = {name: hash_.hexdigest() for name, hash_ in files.hashes.items()}
    return manifest(filters, files.counts, digests, runs, logs)


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


def _match(match: rows.Match) -> dict[str, Any]:
    return {"step": match.step, "seed": match.seed, "score": match.score, "won": match.won, **match.parts}


def _publish(workspace: Workspace, part: Path, filters: Filters, written: dict[str, Any]) -> Dataset:
    """Write the manifest last, make everything durable, and record the dataset in the transaction that renames it."""
    data = canonical(written)
    digest = sha256(data)
    target = workspace.root / "datasets" / digest
    (part / NAME).write_bytes(data)
    for path in part.iterdir():
        sync(path)
    dataset = _described(target, digest, written)
    with workspace.writing() as connection:
        if not _whole(target, digest):
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


def _described(path: Path, digest: str, stored: dict[str, Any]) -> Dataset:
    counts = {name: int(entry["records"]) for name, entry in stored["files"].items()}
    train, valid = counts.get("train.jsonl", 0), counts.get("valid.jsonl", 0)
    learned = {name: stored["files"][name]["sha256"] for name in ("train.jsonl", "valid.jsonl") if name in counts}
    return Dataset(digest, digest_of(learned), path, train + valid, train, valid)


def opened(path: Path) -> tuple[Dataset, dict[str, Any]]:
    """Open a dataset directory, and check every file against its manifest.

    Returns:
        The dataset and its manifest.

    Raises:
        NotFound: There is no such directory.
        DatasetError: A file is missing, extra or changed, or the manifest is malformed.
    """
    if not path.is_dir():
        raise NotFound(f"There is no dataset at {path}; `stepdown export` makes one.", kind="unknown-dataset")
    try:
        _check_plain(path)
        data = (path / NAME).read_bytes()
        stored = json.loads(data)
        dataset = _described(path, sha256(data), stored)
        whole = _whole(path, dataset.digest) and dataset.train > 0
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatasetError(f"{path.name} is not a dataset of ours ({error!r}); export it again.") from error
    if not whole:
        raise DatasetError(f"The files of {path.name[:12]} are not the ones its manifest lists; export it again.")
    return dataset, stored


def promised(path: Path) -> dict[str, Any] | None:
    """Return what a dataset's directory said when it was exported, by the digest that names it; None where nothing says so."""
    data = manifest_bytes(path, path.name.partition(".")[0])
    try:
        stored = json.loads(data) if data is not None else None
    except (ValueError, RecursionError):
        return None
    return stored if isinstance(stored, dict) else None


def _whole(path: Path, digest: str) -> bool:
    """Tell whether a dataset's files are exactly those that its manifest lists, and the manifest the one expected."""
    try:
        _check_plain(path)
        data = (path / NAME).read_bytes()
        files = json.loads(data)["files"]
        names = {entry.name for entry in path.iterdir()}
        if sha256(data) != digest or names != {NAME, *files}:
            return False
        return all(_file_digest(path / name) == entry["sha256"] for name, entry in files.items())
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _check_plain(path: Path) -> None:
    """Refuse anything but files: a pipe in the place of one would be waited for."""
    for entry in path.iterdir():
        if not stat.S_ISREG(entry.lstat().st_mode):
            raise ValueError(f"{entry.name} is not a file")


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
