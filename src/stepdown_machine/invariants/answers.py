"""A0: every answer is one that the contract names, and a refusal changes nothing."""

from __future__ import annotations

from collections.abc import Iterator

from stepdown_machine import operations as op
from stepdown_machine.findings import Finding
from stepdown_machine.model import LegalAnswers, Model
from stepdown_machine.protocol import Answer
from stepdown_machine.transition import StepReview, Transition
from stepdown_machine.values import (
    Audited,
    Bundle,
    Changed,
    Dataset,
    Imported,
    Pointed,
    Promoted,
    Pruned,
    Ran,
    Refusal,
    Responded,
    Routed,
    RunReport,
)

SHAPES: dict[type, type] = {
    op.Run: Ran,
    op.Export: Dataset,
    op.Train: Bundle,
    op.Evaluate: Bundle,
    op.Plant: Bundle,
    op.Promote: Promoted,
    op.Rollback: Pointed,
    op.Prune: Pruned,
    op.Report: RunReport,
    op.Audit: Audited,
    op.Ask: Responded,
    op.Route: Routed,
    op.Resume: Ran,
    op.Import: Imported,
    op.Changes: Changed,
}


def answers_are_the_contracts(
    transition: Transition, _model: Model, _reviews: tuple[StepReview, ...]
) -> Iterator[Finding]:
    """A0: an answer has the shape its operation promises, and a refused operation leaves no act behind.

    Whether it may be refused is asked before the operation is told to the model: see `answer_is_legal`.
    """
    refused = [answer for _, answer in transition.answered() if isinstance(answer, Refusal)]
    for operation, answer in transition.answered():
        wanted = SHAPES.get(type(operation), type(None))
        if not isinstance(answer, wanted | Refusal):
            yield Finding("A0", f"answers {wanted.__name__}", f"{answer!r}", f"{type(operation).__name__} promises it")
    if refused and len(refused) == len(transition.parts) and transition.seen.acts != transition.before.acts:
        yield Finding(
            "A0", "no act is recorded", f"{transition.seen.acts[len(transition.before.acts) :]}", "it was refused"
        )


def answer_is_legal(answer: Answer, legal: LegalAnswers) -> Iterator[Finding]:
    """A0: the answer is one of those that the contract allows in this state."""
    kind = answer.kind if isinstance(answer, Refusal) else None
    if not legal.allows(kind):
        did = f"refused as {kind}" if kind else "done, and not refused"
        yield Finding("A0", str(legal), did, legal.because)
