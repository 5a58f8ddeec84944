"""What the machine once found, as programs: a shrunk example outlives every change of the rules, a saved blob does not."""

from __future__ import annotations

from dataclasses import dataclass

from stepdown_machine import operations as op
from stepdown_machine.values import Policy


@dataclass(frozen=True, slots=True)
class Program:
    """One fault that was fixed.

    Attributes:
        claim: What was not so, as it is now.
        operations: The shortest way to see it.
        variant: A variant of the toy with the same fault: a program that cannot fail proves nothing.
    """

    claim: str
    operations: tuple[op.Operation, ...]
    variant: str


BUNDLE = (op.Run(0, 1, 2), op.Export(), op.Train("dataset-1", "tiny-a"), op.Activate("bundle-1"))

PROGRAMS = (
    Program(
        "a deleted bundle's id does not come back when its job is trained again at the same instant",
        (*BUNDLE, op.Delete("bundle-1"), op.Train("dataset-1", "tiny-a"), op.Activate("bundle-2"), op.Run(0)),
        "same-id-again",
    ),
    Program(
        "a damaged bundle of a newer format is damaged",
        (op.Plant("newer-format"), op.Damage("bundle-1", "flip"), op.Run(0)),
        "existence-is-the-check",
    ),
    Program(
        "an export of one strategy can be trained",
        (op.Run(0), op.Export(), op.Train("dataset-1", "tiny-a"), op.Activate("bundle-1"), op.Run(0)),
        "one-record-is-none",
    ),
    Program(
        "a step that recovery closed keeps the reason of its decision",
        (*BUNDLE, op.Disable("bundle-1"), op.Crash(op.Run(0), "announced"), op.Audit()),
        "recovered-for-no-reason",
    ),
    Program(
        "a bundle is not pruned while a kept run's verdict rests on it",
        (*BUNDLE, op.Train("dataset-1", "tiny-b"), op.Promote("bundle-2", 0.0), op.Prune(), op.Prune(keep=0)),
        "prune-takes-the-compared",
    ),
    Program(
        "a comparison is an examination of its own and leaves the bundle's evaluation as it was",
        (*BUNDLE, op.Promote("bundle-1", 0.5), op.Run(0), op.SetPolicy(Policy(min_valid=1.0)), op.Run(1)),
        "examined-by-its-comparison",
    ),
)
