"""What is true of the toy now: folds over acts."""

from __future__ import annotations

import hashlib
import json
from typing import Any, TypeAlias

from stepdown_machine.broken import harness, recovery

Row: TypeAlias = dict[str, Any]
FILES = ("manifest", "weights", "config")
TERMS = ("version", "decoding")


class Refused(Exception):
    """The system says no; the first argument is the kind."""


def digest(text: str) -> str:
    """Return a short content digest."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class Standing(recovery.Recovery):
    """One process with the system open, as far as it knows how things stand."""

    def policy(self) -> Row:
        """Return the last policy."""
        return next(act[1] for act in reversed(self.disk.acts) if act[0] == "policy")

    def validators(self) -> set[str]:
        """Return the enabled validators."""
        enabled = {"json-object", *harness.VALIDATORS}
        for act in self.disk.acts:
            if act[0] == "validator":
                enabled = enabled | {act[1]} if act[2] else enabled - {act[1]}
        return enabled

    def registered(self, bundle: str) -> Row:
        """Return what was registered of a bundle, as it was evaluated last by the terms of now, or else by any."""
        found: list[Row] = []
        for act in self.disk.acts:
            if act[:2] in (("register", bundle), ("evaluate", bundle)):
                # What an evaluation does not say is as it was before.
                found.append({**(found[-1] if found else {}), **act[2]})
        if not found:
            raise Refused("unknown-bundle")
        counted = [facts for facts in found if all(facts[name] == self.disk.environment[name] for name in TERMS)]
        return dict((counted or found)[-1])

    def shown(self, bundle: str) -> Row:
        """Say what people are told of a bundle."""
        facts = self.registered(bundle)
        score = None if facts["score"] != facts["score"] else facts["score"]
        missed = not self.retired(bundle) and not (self.whole(bundle) and self.based(bundle))
        return {"measured": (score, facts["valid"]), "missed": missed}

    def told_of(self, run: str) -> Row:
        """Say of a run what its bundles are like, and what it taught."""
        mine = [row for row in self.disk.steps if row["run"] == run]
        asked = sorted({row["bundle"] for row in mine if row["bundle"] is not None})
        taught = tuple(text for text, step in self.disk.lessons if step in {row["step"] for row in mine})
        return {"measured": tuple((bundle, self.shown(bundle)["measured"]) for bundle in asked), "lessons": taught}

    def based(self, bundle: str) -> bool:
        """Tell whether a bundle has the base that it answers with."""
        return self.registered(bundle)["base"] in (None, self.disk.environment["base"])

    def retired(self, bundle: str) -> bool:
        """Tell whether a bundle was retired or deleted."""
        return ("retire", bundle) in self.disk.acts or ("delete", bundle) in self.disk.acts

    def enabled(self, bundle: str) -> bool:
        """Tell whether a bundle is switched on."""
        switches = [act[0] for act in self.disk.acts if act[0] in ("enable", "disable") and act[1] == bundle]
        return not switches or switches[-1] == "enable"

    def active(self, role: str) -> str | None:
        """Return the slot's bundle."""
        held = [act[1] for act in self.disk.acts if act[0] == "activate"]
        return held[-1] if role == "competitor" and held and not self.retired(held[-1]) else None

    def whole(self, bundle: str) -> bool:
        """Tell whether every byte of a bundle is what its id promises."""
        files = self.disk.bundles.get(bundle)
        if files is None or set(files) != set(FILES) or not all(isinstance(text, str) for text in files.values()):
            return False
        listed = json.loads(files["manifest"])["files"] if digest(files["manifest"]) == bundle else {}
        return listed == {name: digest(files[name]) for name in FILES[1:]}
