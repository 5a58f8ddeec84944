"""What is registered, switched, damaged and allowed: the state that accepted acts and outside damage make."""

from collections.abc import Callable
from copy import copy
from dataclasses import asdict, dataclass, field, replace

from stepdown_machine.model.breaker import Breaker
from stepdown_machine.model.limits import Limits
from stepdown_machine.model.registered import GONE, OWN, WHOLE, Evaluated, Registered


@dataclass(frozen=True, slots=True)
class Ground:
    """A reason of a system's own, and when it is due, as a rule about the world and the role that is asked.

    A rule reads `Model` and nothing else: not the system, or the system would be judged by its own word.
    """

    reason: str
    due: Callable[["Model", str], bool]


def anywhere(_seed: int | None) -> tuple[float, float]:
    """Say of a canary's draw what everybody knows."""
    return 0.0, 1.0


@dataclass(slots=True)
class Model:
    """One possible state of the world.

    Attributes:
        bundles: By id, in the order of first sight.
        slots: Role to the id of its bundle.
        way: Bundles that the competitor's slot was led through, oldest first; a rollback goes back along it.
        asked: Bundles that a run asked or compared; `unsure` may have been, in a comparison that was killed.
        breakers: Bundle id to the fold of its finished local attempts; closed and clear where there is none.
        datasets: Dataset id to digest; `tampered` are those altered behind the system's back.
        version: Scenario version now; `local` and `frontier` are how the providers behave.
        probes: One pair (legal, objectors) for each coverage probe.
        lacks: Reasons that the system has no notion of; `grounds` are those of its own.
        draws: Step seed to what is known of its canary draw: at least the first number, below the second.
        draw: The same before anything was seen: from 0 to 1, or its very draw where the system says how it draws.
        base: What lies where the base does; `tuned` are the plans that tune it.
        decoding: How bundles are decoded now.
        known: How many lessons are known now.
        asking: Bundles that a run under way has asked.
        text: What the competitor is asked with now; `asked_with` and `written_with` are the texts of steps and datasets, where
            they are other than a fresh system's.
        judgements: What was said later of an answer: its step and a score, oldest first.
        moves: How often the competitor's slot changed hands; `compared` is how many verdicts there were on it.
        verdicts: The newest on each bundle, with the terms of then; `None` where a killed comparison may have given one.
        logs: What was logged elsewhere, by log: place, text and score of each line; `brought` are the logs by their lines.
        changes: Names of the values that each change of the policy moved, oldest first.
        spent: Run to the tokens and US dollars that it spent at its frontier; `None` once a price was not known.
    """

    now: float
    limits: Limits = field(default_factory=Limits)
    validators: frozenset[str] = frozenset()
    bundles: dict[str, Registered] = field(default_factory=dict)
    slots: dict[str, str] = field(default_factory=dict)
    way: tuple[str, ...] = ()
    asked: frozenset[str] = frozenset()
    unsure: frozenset[str] = frozenset()
    breakers: dict[str, Breaker] = field(default_factory=dict)
    datasets: dict[str, str] = field(default_factory=dict)
    tampered: frozenset[str] = frozenset()
    version: int = 1
    local: str = "calm"
    frontier: str = "calm"
    probes: tuple[tuple[bool, frozenset[str]], ...] = ()
    lacks: frozenset[str] = frozenset()
    grounds: tuple[Ground, ...] = ()
    draws: dict[int, tuple[float, float]] = field(default_factory=dict)
    draw: Callable[[int | None], tuple[float, float]] = anywhere
    base: str = OWN
    text: str = OWN
    decoding: str = OWN
    known: int = 0
    asking: frozenset[str] = frozenset()
    asked_with: dict[str, str] = field(default_factory=dict)
    written_with: dict[str, str] = field(default_factory=dict)
    tuned: frozenset[str] = frozenset()
    judgements: tuple[tuple[str, float], ...] = ()
    verdicts: dict[str, tuple[str, tuple[int, str, str]] | None] = field(default_factory=dict)
    logs: dict[str, tuple[tuple[str, str, float | None], ...]] = field(default_factory=dict)
    brought: dict[tuple[tuple[int, str], ...], str] = field(default_factory=dict)
    moves: int = 0
    compared: int = 0
    changes: tuple[tuple[str, ...], ...] = ()
    spent: dict[str, tuple[int, float | None]] = field(default_factory=dict)

    def fork(self) -> "Model":
        """Return a copy that can go its own way."""
        twin = copy(self)
        twin.bundles, twin.slots = dict(self.bundles), dict(self.slots)
        twin.breakers, twin.datasets = dict(self.breakers), dict(self.datasets)
        twin.verdicts = dict(self.verdicts)
        twin.logs, twin.brought = dict(self.logs), dict(self.brought)
        twin.draws, twin.spent = dict(self.draws), dict(self.spent)
        twin.asked_with, twin.written_with = dict(self.asked_with), dict(self.written_with)
        return twin

    def coverage(self) -> float:
        """Share of probes, 0..1, that the enabled validators judge as the referee does; 1 without probes."""
        if not self.probes:
            return 1.0
        right = sum(legal is not bool(objectors & self.validators) for legal, objectors in self.probes)
        return right / len(self.probes)

    def held_by_canary(self, seed: int | None) -> bool | None:
        """Tell whether the canary keeps a step from local; `None` while nothing seen so far says so.

        Which steps it draws is the system's own affair, but the same seed draws the same, whatever the share: what was
        served at a small share is served at every larger one.
        """
        least, most = self.draws.get(-1 if seed is None else seed, self.draw(seed))
        if self.limits.canary <= least:
            return True
        return False if self.limits.canary >= most else None

    def drawn(self, seed: int, *, held: bool) -> None:
        """Remember what the canary did with a step of this seed."""
        least, most = self.draws.get(seed, self.draw(seed))
        share = self.limits.canary
        self.draws[seed] = (max(least, share), most) if held else (least, min(most, share))

    def govern(self, limits: Limits) -> None:
        """Take over other limits, and remember which are other ones."""
        before, now = asdict(self.limits), asdict(limits)
        if moved := tuple(sorted(name for name, value in now.items() if before[name] != value)):
            self.changes = (*self.changes, moved)
        self.limits = limits

    def pay(self, run: str, tokens: int, cost: float | None) -> None:
        """Remember what a call at a run's frontier took."""
        before, paid = self.spent.get(run, (0, 0.0))
        self.spent[run] = (before + tokens, None if paid is None or cost is None else paid + cost)

    def over_budget(self, run: str) -> bool:
        """Tell whether a run may spend no more at its frontier."""
        return self.limits.overspent(*self.spent.get(run, (0, 0.0)))

    def based(self, registered: Registered) -> bool:
        """Tell whether a bundle has what it answers with."""
        return registered.base in (None, self.base)

    def fits(self, registered: Registered) -> bool:
        """Tell whether a bundle belongs, and was trained with the text of now."""
        return registered.belongs and registered.text == self.text

    def job(self, dataset: str, plan: str) -> tuple[str, str]:
        """Return the job of training a plan from a dataset of this digest, on the base as it is."""
        return dataset, f"{plan} on {self.base}" if plan in self.tuned else plan

    def serving(self, role: str) -> Registered | None:
        """Return the role's bundle."""
        return self.bundles.get(self.slots.get(role, ""))

    def standing(self, registered: Registered) -> str:
        """Return a bundle's place in life; one that is switched off may still be its slot's."""
        if registered.retired:
            return "retired"
        if not registered.enabled:
            return "disabled"
        return "active" if registered.bundle in self.slots.values() else "candidate"

    def alter(self, bundle: str, **changes: object) -> None:
        """Change what is remembered of a bundle."""
        self.bundles[bundle] = replace(self.bundles[bundle], **changes)  # type: ignore[arg-type]

    def point(self, bundle: str) -> None:
        """Make a bundle the competitor's; what is its already stays so without another step of the way."""
        if self.slots.get("competitor") != bundle:
            self.slots, self.moves = {**self.slots, "competitor": bundle}, self.moves + 1
            self.way = (*self.way, bundle)

    def behind(self) -> tuple[str, ...]:
        """Return the bundles on the way back, the nearest first."""
        return tuple(dict.fromkeys(each for each in reversed(self.way) if each != self.slots.get("competitor")))

    @property
    def terms(self) -> tuple[int, str, str]:
        """What an evaluation or a verdict was made with, and must be made with to count."""
        return self.version, self.text, self.decoding

    def counts(self, registered: Registered) -> bool:
        """Tell whether a bundle's evaluation counts as things are now."""
        return (registered.version, registered.text, registered.decoding) == self.terms

    def lapsed(self, registered: Registered, knowledge: int) -> bool:
        """Tell whether more lessons lie between a question and a bundle's evaluation than may."""
        most = self.limits.max_lessons
        return most is not None and abs(knowledge - registered.knowledge) > most

    def measure(self) -> None:
        """Let that evaluation of each bundle count which was made as things are now, the newest of several."""
        for bundle, registered in self.bundles.items():
            fitting = [
                each
                for each in registered.evaluations
                if (each.version, each.decoding) == (self.version, self.decoding)
            ]
            for counted in (fitting or registered.evaluations)[-1:]:
                found = asdict(counted)
                if any(getattr(registered, name) is not value for name, value in found.items()):
                    self.alter(bundle, **found)

    def evaluated(self, bundle: str, evaluation: Evaluated) -> None:
        """Remember how a bundle did."""
        self.alter(bundle, evaluations=(*self.bundles[bundle].evaluations, evaluation))
        self.measure()

    def target(self, *, tried: bool = True) -> str | None:
        """Return where a rollback leads: the nearest that is good, and answers where that is `tried`."""
        good = (each for each in self.behind() if self._good(self.bundles[each]))
        return next((each for each in good if not (tried and self.bundles[each].mute)), None)

    def _good(self, registered: Registered) -> bool:
        whole = registered.files == WHOLE and self.based(registered)
        return registered.enabled and not registered.retired and whole and self.fits(registered)

    def retreat(self) -> None:
        """Go back: what lies ahead on the way is not on it any more."""
        target = self.target()
        if target is not None:
            last = len(self.way) - self.way[::-1].index(target)
            self.way, self.slots = self.way[:last], {**self.slots, "competitor": target}
            self.moves += 1

    def needed(self, keep: int | None) -> frozenset[str]:
        """Return the bundles that must stay; a run that is kept needs what it asked."""
        # Whether it answers is tried by nobody who only clears away.
        target = self.target(tried=False)
        asked = self.asked if keep is None else self.asking
        held = {*self.slots.values(), *filter(None, (target,)), *asked}
        return frozenset(each for each in held if not self.bundles[each].retired)

    def unneeded(self, keep: int | None) -> frozenset[str]:
        """Return the bundles that may be deleted: those of `unsure` among them need not be when runs are kept."""
        here = frozenset(each for each, registered in self.bundles.items() if not registered.deleted)
        return here - self.needed(keep)

    def retire(self, bundle: str, *, deleted: bool = False) -> None:
        """Take a bundle out of use for ever; its slot, if it had one, is empty."""
        registered = self.bundles[bundle]
        gone, self.moves = deleted or registered.deleted, self.moves + (bundle in self.slots.values())
        self.bundles[bundle] = replace(
            registered, retired=True, deleted=gone, files=GONE if deleted else registered.files
        )
        self.slots = {role: held for role, held in self.slots.items() if held != bundle}
        self.way = tuple(each for each in self.way if each != bundle)

    def equals(self, job: tuple[str, str]) -> list[Registered]:
        """Return the bundles of an equal job, oldest first."""
        return [registered for registered in self.bundles.values() if registered.job == job]
