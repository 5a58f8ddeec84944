"""What earlier versions wrote opens, and both its witnesses still agree."""

import shutil
from pathlib import Path

import pytest

from journey import Hands, discover
from stepdown.acts.datasets import opened
from stepdown.acts.opening import open_workspace
from stepdown.bundles.disk import Condition
from stepdown.reports.markdown import render
from stepdown.views import bundles, history
from stepdown.views.audit import differences
from stepdown.views.runs import runs, story
from stepdown.workspace import Settings

GOLDEN = Path(__file__).parents[1] / "fixtures" / "golden"


@pytest.fixture(params=[path.name for path in sorted(GOLDEN.iterdir()) if path.is_dir()])
def golden(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of one workspace of an earlier version."""
    return Path(shutil.copytree(GOLDEN / request.param, tmp_path / "workspace"))


@pytest.fixture
def of_that_day() -> Settings:
    """A clock that stands where the golden workspaces' clock stood, an hour later."""
    hands = Hands()
    hands.forward(3600)
    return Settings(clock=hands.clock)


def test_an_earlier_workspace_opens_and_audits_clean(golden: Path, of_that_day: Settings) -> None:
    with open_workspace(golden, settings=of_that_day) as workspace:
        assert differences(workspace) == []


def test_an_earlier_workspace_is_told_whole(golden: Path, of_that_day: Settings) -> None:
    with open_workspace(golden, settings=of_that_day) as workspace:
        told = [render(story(workspace, run.id)) for run, _ in runs(workspace)]

        assert told
        assert all(text.startswith("#") for text in told)
        assert history.history(workspace)


def test_earlier_bundles_and_datasets_are_whole(golden: Path, of_that_day: Settings) -> None:
    with open_workspace(golden, settings=of_that_day) as workspace:
        assert {entry.condition for entry in bundles.shelf(workspace)} == {Condition.WHOLE}
        assert all(opened(path)[0].records for path in (golden / "datasets").iterdir())


def test_an_earlier_workspace_goes_on(golden: Path, of_that_day: Settings) -> None:
    with open_workspace(golden, settings=of_that_day) as workspace:
        discover(workspace, seed=11, candidates=2)

        assert differences(workspace) == []
