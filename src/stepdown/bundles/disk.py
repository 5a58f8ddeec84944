"""Bundles as directories: publish one whole or not at all, and look at one without trusting it."""

import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from stepdown import files
from stepdown.bundles.manifest import NAME, Manifest, NewerFormat, listed_files
from stepdown.bundles.marks import DEEPEST, Marks
from stepdown.digest import sha256

MANIFEST_LIMIT = 1 << 20
"""Bytes; a larger manifest is not one of ours, and is not read."""


class Condition(StrEnum):
    """What a look at a bundle's directory says."""

    ABSENT = "absent"
    BROKEN = "broken"
    NEWER = "newer"
    WHOLE = "whole"


@dataclass(frozen=True, slots=True)
class Look:
    """What was found.

    Attributes:
        condition: The verdict.
        problem: Why it is not whole, in a sentence; empty when it is.
        manifest: What it promises, when it could be read.
        base: Where the base lies that it answers with; None where it needs none, or has none.
        base_problem: Why its base is not the one it was tuned from, in a sentence's end; empty when all is well.
        marks: Of its directory and its base's, as they were when the look began.
    """

    condition: Condition
    problem: str = ""
    manifest: Manifest | None = None
    base: Path | None = None
    base_problem: str = ""
    marks: tuple[Marks | None, ...] = ()


def look(directory: Path, bundle: str) -> Look:
    """Look at a bundle: every file it lists, no file it does not, byte for byte, and no link anywhere.

    Args:
        directory: Where it should be.
        bundle: Its id, the digest of its manifest.
    """
    try:
        mode = directory.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return Look(Condition.ABSENT, "its directory is gone")
    except OSError as error:
        return Look(Condition.BROKEN, f"its directory cannot be looked at: {error.strerror}")
    if not stat.S_ISDIR(mode):
        return Look(Condition.BROKEN, "its directory is a link or a file")
    try:
        return _look_inside(directory, bundle)
    except OSError as error:
        # A disk that fails while it is read names no file.
        name = os.path.relpath(error.filename, directory) if error.filename else "a file of it"
        why = "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
        return Look(Condition.BROKEN, f"{name} {why}")
    except ValueError as error:
        return Look(Condition.BROKEN, str(error))


def _look_inside(directory: Path, bundle: str) -> Look:
    data = read_file(directory / NAME, limit=MANIFEST_LIMIT)
    if sha256(data) != bundle:
        raise ValueError("its manifest does not hash to its id")
    try:
        manifest = Manifest.parse(data)
    except NewerFormat as error:
        # What can be checked is checked: a newer bundle that was damaged as well is first of all broken.
        _check_files(directory, listed_files(data))
        return Look(Condition.NEWER, str(error))
    _check_files(directory, manifest.files)
    return Look(Condition.WHOLE, manifest=manifest)


def promise(directory: Path, bundle: str) -> Manifest | None:
    """Return what a bundle promised when it was published, whatever became of its other files; None where nothing says so."""
    data = manifest_bytes(directory, bundle)
    try:
        return Manifest.parse(data) if data is not None else None
    except ValueError:
        return None


def manifest_bytes(directory: Path, digest: str) -> bytes | None:
    """Return the manifest of a directory if it hashes to a name, so that it is as it was published."""
    try:
        data = read_file(directory / NAME, limit=MANIFEST_LIMIT)
    except (OSError, ValueError):
        return None
    return data if sha256(data) == digest else None


def _check_files(directory: Path, listed: Mapping[str, tuple[str, int]]) -> None:
    sizes = dict(_files(directory))
    sizes.pop(NAME, None)  # Somebody may take it away at this moment; its bytes were read.
    for path in sorted(sizes.keys() ^ listed.keys()):
        raise ValueError(f"{path} is {'not listed in its manifest' if path in sizes else 'missing'}")
    for path, (digest, size) in sorted(listed.items()):
        # The size first: an oversized file is refused without being read.
        if sizes[path] != size or sha256(read_file(directory / path, limit=size)) != digest:
            raise ValueError(f"{path} is not the file that was published")


def _files(directory: Path, prefix: str = "") -> Iterator[tuple[str, int]]:
    """Yield the relative path and size of everything below a directory; refuse what is neither file nor directory."""
    if prefix.count("/") > DEEPEST:
        raise ValueError(f"it has folders more than {DEEPEST} deep")
    with os.scandir(directory) as entries:
        for entry in entries:
            path = prefix + entry.name
            if entry.is_dir(follow_symlinks=False):
                yield from _files(Path(entry.path), path + "/")
            elif entry.is_file(follow_symlinks=False):
                yield path, entry.stat(follow_symlinks=False).st_size
            else:
                raise ValueError(f"{path} is a link or a special file")


def read_file(path: Path, *, limit: int) -> bytes:
    """Read a regular file of at most `limit` bytes, never through a link."""
    try:
        return files.contents(path, limit, through_link=False)
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from error


def contents(directory: Path, manifest: Manifest) -> dict[str, bytes]:
    """Read a bundle's files into memory, and check those very bytes against the manifest.

    Raises:
        ValueError: A file changed since the look.
        OSError: A file is gone.
    """
    data = {path: read_file(directory / path, limit=size) for path, (_, size) in manifest.files.items()}
    for path, (digest, _) in manifest.files.items():
        if sha256(data[path]) != digest:
            raise ValueError(f"{path} changed while it was being loaded")
    return data


def listing(directory: Path) -> dict[str, tuple[str, int]]:
    """Return path to digest and size of every file of a directory that is about to be published."""
    sizes = sorted(_files(directory))
    return {path: (sha256(read_file(directory / path, limit=size)), size) for path, size in sizes}


def publish(part: Path, manifest: Manifest, bundles: Path) -> Path:
    """Turn a finished job's directory into a bundle: manifest last, everything durable, then one rename.

    Publishing what is published already replaces nothing when that is whole, and replaces it when it is broken.

    Returns:
        The bundle's directory.
    """
    target = bundles / manifest.id
    if look(target, manifest.id).condition is Condition.WHOLE:
        shutil.rmtree(part)
        return target
    for path in manifest.files:
        sync(part / path)
    (part / NAME).write_bytes(manifest.data)
    sync(part / NAME)
    sync(part)
    remove(target)
    part.rename(target)
    sync(bundles)
    return target


def remove(directory: Path) -> None:
    """Remove a bundle's directory, in one step for anyone who looks: it is renamed away first."""
    if not os.path.lexists(directory):
        return
    if directory.is_symlink() or not directory.is_dir():
        directory.unlink()
        return
    aside = directory.with_name(f".{directory.name}.removed")
    # Whoever opens the workspace clears what a deletion left: two may be at it, and one finds nothing left to do.
    shutil.rmtree(aside, ignore_errors=True)
    with suppress(FileNotFoundError):
        directory.rename(aside)
    shutil.rmtree(aside, ignore_errors=True)


def sync(path: Path) -> None:
    """Wait until the disk has a file's or a directory's contents."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
