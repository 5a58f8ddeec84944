"""Broken variants of the toy."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Variant:
    """One edit."""

    module: str
    before: str
    after: str


VARIANTS: dict[str, Variant] = {}
