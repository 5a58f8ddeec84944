"""How bundles are trained under the machine, by the word for it: small enough that a training takes parts of a second."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

from stateful import bases
from stateful.environment import ON_GRID
from stepdown.bundles.manifest import NAME
from stepdown.training.plan import Plan
from stepdown.training.tuning import AnyPlan

SMALL = {"width": 32, "heads": 2, "ffn": 48, "batch": 4, "rehearsals": 1}
PLANS: dict[str, AnyPlan] = {
    # With few words of its own a net spells: this one is legal under every lesson of the coach, the other now and then is not.
    "tiny-a": Plan.tiny(**SMALL, vocab=300, iterations=50, seed=2),
    "tiny-b": Plan.tiny(**SMALL, iterations=60, seed=1),
    "weak": Plan.tiny(**SMALL, iterations=12, seed=3),
}
TUNED: dict[str, AnyPlan] = {"tuned": bases.PLAN} if bases.HERE else {}
if not ON_GRID:
    # Who reads sentences is tuned: a net of this size says nothing legal, and so is the weak one.
    PLANS = {**TUNED, "weak": PLANS["weak"]}

SAID: dict[str, str] = {}
"""The word for the plan that a bundle's manifest names, for as long as this process lasts: its id is the digest of that."""


def plan_said(directory: Path) -> str | None:
    """Return the word for the plan that a bundle says it was trained by; None where it said nothing before it was lost."""
    manifest = directory / NAME
    written = b"" if directory.name in SAID or not manifest.is_file() else manifest.read_bytes()
    # What is another one by now says nothing.
    if sha256(written).hexdigest() == directory.name:
        plan = json.loads(written)["plan"]
        known = {word: json.loads(plan.to_json()) for word, plan in {**PLANS, **TUNED}.items()}
        SAID[directory.name] = next((word for word, each in known.items() if each == plan), "another one")
    return SAID.get(directory.name)
