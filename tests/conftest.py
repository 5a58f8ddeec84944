"""Real workspaces on real SQLite files, time that moves when it is told to, and one trained bundle that all tests share."""

import os

# Before numpy is imported, here and in every process that a test starts: its BLAS' threads spin, and cores are few.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import gc
import shutil
import signal
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path

import pytest
from hypothesis import settings as hypothesis_settings

import rotation
import stepdown.local  # noqa: F401 - brings the BLAS, before a test's module imports mlx
from journey import Hands, discover, localized, near_the_best
from lived import live
from stepdown.acts import switch
from stepdown.acts.opening import open_workspace
from stepdown.workspace import Settings, Workspace

PLUGIN = "stepdown_machine.pytest_plugin"
# The machine's own distribution names its plugin to pytest; where only its sources are here, this does.
INSTALLED = any(entry.value == PLUGIN for each in distributions() for entry in each.entry_points)
pytest_plugins = () if INSTALLED else (PLUGIN,)

# A shared machine may pause any example; what must be fast is measured in benchmarks.
hypothesis_settings.register_profile("suite", deadline=None, max_examples=60)
hypothesis_settings.load_profile("suite")

TURN = rotation.begin()

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A script that runs this in the background has it ignored, and so would every process that a test wants to stop.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header() -> str:
    """Say which parts of the large tables are tried."""
    return f"rotation: {TURN}"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep tests that share a module's fixture in one process: made in another one too, it would be paid twice."""
    for item in items:
        known = getattr(item, "_fixtureinfo", None)
        shared = known is not None and any(
            each[-1].scope == "module" and each[-1].baseid for each in known.name2fixturedefs.values()
        )
        if shared and item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


def pytest_collection_finish() -> None:
    """Keep the collector off what is here to stay: some thousand tests and all modules, gone through every few seconds."""
    gc.freeze()


@pytest.fixture
def hands() -> Hands:
    """The hands of the workspace's clock."""
    return Hands()


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Finished trainings by job: the first of each is real, an equal one is not paid twice."""
    return tmp_path_factory.mktemp("weights")


@pytest.fixture
def settings(hands: Hands, weights: Path) -> Settings:
    """What workspaces under test are composed of; nothing here outlives a power cut."""
    return Settings(clock=hands.clock, durability="normal", cache=weights)


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which nothing happened yet: migrated once, and copied for every test."""
    root = tmp_path_factory.mktemp("empty") / "workspace"
    open_workspace(root, settings=Settings(clock=Hands().clock, durability="normal")).close()
    return root


@pytest.fixture
def workspace(empty: Path, tmp_path: Path, settings: Settings) -> Iterator[Workspace]:
    """A new, empty workspace."""
    shutil.copytree(empty, tmp_path / "workspace")
    with open_workspace(tmp_path / "workspace", settings=settings) as opened:
        yield opened


@pytest.fixture(scope="session")
def handed_down(tmp_path_factory: pytest.TempPathFactory, weights: Path) -> Path:
    """A workspace whose competitor was handed down: one run, one export, one real training, activated. Copy it."""
    root = tmp_path_factory.mktemp("handed-down") / "workspace"
    settings = Settings(clock=Hands().clock, durability="normal", cache=weights)
    with open_workspace(root, settings=settings) as opened:
        tape = near_the_best(root.parent / "tape.jsonl")
        discover(opened, generations=2, candidates=6, frontier=f"recorded:{tape}")
        switch.activate(opened, localized(opened).bundle.id, forced=True, by="conftest", why="every test begins here")
    return root


@pytest.fixture(scope="session")
def lived(handed_down: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace that has seen everything. Copy it."""
    return live(handed_down, tmp_path_factory.mktemp("lived"))


@pytest.fixture
def local(handed_down: Path, tmp_path: Path, settings: Settings) -> Iterator[Workspace]:
    """A workspace of one's own in which local serves the competitor."""
    shutil.copytree(handed_down, tmp_path / "local")
    with open_workspace(tmp_path / "local", settings=settings) as opened:
        yield opened
