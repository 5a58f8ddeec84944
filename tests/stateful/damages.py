"""What happens to a bundle's files behind stepdown's back: for each word of the machine more than one way, in turn."""

from __future__ import annotations

import shutil
from pathlib import Path

WEIGHTS, CONFIG, MANIFEST = "model.safetensors", "config.json", "manifest.json"


def damage(directory: Path, how: str, turn: int, *, aside: Path) -> None:
    """Alter a bundle's files.

    Args:
        directory: The bundle's.
        how: The machine's word.
        turn: How many were damaged before: it decides which file, or which way.
        aside: A place outside of the workspace, for this damage alone.
    """
    aside.mkdir()
    match how:
        case "delete-directory":
            shutil.rmtree(directory)
        case "delete":
            (directory / (CONFIG, MANIFEST)[turn % 2]).unlink()
        case "truncate":
            path = directory / (WEIGHTS, MANIFEST)[turn % 2]
            path.write_bytes(path.read_bytes()[:-1])
        case "flip":
            path = directory / (WEIGHTS, CONFIG, MANIFEST)[turn % 3]
            data = bytearray(path.read_bytes())
            # Another place each time: a digest that differs is lower once and higher the next.
            data[-1 - turn % 64] ^= 1
            path.write_bytes(data)
        case "swap":
            one, two = (directory / name for name in (WEIGHTS, CONFIG))
            data = one.read_bytes(), two.read_bytes()
            two.write_bytes(data[0])
            one.write_bytes(data[1])
        case "add":
            _add(directory, turn, aside)
        case "symlink":
            _link(directory, turn, aside)


def _add(directory: Path, turn: int, aside: Path) -> None:
    """Add a file, a file in a directory, or a link to a directory in which there is nothing."""
    match turn % 3:
        case 0:
            (directory / "extra.json").write_text("{}")
        case 1:
            (directory / "nested").mkdir()
            (directory / "nested" / "extra.json").write_text("{}")
        case _:
            (directory / "link").symlink_to(aside)


def _link(directory: Path, turn: int, aside: Path) -> None:
    """Put a link in the place of a file, of the manifest, or of the whole directory; all bytes stay what they were."""
    place = (directory / CONFIG, directory / MANIFEST, directory)[turn % 3]
    target = aside / place.name
    shutil.move(place, target)
    place.symlink_to(target)


def clear(directory: Path) -> None:
    """Remove a directory, or the link that stands in its place, if there is one."""
    if directory.is_symlink():
        directory.unlink()
    shutil.rmtree(directory, ignore_errors=True)
