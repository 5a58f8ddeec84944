"""A run that goes on, a single question, and who would be asked: what stands is asked again, or told otherwise (I4, I8, I10, A0)."""

# ruff: noqa: E501 - an edit is shown as it stands in the source

from collections.abc import Mapping

from stepdown_machine.broken.variant import Variant

# fmt: off
FAULTS: Mapping[str, Variant] = {
    "asks-again-what-was-cut-off": Variant("I10", "crash", "runs", "a resumed run repeats the call that it does not know the end of, at a price (litellm #34808 in kind)",
        'rows = [row for row in mine if row["role"] == "competitor"]',
        'rows = [row for row in mine if row["role"] == "competitor" and not row["recovered"]]'),
    "goes-on-from-the-start": Variant("I10", "crash", "runs", "a resumed run begins anew (SimpleTuner #2613 in kind)",
        'mine = [row for row in self.disk.steps if (row["run"], row["generation"]) == (run, index)]',
        "mine: list[Row] = []"),
    "goes-on-behind-the-generation": Variant("I10", "crash", "runs", "a resumed run leaves out what is left of the generation that was cut off",
        "for position in range(begun, candidates):",
        "for position in range(0 if not begun else candidates, candidates):"),
    "decides-again": Variant("I8", "configure", "runs", "a resumed run decides a second time what was decided",
        'if all((each["run"], each["index"]) != (run, index) for each in self.disk.generations):',
        "if index < generations:"),
    "goes-on-with-other-seeds": Variant("I10", "crash", "runs", "places are counted from where the run goes on",
        'place = (run, index, position, "competitor", seed * 100 + index * 10 + position)',
        'place = (run, index, position, "competitor", seed * 100 + index * 10 + position - begun)'),
    "coach-asked-again": Variant("I10", "configure", "runs", "a resumed run asks the coach once more about what it has learned",
        "            if len(mine) <= candidates:\n",
        "            if len(mine) <= candidates or begun == candidates:\n"),
    "the-done-goes-on": Variant("A0", "crash", "toy", "a run that came to its end is played again",
        'if self.disk.endings[run] in ("completed", "failed"):',
        'if run == "":'),
    "goes-on-though-changed": Variant("A0", "crash", "toy", "half of a run is asked with one text, half with another (autocontext #1061 in kind)",
        "if self.disk.plans[run][-1] != self.circumstances():",
        'if run == "":'),
    "a-question-is-work": Variant("I10", "configure", "runs", "a single question is counted among a run's candidates",
        'purpose="live"',
        'purpose="work"'),
    "asks-another-question": Variant("I10", "configure", "runs", "the seed of a question is the number of its run",
        'self.step(run, 0, place, "competitor", seed, purpose="live")',
        'self.step(run, 0, place, "competitor", len(self.disk.runs), purpose="live")'),
    "only-the-first-is-asked": Variant("I10", "lead_to", "runs", "of several questions at one desk one is asked",
        "for place, seed in enumerate(seeds):",
        "for place, seed in enumerate(seeds[:1]):"),
    "learned-its-examination": Variant("I8", "lead_to", "toy", "evaluation set leaked into training data (autocontext #1061 in kind)",
        'and not (row["purpose"] == "live" and row["seed"] == EXAMINED)',
        ""),
    "questions-not-exported": Variant("I8", "export", "toy", "what was asked live is left out of what is learned (tensorzero #1220 in kind)",
        'row["purpose"] != "comparison"',
        'row["purpose"] == "work"'),
    "route-to-the-forbidden": Variant("I10", "lead_to", "runs", "who would be asked is told without asking for consent (litellm #5330 in kind)",
        '"nobody" if closed else "frontier", objecting',
        '"frontier", objecting'),
    "route-by-the-first": Variant("I10", "lead_to", "runs", "an explanation names one objection and calls it all (NadirClaw #47)",
        '"nobody" if closed else "frontier", objecting',
        '"nobody" if closed else "frontier", objecting[:1]'),
    "best-though-equal": Variant("I8", "run", "runs", ">= where the rule says > (TrueMemory #89 the other way)",
        'top["score"] > best else "retry"',
        'top["score"] >= best else "retry"'),
    "better-than-any-run": Variant("I8", "run", "runs", "the best so far is taken from all runs",
        'if row["run"] == run and row["generation"] < index]',
        'if row["run"] < run or (row["run"] == run and row["generation"] < index)]'),
}
# fmt: on
