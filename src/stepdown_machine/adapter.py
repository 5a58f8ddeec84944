"""What is wrong with an adapter, said about the adapter: before the oracle judges the system behind it."""

from __future__ import annotations

from collections.abc import Collection
from importlib import import_module
from typing import Any

from stepdown_machine.observed import Observation
from stepdown_machine.protocol import Description, HandoffSystem

METHODS = ("describe", "perform", "observe", "close")


class AdapterError(Exception):
    """An adapter does not keep the protocol; the message is one sentence that says what to do."""


def load(path: str) -> HandoffSystem:
    """Return a fresh adapter of the factory that `module:name` names.

    Raises:
        AdapterError: There is no such factory, or it makes nothing that keeps the protocol.
    """
    module, _, name = path.partition(":")
    if not module or not name:
        raise AdapterError(f"The adapter {path!r} must be named as module:name, such as my_package.adapter:MyAdapter.")
    try:
        factory = getattr(import_module(module), name)
    except (ImportError, ValueError) as error:
        raise AdapterError(f"The module of the adapter {path!r} cannot be imported ({error}).") from error
    except AttributeError as error:
        raise AdapterError(f"The module {module} has no {name}; see the spelling of the adapter {path!r}.") from error
    if not callable(factory):
        raise AdapterError(f"The adapter {path!r} must be a class or function that makes a fresh system.")
    system: HandoffSystem = factory()
    described(system)
    fresh(system)
    return system


def described(system: HandoffSystem) -> Description:
    """Return what an adapter says of itself, when it has every method and says it.

    Raises:
        AdapterError: A method is missing, or the description is none.
    """
    name = type(system).__name__
    missing = [each for each in METHODS if not callable(getattr(system, each, None))]
    if missing:
        raise AdapterError(f"The adapter {name} has no {', '.join(missing)}(); see stepdown_machine.protocol for each.")
    description: Any = system.describe()
    if not isinstance(description, Description):
        raise AdapterError(
            f"describe() of the adapter {name} gave {type(description).__name__}; it must return a Description."
        )
    return description


def fresh(system: HandoffSystem) -> Observation:
    """Return the first observation of an adapter that nothing was asked of yet.

    Raises:
        AdapterError: It gives something else than an observation, or holds what another adapter did.
    """
    name = type(system).__name__
    seen: Any = system.observe()
    if not isinstance(seen, Observation):
        raise AdapterError(
            f"observe() of the adapter {name} gave {type(seen).__name__}; it must return an Observation."
        )
    untouched(name, seen, {bundle.bundle for bundle in described(system).given})
    return seen


def untouched(name: str, seen: Observation, given: Collection[str] = ()) -> None:
    """See that an observation is one of an empty system.

    Args:
        name: Of the adapter.
        seen: What it shows.
        given: Bundles that a fresh system has.

    Raises:
        AdapterError: It holds rows that only another adapter can have made.
    """
    held = {
        "steps": seen.steps,
        "calls": seen.calls,
        "calls under way": seen.announced,
        "bundles": [each for each in seen.shelf if each.bundle not in given],
        "datasets": seen.datasets,
    }
    if leftovers := [f"{len(rows)} {kind}" for kind, rows in held.items() if rows]:
        raise AdapterError(
            f"A fresh adapter {name} already holds {', '.join(leftovers)}: two adapters share state, so make every file, "
            "row and list anew for each one in its __init__."
        )
