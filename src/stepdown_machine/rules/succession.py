"""Who follows whom: promotion by evidence, the way back, and what is cleared away."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from statistics import fmean

from hypothesis import strategies as st

from stepdown_machine import operations as op
from stepdown_machine.names import UNKNOWN
from stepdown_machine.rules.picking import pick, planted
from stepdown_machine.rules.training import untrained
from stepdown_machine.rules.turns import Episode, TurnMachine, turn
from stepdown_machine.values import Bundle, Policy, Promoted

MARGINS = {"wide": 0.5, "narrow": 0.125, "none": 0.0}
WHO = ("this one", "this one", "another", "a weak one")
THEN = ("go on", "roll back", "prune it", "prune", "prune all", "go all the way back", "clear away", "ask every limit")


class SuccessionRules(TurnMachine):
    """What becomes of the slot."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: float | None = None
        """The margin that the last verdict just did not keep."""

    @turn(
        op.Promote,
        op.Rollback,
        op.Prune,
        bundle=pick("bundle"),
        who=st.sampled_from(WHO),
        margin=st.sampled_from(("wide", "at", "above", "narrow", "none")),
        then=st.sampled_from(THEN),
    )
    def promote(self, bundle: str, who: str, margin: str, then: str) -> None:
        """Promote a bundle by evidence, at a margin just shown or just not; then go on, go back, or clear away."""
        bundle = self._chosen(who) or bundle
        if self.can(op.Promote) and not planted(self, bundle):
            answer = self.act(op.Promote(bundle, self._margin(margin)))
            self.act(op.Activate(bundle, proven=True))
            if isinstance(answer, Promoted) and answer.pairs:
                self.shown = min(0.5, max(0.0, -answer.upper if answer.outcome == "reject" else -answer.lower))
        self.tell(self._stories()[then]() if then in self._stories() else self._then(then, bundle))
        self.follow(1)

    def episodes(self) -> dict[str, Episode]:
        """Add the stories that may follow a promotion, each on its own."""
        stories = {word: partial(self._meeting, story) for word, story in self._stories().items()}
        return {**super().episodes(), **stories}

    def _meeting(self, story: Callable[[], Iterator[op.Plain]], _place: int) -> None:
        self.tell(story())

    def _stories(self) -> dict[str, Callable[[], Iterator[op.Plain]]]:
        return {
            # What clears away comes last: it leaves nobody to ask.
            "ask every limit": self._every_limit,
            "go all the way back": self._all_the_way_back,
            "clear away": self._clearing,
        }

    def _then(self, then: str, bundle: str) -> Iterator[op.Plain]:
        if then == "roll back":
            yield op.Rollback()
            if not planted(self, bundle):
                yield op.Activate(bundle, proven=True)
        elif then != "go on":
            clear = op.Prune(bundle if then == "prune it" else None, 0 if then == "prune all" else None)
            yield from (replace(clear, ahead=True), clear)

    def _margin(self, margin: str) -> float:
        if self.shown is None or margin in MARGINS:
            return MARGINS.get(margin, 0.5)
        return self.shown if margin == "at" else min(0.5, math.nextafter(self.shown, 1.0))

    def _chosen(self, who: str) -> str | None:
        """Name a bundle that could serve and is not the slot's, training one where there is none; or a weak one."""
        if who != "another":
            return self.session.usable(0, weak=True) if who == "a weak one" else None
        names, held = self.session.names, self.session.model.slots.get("competitor")
        name = self.session.usable(1)
        if (name is not None and names.ids["bundle"][name] != held) or not names.of("dataset"):
            return name
        bundle = self.act(untrained(self, 0))
        return names.name("bundle", bundle.bundle) if isinstance(bundle, Bundle) else None

    def _two(self) -> tuple[str, str] | None:
        """Name two whole, enabled bundles that could serve; `None` when there are no two."""
        other, one = self._chosen("another"), self.session.usable(0)
        pair = [name for name in (one, other) if name is not None and self._ready(name)]
        return (pair[0], pair[1]) if len(set(pair)) == 2 else None

    def _ready(self, bundle: str) -> bool:
        registered = self.session.registered(bundle)
        return registered is not None and registered.enabled and registered.files == "whole" and not registered.retired

    def _all_the_way_back(self) -> Iterator[op.Plain]:
        """Go back past what is switched off or damaged, and then until there is nothing to go back to."""
        pair = self._two()
        # In either order: what compares their ids is right about one.
        for one, two in (pair, (pair[1], pair[0])) if pair is not None else ():
            yield op.Activate(one)
            if pair is not None and one == pair[0]:
                # As whole as the slot's, so both are asked the same.
                yield op.Promote(two, 0.25)
            self._not_shown(two, one)
            yield from (op.Activate(two), op.Rollback(), op.Activate(two))
            yield from (op.Disable(one), op.Rollback(), op.Enable(one), op.Activate(two))
            yield from (op.Damage(one, "flip"), op.Rollback(), op.Restore(one), op.Activate(two))
        if pair is not None:
            yield from self._proven(*pair)
        for _ in range(len(self.session.model.way) + 1):
            yield op.Rollback()

    def _not_shown(self, bundle: str, held: str) -> None:
        """Compare with a frontier that says nothing legal, at a margin that the lead of the slot's bundle just goes beyond."""
        # All that could speak against it then is a lead that so few seeds do not show.
        self.act(op.Disturb(frontier="illegal"))
        answer = self.act(op.Promote(bundle, 0.2))
        if isinstance(answer, Promoted) and answer.rivals:
            its = {each.seed: each.score for each in answer.rivals}
            leads = [its[pair.seed] - pair.score for pair in answer.pairs if pair.seed in its]
            if leads and 0 < (behind := fmean(leads)) <= 0.5:
                self.tell((op.Activate(held), op.Promote(bundle, behind * 0.9)))
        self.act(op.Disturb())

    def _proven(self, one: str, two: str) -> Iterator[op.Plain]:
        """Ask for proof under other terms than a verdict was given under, and under its own."""
        version = self.session.model.version
        yield from (op.Activate(one), op.Promote(two, 0.5), op.Activate(one))
        others: list[tuple[op.Plain, op.Plain]] = [
            *((op.Redecode(how), op.Redecode("own")) for how in self.session.description.decodings[1:2]),
            (op.Revise(version + 1), op.Revise(version)),
        ]
        for other, own in others:
            yield from (other, op.Activate(two, proven=True), op.Promote(two, 0.5), own)
        yield from (op.Activate(two, proven=True), op.Activate(one))

    def _clearing(self) -> Iterator[op.Plain]:
        """Prune what is active, what is next on the way back, what a run asked, and what was retired."""
        if pair := self._two():
            one, two = pair
            yield from (op.SetPolicy(Policy()), op.Disturb())
            yield from (op.Activate(one), op.Run(0), op.Activate(two), op.Run(0))
            yield from (op.Prune(ahead=True), op.Prune(two, ahead=True), *self._held())
            yield from (op.Prune(keep=0), op.Prune(one), op.Prune(two), op.Rollback(), op.Prune())
            # Switched off it is no way back any more: only the run that asked it still needs it.
            yield from (op.Activate(two), op.Disable(one), op.Prune(one), op.Prune(), op.Prune(keep=0), op.Rollback())
            yield from (op.Retire(two), op.Prune(), op.Prune(two))

    def _held(self) -> Iterator[op.Plain]:
        """Look ahead before and after somebody says something of a bundle: by a verdict alone, as it was never anybody's."""
        third = self.act(untrained(self, 0)) if self.session.names.of("dataset") else None
        if isinstance(third, Bundle):
            name = self.session.names.name("bundle", third.bundle)
            yield from (op.Prune(keep=0, ahead=True), op.Promote(name, 0.0), op.Prune(keep=0, ahead=True))
            # Into an empty slot leads a way back as well.
            yield from (
                op.Activate(name),
                op.Retire(name),
                op.Prune(keep=0, ahead=True),
                op.Rollback(),
                op.Delete(name),
            )

    def _every_limit(self) -> Iterator[op.Plain]:
        """Promote where only one thing speaks against it: the legal share, the harness, consent, a silent frontier."""
        fit, weak = self.session.usable(0), self.session.usable(0, weak=True)
        yield from (op.Disturb(frontier="illegal"), op.SetPolicy(Policy(min_valid=1.0)))
        yield from (op.Promote(name, 0.5) for name in (weak, fit) if name is not None)
        yield op.SetPolicy(Policy(min_coverage=self.session.model.coverage()))
        if fit is not None and self.validator in self.session.model.validators:
            yield from (op.Promote(fit, 0.5), op.SetValidator(self.validator, enabled=False), op.Promote(fit, 0.5))
            yield op.SetValidator(self.validator, enabled=True)
        yield from (op.Disturb(frontier="error"), op.SetPolicy(Policy()))
        yield from (op.Promote(name, 0.5) for name in (fit,) if name is not None)
        yield from (op.SetPolicy(Policy(frontier_never=("competitor",))), op.Promote(fit or UNKNOWN["bundle"]))
        yield from (op.SetPolicy(Policy()), op.Disturb())
