"""Where bundles stand: a pure fold over acts. The same rows give the same standing, to every process."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Protocol

Slot = tuple[str, str]
"""Scenario and role."""


PROMOTION, ROLLBACK, PRUNE = "promotion", "rollback", "prune"
MECHANISMS = {PROMOTION: "activate", ROLLBACK: "activate", PRUNE: "delete"}
"""Who acts when no person does, and the one kind of act that is theirs; nobody may act under these names."""


class SlotAct(Protocol):
    """What the fold looks at; `history.rows.Act` is one."""

    @property
    def kind(self) -> str:
        """`activate`, `disable`, `enable`, `retire` or `delete`."""

    @property
    def scenario(self) -> str:
        """The slot's scenario."""

    @property
    def role(self) -> str:
        """The slot's role."""

    @property
    def bundle(self) -> str:
        """The bundle's id."""


class Status(StrEnum):
    """A bundle's place in life."""

    CANDIDATE = "candidate"
    ACTIVE = "active"
    DISABLED = "disabled"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class Standing:
    """The state of the registry.

    Attributes:
        active: Slot to the one bundle it holds; the bundle may be switched off and is still the slot's.
        disabled: Bundles that are switched off.
        retired: Bundles that never serve again.
    """

    active: Mapping[Slot, str] = field(default_factory=lambda: MappingProxyType({}))
    disabled: frozenset[str] = frozenset()
    retired: frozenset[str] = frozenset()

    def after(self, act: SlotAct) -> "Standing":
        """Return the standing after one act."""
        match act.kind:
            case "activate":
                return replace(self, active={**self.active, (act.scenario, act.role): act.bundle})
            case "disable":
                return replace(self, disabled=self.disabled | {act.bundle})
            case "enable":
                return replace(self, disabled=self.disabled - {act.bundle})
            case "retire" | "delete":
                kept = {slot: bundle for slot, bundle in self.active.items() if bundle != act.bundle}
                return replace(self, active=kept, retired=self.retired | {act.bundle})
        return self

    def status(self, bundle: str) -> Status:
        """Return one bundle's place in life."""
        if bundle in self.retired:
            return Status.RETIRED
        if bundle in self.disabled:
            return Status.DISABLED
        return Status.ACTIVE if bundle in self.active.values() else Status.CANDIDATE


def fold(acts: Iterable[SlotAct]) -> Standing:
    """Return the standing after all acts, oldest first."""
    standing = Standing()
    for act in acts:
        standing = standing.after(act)
    return standing
