"""The toy's slot: who is put there, by hand or by evidence, who comes back, and who goes for good."""

from __future__ import annotations

import math
from statistics import fmean, stdev

from stepdown_machine.broken import harness, runs

Points = runs.Points
Refused = runs.Refused
Row = runs.Row
COMPARED = range(8001, 8017)
"""Seeds on which a bundle is compared with the frontier; nobody trains or is evaluated on them."""
ERROR_RATE = 0.05
SURE = 2.0
"""Standard errors that a bound lies below its mean."""
TINY = 5e-324


class Succession(runs.Runs):
    """One process with the system open, as far as its bundles' lives need it."""

    def evaluate(self, weights: str, plan: str) -> Row:
        """Play the held-out seeds with the prompt of serving."""
        marks = tuple(self.mark(weights, seed)[1:] for seed in runs.HOLDOUT)
        scores = [mark or 0.0 for _, mark in marks]
        error = stdev(scores) / math.sqrt(len(scores))
        bound = math.nan if plan == "diverged" else max(0.0, fmean(scores) - SURE * error)
        valid = sum(mark is not None for _, mark in marks) / len(marks)
        terms = {name: self.disk.environment[name] for name in runs.TERMS}
        terms["knowledge"] = len(self.disk.lessons)
        return {"score": bound, "valid": valid, "evaluation": marks, **terms}

    def mark(self, weights: str, seed: int) -> tuple[str, int, float | None]:
        """Return a bundle's reply to a held-out seed, the seed, and the score; an illegal reply has none."""
        text = self.reply(weights, f"competitor 0.0 on seed {seed}", "calm")
        return text, seed, harness.score(text, seed) if harness.referee(text) else None

    def usable(self, bundle: str) -> None:
        """Refuse a bundle that could not serve."""
        self.registered(bundle)
        if self.retired(bundle):
            raise Refused("bundle-retired")
        if not self.enabled(bundle):
            raise Refused("bundle-disabled")
        self.on_shelf(bundle)

    def on_shelf(self, bundle: str) -> None:
        """Refuse a bundle that is not whole, with its base."""
        if bundle not in self.disk.bundles:
            raise Refused("bundle-absent")
        if not self.whole(bundle):
            raise Refused("bundle-integrity")
        if not self.based(bundle):
            raise Refused("base-mismatch")

    def measure(self, bundle: str) -> Points:
        """Evaluate a bundle again, as things are now."""
        yield "begun"
        plan = self.registered(bundle)["plan"]
        self.on_shelf(bundle)
        if not self.answers(bundle):
            raise Refused("local-load-failed")
        facts = self.evaluate(self.disk.bundles[bundle]["weights"], plan)
        self.disk.acts.append(("evaluate", bundle, facts))
        yield "committed"

    def activate(self, bundle: str, who: str, *, proven: bool) -> Points:
        """Make a registered, enabled, whole bundle its slot's; where somebody asks for proof, one that was promoted."""
        yield "begun"
        self.usable(bundle)
        verdicts = [act[3:] for act in self.disk.acts if act[:2] == ("verdict", bundle)]
        if proven and self.active("competitor") != bundle and verdicts[-1:] != [("promote", self.terms())]:
            raise Refused("not-promoted")
        self.point(bundle, "operator", who, forced=not proven)
        yield "committed"

    def point(self, bundle: str, by: str, who: str, *, forced: bool = False) -> None:
        """Point the slot at a bundle, and say who asked for it."""
        if self.active("competitor") != bundle:
            self.disk.acts.append(("activate", bundle, by, who, forced))

    def switch(self, bundle: str, word: str) -> Points:
        """Enable, disable, retire or delete a bundle; what is retired stays so."""
        yield "begun"
        self.registered(bundle)
        if self.retired(bundle) and word in ("enable", "disable"):
            raise Refused("bundle-retired")
        self.disk.acts.append((word, bundle))
        yield "committed"
        if word == "delete":
            self.disk.bundles.pop(bundle, None)
            yield "removed"

    def terms(self) -> tuple[int | str, ...]:
        """Return what a verdict rests on, and must rest on to count."""
        return *self.circumstances(), self.disk.environment["decoding"]

    def promote(self, bundle: str, margin: float, who: str, resume: str | None) -> Points:
        """Ask the frontier what the bundle is asked, and let the difference decide; or go on where that was cut off."""
        self.usable(bundle)
        if not self.worded(bundle):
            raise Refused("bundle-incompatible")
        policy = self.policy()
        if policy["mode"] == "local-only" or "competitor" in policy["frontier_never"]:
            raise Refused("frontier-forbidden")
        if self.disk.environment["frontier"] == "missing":
            raise Refused("provider-unavailable")
        if resume is not None:
            self.open(resume)
        if self.disk.bundles[bundle]["weights"].startswith("planted mute"):
            raise Refused("local-load-failed")
        held, before = self.active("competitor"), self.pointer()
        champion = held if held != bundle and held is not None and self.fit(held) else None
        champion = champion if champion is not None and self.answers(champion) else None
        measured = self.registered(bundle)
        away = abs(len(self.disk.lessons) - measured["knowledge"])
        stale = policy["max_lessons"] is not None and away > policy["max_lessons"]
        if stale or any(measured[name] != self.disk.environment[name] for name in runs.TERMS):
            facts = self.evaluate(self.disk.bundles[bundle]["weights"], self.registered(bundle)["plan"])
            self.disk.acts.append(("evaluate", bundle, facts))
        verdict: Row = yield from self.compare(bundle, champion, resume)
        verdict["outcome"] = self.outcome(verdict, margin)
        # Whoever switched it off or deleted it meanwhile has decided already.
        self.usable(bundle)
        if verdict["outcome"] == "promote" and self.pointer() != before and self.active("competitor") != bundle:
            raise Refused("stale")
        self.disk.acts.append(("verdict", bundle, champion, verdict["outcome"], self.terms()))
        self.disk.compared[verdict["run"]] = verdict["outcome"]
        if verdict["outcome"] == "promote":
            self.point(bundle, "promotion", who)
        yield "committed"
        return verdict

    def open(self, run: str) -> None:
        """Refuse a comparison that cannot go on."""
        if run not in self.disk.runs:
            raise Refused("unknown-run")
        if run not in self.disk.compared:
            raise Refused("run-of-another-kind")
        if self.disk.compared[run] is not None:
            raise Refused("run-done")

    def compare(self, bundle: str, champion: str | None, resume: str | None) -> Points:
        """Play challenger, champion and frontier on matched seeds; the frontier takes a step for each."""
        run = resume or self.begin()
        self.disk.compared[run] = None
        asked = {row["seed"]: row for row in self.disk.steps if row["run"] == run}
        known = next((row["knowledge"] for row in asked.values()), len(self.disk.lessons))
        weights = {name: self.disk.bundles[name]["weights"] for name in (bundle, champion) if name is not None}
        pairs, ahead, valid, rivals = [], [], [], []
        for position, seed in enumerate(COMPARED):
            text, _, mine = self.mark(weights[bundle], seed)
            valid.append(mine is not None)
            if champion is not None:
                said, _, its = self.mark(weights[champion], seed)
                rivals.append((seed, said, its or 0.0))
                ahead.append((mine or 0.0) - (its or 0.0))
            place = (run, 0, position, "competitor", seed)
            row = asked.get(seed) or (yield from self.step(*place, purpose="comparison", known=known))
            if row["said"] is not None:
                pairs.append((seed, text, mine or 0.0, harness.score(row["said"], seed)))
        yield "compared"
        differences, rate = [mine - its for _, _, mine, its in pairs], self.rate()
        return {
            "run": run, "pairs": pairs, "unanswered": len(COMPARED) - len(pairs), "valid": fmean(valid),
            "mean": fmean(differences) if differences else math.nan,
            "lower": lower(differences, rate), "upper": upper(differences, rate),
            "champion": champion, "ahead": upper(ahead, rate), "rivals": rivals, "share": rate,
        }  # fmt: skip

    def outcome(self, verdict: Row, margin: float) -> str:
        """Reject what is worse, promote what is not, hold what nobody knows."""
        policy = self.policy()
        if verdict["upper"] < -margin:
            return "reject"
        fit = verdict["valid"] >= policy["min_valid"]
        fit = fit and harness.coverage(frozenset(self.validators())) >= policy["min_coverage"]
        fit = fit and not verdict["ahead"] < -margin
        return "promote" if fit and verdict["lower"] > -margin else "hold"

    def rate(self) -> float:
        """Return what the next verdict may err: all of a slot's together stay below their error rate."""
        number = 1 + sum(act[0] == "verdict" for act in self.disk.acts)
        return float(ERROR_RATE / (number * (number + 1)))

    def pointer(self) -> int:
        """Count how often the slot was pointed somewhere."""
        return sum(act[0] in ("activate", "retire", "delete") for act in self.disk.acts)

    def fit(self, bundle: str) -> bool:
        """Tell whether a bundle is whole and belongs."""
        facts = self.registered(bundle)
        if not self.worded(bundle):
            return False
        return self.whole(bundle) and self.based(bundle) and (facts["scenario"], facts["format"]) == ("grid_ctf", 1)

    def answers(self, bundle: str) -> bool:
        """Tell whether a whole bundle can be loaded."""
        return not self.disk.bundles[bundle]["weights"].startswith("planted mute")

    def worded(self, bundle: str) -> bool:
        """Tell whether a bundle was trained with the text that is asked with now."""
        return bool(self.registered(bundle)["wording"] == self.disk.environment["text"])

    def way(self) -> list[str]:
        """Fold the way that the slot was led, oldest first: a rollback goes back along it."""
        way: list[str] = []
        for act in self.disk.acts:
            if act[0] in ("retire", "delete"):
                way = [bundle for bundle in way if bundle != act[1]]
            elif act[0] == "activate" and act[2] == "rollback" and act[1] in way:
                way = way[: len(way) - way[::-1].index(act[1])]
            elif act[0] == "activate":
                way = [*way, act[1]]
        return way

    def behind(self) -> list[str]:
        """Return the bundles on the way back, the nearest first."""
        return list(dict.fromkeys(bundle for bundle in reversed(self.way()) if bundle != self.active("competitor")))

    def rollback(self, who: str) -> Points:
        """Point the slot at the last bundle that is still good."""
        yield "begun"
        for bundle in self.behind():
            if self.enabled(bundle) and self.fit(bundle) and self.answers(bundle):
                before = self.pointer()
                yield "rollback-checked"
                if self.pointer() != before:
                    raise Refused("stale")
                self.disk.acts.append(("activate", bundle, "rollback", who, False))
                yield "committed"
                return bundle
        raise Refused("nothing-to-roll-back")

    def prune(self, bundle: str | None, keep: int | None, *, ahead: bool) -> Points:
        """Delete what no slot, no rollback and no kept run needs; or say what that is, but for what is new."""
        yield "begun"
        good = [name for name in self.behind() if self.enabled(name) and self.fit(name)]
        needed = {self.active("competitor"), *good[:1], *(self.asked() if keep is None else self.asking())}
        needed = {name for name in needed if name is not None and not self.retired(name)}
        registered = dict.fromkeys(act[1] for act in self.disk.acts if act[0] == "register")
        if bundle is not None:
            self.registered(bundle)
            if ("delete", bundle) in self.disk.acts:
                raise Refused("bundle-retired")
            if bundle in needed:
                raise Refused("bundle-needed")
        chosen = [
            name
            for name in ([bundle] if bundle is not None else registered)
            if name not in needed and ("delete", name) not in self.disk.acts
        ]
        if ahead:
            known = [act[1] for act in self.disk.acts if act[0] != "register"]
            return tuple(name for name in chosen if bundle is not None or name in known)
        self.disk.acts += [("delete", name) for name in chosen]
        yield "committed"
        for name in chosen:
            self.disk.bundles.pop(name, None)
        yield "removed"
        return tuple(chosen)

    def asked(self) -> set[str]:
        """Return the bundles that runs asked or compared."""
        served = {row["bundle"] for row in self.disk.steps if any(a["provider"] == "local" for a in row["attempts"])}
        under_way = self.asking()
        compared = {name for act in self.disk.acts if act[0] == "verdict" for name in act[1:3] if name is not None}
        return served | under_way | compared

    def asking(self) -> set[str]:
        """Return the bundles that somebody is asking at this moment."""
        return {call["bundle"] for call in self.disk.announced.values() if call["bundle"] is not None}


def lower(differences: list[float], rate: float) -> float:
    """Return what the mean of differences is not below: a bettor who stakes all on every seed has not refuted it.

    Shares x of [0, 1] with a mean of at most m let the product of x / m grow past 1 / rate at any time with a chance of at
    most the rate (Ville), so their geometric mean times rate ** (1 / n) is such a bound.
    """
    if not differences:
        return math.nan
    return (
        2 * math.exp(math.log(math.prod((value + 1) / 2 for value in differences) * rate or TINY) / len(differences))
        - 1
    )


def upper(differences: list[float], rate: float) -> float:
    """Return what the mean of differences is not above."""
    return -lower([-value for value in differences], rate)
