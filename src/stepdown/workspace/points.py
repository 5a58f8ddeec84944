"""The points that a crash can fall between."""

POINTS = (
    "looked",
    "announced",
    "answered",
    "step-appended",
    "step-finished",
    "generation-decided",
    "knowledge-learned",
    "dataset-written",
    "dataset-renamed",
    "dataset-recorded",
    "weights-written",
    "bundle-renamed",
    "bundle-registered",
    "comparison-played",
    "rollback-checked",
    "act-appended",
    "act-recorded",
    "directory-removed",
    "policy-recorded",
)
"""Between two durable writes, in the order a journey passes them: where a crash would leave something half-said.

At `looked` the slot's bundle was looked at ahead of a step's transaction, which has not begun.
"""


def nowhere(_point: str) -> None:
    """Do nothing: what a workspace calls at each of `POINTS` unless it is given something else."""
