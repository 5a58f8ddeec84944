"""A small, correct handoff system: no network, no model, no files; everything durable lives on a `Disk`.

It is the machine's own test. Every broken variant is one edit of this file, `succession`, `runs`, `gates` or `harness`.
"""

from __future__ import annotations

import json
from itertools import pairwise
from statistics import fmean
from typing import Any

from stepdown_machine.broken import elsewhere, harness, runs, succession, sums

Points = runs.Points
Refused = runs.Refused
Row = runs.Row
digest = runs.digest
TUNED = ("tuned-a", "tuned-b")
UNTUNABLE = {"gone": "unknown-base", "changed": "base-mismatch"}
STEPS = 5
EXAMINED = 7
"""A question that is kept for examinations."""
ENDLESS = ("max_age", "breaker_window", "breaker_cooldown", "run_tokens", "run_cost", "max_lessons")


class Toy(succession.Succession, elsewhere.Elsewhere):
    """One process with the system open: export, train, govern, report, audit.

    Attributes:
        taken: Steps of the last training that were really taken.
    """

    taken = 0

    def export(self, wanted: Row) -> Points:
        """Write the served, legal competitor rows that pass every filter."""
        if wanted["min_score"] is not None and not 0 <= wanted["min_score"] <= 1:
            raise Refused("filter-out-of-range")
        if wanted["run"] is not None and wanted["run"] not in self.disk.runs:
            raise Refused("unknown-run")
        kept = {step for generation in self.disk.generations for step in generation["kept"]}
        rows = [row for row in self.disk.steps if self.passes(row, wanted, kept)]
        records = [*map(self.record, rows), *self.logged(wanted)]
        if not records:
            raise Refused("no-records")
        text = "".join(json.dumps(record) + "\n" for record in records)
        name = "D" + digest(text)
        self.disk.datasets[name] = text
        self.disk.written[name] = self.disk.environment["text"]
        yield "written"
        if ("export", name) not in self.disk.acts:
            self.disk.acts.append(("export", name))
        yield "registered"
        return name

    def passes(self, row: Row, wanted: Row, kept: set[str]) -> bool:
        """Tell whether a row passes every filter."""
        return (
            row["role"] == "competitor"
            and row["purpose"] != "comparison"
            and not (row["purpose"] == "live" and row["seed"] == EXAMINED)
            and row["outcome"] == "served"
            and row["wording"] == self.disk.environment["text"]
            and harness.referee(row["text"])
            and wanted["run"] in (None, row["run"])
            and wanted["scenario"] in (None, "grid_ctf")
            and self.worth(row) is not None
            and (wanted["min_score"] is None or self.worth(row) >= wanted["min_score"])
            and (not wanted["kept_only"] or row["step"] in kept)
            and (wanted["include_local"] or row["served"] == "frontier")
        )

    def record(self, row: Row) -> Row:
        """Say one row as training data; the split follows from the content alone."""
        prompt = f"grid_ctf on seed {row['seed']}"
        split = "valid" if digest(row["text"]) < "4" else "train"
        lessons = ("", *(text for text, _ in self.disk.lessons))
        facts = {"score": self.worth(row), "served": row["served"]}
        facts |= {"model": next(each["model"] for each in row["attempts"] if each["provider"] == row["served"])}
        facts |= {"kept": any(row["step"] in each["kept"] for each in self.disk.generations)}
        facts |= {"knowledge": row["knowledge"], "taught": lessons[row["knowledge"]]}
        return {"step": row["step"], "split": split, "prompt": prompt, "completion": row["text"], **facts}

    def worth(self, row: Row) -> Any:
        """Return what was last said of a step's answer, or its own score; None where nobody can say."""
        later = [score for step, score in self.disk.judgements if step == row["step"]]
        return later[-1] if later else row["score"]

    def judge(self, run: str, position: int, score: float, *, refused: bool) -> Points:
        """Say later how good an answer was that served; of one that did not nobody can."""
        yield "begun"
        given = [row for row in self.disk.steps if row["run"] == run and row["role"] == "competitor" and row["served"]]
        if not 0 <= score <= 1:
            raise Refused("score-out-of-range")
        if not 0 <= position < len(given):
            raise Refused("unknown-call")
        if refused:
            raise Refused("unknown-call")
        self.disk.judgements.append((given[position]["step"], score))
        yield "committed"

    def resume(self, run: str) -> Points:
        """Go on with a run that was not done."""
        yield "begun"
        if run not in self.disk.runs:
            raise Refused("unknown-run")
        if run not in self.disk.plans:
            raise Refused("run-of-another-kind")
        if self.disk.endings[run] in ("completed", "failed"):
            raise Refused("run-done")
        if self.disk.playing[run] in self.disk.living - {self.process}:
            raise Refused("run-under-way")
        if self.disk.plans[run][-1] != self.circumstances():
            raise Refused("stale")
        self.present()
        return (yield from self.play(run))

    def train(self, dataset: str, plan: str, *, fresh: bool, resume: bool) -> Points:
        """Make weights beside the shelf, evaluate them, write the manifest last, put them on the shelf, register."""
        if ("export", dataset) not in self.disk.acts:
            raise Refused("unknown-dataset")
        if "D" + digest(self.disk.datasets[dataset]) != dataset:
            raise Refused("dataset-malformed")
        if self.asked_with(dataset) != self.disk.environment["text"]:
            raise Refused("dataset-malformed")
        base = self.disk.environment["base"] if plan in TUNED else None
        if base in UNTUNABLE:
            raise Refused(UNTUNABLE[base])
        earlier = self.equal(dataset, plan, base)
        self.taken = 0
        if earlier is not None and not fresh:
            return earlier
        part = f"{dataset}-{plan}.{self.process}.part"
        learned = (yield from self.tune((dataset, plan, base), resume=resume)) if base else digest(dataset + plan)
        weights = f"{plan.split('-', maxsplit=1)[0]} {learned}"
        self.disk.bundles[part], self.taken = {"weights": weights, "config": plan}, STEPS
        yield "weights-written"
        if earlier is not None and self.disk.bundles[earlier]["weights"] == weights:
            self.disk.bundles.pop(part)
            return earlier
        facts = self.evaluate(weights, plan)
        # Two trainings of one job are two bundles, even when the clock stands still.
        facts |= {"made": len(self.disk.acts)}
        facts |= {"dataset": dataset, "plan": plan, "scenario": "grid_ctf", "format": 1, "trained_at": self.disk.now}
        facts |= {"base": base, "wording": self.asked_with(dataset), "source": dataset, "by": plan}
        facts["files"] = {name: digest(self.disk.bundles[part][name]) for name in runs.FILES[1:]}
        manifest = json.dumps(facts)
        self.disk.bundles[part]["manifest"] = manifest
        yield "manifest-written"
        bundle = digest(manifest)
        self.disk.bundles[bundle] = self.disk.bundles.pop(part)
        yield "shelved"
        self.register(bundle, facts)
        yield "registered"
        return bundle

    def tune(self, job: tuple[str, ...], *, resume: bool) -> Points:
        """Take some steps, each on what the one before it gave; who is killed can go on from a checkpoint."""
        done, learned = (
            self.disk.checkpoints.get(job, (0, digest("".join(job)))) if resume else (0, digest("".join(job)))
        )
        for number in range(done, STEPS):
            learned = digest(f"{learned} {number}")
            if number % 2:
                self.disk.checkpoints[job] = (number + 1, learned)
                yield "checkpointed"
        self.disk.checkpoints.pop(job, None)
        return learned

    def asked_with(self, dataset: str) -> str:
        """Return the text of a dataset's questions; all have one."""
        return str(self.disk.written[dataset])

    def equal(self, dataset: str, plan: str, base: str | None) -> str | None:
        """Return a whole bundle of an equal job."""
        for act in self.disk.acts:
            facts = self.registered(act[1]) if act[0] == "register" else {}
            job = (facts["dataset"], facts["plan"], facts["base"], facts["version"]) if facts else None
            if facts and facts["decoding"] != self.disk.environment["decoding"]:
                continue
            if (
                job == (dataset, plan, base, self.disk.environment["version"])
                and self.whole(act[1])
                and not self.retired(act[1])
            ):
                return str(act[1])
        return None

    def slots(self) -> dict[str, str]:
        """List every slot that holds a bundle: what a person is shown."""
        shown: dict[str, str] = {}
        for act in self.disk.acts:
            if act[0] == "activate":
                shown = {"competitor": act[1]}
            elif act[0] in ("retire", "delete"):
                shown = {role: bundle for role, bundle in shown.items() if bundle != act[1]}
        return shown

    def register(self, bundle: str, facts: Row) -> None:
        """Register a bundle once."""
        if not any(act[:2] == ("register", bundle) for act in self.disk.acts):
            self.disk.acts.append(("register", bundle, facts))

    def govern(self, policy: Row) -> Points:
        """Replace the policy, whole."""
        yield "begun"
        shares = [policy[name] for name in ("min_score", "min_valid", "min_coverage", "canary")]
        times = [policy[name] for name in ENDLESS if policy[name] is not None]
        counts = 1 <= policy["breaker_threshold"] <= 1000 and 0 <= policy["breaker_probes"] <= 1000
        if not (counts and all(0 <= share <= 1 for share in shares) and all(seconds >= 0 for seconds in times)):
            raise Refused("policy-out-of-range")
        self.disk.acts.append(("policy", policy))
        yield "committed"

    def changes(self) -> tuple[tuple[str, ...], ...]:
        """Tell which values each change of the policy moved."""
        policies = [act[1] for act in self.disk.acts if act[0] == "policy"]
        moved = (tuple(sorted(name for name in now if now[name] != before[name])) for before, now in pairwise(policies))
        return tuple(names for names in moved if names)

    def toggle(self, name: str, *, on: bool) -> Points:
        """Switch a validator."""
        yield "begun"
        self.disk.acts.append(("validator", name, on))
        yield "committed"

    def report(self, run: str) -> Row:
        """Tell a run from its rows."""
        if run not in self.disk.runs:
            raise Refused("unknown-run")
        steps = [row for row in self.disk.steps if row["run"] == run]
        attempts = [attempt for row in steps for attempt in row["attempts"]]
        scores = [row["score"] for row in steps if row["score"] is not None]
        roles = sorted({row["role"] for row in steps if row["served"] == "local"})
        return {
            "run": run,
            "steps": len(steps),
            "served": sums.count(row["served"] for row in steps),
            "reasons": sums.count(row["reason"] for row in steps),
            "best": max(scores, default=None),
            "input_tokens": sum(attempt["input_tokens"] for attempt in attempts),
            "output_tokens": sum(attempt["output_tokens"] for attempt in attempts),
            "saved": tuple((role, self.saved(run, role)) for role in roles),
            "ending": self.disk.endings.get(run, "closed"),
            "share": sums.share(steps),
            "spent": tuple(sums.taken(side, attempts) for side in ("frontier", "local", "shadow")),
        }

    def saved(self, run: str, role: str) -> float | None:
        """Tell what local saved in a run, against what the frontier really cost."""
        mine = [row for row in self.disk.steps if row["role"] == role]
        local = [sums.spent(row) for row in mine if row["run"] == run and row["served"] == "local"]
        frontier = [cost for row in mine if row["served"] == "frontier" and (cost := sums.spent(row)) is not None]
        priced = [cost for cost in local if cost is not None]
        return len(local) * fmean(frontier) - sum(priced) if frontier and len(priced) == len(local) else None

    def audit(self) -> tuple[str, ...]:
        """Compare the two witnesses, replay every score, derive every reason again."""
        attempts = {attempt["call"]: attempt for row in self.disk.steps for attempt in row["attempts"]}
        traced = {entry["call"]: entry for entry in self.disk.trace}
        # What a rival has under way is in the trace, and will be in history.
        lost = (attempts.keys() ^ traced.keys()) - self.disk.announced.keys()
        wrong = [call for call in attempts.keys() & traced.keys() if sums.differs(attempts[call], traced[call])]
        for row in self.disk.steps:
            replayed = all(harness.score(row["text"], seed) == score for seed, score in row["matches"])
            derived = not row["objections"] or row["reason"] == row["objections"][0]
            wrong += [] if replayed and derived else [row["step"]]
        return tuple(sorted(lost)) + tuple(sorted(wrong))
