"""What is done before it counts: elsewhere, but with the engine of the workspace that will be opened, so that it is warm."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import event

from stateful.environment import Environment, settings
from stepdown.acts.opening import open_workspace
from stepdown.history import urls
from stepdown.workspace import Workspace

STAGE = "place-0/workspace"
"""Where the workspace lies that a process will be sent to, nearly always."""


def rehearse(room: Path, act: Callable[[Workspace], object]) -> None:
    """Do something in a workspace that nobody knows of.

    An engine keeps the statements that it has compiled. The one of the stage is led elsewhere while this lasts, and is
    left without connections.
    """
    elsewhere = Path(tempfile.mkdtemp(dir=room / "rehearsals")) / "workspace"
    shutil.copytree(room / "template", elsewhere)
    told = settings(Environment(), elsewhere, room / "cache")
    engine = told.engine(urls.sqlite(room / STAGE / "stepdown.db"), "normal", told.busy_milliseconds)

    def lead(_dialect: Any, _record: Any, arguments: list[Any], _options: Any) -> None:
        arguments[0] = str(elsewhere / "stepdown.db")

    event.listen(engine, "do_connect", lead)
    with open_workspace(elsewhere, settings=replace(told, engine=lambda *_: engine)) as workspace:
        act(workspace)
    event.remove(engine, "do_connect", lead)
    shutil.rmtree(elsewhere.parent)
