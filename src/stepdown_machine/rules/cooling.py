"""The way of a breaker through every edge of its three states, each limit at, just below and just above."""

from __future__ import annotations

from stepdown_machine import operations as op
from stepdown_machine.values import Policy


def tour(held: str | None) -> tuple[op.Operation, ...]:
    """Return the story.

    Args:
        held: The point at which a run has said whom it asks, where one can be held there.
    """
    many, few, fewer = (
        Policy(breaker_threshold=most, breaker_window=100, breaker_cooldown=30, breaker_probes=probes)
        for most, probes in ((9, 3), (2, 3), (2, 2))
    )
    # While one asks, another may not ask as well.
    probe = op.Rival(op.Run(3), op.Run(0), held) if held else op.Run(0)
    # Who was killed while asking asks no more.
    dead = (op.Rival(op.Run(2), op.Crash(op.Run(0), held)), op.Advance(30)) if held else ()
    return (
        op.SetPolicy(Policy(breaker_threshold=2, breaker_window=10, breaker_cooldown=30, breaker_probes=2)),
        # Two failures that are one second too far apart, then one that is just near enough.
        op.Disturb("error", "error"), op.Run(0), op.Disturb("error"), op.Advance(11), op.Run(1), op.Advance(10),
        op.Run(2), op.Disturb(),
        # Open: until the last second, and also when the clock is set back.
        op.Run(0, 1, 6), op.Advance(29), op.Run(1, 1, 8), op.Advance(-60), op.Run(2, 1, 7), op.Advance(61),
        # Half-open: a good probe, then a bad one, which opens it anew from its own time.
        *dead, probe, op.Disturb("timeout"), op.Run(1), op.Disturb(), op.Advance(1), op.Run(2), op.Advance(29),
        # Two good probes close it and clear its memory.
        op.Run(0), op.Run(1), op.Disturb("error"), op.Run(2), op.Disturb(), op.Run(0),
        # Limits that are lowered below what was counted already.
        op.SetPolicy(many), op.Disturb("error"), op.Run(0), op.Run(1), op.Run(2), op.SetPolicy(few), op.Run(3),
        op.Disturb(), op.Run(0), op.Advance(30), op.Run(0), op.Run(1), op.SetPolicy(fewer), op.Disturb("error"), op.Run(2),
        op.Disturb(), op.Run(1), op.Advance(101),
        *_late(held),
        # Who has nobody to fall back to is cooled as well.
        op.SetPolicy(Policy(breaker_threshold=1, breaker_cooldown=5, mode="local-only")), op.Disturb("error"), op.Run(1),
        op.Disturb(), op.Run(2), op.Advance(5),
        # No cooldown is no cooldown.
        op.SetPolicy(Policy(breaker_threshold=1, breaker_cooldown=0)), op.Disturb("error"), op.Run(1), op.Disturb(),
        op.Run(2), op.Advance(10),
    )  # fmt: skip


def _late(held: str | None) -> tuple[op.Operation, ...]:
    """Let a call that was under way when the breaker opened fail later: it cools from then on. A good one changes nothing."""
    if held is None:
        return ()
    policy = Policy(breaker_threshold=1, breaker_window=10, breaker_cooldown=30)
    meanwhile = (op.Run(1), op.Disturb())
    return (
        op.SetPolicy(policy), op.Disturb("error"), op.Rival(op.Run(3), op.Run(0), held, later=10.0), op.Disturb(),
        op.Advance(29), op.Run(1), op.Advance(1), op.Run(2),
        op.Rival(op.Disturb("error"), op.Run(0), held, then=meanwhile), op.Advance(29), op.Run(1), op.Advance(1), op.Run(2),
    )  # fmt: skip
