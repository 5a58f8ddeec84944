"""A machine without mlx: the handoff steps back up with its reason, and says it nowhere else."""

import sys
from pathlib import Path

import pytest

from journey import compete
from stepdown.acts.opening import open_workspace
from stepdown.errors import InvalidValue
from stepdown.workspace import Settings, Workspace


def test_an_mlx_that_cannot_be_imported_is_a_bundle_that_cannot_be_loaded(
    local: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    # None in sys.modules is how Python itself marks a module that must not be imported.
    monkeypatch.setitem(sys.modules, "stepdown.local.decode", None)

    step = compete(local)

    assert (step.requested, step.reason, step.served) == ("local", "local-load-failed", "frontier")


def test_another_database_for_a_workspace_that_has_one_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    workspace.close()

    with pytest.raises(InvalidValue, match="keeps its history in"):
        open_workspace(workspace.root, url=f"sqlite:///{tmp_path / 'other.db'}", settings=Settings())
    assert not (tmp_path / "other.db").exists()
