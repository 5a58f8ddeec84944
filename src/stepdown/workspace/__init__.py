"""One directory = one system: the open workspace, its sessions, and the facts of a moment."""

from stepdown.workspace.points import POINTS
from stepdown.workspace.workspace import FOLDERS, FORMAT, Settings, Workspace, write_atomically

__all__ = ("FOLDERS", "FORMAT", "POINTS", "Settings", "Workspace", "write_atomically")
