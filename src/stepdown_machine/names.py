"""Readable names for the system's ids, so that a failure reads `activate(bundle='bundle-1')` on every machine."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from stepdown_machine import operations as op
from stepdown_machine.protocol import Answer
from stepdown_machine.values import Bundle, Dataset, Ran

UNKNOWN = {kind: f"no-such-{kind}" for kind in ("run", "dataset", "bundle")}
"""What is drawn when nothing else is there, and sometimes when something is: using it must be refused."""


@dataclass(slots=True)
class Names:
    """Ids by readable name, in the order of first sight; kinds are `run`, `dataset` and `bundle`."""

    ids: dict[str, dict[str, str]] = field(default_factory=lambda: {kind: {} for kind in UNKNOWN})

    def of(self, kind: str) -> tuple[str, ...]:
        """Return all readable names of a kind, oldest first."""
        return tuple(self.ids[kind])

    def translate(self, operation: op.Operation) -> op.Operation:
        """Return the operation with the system's ids in it."""
        match operation:
            case op.Crash():
                return self._crash(operation)
            case op.Rival(first=first, second=second):
                one, two = (
                    self._crash(each) if isinstance(each, op.Crash) else self._plain(each) for each in (first, second)
                )
                return replace(operation, first=one, second=two, then=tuple(map(self._plain, operation.then)))
            case op.Interleave():
                return operation
            case plain:
                return self._plain(plain)

    def _crash(self, crash: op.Crash) -> op.Crash:
        return replace(crash, operation=self._plain(crash.operation))

    def _plain(self, operation: op.Plain) -> op.Plain:
        changes = {
            kind: self.ids[kind].get(name, name)
            for kind in UNKNOWN
            if isinstance(name := getattr(operation, kind, None), str)
        }
        if isinstance(operation, op.Promote) and operation.resume is not None:
            changes["resume"] = self.ids["run"].get(operation.resume, operation.resume)
        return replace(operation, **changes) if changes else operation  # type: ignore[arg-type]

    def learn(self, answer: Answer) -> None:
        """Name whatever an answer holds that has no name yet."""
        match answer:
            case tuple():
                for part in answer:
                    self.learn(part)
            case Ran(run=id_):
                self.name("run", id_)
            case Dataset(dataset=id_):
                self.name("dataset", id_)
            case Bundle(bundle=id_):
                self.name("bundle", id_)

    def name(self, kind: str, identifier: str) -> str:
        """Return the readable name of an id, a new one if it has none."""
        ids = self.ids[kind]
        for name, id_ in ids.items():
            if id_ == identifier:
                return name
        name = f"{kind}-{len(ids) + 1}"
        ids[name] = identifier
        return name

    def readable(self, text: str) -> str:
        """Replace ids in a text by their names, each where it stands alone and once: an id may be another's name."""
        names = {id_: name for ids in self.ids.values() for name, id_ in ids.items() if id_}
        longest_first = sorted(map(re.escape, names), key=len, reverse=True)
        if not names:
            return text
        return re.sub(rf"(?<![^\W_])(?:{'|'.join(longest_first)})(?![^\W_])", lambda found: names[found[0]], text)
