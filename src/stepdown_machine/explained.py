"""Edits of the oracle that no campaign can notice, each with the reason: they change nothing that can happen."""

from __future__ import annotations

from collections.abc import Mapping

EXPLAINED: Mapping[str, str] = {}
"""What `Edit.said` says of an edit, and why it changes nothing."""
