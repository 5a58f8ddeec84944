"""What something was after so many rows, and which of these moments a step can have seen. Pure.

A step looks, decides and announces its first call in one transaction of the one writer, and whoever acts on a bundle, sets a
policy, turns a validator or records an evaluation does it in another. So every step saw just the first so many rows of each
table, and never fewer than a step announced before it. No row says how many. An audit takes the least number that explains
what a step says it saw: what no number explains never was so.

Between two announcements the order of an act against a step of another session is known to nobody: both ways of seeing are
believed, and an act that is undone before anybody came to see it explains what a step says that saw it.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Trail:
    """What each of several things was, one state after another.

    Attributes:
        before: What each was before the first row.
        starts: By thing, after how many rows each of its states began.
        states: By thing, those states.
    """

    before: Hashable
    starts: dict[Hashable, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0]))
    states: dict[Hashable, list[Hashable]] = field(default_factory=dict)
    _never: dict[tuple[Hashable, Hashable], int] = field(default_factory=dict)

    def note(self, rows: int, states: Mapping[Any, Hashable]) -> None:
        """Say what everything is after so many rows; what is not named is what it was before the first."""
        for thing in [*states, *(gone for gone in self.states if gone not in states)]:
            earlier, now = self.states.setdefault(thing, [self.before]), states.get(thing, self.before)
            if earlier[-1] != now:
                earlier.append(now)
                self.starts[thing].append(rows)

    def least(self, thing: Hashable, wanted: Hashable, rows: int) -> int | None:
        """Return the least number of rows, at least so many, after which a thing was as is wanted; None if it never was."""
        states, starts = self.states.get(thing, [self.before]), self.starts.get(thing, [0])
        if self._never.get((thing, wanted), rows + 1) <= rows:
            return None
        current = bisect_right(starts, rows) - 1
        if states[current] == wanted:
            return rows
        from_here = zip(starts[current:], states[current:], strict=True)
        first = next((start for start, state in from_here if state == wanted), None)
        if first is None:
            self._never[thing, wanted] = rows
        return first


@dataclass(slots=True)
class Reached:
    """The least number of rows that was there before an announcement, by all steps that began before it.

    Attributes:
        indexes: Of the announcements that were noted, ascending.
        numbers: How many rows were there at each of them.
    """

    indexes: list[int] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)

    def note(self, index: int, number: int) -> None:
        """Say how many rows were there at an announcement, after all those that were noted."""
        self.indexes.append(index)
        self.numbers.append(max(number, self.numbers[-1] if self.numbers else 0))

    def before(self, index: int) -> int:
        """Return how many rows were there before the announcement of an index."""
        noted = bisect_left(self.indexes, index)
        return self.numbers[noted - 1] if noted else 0


def caps(ends: Iterable[tuple[int, int]], announcements: int, most: int) -> list[int]:
    """Return, by index of an announcement, how many rows can have been there at most.

    Args:
        ends: Index of an announcement, and the number of rows before one that came after it.
        announcements: How many there are.
        most: How many rows there are.
    """
    at_most = [most] * (announcements + 1)
    for index, number in ends:
        at_most[index] = min(at_most[index], number)
    for index in range(announcements - 1, -1, -1):
        at_most[index] = min(at_most[index], at_most[index + 1])
    return at_most
