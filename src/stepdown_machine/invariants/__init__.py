"""The promises: free functions over a transition and the model after it, each named after its claim.

Each yields a finding for every way in which the promise is broken, changes nothing, and is the only one to catch at
least one of the broken variants in `stepdown_machine.broken`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

from stepdown_machine.findings import Finding
from stepdown_machine.invariants.answers import answers_are_the_contracts
from stepdown_machine.invariants.artifacts import (
    export_is_a_function_of_rows,
    scores_replay,
)
from stepdown_machine.invariants.bundles import bundles_are_whole_or_invisible
from stepdown_machine.invariants.history import (
    fallback_changes_no_preference,
    history_explains_the_state,
    one_active_bundle_per_slot,
)
from stepdown_machine.invariants.routing import (
    every_fallback_has_its_reason,
    local_is_tried_first_when_valid,
    local_serves_only_when_valid,
)
from stepdown_machine.invariants.shadows import shadows_only_watch
from stepdown_machine.invariants.succession import succession_follows_its_evidence
from stepdown_machine.invariants.witnesses import (
    history_equals_trace,
    totals_add_up,
    trace_names_the_weights_that_answered,
)
from stepdown_machine.model import Model
from stepdown_machine.transition import StepReview, Transition

Invariant: TypeAlias = Callable[[Transition, Model, tuple[StepReview, ...]], Iterator[Finding]]

INVARIANTS: Mapping[str, Invariant] = {
    "I1": local_serves_only_when_valid,
    "I2": local_is_tried_first_when_valid,
    "I3": every_fallback_has_its_reason,
    "I4": history_equals_trace,
    "I5": trace_names_the_weights_that_answered,
    "I6": one_active_bundle_per_slot,
    "I7": scores_replay,
    "I8": export_is_a_function_of_rows,
    "I9": bundles_are_whole_or_invisible,
    "I10": history_explains_the_state,
    "I11": fallback_changes_no_preference,
    "I12": totals_add_up,
    "I13": shadows_only_watch,
    "I14": succession_follows_its_evidence,
    "A0": answers_are_the_contracts,
}
"""Every invariant by its code, in the order in which a failure names them."""

CLAIMS: Mapping[str, str] = {code: check.__name__.replace("_", " ") for code, check in INVARIANTS.items()}
"""The claim of each invariant, for people."""
