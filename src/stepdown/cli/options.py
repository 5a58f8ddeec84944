"""Options that several commands share, spelled once."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from stepdown.workspace import Workspace


def _directory(text: str | Path) -> Path:
    # A path of no characters is the current directory, where an unset variable in a script would scatter a workspace.
    if not str(text).strip():
        raise typer.BadParameter("it is empty; name a directory.")
    return Path(text)


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
ScenarioName = Annotated[str, typer.Option("--scenario", "-s", help="The scenario.")]

DEFAULT = Path(".stepdown")


@contextmanager
def workspace(directory: Path, *, made: bool = False, url: str | None = None) -> "Iterator[Workspace]":
    """Open the workspace; only a command that begins work makes one.

    Raises:
        WorkspaceError: There is none, and the command does not make one.
    """
    from stepdown.acts.opening import open_workspace
    from stepdown.errors import WorkspaceError
    from stepdown.workspace.marker import present

    if not made and not present(directory):
        raise WorkspaceError(
            f"There is no workspace at {directory}; `stepdown run` makes one.", kind="workspace-absent"
        )
    with open_workspace(directory, url=url) as opened:
        yield opened
