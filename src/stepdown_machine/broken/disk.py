"""What the toy keeps: everything durable lies here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

Row: TypeAlias = dict[str, Any]


@dataclass(slots=True)
class Disk:
    """What survives a crash.

    Attributes:
        acts: Registrations, switches, policies: what the operator did, oldest first.
        opened: How often the system was opened; `living` are the processes that have it open.
        announced: Calls under way, by call id.
        breakers: Stored with the attempt that changed them.
        bundles: Directory name to its files.
        compared: Comparisons, and the outcome of each that came to one.
        plans: What a run was to be, with what may not change meanwhile; `endings` is how it ended,
            `playing` the process that plays it, or did.
        lessons: What the coach taught, with the step that it came of.
        judgements: What was said later of a step's answer.
        logs: What was logged elsewhere, by log; `written` are datasets and the text that was asked with when they were.
        checkpoints: How far killed tunings had come, by job.
        environment: How providers behave; `version` is the scenario's, `base` lies where the base does, `text` is asked with;
            `decoding` is how bundles are decoded.
    """

    now: float
    acts: list[tuple[Any, ...]] = field(default_factory=list)
    opened: int = 0
    living: set[int] = field(default_factory=set)
    runs: list[str] = field(default_factory=list)
    plans: dict[str, tuple[int, int, int, tuple[int, str]]] = field(default_factory=dict)
    compared: dict[str, str | None] = field(default_factory=dict)
    endings: dict[str, str] = field(default_factory=dict)
    playing: dict[str, int] = field(default_factory=dict)
    announced: dict[str, Row] = field(default_factory=dict)
    steps: list[Row] = field(default_factory=list)
    generations: list[Row] = field(default_factory=list)
    breakers: dict[str, Any] = field(default_factory=dict)
    trace: list[Row] = field(default_factory=list)
    datasets: dict[str, str] = field(default_factory=dict)
    bundles: dict[str, dict[str, Any]] = field(default_factory=dict)
    lessons: list[tuple[str, str]] = field(default_factory=list)
    judgements: list[tuple[str, float]] = field(default_factory=list)
    logs: dict[str, list[tuple[int, int, str]]] = field(default_factory=dict)
    written: dict[str, str] = field(default_factory=dict)
    checkpoints: dict[tuple[str, ...], tuple[int, str]] = field(default_factory=dict)
    environment: dict[str, Any] = field(
        default_factory=lambda: {
            "local": "calm",
            "frontier": "calm",
            "version": 1,
            "base": "own",
            "text": "own",
            "decoding": "own",
        }
    )
