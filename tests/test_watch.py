"""Bytes that were verified once are watched: whatever changes is seen, and a watch that cuts a corner is caught."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from stepdown.bundles import marks as marked
from stepdown.bundles import watch as watching
from stepdown.bundles.watch import SETTLED, LookCache

LONG_AGO = 1_000_000_000_000_000_000


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    place = tmp_path / "bundle"
    (place / "inner").mkdir(parents=True)
    (place / "weights").write_bytes(b"0123456789")
    (place / "inner" / "config").write_bytes(b"config")
    return place


@pytest.fixture(autouse=True)
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every file be older than the rule asks for: nobody can set the time of its last change."""
    monkeypatch.setattr(watching, "file_time", lambda: LONG_AGO * 3)


class Reading:
    """A full look that counts how often it was taken, and finds the bytes of every file."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.times = directory, 0

    def __call__(self) -> dict[str, bytes]:
        self.times += 1
        files = [path for path in self.directory.rglob("*") if path.is_file()]
        return {str(path.relative_to(self.directory)): path.read_bytes() for path in files}


def look(watch: LookCache, reading: Reading, content: str = "a") -> dict[str, bytes]:
    return watch.look(reading.directory, content, reading, bool)[0]


def in_place(directory: Path) -> None:
    """Write other bytes of the same length into the same file, and put its time back."""
    path = directory / "weights"
    before = path.stat()
    with path.open("r+b") as file:
        file.write(b"9876543210")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replaced(directory: Path) -> None:
    """Put another file of the same length and time in its place."""
    path, other = directory / "weights", directory.parent / "other"
    before = path.stat()
    other.write_bytes(b"9876543210")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(path)


def swapped(directory: Path) -> None:
    """Put another directory in its place."""
    directory.rename(directory.parent / "old")
    directory.mkdir()
    (directory / "weights").write_bytes(b"9876543210")


CHANGES: dict[str, Callable[[Path], object]] = {
    "written in place, its time put back": in_place,
    "replaced by a file of its size and time": replaced,
    "longer": lambda directory: (directory / "weights").write_bytes(b"0123456789 and more"),
    "gone": lambda directory: (directory / "weights").unlink(),
    "one more": lambda directory: (directory / "more").write_bytes(b"more"),
    "one more, further in": lambda directory: (directory / "inner" / "more").write_bytes(b"more"),
    "written further in": lambda directory: (directory / "inner" / "config").write_bytes(b"CONFIG"),
    "renamed": lambda directory: (directory / "weights").rename(directory / "heights"),
    "another directory": swapped,
    "unreadable": lambda directory: (directory / "weights").chmod(0o200),
    "linked from elsewhere": lambda directory: os.link(directory / "weights", directory.parent / "link"),
}


def test_what_does_not_change_is_read_once(directory: Path) -> None:
    watch, reading = LookCache(), Reading(directory)
    assert watch.remembered(directory, "a") is None
    assert [look(watch, reading)["weights"] for _ in range(5)] == [b"0123456789"] * 5
    assert watch.remembered(directory, "a") == (reading(), marked.marks(directory))
    assert reading.times == 2, "once to look, and once to compare"


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_whatever_changes_is_read_again(directory: Path, change: Callable[[Path], object]) -> None:
    watch, reading = LookCache(), Reading(directory)
    look(watch, reading)
    change(directory)
    assert watch.remembered(directory, "a") is None
    assert look(watch, reading) == Reading(directory)()
    assert reading.times == 2


def test_what_is_looked_at_for_another_digest_is_read_for_it(directory: Path) -> None:
    watch, reading = LookCache(), Reading(directory)
    look(watch, reading, "a")
    look(watch, reading, "b")
    assert reading.times == 2


def test_what_is_not_good_is_never_remembered(directory: Path) -> None:
    watch, reading = LookCache(), Reading(directory)
    for _ in range(3):
        watch.look(directory, "a", reading, lambda _: False)
    assert reading.times == 3


def test_what_changes_while_it_is_read_is_read_again(directory: Path) -> None:
    watch, reading = LookCache(), Reading(directory)

    def meanwhile() -> dict[str, bytes]:
        found = reading()
        if reading.times == 1:
            in_place(directory)
        return found

    watch.look(directory, "a", meanwhile, bool)
    assert watch.look(directory, "a", meanwhile, bool)[0]["weights"] == b"9876543210"


def test_what_changed_a_moment_ago_is_read_each_time_until_it_is_settled(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch, reading = LookCache(), Reading(directory)
    newest = max(path.stat().st_ctime_ns for path in [directory, *directory.rglob("*")])
    monkeypatch.setattr(watching, "file_time", lambda: newest + SETTLED - 1)
    look(watch, reading)
    look(watch, reading)
    assert reading.times == 2, "another write could have the time of the last one"
    monkeypatch.setattr(watching, "file_time", lambda: newest + SETTLED)
    look(watch, reading)
    look(watch, reading)
    assert reading.times == 3


def test_the_time_of_files_is_the_real_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    (tmp_path / "now").write_bytes(b"now")
    assert abs(watching.file_time() - (tmp_path / "now").stat().st_ctime_ns) < 60e9


# Each cut corner, and a change that it lets pass. A suite that every one of them survived would prove nothing.
CORNERS: dict[str, tuple[Callable[[marked.Identity], object], str]] = {
    "neither time": (lambda each: each[:6], "written in place, its time put back"),
    "the last change's time": (lambda each: each[:7], "written in place, its time put back"),
    "all but names": (lambda each: each[0], "written in place, its time put back"),
    "names": (lambda each: each[1:2], "renamed"),
    "what lies inside": (lambda each: each if not each[0] else None, "written in place, its time put back"),
    "what lies further in": (lambda each: None if "/" in each[0] else each, "written further in"),
    "all but sizes": (lambda each: (each[0], each[5]), "replaced by a file of its size and time"),
    "all but inodes": (lambda each: (each[0], each[2]), "written in place, its time put back"),
    "all but modes": (lambda each: (each[0], stat.S_IFMT(each[3])), "longer"),
}


@pytest.mark.parametrize("corner", CORNERS)
def test_a_watch_that_leaves_something_out_is_caught(
    directory: Path, corner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut, change = CORNERS[corner]
    monkeypatch.setattr(
        watching, "marks", lambda place: tuple(cut(each) for each in marked.marks(place) or ()), raising=True
    )
    monkeypatch.setattr(watching, "settled", lambda *_: True)
    watch, reading = LookCache(), Reading(directory)
    look(watch, reading)
    CHANGES[change](directory)
    assert look(watch, reading) != Reading(directory)(), f"{corner} is not needed to see: {change}"
