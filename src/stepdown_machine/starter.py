"""A starting point: a system of sixty lines, and the adapter that puts it before the machine.

Put your own system where `Desk` is, and change `DeskSystem` until `stepdown-machine check` has nothing to say.
"""

from __future__ import annotations

import hashlib
from typing import Any

from stepdown_machine import operations as op
from stepdown_machine.observed import Attempt, Call, Holding, Observation, Shelved, Step
from stepdown_machine.protocol import START, Answer, Description, Origin
from stepdown_machine.values import Bundle, Dataset, Policy, Ran, Record, Refusal

# --- The system: a small model answers first, as soon as one was taught; a large one answers otherwise. ---


class Desk:
    """Answers questions, and remembers who did and why."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.calls: list[dict[str, Any]] = []
        self.lessons: dict[str, str] = {}
        self.models: dict[str, dict[str, Any]] = {}
        self.chosen: str | None = None
        self.environment = {"local": "calm", "frontier": "calm"}

    def ask(self, run: str, role: str, question: str) -> None:
        """Answer one question: the small model if nothing is against it, then the large one if that failed."""
        against, tried = self.against(role), []
        if not against:
            tried.append(self.call("local", question))
            self.models[self.chosen or ""]["failures"] += tried[0]["error"] is not None
        if not tried or tried[0]["error"]:
            tried.append(self.call("frontier", question))
        why = against[0] if against else (f"local-{tried[0]['error']}" if tried[0]["error"] else None)
        self.rows.append({"run": run, "role": role, "against": against, "tried": tried, "why": why})

    def against(self, role: str) -> list[str]:
        """Say what is against asking the small model."""
        if role != "competitor":
            return ["role-not-eligible", "bundle-absent"]
        if self.chosen is None:
            return ["bundle-absent"]
        model = self.models[self.chosen]
        objecting = [] if model["on"] else ["bundle-disabled"]
        return objecting + (["local-cooldown"] if model["failures"] >= 3 else [])

    def call(self, provider: str, question: str) -> dict[str, Any]:
        """Ask a provider, which keeps a log of its own."""
        bad = self.environment[provider] if self.environment[provider] in ("load-failed", "error", "timeout") else None
        weights = self.models[self.chosen or ""]["weights"] if provider == "local" and not bad else None
        entry = {"call": f"call-{len(self.calls)}", "provider": provider, "error": bad, "weights": weights}
        self.calls.append(entry | {"text": "" if bad else f"{provider} on {question}"})
        return self.calls[-1]

    def teach(self, lesson: str, plan: str) -> str:
        """Make a small model of a lesson; the same lesson and plan give the same one."""
        name = "model-" + hashlib.sha256(f"{lesson} {plan}".encode()).hexdigest()[:8]
        weights = hashlib.sha256(name.encode()).hexdigest()
        self.models.setdefault(name, {"weights": weights, "on": True, "failures": 0})
        return name


# --- The adapter: it translates, and judges nothing. ---


class DeskSystem:
    """A fresh, empty desk behind the machine's protocol. One is made for each example."""

    def __init__(self) -> None:
        self.desk = Desk()

    def describe(self) -> Description:
        """Say what the system can do: what is not named here is not asked of it."""
        return Description(
            # Where a script of a failure finds this adapter.
            origin=Origin(__name__, "DeskSystem"),
            # The operations that `perform` knows. Begin with few, and add one at a time.
            operations=frozenset((op.Run, op.Export, op.Train, op.Activate, op.Disable, op.Enable, op.Disturb)),
            # Answers here have no score. With `True` they must be those of grid_ctf.
            scores=False,
            # Nothing looks at the answers, and no number of a policy can be set.
            validators=(),
            policies=frozenset(),
        )

    def perform(self, operation: op.Operation) -> Answer:
        """Do one operation. A refusal is a value; an exception that leaves this method is a failure of the system."""
        desk = self.desk
        match operation:
            case op.Run(seed=seed, generations=generations, candidates=candidates):
                return self._run(seed, generations, candidates)
            case op.Export():
                return self._export(operation)
            case op.Train(dataset=dataset, plan=plan):
                if dataset not in desk.lessons:
                    return Refusal("unknown-dataset")
                return self._bundle(desk.teach(desk.lessons[dataset], plan))
            case op.Activate(bundle=bundle) | op.Disable(bundle=bundle) | op.Enable(bundle=bundle):
                return self._switch(operation, bundle)
            case op.Disturb(local=local, frontier=frontier):
                # From now on a provider fails like this: the one thing that a system must let itself be told.
                desk.environment = {"local": local, "frontier": frontier}
        return None

    def _run(self, seed: int, generations: int, candidates: int) -> Ran:
        """A run asks the first role so many times, then the second one once, and again for each generation."""
        run = f"run-{len({row['run'] for row in self.desk.rows})}"
        for generation in range(generations):
            for number in range(candidates):
                self.desk.ask(run, "competitor", f"question {seed}.{generation}.{number}")
            self.desk.ask(run, "coach", f"lesson {seed}.{generation}")
        return Ran(run)

    def _export(self, asked: op.Export) -> Dataset | Refusal:
        """Write what the first role was answered, and may be learned from."""
        if asked.min_score is not None and not 0 <= asked.min_score <= 1:
            return Refusal("filter-out-of-range")
        steps = self.observe().steps
        if asked.run is not None and asked.run not in {step.run for step in steps}:
            return Refusal("unknown-run")
        # Nothing here has a score, no generation is kept, and there is one scenario: what asks for more gets nothing.
        nothing = asked.min_score is not None or asked.kept_only or asked.scenario not in (None, "grid_ctf")
        records = tuple(
            Record(step.step, "train", "", step.text, step.score, step.served or "")
            for step in steps
            if step.role == "competitor" and step.outcome == "served" and asked.run in (None, step.run)
            if not nothing and (asked.include_local or step.served == "frontier")
        )
        if not records:
            return Refusal("no-records")
        text = "\n".join(record.completion for record in records)
        digest = hashlib.sha256(text.encode()).hexdigest()
        self.desk.lessons[f"lesson-{digest[:8]}"] = text
        return Dataset(f"lesson-{digest[:8]}", digest, records, text)

    def _bundle(self, name: str) -> Bundle:
        """Say what is known of a small model; nobody here evaluates one, so every gate of worth passes."""
        return Bundle(name, self.desk.models[name]["weights"], trained_at=START, score=1.0, valid=1.0)

    def _switch(self, operation: op.Operation, name: str) -> Refusal | None:
        if name not in self.desk.models:
            return Refusal("unknown-bundle")
        model = self.desk.models[name]
        match operation:
            case op.Activate() if not model["on"]:
                return Refusal("bundle-disabled")
            case op.Activate():
                self.desk.chosen = name
            case op.Disable() | op.Enable():
                model["on"] = isinstance(operation, op.Enable)
        return None

    def observe(self, *, thorough: bool = False) -> Observation:  # noqa: ARG002 - nothing is remembered
        """Read what is durable: history, the providers' own log, and who is chosen. `thorough` reads all of it anew."""
        desk = self.desk
        holdings = (Holding("desk", "competitor", desk.chosen),) if desk.chosen else ()
        return Observation(
            steps=tuple(_step(number, row) for number, row in enumerate(desk.rows)),
            calls=tuple(
                Call(c["call"], c["provider"], True, c["error"], c["weights"], c["text"], 0, 0) for c in desk.calls
            ),
            announced=(),
            generations=(),
            holdings=holdings,
            shelf=tuple(Shelved(name, True, True, model["weights"]) for name, model in desk.models.items()),
            policy=Policy(),
            validators=frozenset(),
            acts=(),
            datasets=tuple((name, hashlib.sha256(text.encode()).hexdigest()) for name, text in desk.lessons.items()),
        )

    def close(self) -> None:
        """Give back every file, thread and child; a desk has none."""


def _step(number: int, row: dict[str, Any]) -> Step:
    """One question as history has it: who was to be asked, who was, and who served are three facts."""
    last = row["tried"][-1]
    served = None if last["error"] else last["provider"]
    return Step(
        step=f"step-{number}",
        run=row["run"],
        generation=0,
        role=row["role"],
        at=START,
        requested="frontier" if row["against"] else "local",
        objections=tuple(row["against"]),
        reason=row["why"],
        attempts=tuple(
            Attempt(each["call"], each["provider"], each["error"], each["weights"], 0, 0) for each in row["tried"]
        ),
        served=served,
        outcome="served" if served else "failed",
        error=last["error"],
        text=last["text"],
        matches=(),
        score=None,
    )
