"""Datasets on disk: found by name, opened only whole, and what each says of itself."""

import hashlib
import json
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stepdown.bundles.disk import manifest_bytes
from stepdown.digest import digest as digest_of
from stepdown.digest import sha256
from stepdown.errors import DatasetError, NotFound, in_one_line
from stepdown.workspace import Workspace

NAME = "manifest.json"


@dataclass(frozen=True, slots=True)
class ExportedDataset:
    """An export on disk.

    Attributes:
        digest: SHA-256 of its manifest, which lists the digest of every file.
        content: Digest of the record files alone: what a training learns from, whatever the filters were called.
        path: Its directory.
        records: How many records train and validate together.
        train: Records in `train.jsonl`.
        valid: Records in `valid.jsonl`; 0 (and no file) when there is one distinct answer only.
        reworded: Rows that passed every filter and were left out, because they were asked with another text than prompts have
            now. Known of an export that was just made.
    """

    digest: str
    content: str
    path: Path
    records: int
    train: int
    valid: int
    reworded: int = 0


def find_dataset(workspace: Workspace, name: str | Path) -> Path:
    """Return the directory of a dataset, by path or by the beginning of its digest.

    Raises:
        NotFound: There is none, or the beginning fits several.
    """
    with suppress(OSError):  # What is too long for a name may still be the beginning of nothing.
        if Path(name).is_dir():
            return Path(name)
    directories = sorted((workspace.root / "datasets").glob(f"{name}*")) if str(name).isalnum() else []
    if len(directories) != 1:
        raise NotFound(f"There is no dataset {str(name)!r} here; `stepdown export` makes one.", kind="unknown-dataset")
    return directories[0]


def described(path: Path, digest: str, stored: dict[str, Any]) -> ExportedDataset:
    """Return a dataset by what its manifest says."""
    counts = {name: int(entry["records"]) for name, entry in stored["files"].items()}
    train, valid = counts.get("train.jsonl", 0), counts.get("valid.jsonl", 0)
    learned = {name: stored["files"][name]["sha256"] for name in ("train.jsonl", "valid.jsonl") if name in counts}
    return ExportedDataset(digest, digest_of(learned), path, train + valid, train, valid)


def opened(path: Path) -> tuple[ExportedDataset, dict[str, Any]]:
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
        dataset = described(path, sha256(data), stored)
        whole = is_whole(path, dataset.digest) and dataset.train > 0
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatasetError(
            f"{path.resolve().name} is not a dataset of ours ({in_one_line(error)}); export it again."
        ) from error
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


def is_whole(path: Path, digest: str) -> bool:
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
