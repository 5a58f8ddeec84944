"""Options that several commands share, spelled once."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stepdown.cli.advice import choose

if TYPE_CHECKING:
    from stepdown.workspace import Settings, Workspace


def _directory(text: str | Path) -> Path:
    # A path of no characters is the current directory, where an unset variable in a script would scatter a workspace.
    if not str(text).strip():
        raise typer.BadParameter("it is empty; name a directory.")
    return choose(Path(text))


Directory = Annotated[
    Path,
    typer.Option(
        "--workspace",
        "-w",
        envvar="STEPDOWN_WORKSPACE",
        help="The workspace directory.",
        parser=_directory,
        metavar="PATH",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Why = Annotated[str, typer.Option("--why", help="The reason, kept in history.")]
By = Annotated[str, typer.Option("--by", envvar="STEPDOWN_OPERATOR", help="Who does it, kept in history.")]
ScenarioName = Annotated[
    str | None,
    typer.Option(
        "--scenario", "-s", help="The scenario; by default the task of stepdown.toml, or grid_ctf without one."
    ),
]
Frontier = Annotated[
    str | None,
    typer.Option(
        help="Who answers when local does not, as `stepdown doctor` lists them; by default the task's, or search."
    ),
]


@contextmanager
def workspace(directory: Path, *, create: bool = False, url: str | None = None) -> "Iterator[Workspace]":
    """Open the workspace; only a command that begins work makes one.

    Raises:
        WorkspaceError: There is none, and the command does not make one.
    """
    from stepdown.acts.opening import open_workspace
    from stepdown.workspace.marker import absent, present

    if not create and not present(directory):
        raise absent(directory)
    with open_workspace(directory, url=url) as opened:
        yield opened


@dataclass(frozen=True, slots=True)
class Asked:
    """What a command is about, when it does not say so itself.

    Attributes:
        scenario: Name of the scenario.
        frontier: Word for the frontier.
        settings: With which scenarios are found before there is a workspace.
    """

    scenario: str
    frontier: str
    settings: "Settings"


def about(directory: Path, scenario: str | None, frontier: str | None = None) -> Asked:
    """Return scenario and frontier: those that were named, those of the task beside the workspace, or what a scenario brings.

    Raises:
        InvalidValue: The task's own file is wrong.
    """
    from stepdown.errors import InvalidValue
    from stepdown.workspace import Settings
    from stepdown.workspace.task import Beside, named

    beside = directory.absolute().parent
    task = named(beside)
    use = task.others["frontier"].get("use", "search") if task is not None else "search"
    if not isinstance(use, str):
        raise InvalidValue("stepdown.toml: frontier.use must be a text, the word for a frontier.")
    own = task is not None and scenario in (None, task.name)
    settings = Settings(scenario=Beside(beside))
    name = scenario or (task.name if task else "grid_ctf")
    return Asked(name, frontier or (use if own else _embedded(settings, name)), settings)


def _embedded(settings: "Settings", name: str) -> str:
    """Return the word of the frontier that a scenario brings; search where it brings none or cannot be found."""
    from stepdown.errors import StepdownError

    try:
        return str(getattr(settings.scenario(name), "frontier", "search"))
    except StepdownError:
        return "search"  # Whoever asks for the scenario next says what is wrong with it.
