"""Naming what there is: bundles, runs and datasets of a session, and now and then one that does not exist."""

from __future__ import annotations

from hypothesis import strategies as st

from stepdown_machine.names import UNKNOWN
from stepdown_machine.rules.turns import TurnMachine

RUNS = st.sampled_from((1, 0, 1, 2))
"""How many runs follow an act: mostly one, so that what it did is seen before the next act hides it."""


def _pick(machine: TurnMachine, choice: int, kind: str) -> str:
    names = machine.session.names.of(kind)
    if kind == "bundle" and choice != 14:
        names = tuple(
            name for name in names if (registered := machine.session.registered(name)) is None or not registered.deleted
        )
    # One in sixteen bundles, and one in eight of the rest, does not exist.
    if not names or choice >= (15 if kind == "bundle" else 14):
        return UNKNOWN[kind]
    held = machine.session.model.slots.get("competitor")
    if kind == "bundle" and held is not None and choice % 2 == 0:
        return machine.session.names.name(kind, held)
    return names[-1 - (choice // 2) % len(names)]


def pick(kind: str) -> st.SearchStrategy[str]:
    """Draw a readable name: often the slot's bundle, else any, rarely one that does not exist."""
    return st.builds(_pick, st.runner(), st.integers(0, 15), st.just(kind))


def planted(machine: TurnMachine, bundle: str) -> bool:
    """Tell whether a bundle does not belong: whether such a one may be activated again is not in the contract."""
    registered = machine.session.registered(bundle)
    return registered is not None and not registered.belongs


def some(machine: TurnMachine, kind: str, choice: int) -> str:
    """Return a readable name, the newest first; one that does not exist when there is none."""
    names = machine.session.names.of(kind) or (UNKNOWN[kind],)
    return names[-1 - choice % len(names)]
