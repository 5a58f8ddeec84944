"""A small correct system and many broken ones: the machine's own test.

`system("correct")` is the toy behind its adapter; `system(name)` is the toy with the one edit of that variant.
"""

from __future__ import annotations

from stepdown_machine.broken.loading import edited, system
from stepdown_machine.broken.variant import Variant
from stepdown_machine.broken.variants import VARIANTS

__all__ = ["VARIANTS", "Variant", "edited", "system"]
