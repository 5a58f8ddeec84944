"""Roles as a person may spell them."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stepdown.workspace import Workspace

PLAYED = ("competitor", "coach")
"""The roles that a run asks, in every scenario."""


def known_role(workspace: "Workspace", role: str) -> None:
    """Refuse a role that no run asks and no bundle was made for; a slip of the hand would be obeyed without a word.

    Raises:
        NotFound: With the roles there are (kind `unknown-role`).
    """
    from stepdown.errors import NotFound
    from stepdown.history import reader

    with workspace.reading() as connection:
        known = sorted({*PLAYED, *(served for _, served in reader.slots(connection))})
    if role not in known:
        raise NotFound(f"There is no role {role!r}; choose one of {', '.join(known)}.", kind="unknown-role")
