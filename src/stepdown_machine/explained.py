"""Edits of the oracle that no campaign on the toy can notice, each with the reason."""

from __future__ import annotations

import re
from collections.abc import Mapping

from stepdown_machine.edits import Edit

EXPLAINED: Mapping[str, str] = {
    "changes.py _register statement deleted: model.alter(bundle.bundle, files=files) -> nothing": "Two "
    "trainings of one job are two bundles in the toy, unless the "
    "first is whole and counts: then nothing of it changes. A system whose id is the content meets it.",
    **dict.fromkeys(
        (
            "changes.py initial_model comparison: description.draw is not None -> description.draw is None",
            "changes.py initial_model if negated: description.draw is not None -> not description.draw is not None",
            "changes.py initial_model statement deleted: model.draw = partial(_drawn, description.draw) -> nothing",
            "changes.py _drawn comparison: seed is None -> seed is not None",
            "changes.py _drawn branches swapped: anywhere(seed) if seed is None else (draw(seed), draw(seed)) -> "
            "(draw(seed), draw(seed)) if seed is None else anywhere(seed)",
        ),
        "The toy does not say how it draws, and is held to what was seen. A system that says it meets it.",
    ),
    "invariants/artifacts.py _gate condition dropped: step.role == 'competitor' -> nothing": "Only a competitor has a score.",
    "invariants/artifacts.py _leaks condition dropped: step.role == 'competitor' -> nothing": "The toy's coach says what no "
    "record can hold. A system whose coach repeats a good answer meets it.",
    "invariants/history.py _views comparison: held.observer == observer -> held.observer != observer": "Each then has the "
    "view of all others, and who differs is noticed as well: the toy has three observers.",
    "invariants/history.py _ending condition dropped: report.ending is not None -> nothing": "The toy says of every run how it "
    "ended. A system that says it of none meets it.",
    "invariants/witnesses.py _reply condition dropped: call is not None -> nothing": "The toy's recovery leaves out a call "
    "that its provider never heard of. A system that keeps it has an attempt that the trace does not know.",
    "invariants/witnesses.py _same comparison: one is two -> one is not two": "The toy knows the price of every call, and so "
    "what was saved.",
    "model/registry.py Model.retire condition dropped: registered.deleted -> nothing": "The toy refuses to retire what was "
    "deleted. A system that does nothing instead keeps it deleted.",
}
"""What `Edit.description` says of an edit, and why nobody can notice it: it changes nothing, or nothing that the toy does."""


BOUNDARY = re.compile(r"comparison: .* (<|>)(=?) .*(SLACK|ROUNDING|1e-9) -> ")


def reason(edit: Edit) -> str:
    """Say why nobody can notice an edit; nothing where nobody said it."""
    boundary = BOUNDARY.search(edit.description)
    if boundary and {boundary[1], f"{boundary[1]}="} == {_sign(edit.before), _sign(edit.after)}:
        return "No difference is exactly as large as the slack for sums in another order."
    return EXPLAINED.get(edit.description, "")


def _sign(comparison: str) -> str:
    return max(re.findall(r" ([<>]=?) ", comparison), default="", key=len)
