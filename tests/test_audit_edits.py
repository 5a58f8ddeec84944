"""Every column and every field of history, edited in several ways: an audit says so, in sentences, or nobody can know."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from edits import TABLES, Edit, Forger
from journey import Hands
from lived import live
from rotation import part
from stepdown.acts.opening import open_workspace
from stepdown.views.audit import differences
from stepdown.workspace import Settings, Workspace

README = Path(__file__).parents[1] / "README.md"

UNSEEN: dict[str, str] = {}
"""Columns and fields of which some edit passes, and why nobody can know; the README lists the same."""

PARTS = 24


@pytest.fixture(scope="module")
def seen(handed_down: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    root = live(handed_down, tmp_path_factory.mktemp("edits"))
    with open_workspace(root, settings=Settings(clock=Hands().clock, durability="normal")) as opened:
        yield opened


@pytest.fixture(scope="module")
def forger(seen: Workspace) -> Iterator[Forger]:
    made = Forger(seen.root / "stepdown.db")
    yield made
    made.close()


def field(edit: Edit) -> str:
    return f"{edit.change[0]}.{edit.field}"


@pytest.mark.parametrize("table", TABLES)
def test_an_edit_of_any_field_is_told_or_is_one_that_nobody_can_know(
    seen: Workspace, forger: Forger, table: str
) -> None:
    assert differences(seen) == []
    passed = set()
    for edit in part(list(forger.edits(table)), of=PARTS):
        with forger.changed(edit.change):
            if not differences(seen):
                passed.add(field(edit))
    assert passed - UNSEEN.keys() == set()


def test_the_readme_lists_what_stays_unseen_and_why() -> None:
    text = " ".join(README.read_text("utf-8").split())
    assert [name for name in UNSEEN if f"`{name}`" not in text] == []


def test_facts_that_are_changed_alike_in_step_and_announcement_are_told(seen: Workspace, forger: Forger) -> None:
    """The two could cover for each other, where nothing else said what was true."""
    steps = forger.rows("SELECT seq, id, objections FROM step WHERE objections != '[]' ORDER BY seq")
    for number, name, _ in part(steps, of=4):
        calls = forger.rows(f"SELECT seq FROM announcement WHERE step = '{name}'")
        changes = [
            ("step", "objections", number, "[]"),
            *(("announcement", "objections", seq, "[]") for (seq,) in calls),
        ]
        with forger.changed(*changes):
            assert differences(seen), f"{name} lost its objections in both"
