"""What a broken variant is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Variant:
    """One edit of one module.

    Attributes:
        claim: Code of the invariant that must notice it.
        rule: The rule that it spoils.
        module: One of `loading.MODULES`.
        source: A public report of such a fault, or the reasoning.
        before: Text that occurs exactly once; `after` takes its place.
    """

    claim: str
    rule: str
    module: str
    source: str
    before: str
    after: str
