"""What is said later changes what was, or is lost; and what was killed is gone on with at another place (I8, I9, I10, A0)."""

# ruff: noqa: E501 - an edit is shown as it stands in the source

from collections.abc import Mapping

from stepdown_machine.broken.variant import Variant

# fmt: off
FAULTS: Mapping[str, Variant] = {
    "judgement-rewrites-the-row": Variant("I10", "export", "toy", "feedback is written over the score of the row (dioptra #768 in kind)",
        'self.disk.judgements.append((given[position]["step"], score))',
        'self.disk.judgements.append((given[position]["step"], score))\n        given[position]["score"] = score'),
    "first-judgement-counts": Variant("I8", "export", "toy", "the first word is kept, not the last",
        'return later[-1] if later else row["score"]',
        'return later[0] if later else row["score"]'),
    "judgement-of-zero-is-none": Variant("I8", "export", "toy", "a value that happens to be falsy (agentgateway #3038 in kind)",
        'return later[-1] if later else row["score"]',
        'return (later[-1] if later else 0) or row["score"]'),
    "judgement-not-exported": Variant("I8", "export", "toy", "feedback that no export reads (tensorzero #1220 in kind)",
        'facts = {"score": self.worth(row), "served"',
        'facts = {"score": row["score"], "served"'),
    "filtered-by-the-old-score": Variant("I8", "export", "toy", "the filter asks one column, the record another (autocontext #1077 in kind)",
        'self.worth(row) >= wanted["min_score"]',
        '(row["score"] or 0.0) >= wanted["min_score"]'),
    "judgement-for-the-whole-run": Variant("I8", "export", "toy", "feedback is joined by a key that is too wide (tensorzero #1220 in kind)",
        'if step == row["step"]]',
        'if step.split(".")[0] == row["run"]]'),
    "judgement-replaced": Variant("I10", "export", "toy", "one row for each answer, updated in place",
        'self.disk.judgements.append((given[position]["step"], score))',
        'self.disk.judgements[:] = [*(j for j in self.disk.judgements if j[0] != given[position]["step"]), (given[position]["step"], score)]'),
    "judged-beyond-the-end": Variant("A0", "export", "toy", "a call that nobody knows is taken for the last one",
        "        if not 0 <= position < len(given):\n            raise Refused(\"unknown-call\")\n",
        "        if not given:\n            raise Refused(\"unknown-call\")\n        position = min(position, len(given) - 1)\n"),
    "judged-without-an-answer": Variant("A0", "export", "toy", "any call of a step is taken for the one that served",
        "        if refused:\n            raise Refused(\"unknown-call\")\n",
        ""),
    "judged-above-one": Variant("A0", "export", "toy", "a score of any size is taken (VibeFileSync #175 in kind)",
        "        if not 0 <= score <= 1:\n",
        "        if score < 0:\n"),
    "judgement-lost-in-crash": Variant("I10", "crash", "recovery", "recovery clears what it does not know (litellm #38157 in kind)",
        "        self.recover()\n",
        "        self.recover()\n        self.disk.judgements[1:] = []\n"),
    "resumed-from-the-start": Variant("I9", "train", "toy", "the weights are loaded and the count of steps is not",
        "for number in range(done, STEPS):",
        "for number in range(STEPS):"),
    "resumed-a-step-late": Variant("I9", "train", "toy", "the step that was under way is taken for done",
        "self.disk.checkpoints[job] = (number + 1, learned)",
        "self.disk.checkpoints[job] = (number + 2, learned)"),
    "resumed-without-its-state": Variant("I9", "train", "toy", "the optimizer begins anew at a checkpoint",
        "for number in range(done, STEPS):",
        "for number in range(done, STEPS):\n            learned = digest(learned) if number == done > 0 else learned"),
    "resumed-from-any-plan": Variant("I9", "train", "toy", "resume picks up whatever lies there (SimpleTuner #2613)",
        'self.disk.checkpoints.get(job, (0, digest("".join(job)))) if resume',
        'next(iter(self.disk.checkpoints.values()), (0, digest("".join(job)))) if resume'),
    "checkpoints-kept-for-ever": Variant("I9", "train", "toy", "what is finished leaves its checkpoints behind (SimpleTuner #2613 in kind)",
        "        self.disk.checkpoints.pop(job, None)\n",
        ""),
}
# fmt: on
