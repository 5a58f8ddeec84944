"""Bases as directories under names of their own: each one that `mlx_lm.load` opens, published whole or not at all."""

import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from stepdown.bundles.disk import listing, sync
from stepdown.digest import canonical, sha256
from stepdown.errors import InvalidValue, NotFound, Refused, in_one_line
from stepdown.files import contents

FOLDER = "bases"
RECORD = "base.json"
WORD = re.compile(r"[a-z0-9][a-z0-9._-]{0,59}")

UNREADABLE = (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError)
"""What reading a record that is none of ours can raise."""


@dataclass(frozen=True, slots=True)
class Base:
    """What is known of a base.

    Attributes:
        name: Its folder's name.
        architecture: The `model_type` of its configuration.
        parameters: Numbers that it has learned, however they are packed.
        context: Longest sequence, in tokens; None where its configuration does not say.
        bits: Bits of its quantized weights; None when they are plain.
        source: Name of the file or directory that it came from.
        files: Relative path to SHA-256 (hex) and size (bytes) of every file but the record.
    """

    name: str
    architecture: str
    parameters: int
    context: int | None
    bits: int | None
    source: str
    files: Mapping[str, tuple[str, int]]

    @property
    def digest(self) -> str:
        """The base's identity: the digest of its files' digests, whatever it is called."""
        return sha256(canonical({path: sha for path, (sha, _) in self.files.items()}))

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {field.name: getattr(self, field.name) for field in fields(self)} | {"digest": self.digest}


def word(source: str) -> str:
    """Return the name that a base gets unless a person gives it one."""
    return re.sub(r"[^a-z0-9._-]+", "-", source.lower()).strip("-._")[:60] or "base"


def check_word(name: str) -> str:
    """Return a name that may be a folder's.

    Raises:
        InvalidValue: It may not.
    """
    if not WORD.fullmatch(name):
        raise InvalidValue(f"A base's name is made of a-z, 0-9, dots, dashes and underscores, not {name!r}.")
    return name


def find(root: Path, name: str) -> tuple[Base, Path]:
    """Return a base and its directory, as its record describes it.

    Args:
        root: The workspace's directory.
        name: Its name.

    Raises:
        NotFound: There is none of that name.
        InvalidValue: Its record is damaged.
    """
    directory = root / FOLDER / check_word(name)
    try:
        return _read(directory), directory
    except FileNotFoundError as error:
        names = ", ".join(base.name for base in shelf(root)[0])
        choices = names or "none yet: `stepdown base import` and `stepdown base add` bring one"
        raise NotFound(f"There is no base {name!r} here; there are {choices}.", kind="unknown-base") from error
    except UNREADABLE as error:
        raise InvalidValue(f"{directory / RECORD} is damaged; remove the base and bring it again.") from error


def shelf(root: Path) -> tuple[list[Base], list[str]]:
    """Return every base by name, and the names of those whose record is damaged."""
    bases, damaged = [], []
    try:
        directories = sorted(path for path in (root / FOLDER).iterdir() if WORD.fullmatch(path.name))
    except FileNotFoundError:
        return [], []
    except OSError:
        return [], [FOLDER]
    for directory in directories:
        try:
            bases.append(_read(directory))
        except UNREADABLE:
            damaged.append(directory.name)
    return bases, damaged


def locate(root: Path, digest: str) -> Path | None:
    """Return where the base of a digest lies, as the records say; None where there is none."""
    return next((root / FOLDER / base.name for base in shelf(root)[0] if base.digest == digest), None)


def problem(directory: Path, digest: str) -> str:
    """Return why a directory is not the base of this digest, in a sentence's end; empty when it is, byte for byte."""
    try:
        files = {path: entry for path, entry in listing(directory).items() if path != RECORD}
    except FileNotFoundError:
        return "it is gone"
    except (OSError, ValueError) as error:
        return f"it cannot be read ({in_one_line(error)})"
    return "" if sha256(canonical({path: sha for path, (sha, _) in files.items()})) == digest else "it is another one"


def publish(part: Path, root: Path, name: str, facts: Mapping[str, Any], source: str) -> tuple[Base, bool]:
    """Turn a finished directory into a base: everything durable, the record last, then one rename.

    Args:
        part: The directory; it is gone afterwards.
        root: The workspace's directory.
        name: The base's.
        facts: Architecture, parameters, context and bits.
        source: Where it came from.

    Returns:
        The base, and whether it was there already.

    Raises:
        Refused: Another base stands under that name.
    """
    base = Base(name=check_word(name), source=source, files=listing(part), **facts)
    target = root / FOLDER / name
    if os.path.lexists(target):
        if problem(target, base.digest):
            shutil.rmtree(part)
            raise Refused(f"Another base is called {name} already; choose another --name.", kind="base-exists")
        shutil.rmtree(part)
        return _read(target), True
    target.parent.mkdir(exist_ok=True)
    for path in base.files:
        sync(part / path)
    values = base.as_json()
    del values["digest"], values["name"]
    (part / RECORD).write_bytes(canonical(values))
    sync(part / RECORD)
    sync(part)
    part.rename(target)
    sync(target.parent)
    return base, False


def _read(directory: Path) -> Base:
    stored = json.loads(contents(directory / RECORD))
    files = {str(path): (str(sha), int(size)) for path, (sha, size) in stored["files"].items()}
    return Base(**{**stored, "name": directory.name, "files": files})
