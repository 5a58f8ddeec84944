"""Large tables: each change tries a part of them, chosen by the change itself, and every night all of them.

STEPDOWN_NIGHTLY=1 pytest -n auto --dist loadgroup      all of every table
STEPDOWN_ROTATION=7cb0fbb pytest …                      the part of that turn again
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

Item = TypeVar("Item")

NIGHTLY = "STEPDOWN_NIGHTLY"
TURN = "STEPDOWN_ROTATION"


def nightly() -> bool:
    """Tell whether nothing is left out."""
    return os.environ.get(NIGHTLY, "") not in ("", "0")


def begin() -> str:
    """Choose the turn, once for all processes of a session, and say it in a line."""
    turn = os.environ.setdefault(TURN, _commit() or f"{datetime.now(UTC):%Y-%m-%d}")
    return "all of every table" if nightly() else f"{TURN}={turn} repeats the parts of tables that are tried now"


def part(items: Sequence[Item], *, of: int) -> list[Item]:
    """Return one of so many parts of a table, each as large as the others and spread over it."""
    if nightly():
        return list(items)
    number = int.from_bytes(hashlib.sha256(os.environ[TURN].encode()).digest()[:8])
    return list(items[number % of :: of])


def _commit() -> str:
    """Return the commit that is tried; nothing where these files are no checkout."""
    asked = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short=12", "HEAD"]
    try:
        return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
