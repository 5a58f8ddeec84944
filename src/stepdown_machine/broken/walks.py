"""Operations of the toy on their way: to the end, to a point, or in turns with another one."""

from __future__ import annotations

from collections.abc import Generator

from stepdown_machine.protocol import One

POINTS = {
    "Run": ("looked", "announced", "asked", "asked-again", "called", "stored", "said"),
    "Resume": ("announced", "stored", "said"),
    "Ask": ("announced", "asked", "called", "stored"),
    "Export": ("written", "registered"),
    "Train": ("checkpointed", "weights-written", "manifest-written", "shelved", "registered"),
    "Promote": ("announced", "called", "stored", "compared", "committed"),
} | {
    **dict.fromkeys(("Delete", "Prune"), ("begun", "committed", "removed")),
    **dict.fromkeys(
        ("Activate", "Enable", "Disable", "Retire", "SetPolicy", "SetValidator", "Judge"),
        ("begun", "committed"),
    ),
    "Rollback": ("begun", "rollback-checked", "committed"),
}
"""At which points an operation of each kind can be killed, and held."""


def finish(begun: Generator[str, None, One]) -> One:
    """Run an operation to its end."""
    while True:
        try:
            next(begun)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]


def until(begun: Generator[str, None, One], point: str) -> tuple[bool, One]:
    """Run an operation up to a point; tell whether it got there, and its answer if it ended before."""
    try:
        while next(begun) != point:
            pass
    except StopIteration as end:
        return False, end.value
    return True, None


def alternate(first: Generator[str, None, One], second: Generator[str, None, One], turns: set[str]) -> tuple[One, One]:
    """Let two operations take turns, at every point or only at those named."""
    answers: dict[int, One] = {}
    pair = (first, second)
    while len(answers) < 2:
        for side in {0, 1} - answers.keys():
            try:
                while next(pair[side]) not in turns and "" not in turns:
                    pass
            except StopIteration as end:
                answers[side] = end.value
    return answers[0], answers[1]
