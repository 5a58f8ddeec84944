"""Roles as a person may spell them."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stepdown.workspace import Workspace


def known_role(workspace: "Workspace", role: str) -> None:
    """Refuse a role that no installed scenario has and no bundle was made for: a slip would be obeyed without a word.

    Raises:
        NotFound: With the roles there are (kind `unknown-role`).
    """
    from stepdown.errors import NotFound
    from stepdown.history import reader
    from stepdown.scenarios.installed import names
    from stepdown.scenarios.roles import roles

    asked = {role for name in names() for role in roles(workspace.scenario(name))}
    with workspace.reading() as connection:
        declared = sorted({*asked, *(served for _, served in reader.slots(connection))})
    if role not in declared:
        raise NotFound(f"There is no role {role!r}; choose one of {', '.join(declared)}.", kind="unknown-role")
