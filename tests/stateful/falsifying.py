"""Lies in what is persisted: each alters one thing of a copy behind stepdown's back, and the audit must notice it."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

WAYS = ("trace-weights", "trace-lost", "history-score", "history-reason")
"""What can be altered."""


def falsify(root: Path, what: str) -> None:
    """Alter one persisted thing of a copy, past its triggers."""
    trace = root / "trace.jsonl"
    lines = trace.read_text("utf-8").splitlines()
    if what == "trace-lost":
        trace.write_text("\n".join(lines[:-1]) + "\n", "utf-8")
        return
    if what == "trace-weights":
        last = {**json.loads(lines[-1]), "stepdown.weights.digest": "0" * 64}
        trace.write_text("\n".join([*lines[:-1], json.dumps(last)]) + "\n", "utf-8")
        return
    database = sqlite3.connect(root / "stepdown.db", isolation_level=None)
    for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        database.execute(f'DROP TRIGGER "{name}"')
    altered = {
        "history-score": "UPDATE step SET score = score + 0.25 WHERE seq = (SELECT max(seq) FROM step WHERE score > 0)",
        "history-reason": "UPDATE step SET reason = 'nobody-knows' WHERE seq = (SELECT max(seq) FROM step)",
    }[what]
    if database.execute(altered).rowcount == 0:
        database.execute("UPDATE step SET seed = seed + 1 WHERE seq = (SELECT max(seq) FROM step)")
    database.close()
