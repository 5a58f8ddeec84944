"""One directory = one system: the open workspace, its sessions, and the facts of a moment."""

from stepdown.workspace.marker import FOLDERS, FORMAT, write_atomically
from stepdown.workspace.points import POINTS
from stepdown.workspace.workspace import Settings, Workspace

__all__ = ("FOLDERS", "FORMAT", "POINTS", "Settings", "Workspace", "write_atomically")
