"""A history that somebody else wrote in: what could not be read because of it is said to be that, and no fault of a command."""

from stepdown.errors import StepdownError, WorkspaceError
from stepdown.history import sound
from stepdown.views.audit import each_difference
from stepdown.workspace import Workspace


def damage(workspace: Workspace) -> WorkspaceError | None:
    """Return what is wrong with a workspace's history, in a sentence; None when nothing is that anybody can know."""
    values = unsound(workspace)
    if values is not None:
        return values
    try:
        difference = next(each_difference(workspace), None)
    except StepdownError:
        return None
    return _sentence(workspace, "what does not follow", str(difference), 0) if difference is not None else None


def unsound(workspace: Workspace) -> WorkspaceError | None:
    """Return in a sentence that a history holds values that no ledger wrote; None when it holds none."""
    with workspace.reading() as connection:
        values = sound.damage(connection)
    if not values:
        return None
    what = f"{values[0].table} {values[0].seq}: its {values[0].column} {values[0].why}"
    return _sentence(workspace, "values that stepdown never wrote", what, len(values) - 1)


def _sentence(workspace: Workspace, kind: str, what: str, more: int) -> WorkspaceError:
    others = f", and {more} more" if more else ""
    return WorkspaceError(
        f"The history of {workspace.root} holds {kind} ({what}{others}); `stepdown audit` names all of it, and a copy from "
        "before restores it.",
        kind="history-damaged",
    )
