"""Broken variants of the toy, each one edit.

`source` names a public report of the same mechanism, or the reasoning. Adding one: make the edit, say why anybody would
write that, and see the machine fail.
"""

from __future__ import annotations

from collections.abc import Mapping

from stepdown_machine.broken.faults import (
    afterwards,
    artifacts,
    going_on,
    serving,
    spending,
    state,
    succession,
    walking,
    witnesses,
    wording,
)
from stepdown_machine.broken.variant import Variant

VARIANTS: Mapping[str, Variant] = {
    name: variant
    for faults in (serving, walking, witnesses, artifacts, state, succession, spending, afterwards, wording, going_on)
    for name, variant in faults.FAULTS.items()
}
"""Every variant by name."""
