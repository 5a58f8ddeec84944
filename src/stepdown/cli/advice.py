"""What a command advises: sentences whose commands are for the workspace that the user named."""

import os
from contextvars import ContextVar
from pathlib import Path

from stepdown.reports import advice

DEFAULT = Path(".stepdown")

_named: ContextVar[Path] = ContextVar("named", default=DEFAULT)


def choose(directory: Path = DEFAULT) -> Path:
    """Keep in mind which workspace the command that runs is about."""
    _named.set(directory)
    return directory


def named() -> Path:
    """Return the workspace that the command which runs is about."""
    return _named.get()


def advised(sentence: str) -> str:
    """Return a sentence of ours as somebody can follow it: a command in it is for the workspace that was named."""
    return advice.for_workspace(sentence, _needed(_named.get()))


def spelled(directory: Path, *words: str) -> str:
    """Return a command as somebody would type it for this workspace: a sentence that says what to do next can be copied."""
    return advice.command(*words, workspace=_needed(directory))


def _needed(directory: Path) -> str:
    """Return a workspace as an option has to name it; empty where the one that is meant without it is the same."""
    usual = Path(os.environ.get("STEPDOWN_WORKSPACE") or DEFAULT)
    return "" if directory == usual else str(directory)
