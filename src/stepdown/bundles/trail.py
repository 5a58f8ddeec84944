"""The way back: which bundles a slot held before the present one. A pure fold over acts, like `standing`.

An activation goes a step forward. A rollback goes back along the same way, so the bundles it left behind are not where the next
one leads: two rollbacks do not end where they began.
"""

from collections.abc import Iterable
from typing import Protocol

from stepdown.bundles import standing


class AttributedAct(standing.SlotAct, Protocol):
    """What the fold looks at; `history.rows.Act` is one."""

    @property
    def by(self) -> str:
        """Who did it; `rollback` for a rollback."""


def behind(acts: Iterable[AttributedAct], slot: standing.Slot, current: str | None) -> list[str]:
    """Return the bundles that a slot can go back to, the nearest first.

    Args:
        acts: Every act, oldest first.
        slot: Scenario and role.
        current: The bundle it holds now, which is never among them.
    """
    way: list[str] = []
    for act in acts:
        if (act.scenario, act.role) != slot:
            continue
        if act.kind in ("retire", "delete"):
            way = [bundle for bundle in way if bundle != act.bundle]
        elif act.kind == "activate" and act.by == standing.ROLLBACK and act.bundle in way:
            while way[-1] != act.bundle:
                way.pop()
        elif act.kind == "activate":
            way.append(act.bundle)
    return list(dict.fromkeys(bundle for bundle in reversed(way) if bundle != current))
