"""The toy's runs: what is durable, what is true now, and one step from facts to a row.

Operations are generators. They yield the name of a point between two durable writes: a crash stops there, and rivals
take turns there.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import replace
from statistics import fmean
from typing import Any, TypeAlias

from stepdown_machine.broken import gates, harness, standing

Row: TypeAlias = dict[str, Any]
Points: TypeAlias = Generator[str, None, Any]
FILES = standing.FILES
TERMS = standing.TERMS
Refused = standing.Refused
digest = standing.digest
OVER = "frontier-over-budget"
HOLDOUT = (9001, 9002, 9003, 9004)


STRANGE = 900
"""A question that is none of the scenario's: nobody knows what is right there."""


class Runs(standing.Standing):
    """One process with the system open, as far as runs need it."""

    def run(self, seed: int, generations: int, candidates: int) -> Points:
        """Ask, judge, decide and learn, generation by generation."""
        self.present()
        run = self.begin()
        self.disk.plans[run] = (seed, generations, candidates, self.circumstances())
        return (yield from self.play(run))

    def circumstances(self) -> tuple[int, str]:
        """Return what may not change while a run is played."""
        return self.disk.environment["version"], self.disk.environment["text"]

    def play(self, run: str) -> Points:
        """Play what is not played yet of a run."""
        seed, generations, candidates, _ = self.disk.plans[run]
        self.disk.endings[run] = "killed"
        self.disk.playing[run] = self.process
        for index in range(generations):
            mine = [row for row in self.disk.steps if (row["run"], row["generation"]) == (run, index)]
            rows = [row for row in mine if row["role"] == "competitor"]
            begun, known = len(rows), len(self.disk.lessons)
            for position in range(begun, candidates):
                place = (run, index, position, "competitor", seed * 100 + index * 10 + position)
                rows += [(yield from self.step(*place, known=known))]
            if len(mine) <= candidates:
                mine += [(yield from self.step(run, index, candidates, "coach", seed * 100 + index * 10 + candidates))]
                yield "said"
                self.learn(mine[-1])
            elif mine and mine[-1]["text"] not in [text for text, _ in self.disk.lessons]:
                self.learn(mine[-1])
            if all((each["run"], each["index"]) != (run, index) for each in self.disk.generations):
                self.decide(run, index, rows)
            if any(row["error"] == OVER for row in rows[begun:]):
                self.disk.endings[run] = "stopped"
                return run
        mine = [row["outcome"] for row in self.disk.steps if (row["run"], row["role"]) == (run, "competitor")]
        self.disk.endings[run] = "completed" if "served" in mine else "failed"
        return run

    def learn(self, row: Row) -> None:
        """Keep what a coach said, unless it is known already."""
        if row["served"] and row["text"] != (self.disk.lessons[-1][0] if self.disk.lessons else ""):
            self.disk.lessons.append((row["text"], row["step"]))

    def decide(self, run: str, index: int, rows: list[Row]) -> None:
        """Keep the best of a generation, the first of several, if it is better than all before."""
        earlier = [row for row in self.disk.steps if row["run"] == run and row["generation"] < index]
        best = max((row["score"] for row in earlier if row["score"] is not None), default=0.0)
        served = [row for row in rows if row["score"] is not None]
        top = max(served, key=lambda row: row["score"], default=None)
        gate = "advance" if top is not None and top["score"] > best else "retry"
        kept = (top["step"],) if top is not None and gate == "advance" else ()
        self.disk.generations.append({"run": run, "index": index, "gate": gate, "kept": kept})

    def ask(self, seeds: tuple[int, ...]) -> Points:
        """Ask questions in a run of their own."""
        self.present()
        run, rows = self.begin(), []
        for place, seed in enumerate(seeds):
            rows += [(yield from self.step(run, 0, place, "competitor", seed, purpose="live"))]
        return rows

    def route(self, role: str, seed: int) -> tuple[str, tuple[str, ...]]:
        """Say who would be asked now, whatever a run spent."""
        facts = self.facts(role, seed)
        objecting = gates.objections(facts)
        closed = self.closed("", role, facts.policy | {"run_tokens": None, "run_cost": None})
        return "local" if not objecting else "nobody" if closed else "frontier", objecting

    def present(self) -> None:
        """Refuse to begin where nobody could serve."""
        if self.disk.environment["frontier"] == "missing" and self.active("competitor") is None:
            raise Refused("provider-unavailable")

    def begin(self) -> str:
        """Begin a run."""
        self.disk.runs.append(f"R{len(self.disk.runs) + 1}")
        return str(self.disk.runs[-1])

    def facts(self, role: str, seed: int, knowledge: int | None = None) -> gates.Facts:
        """Gather what a decision rests on."""
        bundle, policy = self.active(role), self.policy()
        breaker = self.disk.breakers.get(bundle or "", gates.ToyBreaker())
        return gates.Facts(
            role=role,
            policy=policy,
            bundle=self.registered(bundle) if bundle else None,
            enabled=bundle is not None and self.enabled(bundle),
            present=bundle in self.disk.bundles,
            whole=bundle is not None and self.whole(bundle),
            now=self.disk.now,
            version=self.disk.environment["version"],
            coverage=harness.coverage(frozenset(self.validators())),
            breaker=breaker.state(policy, self.disk.now),
            seed=seed,
            base=self.disk.environment["base"],
            wording=self.disk.environment["text"],
            decoding=self.disk.environment["decoding"],
            knowledge=len(self.disk.lessons) if knowledge is None else knowledge,
            probing=any(call["bundle"] == bundle for call in self.alive() if not call["shadow"]),
        )

    def alive(self) -> list[Row]:
        """Return the calls that living processes have under way."""
        return [call for call in self.disk.announced.values() if call["process"] in self.disk.living]

    def step(self, run: str, generation: int, position: int, role: str, seed: int, *,
             purpose: str = "work", known: int | None = None) -> Points:  # fmt: skip
        """Take one step: facts, decision, attempts, judgement, one row."""
        yield "looked"
        facts = self.facts(role, seed, known)
        closed = self.closed(run, role, facts.policy)
        if purpose == "comparison":
            facts = replace(facts, policy=facts.policy | {"mode": "frontier-only"})
        objections = gates.objections(facts)
        row: Row = {
            "step": f"{run}.{generation}.{position}", "run": run, "generation": generation, "place": position, "role": role,
            "seed": seed, "at": self.disk.now, "objections": objections, "reason": objections[0] if objections else None,
            "attempts": [], "wording": self.disk.environment["text"],
            "requested": "local" if not objections else "none" if closed else "frontier",
            "served": None, "outcome": "failed", "error": closed, "text": "", "matches": (),
            "score": None, "recovered": False, "purpose": purpose, "said": None, "bundle": None, "knowledge": facts.knowledge,
        }  # fmt: skip
        shadowed = objections == ("shadow-only",) and not closed
        row["bundle"] = bundle = self.active(role) if not objections or shadowed else None
        for provider in ["local"] * (not objections) + ["frontier"] * (not closed):
            attempt, text = yield from self.attempt(row, provider, seed, bundle)
            row["said"] = text if attempt["error"] in (None, "invalid-output") else None
            row["attempts"].append(attempt)
            if provider == "local" and attempt["error"]:
                row["reason"] = "local-" + attempt["error"]
            row["error"] = attempt["error"] if provider == "frontier" or not attempt["error"] else row["error"]
            if attempt["error"] is None:
                row |= {"served": provider, "outcome": "served", "text": text}
                break
        if shadowed:
            attempt, _ = yield from self.attempt(row, "local", seed, bundle, shadow=True)
            row["attempts"].append(attempt)
        self.judge_reply(row, seed)
        self.store(row, bundle, facts.policy)
        yield "stored"
        return row

    def closed(self, run: str, role: str, policy: Row) -> str | None:
        """Say why the frontier may not be asked: by the policy, or because the run has spent what it may."""
        if policy["mode"] == "local-only" or role in policy["frontier_never"]:
            return "frontier-forbidden"
        limits = {name: policy[name] for name in ("run_tokens", "run_cost") if policy[name] is not None}
        mine = [row["attempts"] for row in self.disk.steps if row["run"] == run] if limits else []
        paid = [each for attempts in mine for each in attempts if each["provider"] == "frontier"]
        spent = {
            "run_tokens": sum(each["input_tokens"] + each["output_tokens"] for each in paid),
            "run_cost": sum(math.inf if each.get("cost") is None else each["cost"] for each in paid),
        }
        if any(spent[name] >= most for name, most in limits.items()):
            return OVER
        return "frontier-unavailable" if run and self.disk.environment["frontier"] == "missing" else None

    def judge_reply(self, row: Row, seed: int) -> None:
        """Play the matches of a served candidate."""
        if row["purpose"] == "live" and seed == STRANGE:
            return
        if row["served"] and row["role"] == "competitor":
            row["matches"] = tuple((match, harness.score(row["text"], match)) for match in (seed, seed + 500))
            row["score"] = round(fmean(score for _, score in row["matches"]), 4)

    def store(self, row: Row, bundle: str | None, policy: Row) -> None:
        """Close a step in one transaction: row, calls, breaker."""
        self.disk.steps.append(row)
        for attempt in row["attempts"]:
            self.disk.announced.pop(attempt["call"], None)
            if attempt["provider"] == "local" and bundle is not None and not attempt["shadow"]:
                breaker = self.disk.breakers.get(bundle, gates.ToyBreaker())
                failed = attempt["error"] is not None
                self.disk.breakers[bundle] = breaker.after(policy, self.disk.now, failed=failed)

    def attempt(self, row: Row, provider: str, seed: int, bundle: str | None, *, shadow: bool = False) -> Points:
        """Announce a call, make it, judge its reply."""
        call = f"{row['step']}/{len(row['attempts'])}"
        local = bundle if provider == "local" else None
        weights = self.disk.bundles.get(local, {}).get("weights") if local else None
        asked = {"call": call, "provider": provider, "shadow": shadow}
        self.disk.announced[call] = {**asked, "bundle": local, "row": row | {"attempts": []}, "process": self.process}
        yield "announced"
        prompt = f"{row['role']} {row['generation']}.{row['place']} on seed {seed}"
        ended = yield from self.call(call, provider, weights, prompt)
        error = ended["error"]
        if error is None and row["role"] == "competitor" and not harness.legal(ended["text"], self.validators()):
            error = "invalid-output"
        tokens = {"input_tokens": ended["input_tokens"], "output_tokens": ended["output_tokens"]}
        words, strange = ended["input_tokens"], self.disk.environment["frontier"] == "unpriced"
        price = None if strange else harness.cost(words, ended["output_tokens"], self.disk.now)
        cost = None if shadow else 0.0 if local else price
        answered = {"weights": ended["weights"], "model": ended["model"]}
        attempt = {**asked, "error": error, **answered, **tokens, "cost": cost}
        return attempt, ended["text"]

    def call(self, call: str, provider: str, weights: str | None, prompt: str) -> Points:
        """Be the provider, and the second witness: the trace is written here and never read back to judge."""
        entry: Row = {
            "call": call, "provider": provider, "ended": False, "error": None, "text": "",
            "weights": digest(weights) if weights else None, "input_tokens": 0, "output_tokens": 0, "model": None,
        }  # fmt: skip
        self.disk.trace.append(entry)
        yield "asked" if call.endswith("/0") else "asked-again"
        # A rival may have taken the directory away since the decision.
        loads = provider != "local" or (weights is not None and not weights.startswith("planted mute"))
        behaviour = self.disk.environment[provider] if loads else "load-failed"
        entry["input_tokens"] = len(prompt)
        if behaviour in ("load-failed", "error", "timeout"):
            entry |= {"ended": True, "error": behaviour}
        else:
            text = self.reply(weights, prompt, behaviour)
            # Nobody heard of some, and none of them is what was asked for.
            model = provider if provider == "local" else f"oracle-{behaviour}"
            entry |= {"ended": True, "text": text, "output_tokens": len(text), "model": model}
        yield "called"
        return entry

    def reply(self, weights: str | None, prompt: str, behaviour: str) -> str:
        """Say something."""
        if prompt.startswith("coach"):
            return f"Playbook: {digest(prompt)}"
        if behaviour == "illegal":
            return harness.ILLEGAL
        if behaviour == "garbage":
            return harness.GARBAGE
        if weights is not None and weights.startswith("weak") and digest(weights + prompt) < "8":
            return harness.ILLEGAL
        return harness.strategy(weights, prompt)
