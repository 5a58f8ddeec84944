"""What was learned, measured and asked with one text is taken for another's (I1, I2, I3, I8, A0)."""

# ruff: noqa: E501 - an edit is shown as it stands in the source

from collections.abc import Mapping

from stepdown_machine.broken.variant import Variant

# fmt: off
FAULTS: Mapping[str, Variant] = {
    "serves-another-text": Variant("I1", "lead_to", "gates", "a bundle serves though the prompt changed: trained with one template, asked with another",
        'worded = bundle["wording"] == facts.wording',
        "worded = True"),
    "decoded-otherwise-counts": Variant("I3", "lead_to", "gates", "an evaluation used other settings than serving, and counts (autocontext #1061 in kind)",
        '    counts = counts and bundle["decoding"] == facts.decoding\n',
        ""),
    "not-measured-anew": Variant("I14", "promote", "succession", "a promoted bundle serves nobody: its evaluation does not count",
        "for name in runs.TERMS):",
        "for name in runs.TERMS[:1]):"),
    "outdated-serves": Variant("I1", "lead_to", "gates", "a limit that is parsed and never read (agentgateway #3038 in kind)",
        "return most is not None and away > most",
        "return False"),
    "outdated-at-the-limit": Variant("I2", "lead_to", "gates", ">= where the rule says > (TrueMemory #89)",
        "return most is not None and away > most",
        "return most is not None and away >= most"),
    "no-lessons-is-no-limit": Variant("I1", "lead_to", "gates", "limit 0 becomes the default (agentgateway #3038)",
        "return most is not None and away > most",
        "return bool(most) and away > (most or 0)"),
    "lapsed-by-what-is-taught-since": Variant("I10", "run", "runs", "a generation's questions are put with what it teaches",
        "rows += [(yield from self.step(*place, known=known))]",
        "rows += [(yield from self.step(*place, known=known + bool(rows)))]"),
    "lesson-kept-twice": Variant("I10", "run", "runs", "what is known already is learned again",
        'if row["served"] and row["text"] != (self.disk.lessons[-1][0] if self.disk.lessons else ""):',
        'if row["served"] and (row["generation"] == 0 or row["text"] != self.disk.lessons[-1][0]):\n            self.disk.lessons.append((row["text"], row["step"]))\n        if row["served"] and row["text"] != (self.disk.lessons[-1][0] if self.disk.lessons else ""):'),
    "first-lesson-for-ever": Variant("I10", "run", "runs", "a coach is heard once",
        'if row["served"] and row["text"] != (self.disk.lessons[-1][0] if self.disk.lessons else ""):',
        'if row["served"] and not self.disk.lessons:'),
    "promoted-though-outdated": Variant("I14", "lead_to", "succession", "a promoted bundle serves nobody: its evaluation has lapsed",
        'stale = policy["max_lessons"] is not None and away > policy["max_lessons"]',
        'stale = away < 0'),
    "measured-with-another-text": Variant("I3", "lead_to", "gates", "an evaluation used another prompt than serving, and counts (autocontext #1061)",
        "counts = counts and worded",
        "counts = bool(counts)"),
    "reworded-for-ever": Variant("I2", "lead_to", "runs", "what did not fit once is remembered as unfit (openclaw #64083 in kind)",
        'wording=self.disk.environment["text"],',
        'wording=(said := self.__dict__.setdefault("said", [])).append(self.disk.environment["text"]) or next((t for t in said if t != "own"), "own"),'),
    "exports-another-text": Variant("I8", "export", "toy", "steps that were asked with another text are exported with those of now",
        '            and row["wording"] == self.disk.environment["text"]\n',
        ""),
    "exports-the-first-text": Variant("I8", "export", "toy", "only what a fresh system asked is exported, whatever is asked now",
        'row["wording"] == self.disk.environment["text"]',
        'row["wording"] == "own"'),
    "trained-on-another-text": Variant("A0", "lead_to", "toy", "a dataset is trained from though nobody is asked so any more",
        'if self.asked_with(dataset) != self.disk.environment["text"]:',
        "if not dataset:"),
    "promoted-though-reworded": Variant("A0", "lead_to", "succession", "a bundle is compared, at a price, that cannot serve whatever comes of it",
        '        if not self.worded(bundle):\n            raise Refused("bundle-incompatible")\n',
        ""),
    "back-to-another-text": Variant("A0", "lead_to", "succession", "a rollback leads to what learned another text",
        "        if not self.worded(bundle):\n            return False\n",
        ""),
}
# fmt: on
