"""Put the machine's sources in: they lie beside this folder in the repository, and inside it in a source distribution."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGE = "stepdown_machine"


class Sources(BuildHookInterface[Any]):
    """Brings the one package, and nothing of the system that lies next to it."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Bring the sources from beside this folder, unless they are in it; an editable install only points at them."""
        root, folder = Path(self.root), f"src/{PACKAGE}"
        if version == "editable" or (root / folder).is_dir():
            return
        build_data["force_include"][str(root.parent / folder)] = folder if self.target_name == "sdist" else PACKAGE
