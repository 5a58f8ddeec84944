"""History, trace and report tell different stories (I4, I5, I12)."""

# ruff: noqa: E501 - an edit is shown as it stands in the source

from collections.abc import Mapping

from stepdown_machine.broken.variant import Variant

# fmt: off
FAULTS: Mapping[str, Variant] = {
    "probe-flag-stuck": Variant("I4", "crash", "runs", "a failed probe leaves its flag set for ever (deer-flow #3991)",
        "        self.disk.announced.clear()\n",
        "        self.disk.announced = {c: r | {'call': c} for c, r in self.disk.announced.items() if r['bundle']}\n"),
    "failed-attempt-dropped": Variant("I4", "disturb", "runs", "a fallback leaves no row for the failure (litellm #16752)",
        '            row["attempts"].append(attempt)\n            if provider == "local"',
        '            row["attempts"] = [attempt]\n            if provider == "local"'),
    "logged-twice": Variant("I4", "run", "runs", "two layers both log one call (litellm #15740)",
        '        yield "called"\n        return entry',
        '        self.disk.trace.append(dict(entry))\n        yield "called"\n        return entry'),
    "call-id-of-the-run": Variant("I4", "run", "runs", "the provider's id as key, collisions (litellm #28376)",
        'call = f"{row[\'step\']}/{len(row[\'attempts\'])}"',
        'call = f"{row[\'run\']}.{row[\'place\']}/{len(row[\'attempts\'])}"'),
    "tokens-of-the-other": Variant("I4", "run", "runs", "counts taken from the request, not the reply (litellm #34675 in kind)",
        '"output_tokens": ended["output_tokens"]}',
        '"output_tokens": ended["input_tokens"]}'),
    "error-normalised": Variant("I4", "disturb", "runs", "every provider error stored under one word (litellm #16752 in kind)",
        'attempt = {**asked, "error": error,',
        'attempt = {**asked, "error": error and error.replace("load-failed", "error"),'),
    "reply-trimmed": Variant("I4", "run", "runs", "stored text is prettier than what was said",
        'row |= {"served": provider, "outcome": "served", "text": text}',
        'row |= {"served": provider, "outcome": "served", "text": text.replace(" ", "")}'),
    "recovery-forgets": Variant("I4", "crash", "runs", "shutdown before the queue is drained (litellm #38157)",
        "            self.disk.steps.append(row)\n        self.disk.announced.clear()",
        "        self.disk.announced.clear()"),
    "never-reconciled": Variant("I4", "crash", "runs", "a batch that was popped before it was written (litellm #34808)",
        "        self.disk.announced.clear()\n",
        ""),
    "recovery-invents-success": Variant("I4", "crash", "runs", "an unknown outcome counted as good (Switchyard in kind)",
        'error = entry["error"] if entry["ended"] else "interrupted"',
        'error = entry["error"]'),
    "first-weights-reused": Variant("I5", "switch", "runs", "the first adapter is reused after it is replaced (mlx-lm #229)",
        'weights = self.disk.bundles.get(local, {}).get("weights") if local else None',
        'weights = self.__dict__.setdefault("loaded", self.disk.bundles[local]["weights"]) if local else None'),
    "base-model-serves": Variant("I5", "train", "runs", "the adapter is not found and the base model serves, unwarned (mlx-lm #1248)",
        'weights = self.disk.bundles.get(local, {}).get("weights") if local else None',
        'weights = "base" if local else None'),
    "tokens-of-served-only": Variant("I12", "inspect", "toy", "a failed attempt costs nothing in the report (litellm #16752)",
        'sum(attempt["input_tokens"] for attempt in attempts)',
        'sum(a["input_tokens"] for row in steps for a in row["attempts"] if row["served"] == a["provider"])'),
    "repeated-tokens": Variant("I12", "inspect", "toy", "a repeated event counts twice in totals (litellm #34675)",
        'sum(attempt["output_tokens"] for attempt in attempts)',
        'sum(attempt["output_tokens"] for attempt in attempts + attempts[:1])'),
    "saved-by-the-dearest": Variant("I12", "inspect", "toy", "savings against a list price that nobody paid",
        "len(local) * fmean(frontier)",
        "len(local) * max(frontier)"),
    "saved-against-itself": Variant("I12", "inspect", "toy", "the steps that local served make the baseline cheaper",
        'frontier = [spent(row) for row in mine if row["served"] == "frontier"]',
        'frontier = [spent(row) for row in mine if row["served"]]'),
    "dated-by-the-whole-minute": Variant("I12", "wait", "runs", "times rounded on the way in (litellm #8190 in kind)",
        '"at": self.disk.now',
        '"at": self.disk.now // 60 * 60'),
}
# fmt: on
