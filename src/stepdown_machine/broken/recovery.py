"""The toy opens: it closes what a killed process announced, and clears what it left half-written. The living keep theirs."""

from __future__ import annotations

from typing import Any, TypeAlias

Row: TypeAlias = dict[str, Any]


class Recovery:
    """One process with the system open, as far as it has to do with the dead."""

    def __init__(self, disk: Any) -> None:
        self.disk = disk
        self.process = disk.opened = disk.opened + 1
        disk.living.add(self.process)
        self.recover()

    def recover(self) -> None:
        """Close the calls and clear the parts of processes that live no more."""
        traced = {entry["call"]: entry for entry in self.disk.trace}
        dead = [call for call in self.disk.announced.values() if call["process"] not in self.disk.living]
        open_rows = {call["row"]["step"]: call["row"] for call in dead}
        for row in open_rows.values():
            calls = [call for call in self.disk.announced.values() if call["row"]["step"] == row["step"]]
            attempts = [recovered(call, traced[call["call"]]) for call in calls if call["call"] in traced]
            row |= {"attempts": attempts, "outcome": "interrupted", "error": "interrupted", "recovered": True}
            self.disk.steps.append(row)
        self.disk.announced = {name: call for name, call in self.disk.announced.items() if call not in dead}
        registered = {act[1] for act in self.disk.acts if act[0] == "register"}
        gone = {act[1] for act in self.disk.acts if act[0] == "delete"}
        parts = {
            name
            for name in self.disk.bundles
            if name.endswith(tuple(f".{process}.part" for process in self.disk.living))
        }
        kept = registered - gone | parts
        self.disk.bundles = {name: files for name, files in self.disk.bundles.items() if name in kept}
        written = {act[1] for act in self.disk.acts if act[0] == "export"}
        self.disk.datasets = {name: text for name, text in self.disk.datasets.items() if name in written}


def recovered(call: Row, entry: Row) -> Row:
    """Close one attempt from the trace where it knows the outcome, else as interrupted."""
    error = entry["error"] if entry["ended"] else "interrupted"
    outcome = {name: entry[name] for name in ("weights", "model", "input_tokens", "output_tokens")}
    return {"call": call["call"], "provider": call["provider"], "error": error, **outcome, "shadow": call["shadow"]}
