"""What happens to a bundle's files behind stepdown's back, for each word of the machine more than one way in turn.

Each says the sentence that a look at the bundle must give.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

MANIFEST = "manifest.json"
PARTS = (("model.safetensors", "config.json"), ("adapters.safetensors", "adapter_config.json"))
"""Weights and configuration of a net, and of what was tuned on a base."""


def _parts(directory: Path) -> tuple[str, str]:
    return next((parts for parts in PARTS if (directory / parts[0]).exists()), PARTS[0])


def damage(directory: Path, how: str, turn: int, *, aside: Path) -> str:
    """Alter a bundle's files; return what is wrong with it now.

    Args:
        directory: The bundle's.
        how: The machine's word.
        turn: How many were damaged before: it decides which file, or which way.
        aside: A place outside of the workspace, for this damage alone.
    """
    aside.mkdir()
    weights, config = _parts(directory)
    match how:
        case "delete-directory":
            shutil.rmtree(directory)
            return "its directory is gone"
        case "delete":
            path = directory / (config, MANIFEST)[turn % 2]
            path.unlink()
            return f"{path.name} is missing"
        case "truncate":
            path = directory / (weights, MANIFEST)[turn % 2]
            path.write_bytes(path.read_bytes()[:-1])
            return CHANGED[path.name]
        case "flip":
            path = directory / (weights, config, MANIFEST)[turn % 3]
            data = bytearray(path.read_bytes())
            # Another place each time: a digest that differs is lower once and higher the next.
            place = (
                data.index(TRAINED) + len(TRAINED) + 18 if path.name == MANIFEST and turn % 2 else -1 - turn % len(data)
            )
            data[place] ^= 1
            times = path.stat()
            path.write_bytes(data)
            # Whoever looks at size and time of the last write sees what was there before.
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
            return CHANGED[path.name]
        case "swap" if turn % 2:
            (directory / MANIFEST).unlink()
            (directory / MANIFEST).mkdir()
            return f"{MANIFEST}: it is no file"
        case "swap":
            one, two = directory / weights, directory / config
            data = one.read_bytes(), two.read_bytes()
            two.write_bytes(data[0])
            one.write_bytes(data[1])
            # The first of them that a look comes to is said.
            return CHANGED[min(weights, config)]
        case "add":
            return _add(directory, turn, aside)
        case "symlink":
            return _link(directory, turn, aside)
    raise KeyError(how)


CHANGED = {
    **{name: f"{name} is not the file that was published" for parts in PARTS for name in parts},
    MANIFEST: "its manifest does not hash to its id",
}
TRAINED = b'"trained_at":"'
"""Before an instant of 19 characters, whose last digit may be another without anything but the manifest's digest telling."""


def _add(directory: Path, turn: int, aside: Path) -> str:
    """Add a file, a file in a directory, or a link to a directory in which there is nothing."""
    match turn % 3:
        case 0:
            (directory / "extra.json").write_text("{}")
            return "extra.json is not listed in its manifest"
        case 1:
            (directory / "nested").mkdir()
            (directory / "nested" / "extra.json").write_text("{}")
            return "nested/extra.json is not listed in its manifest"
        case _:
            (directory / "link").symlink_to(aside)
            return "link is a link or a special file"


def _link(directory: Path, turn: int, aside: Path) -> str:
    """Put a link in the place of a file, of the manifest, or of the whole directory; all bytes stay what they were."""
    config = _parts(directory)[1]
    place = (directory / config, directory / MANIFEST, directory)[turn % 3]
    target = aside / place.name
    shutil.move(place, target)
    place.symlink_to(target)
    return (
        f"{config} is a link or a special file",
        f"{MANIFEST} cannot be read: Too many levels of symbolic links",
        "its directory is a link or a file",
    )[turn % 3]


def clear(directory: Path) -> None:
    """Remove a directory, or the link that stands in its place, if there is one."""
    if directory.is_symlink():
        directory.unlink()
    shutil.rmtree(directory, ignore_errors=True)
