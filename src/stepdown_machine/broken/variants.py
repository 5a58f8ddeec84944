"""Broken variants of the toy, each one edit. `source` names a public report of the same mechanism, or the reasoning.

`rule` is the rule whose doing it spoils, `claim` the invariant that must notice. Adding one: make the edit, say why
anybody would write that, and see the machine fail.
"""

# ruff: noqa: E501 - an edit is shown as it stands in the source

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Variant:
    """One edit of one module.

    Attributes:
        claim: Code of the invariant that must notice it.
        rule: The rule that it spoils.
        source: A public report of such a fault, or the reasoning.
        module: `harness`, `gates`, `runs` or `toy`.
        before: Text that occurs exactly once; `after` takes its place.
    """

    claim: str
    rule: str
    source: str
    module: str
    before: str
    after: str


VARIANTS: dict[str, Variant] = {}
"""Every variant by name."""


def _broken(name: str, claim: str, rule: str, source: str, module: str, before: str, after: str) -> None:
    VARIANTS[name] = Variant(claim, rule, source, module, before, after)


# I1: local serves although a gate objects, or did not serve although history says so.
_broken(
    "forced-mode-ignored",
    "I1",
    "configure",
    "a mode that is parsed and never read (agentgateway #3038 in kind)",
    "gates",
    'policy["mode"] == "frontier-only"',
    'policy["mode"] == "frontier"',
)
_broken(
    "role-by-prefix",
    "I3",
    "configure",
    "two spellings of one role compared by prefix (Skyvern #7482 in kind)",
    "gates",
    'facts.role not in policy["local_roles"]',
    'not any(facts.role[:2] == role[:2] for role in policy["local_roles"])',
)
_broken(
    "disabled-serves",
    "I1",
    "switch",
    "a switch that no reader looks at (litellm #5330)",
    "gates",
    '"bundle-disabled": not facts.enabled',
    '"bundle-disabled": False',
)
_broken(
    "existence-is-the-check",
    "I1",
    "damage",
    "existence is the whole integrity check (stemdeck #603)",
    "runs",
    "return listed == {name: digest(files[name]) for name in FILES[1:]}",
    "return bool(listed)",
)
_broken(
    "only-config-checked",
    "I1",
    "damage",
    "only the config is checked (flux-2-swift-mlx #40)",
    "runs",
    "return listed == {name: digest(files[name]) for name in FILES[1:]}",
    'return bool(listed) and listed["config"] == digest(files["config"])',
)
_broken(
    "extra-file-passes",
    "I3",
    "damage",
    "only listed files are looked at, a stray one is loaded (sglang #32279 in kind)",
    "runs",
    "set(files) != set(FILES)",
    "not set(FILES) <= set(files)",
)
_broken(
    "symlink-followed",
    "I1",
    "damage",
    "a linked file has the right bytes today",
    "runs",
    "not all(isinstance(text, str) for text in files.values())",
    "files.update({n: t[1] for n, t in files.items() if not isinstance(t, str)})",
)
_broken(
    "other-scenario-serves",
    "I1",
    "damage",
    "the key is the bare name (mnfst/llm-gateway #1799)",
    "gates",
    '(bundle["scenario"], bundle["format"]) != ("grid_ctf", 1)',
    'bundle["format"] != 1',
)
_broken(
    "newer-format-serves",
    "I3",
    "damage",
    "formats compared the wrong way round",
    "gates",
    '(bundle["scenario"], bundle["format"]) != ("grid_ctf", 1)',
    'bundle["scenario"] != "grid_ctf" or bundle["format"] < 1',
)
_broken(
    "stale-by-the-hour",
    "I1",
    "wait",
    "expiry is late by a zone (litellm #40978)",
    "gates",
    'age = facts.now - bundle["trained_at"]',
    'age = facts.now - bundle["trained_at"] - 3600',
)
_broken(
    "age-limit-zero-is-none",
    "I1",
    "move_limit",
    "limit 0 becomes the default (agentgateway #3038)",
    "gates",
    'policy["max_age"] is not None and not age',
    'bool(policy["max_age"]) and not age',
)
_broken(
    "nan-score-passes",
    "I1",
    "train",
    "a missing metric counts as a pass (VibeFileSync #175)",
    "gates",
    'not bundle["score"] >= policy["min_score"]',
    'bundle["score"] < policy["min_score"]',
)
_broken(
    "quality-inverted",
    "I3",
    "move_limit",
    "the comparison is inverted (ingot #45)",
    "gates",
    'not bundle["score"] >= policy["min_score"]',
    'bundle["score"] > policy["min_score"] > 0',
)
_broken(
    "score-rounded-up",
    "I3",
    "move_limit",
    "thresholds compared after rounding for display",
    "gates",
    'not bundle["score"] >= policy["min_score"]',
    'not round(bundle["score"], 2) >= round(policy["min_score"], 2)',
)
_broken(
    "validity-forgotten",
    "I3",
    "provoke",
    "a share that is reported and never compared (semantic-router #2165 in kind)",
    "gates",
    'counts and not bundle["valid"] >= policy["min_valid"]',
    "False",
)
_broken(
    "coverage-declared",
    "I1",
    "configure",
    "coverage is declared, not measured (autocontext #1200 in kind)",
    "harness",
    "return sum(legal(probe, enabled) == referee(probe) for probe in PROBES) / len(PROBES)",
    "return 1.0 if enabled else 0.0",
)
_broken(
    "old-evaluation-counts",
    "I1",
    "configure",
    "thresholds kept after the scorer changed (semantic-router #2165)",
    "gates",
    '"quality-inconclusive": not counts',
    '"quality-inconclusive": False',
)
_broken(
    "breaker-never-opens",
    "I3",
    "provoke",
    "only transport failures are counted (llm-gateway #1176 in kind)",
    "gates",
    '"local-cooldown": facts.breaker == OPEN or',
    '"local-cooldown": facts.breaker == "opened" or',
)
_broken(
    "cooldown-in-minutes",
    "I1",
    "wait",
    "a cooldown that ends early by its unit",
    "gates",
    'now - self.opened < policy["breaker_cooldown"]',
    'now - self.opened < policy["breaker_cooldown"] / 60',
)
_broken(
    "served-echoes-request",
    "I1",
    "disturb",
    "the answer echoes the requested model after a fallback (litellm #28241)",
    "runs",
    'row |= {"served": provider,',
    'row |= {"served": row["requested"],',
)
_broken(
    "clock-back-closes",
    "I1",
    "wait",
    "elapsed time by its absolute value",
    "gates",
    'now - self.opened < policy["breaker_cooldown"]',
    'abs(now - self.opened) < policy["breaker_cooldown"]',
)

# I2: nothing objects, and local was not requested, not first, or not taken.
_broken(
    "frontier-first",
    "I2",
    "run",
    "a cooling or costly target short-circuits the walk (openclaw #5763)",
    "runs",
    'for provider in ["local"] * (not said) + ["frontier"] * (not forbidden):',
    'for provider in ["frontier"] * (not forbidden) + ["local"] * (not said):',
)
_broken(
    "request-overwritten",
    "I2",
    "disturb",
    "the original request is overwritten by the last hop (litellm #38107)",
    "runs",
    'row["reason"] = "local-" + attempt["error"]',
    'row |= {"reason": "local-" + attempt["error"], "requested": "frontier"}',
)
_broken(
    "strictly-above-score",
    "I2",
    "move_limit",
    "> where the rule says >= (TrueMemory #89)",
    "gates",
    'not bundle["score"] >= policy["min_score"]',
    'not bundle["score"] > policy["min_score"]',
)
_broken(
    "strictly-above-coverage",
    "I2",
    "move_limit",
    "> where the rule says >= (TrueMemory #89)",
    "gates",
    'not facts.coverage >= policy["min_coverage"]',
    'not facts.coverage > policy["min_coverage"]',
)
_broken(
    "strictly-younger",
    "I2",
    "move_limit",
    "exactly the limit is refused (TrueMemory #89 in kind)",
    "gates",
    'not age <= policy["max_age"]',
    'not age < policy["max_age"]',
)
_broken(
    "no-fail-back",
    "I2",
    "mend",
    "no fail-back after recovery (openclaw #64083)",
    "runs",
    "said = gates.objections(facts)",
    'said = self.__dict__.setdefault("stuck", {})[role] = gates.objections(facts) or self.__dict__.setdefault("stuck", {}).get(role, ())',
)
_broken(
    "cooldown-never-ends",
    "I2",
    "wait",
    "no timer from open to half-open (hermes-agent #13474)",
    "gates",
    'if now - self.opened < policy["breaker_cooldown"]:',
    "if now >= self.opened:",
)
_broken(
    "cooldown-zero-is-default",
    "I2",
    "configure",
    "cooldown 0 treated as unset (litellm #12108)",
    "gates",
    'now - self.opened < policy["breaker_cooldown"]',
    'now - self.opened < (policy["breaker_cooldown"] or 30)',
)
_broken(
    "breaker-for-all",
    "I3",
    "train",
    "keyed by provider, so a healthy sibling is blocked (openclaw #10670)",
    "runs",
    'breaker = self.disk.breakers.get(bundle or "", gates.Breaker())',
    "breaker = next(reversed(self.disk.breakers.values()), gates.Breaker())",
)
_broken(
    "probe-flag-stuck",
    "I4",
    "crash",
    "a failed probe leaves its flag set for ever (deer-flow #3991)",
    "runs",
    "        self.disk.announced.clear()\n",
    "        self.disk.announced = {c: r | {'call': c} for c, r in self.disk.announced.items() if r['bundle']}\n",
)
_broken(
    "frontier-trouble-counts",
    "I2",
    "disturb",
    "somebody else's error counts as ill health (experiential #561)",
    "runs",
    'if attempt["provider"] == "local" and bundle is not None:',
    "if bundle is not None:",
)
_broken(
    "window-forgotten",
    "I2",
    "wait",
    "failures of last week open it today",
    "gates",
    'for at in known if at >= now - policy["breaker_window"]',
    "for at in known",
)

# I3: the reason is missing or another one, or what followed is not what the walk says.
_broken(
    "first-gate-wins-silently",
    "I3",
    "provoke",
    "only the last of several errors is kept (NadirClaw #47)",
    "gates",
    "return tuple(reason for reason in ORDER if found.get(reason))",
    "return tuple(reason for reason in ORDER if found.get(reason))[:1]",
)
_broken(
    "reason-from-the-end",
    "I3",
    "provoke",
    "the last objection is told as the reason (NadirClaw #47)",
    "runs",
    '"reason": said[0] if said else None',
    '"reason": said[-1] if said else None',
)
_broken(
    "reason-of-the-decision",
    "I3",
    "disturb",
    "the first decision's reason is stored against the retry (litellm #35016)",
    "runs",
    'row["reason"] = "local-" + attempt["error"]',
    'row["reason"] = said[0] if said else None',
)
_broken(
    "one-word-for-all-failures",
    "I3",
    "disturb",
    "every failure becomes a plain error",
    "runs",
    'row["reason"] = "local-" + attempt["error"]',
    'row["reason"] = "local-error"',
)
_broken(
    "reason-on-ordinary-steps",
    "I3",
    "run",
    "fallback recorded on ordinary steps (Skyvern #7482)",
    "runs",
    '"reason": said[0] if said else None',
    '"reason": said[0] if said else "local-error"',
)
_broken(
    "absent-called-broken",
    "I3",
    "damage",
    "a directory that is gone is reported as damaged",
    "gates",
    '"bundle-integrity": facts.present and not facts.whole',
    '"bundle-integrity": not facts.whole',
)
_broken(
    "no-frontier-after-timeout",
    "I3",
    "disturb",
    "a transport failure is not a status, so no fallback (llm-gateway #1176)",
    "runs",
    'if attempt["error"] is None:\n                row |=',
    'if attempt["error"] == "timeout":\n                break\n            if attempt["error"] is None:\n                row |=',
)
_broken(
    "forbidden-frontier-asked",
    "I3",
    "configure",
    "the forbidden provider stays in a fallback list (litellm #5330)",
    "runs",
    '["frontier"] * (not forbidden)',
    '["frontier"] * (not forbidden or not said)',
)
_broken(
    "local-tried-twice",
    "I3",
    "disturb",
    "the chosen fallback is the one that just failed (oh-my-openagent #3802)",
    "runs",
    '["local"] * (not said) +',
    '["local"] * (2 * (not said)) +',
)
_broken(
    "illegal-reply-accepted",
    "I1",
    "disturb",
    "the reply is checked before a switch, not after (autocontext #1200 in kind)",
    "runs",
    'not harness.legal(ended["text"], self.validators())',
    'not harness.legal(ended["text"], {"json-object"})',
)
_broken(
    "validator-switch-ignored",
    "I3",
    "configure",
    "a switch that nothing reads",
    "runs",
    'not harness.legal(ended["text"], self.validators())',
    'not harness.referee(ended["text"])',
)
_broken(
    "failed-step-keeps-a-score",
    "I3",
    "disturb",
    "a failed row scored as 0 (autocontext #1200 in kind)",
    "runs",
    'if row["served"] and row["role"] == "competitor":',
    'if row["role"] == "competitor" and (row["served"] or row["attempts"]):',
)
_broken(
    "half-open-forgives",
    "I3",
    "wait",
    "a failure in half-open is ignored (agentic_security #328)",
    "gates",
    "return Breaker(now) if failed else self.probed(policy)",
    "return self if failed else self.probed(policy)",
)
_broken(
    "first-deadline-kept",
    "I1",
    "wait",
    "cooling again keeps the first, shorter deadline (litellm #40130)",
    "gates",
    "return Breaker(now) if failed else self.probed(policy)",
    "return Breaker(self.opened) if failed else self.probed(policy)",
)
_broken(
    "probes-not-counted",
    "I3",
    "configure",
    "one good probe closes it, however many were asked for",
    "gates",
    "return Breaker() if successes >= policy",
    "return Breaker() if successes >= 1 or successes >= policy",
)

# I4: history and trace differ.
_broken(
    "failed-attempt-dropped",
    "I4",
    "disturb",
    "a fallback leaves no row for the failure (litellm #16752)",
    "runs",
    '            row["attempts"].append(attempt)\n',
    '            row["attempts"] = [attempt]\n',
)
_broken(
    "logged-twice",
    "I4",
    "run",
    "two layers both log one call (litellm #15740)",
    "runs",
    '        yield "called"\n        return entry',
    '        self.disk.trace.append(dict(entry))\n        yield "called"\n        return entry',
)
_broken(
    "call-id-of-the-run",
    "I4",
    "run",
    "the provider's id as key, collisions (litellm #28376)",
    "runs",
    "call = f\"{row['step']}/{len(row['attempts'])}\"",
    "call = f\"{row['run']}.{row['place']}/{len(row['attempts'])}\"",
)
_broken(
    "tokens-of-the-other",
    "I4",
    "run",
    "counts taken from the request, not the reply (litellm #34675 in kind)",
    "runs",
    '"output_tokens": ended["output_tokens"]}',
    '"output_tokens": ended["input_tokens"]}',
)
_broken(
    "error-normalised",
    "I4",
    "disturb",
    "every provider error stored under one word (litellm #16752 in kind)",
    "runs",
    'attempt = {"call": call, "provider": provider, "error": error,',
    'attempt = {"call": call, "provider": provider, "error": error and error.replace("load-failed", "error"),',
)
_broken(
    "reply-trimmed",
    "I4",
    "run",
    "stored text is prettier than what was said",
    "runs",
    'row |= {"served": provider, "outcome": "served", "text": text}',
    'row |= {"served": provider, "outcome": "served", "text": text.replace(" ", "")}',
)
_broken(
    "recovery-forgets",
    "I4",
    "crash",
    "shutdown before the queue is drained (litellm #38157)",
    "runs",
    "            self.disk.steps.append(row)\n        self.disk.announced.clear()",
    "        self.disk.announced.clear()",
)
_broken(
    "never-reconciled",
    "I4",
    "crash",
    "a batch that was popped before it was written (litellm #34808)",
    "runs",
    "        self.disk.announced.clear()\n",
    "",
)
_broken(
    "recovery-invents-success",
    "I4",
    "crash",
    "an unknown outcome counted as good (Switchyard in kind)",
    "runs",
    'error = entry["error"] if entry["ended"] else "interrupted"',
    'error = entry["error"]',
)

# I5: both witnesses agree, and both are wrong about the weights.
_broken(
    "first-weights-reused",
    "I5",
    "activate",
    "the first adapter is reused after it is replaced (mlx-lm #229)",
    "runs",
    'weights = self.disk.bundles[local]["weights"] if local else None',
    'weights = self.__dict__.setdefault("loaded", self.disk.bundles[local]["weights"]) if local else None',
)
_broken(
    "base-model-serves",
    "I5",
    "train",
    "the adapter is not found and the base model serves, unwarned (mlx-lm #1248)",
    "runs",
    'weights = self.disk.bundles[local]["weights"] if local else None',
    'weights = "base" if local else None',
)

# I6: two bundles in one slot, or two truths about it.
_broken(
    "activation-adds",
    "I6",
    "activate",
    "activate rewrites several places without a lock (autocontext registry)",
    "toy",
    '            self.disk.acts.append(("activate", bundle))\n        yield "committed"',
    '            self.disk.acts.append(("also-activate" if self.active("competitor") else "activate", bundle))\n        yield "committed"',
)
_broken(
    "registry-kept-from-start",
    "I2",
    "activate",
    "a long-lived process keeps the old registry object (toolhive #1292)",
    "runs",
    'held = [act[1] for act in self.disk.acts if act[0] == "activate"]',
    'held = self.__dict__.setdefault("held", [act[1] for act in self.disk.acts if act[0] == "activate"] or None) or []',
)

# I7: scores do not replay.
_broken(
    "score-not-clipped",
    "I7",
    "run",
    "a referee that forgets one clip",
    "harness",
    'capture = clip(0.55 * move["aggression"] + 0.45 * move["path_bias"] + luck)',
    'capture = 0.55 * move["aggression"] + 0.45 * move["path_bias"] + abs(luck)',
)
_broken(
    "score-of-the-wrong-seed",
    "I7",
    "run",
    "evaluation on another seed than is stored (autocontext #1061 in kind)",
    "runs",
    'tuple((match, harness.score(row["text"], match)) for match in (seed, seed + 500))',
    'tuple((match, harness.score(row["text"], seed)) for match in (seed, seed + 500))',
)
_broken(
    "best-match-is-the-score",
    "I7",
    "run",
    "the best match told as the mean (autocontext #1077 in kind)",
    "runs",
    'row["score"] = round(fmean(score for _, score in row["matches"]), 4)',
    'row["score"] = max(score for _, score in row["matches"])',
)

# I8: export is not a function of the rows that pass.
_broken(
    "filter-by-run-forgotten",
    "I8",
    "export",
    "a filter that is accepted and not applied",
    "toy",
    'and wanted["run"] in (None, row["run"])',
    "",
)
_broken(
    "strictly-above-in-export",
    "I8",
    "export",
    "> where the rule says >= (TrueMemory #89)",
    "toy",
    'row["score"] >= wanted["min_score"]',
    'row["score"] > wanted["min_score"]',
)
_broken(
    "min-score-zero-is-none",
    "I8",
    "export",
    "rows without a limit that happen to be falsy",
    "toy",
    'wanted["min_score"] is None or',
    'wanted["min_score"] is None or row["served"] == "local" or',
)
_broken(
    "kept-means-served",
    "I8",
    "export",
    "kept is read from the wrong column (autocontext #1077 in kind)",
    "toy",
    'not wanted["kept_only"] or row["step"] in kept',
    'not wanted["kept_only"] or row["score"] > 0',
)
_broken(
    "trained-on-itself",
    "I8",
    "export",
    "local's replies are exported without being asked for",
    "toy",
    'wanted["include_local"] or row["served"] == "frontier"',
    "True",
)
_broken(
    "illegal-rows-exported",
    "I8",
    "export",
    "accepted is taken for legal",
    "toy",
    'and harness.referee(row["text"])',
    'and row["score"] is not None',
)
_broken(
    "trajectory-leaks",
    "I8",
    "export",
    "an excluded score leaks through the trajectory (autocontext #1212)",
    "toy",
    "prompt = f\"grid_ctf on seed {row['seed']}\"",
    "prompt = f\"grid_ctf on seed {row['seed']} after {self.disk.steps[0]['text']}\"",
)
_broken(
    "split-by-place",
    "I8",
    "export",
    "duplicates cross the train/valid split (OpenTextShield #194)",
    "toy",
    'split = "valid" if digest(prompt + row["text"]) < "4" else "train"',
    'split = "valid" if digest(row["step"]) < "8" else "train"',
)
_broken(
    "score-of-the-neighbour",
    "I8",
    "export",
    "child rows carry the wrong parent (tensorzero #1220)",
    "toy",
    'facts = {"score": row["score"], "served": row["served"]}',
    'facts = {"score": self.disk.steps[0]["score"], "served": row["served"]}',
)
_broken(
    "first-duplicate-only",
    "I8",
    "export",
    "an empty id as key, only the first row survives (litellm #6633)",
    "toy",
    "rows = [row for row in self.disk.steps if self.passes(row, wanted, kept)]",
    'rows = list({row["seed"]: row for row in self.disk.steps if self.passes(row, wanted, kept)}.values())',
)
_broken(
    "export-knows-the-time",
    "I8",
    "export",
    "a stamp inside the bytes that are hashed",
    "toy",
    '"completion": row["text"], **facts}',
    '"completion": row["text"], **facts, "prompt": prompt + f" at {self.disk.now}"}',
)
_broken(
    "last-candidate-kept",
    "I8",
    "run",
    "last round shipped, not the best (autocontext #1077)",
    "runs",
    'kept = (top["step"],) if',
    'kept = (rows[-1]["step"],) if',
)
_broken(
    "kept-though-not-advanced",
    "I8",
    "run",
    "a rejected generation is kept (autocontext #1077 in kind)",
    "runs",
    'if top is not None and gate == "advance" else ()',
    "if top is not None else ()",
)

# I9: a bundle is half there, or equal jobs differ.
_broken(
    "weights-after-manifest",
    "I9",
    "crash",
    "registered before it is written, crash between (autocontext #1197)",
    "toy",
    "        bundle = digest(manifest)\n",
    '        bundle = digest(manifest)\n        self.register(bundle, facts)\n        yield "shelved"\n',
)
_broken(
    "parts-left-behind",
    "I9",
    "crash",
    "resume picks up what a killed training left (SimpleTuner #2613)",
    "runs",
    "self.disk.bundles = {name: files for name, files in self.disk.bundles.items() if name in known - gone}",
    "self.disk.bundles = {name: files for name, files in self.disk.bundles.items() if name not in gone}",
)
_broken(
    "unseeded-training",
    "I9",
    "train",
    "weights depend on when they were made",
    "toy",
    'digest(dataset + plan)}"',
    'digest(dataset + plan + str(len(self.disk.acts)))}"',
)
_broken(
    "cache-without-plan",
    "I9",
    "train",
    "the key omits settings (autocontext #1193)",
    "toy",
    'job == (dataset, plan, self.disk.weather["version"])',
    'job is not None and (job[0], job[2]) == (dataset, self.disk.weather["version"])',
)
_broken(
    "never-the-same-bundle",
    "I9",
    "train",
    "an equal job is never found",
    "toy",
    "found = self.equal(dataset, plan)",
    "found = None",
)
_broken(
    "mean-as-lower-bound",
    "I9",
    "train",
    "the margin is added instead of taken",
    "toy",
    "round(mean - 0.02, 4)",
    "round(mean + 0.02, 4)",
)
_broken(
    "illegal-held-out-ignored",
    "I9",
    "train",
    "illegal replies are left out of the share (VibeFileSync #175 in kind)",
    "toy",
    "valid = sum(mark is not None for _, mark in marks) / len(marks)",
    "valid = 1.0",
)
_broken(
    "deletion-keeps-the-row",
    "I9",
    "switch",
    "delete compares other types, the alias dangles (mlflow #24825)",
    "toy",
    "self.disk.acts.append((word, bundle))",
    'self.disk.acts.append((word.replace("delete", "retire"), bundle))',
)

# I10: history shrinks, or does not explain the state.
_broken(
    "preferences-reset-on-open",
    "I10",
    "inspect",
    "defaults written at every start",
    "runs",
    "        self.recover()\n",
    '        self.recover()\n        self.disk.acts.append(("validator", "budget", True))\n',
)
_broken(
    "old-rows-rewritten",
    "I10",
    "run",
    "a row is updated in place (dioptra #768 in kind)",
    "runs",
    "        self.disk.steps.append(row)\n        for attempt",
    '        for old in self.disk.steps[-3:-2]:\n            old["reason"] = row["reason"]\n        self.disk.steps.append(row)\n        for attempt',
)
_broken(
    "policy-merged",
    "I10",
    "move_limit",
    "unset fields keep old values (litellm #12108 in kind)",
    "toy",
    'self.disk.acts.append(("policy", policy))',
    'self.disk.acts.append(("policy", {n: v or self.policy()[n] for n, v in policy.items()}))',
)
_broken(
    "activation-lost-in-crash",
    "I1",
    "race",
    "four writers, one lands (agmsg #114)",
    "toy",
    '        yield "begun"\n        self.registered(bundle)\n        if self.retired(bundle):',
    '        acts = list(self.disk.acts)\n        yield "begun"\n        self.disk.acts[:] = acts\n        self.registered(bundle)\n        if self.retired(bundle):',
)
_broken(
    "toggle-toggles",
    "I10",
    "configure",
    "a setter that flips",
    "toy",
    'self.disk.acts.append(("validator", name, on))',
    'self.disk.acts.append(("validator", name, name not in self.validators()))',
)
_broken(
    "retired-comes-back",
    "I10",
    "switch",
    "the last entry is never evicted (litellm #28443)",
    "runs",
    "held and not self.retired(held[-1]) else None",
    "held else None",
)
_broken(
    "report-counts-attempts",
    "I10",
    "inspect",
    "a report that counts calls as steps (litellm #34675 in kind)",
    "toy",
    '"steps": len(steps),',
    '"steps": len(attempts),',
)
_broken(
    "report-hides-failures",
    "I10",
    "inspect",
    "reasons of failed steps left out (Switchyard in kind)",
    "toy",
    '"reasons": count(row["reason"] for row in steps)',
    '"reasons": count(row["reason"] for row in steps if row["served"])',
)
_broken(
    "audit-looks-away",
    "I10",
    "inspect",
    "a check that cannot fail (autocontext #1200)",
    "toy",
    "return tuple(sorted(lost)) + tuple(sorted(wrong))",
    "return tuple(sorted(lost))",
)
_broken(
    "audit-cries-wolf",
    "I10",
    "inspect",
    "an audit that does not know recovery",
    "toy",
    'error = attempt["error"] if entry["ended"] and attempt["error"] != "invalid-output" else entry["error"]',
    'error = attempt["error"]',
)
_broken(
    "coach-skipped",
    "I10",
    "run",
    "a background write is not awaited (tensorzero #4560)",
    "runs",
    '            yield from self.step(run, index, candidates, "coach", seed)\n',
    '            if index == 0:\n                yield from self.step(run, index, candidates, "coach", seed)\n',
)

# I11: a fallback becomes a preference.
_broken(
    "failure-becomes-preference",
    "I11",
    "disturb",
    "a passing failure is saved as the preference (openclaw #114109)",
    "runs",
    'row["reason"] = "local-" + attempt["error"]',
    'row["reason"] = "local-" + attempt["error"]\n                self.disk.acts.append(("policy", self.policy() | {"mode": "frontier-only"}))',
)
_broken(
    "failure-disables",
    "I11",
    "disturb",
    "an open breaker switches the bundle off for good (openclaw #114109 in kind)",
    "runs",
    'row["reason"] = "local-" + attempt["error"]',
    'row["reason"] = "local-" + attempt["error"]\n                self.disk.acts.append(("disable", bundle))',
)

# I12: totals.
_broken(
    "tokens-of-served-only",
    "I12",
    "inspect",
    "a failed attempt costs nothing in the report (litellm #16752)",
    "toy",
    'sum(attempt["input_tokens"] for attempt in attempts)',
    'sum(a["input_tokens"] for row in steps for a in row["attempts"] if row["served"] == a["provider"])',
)
_broken(
    "repeated-tokens",
    "I12",
    "inspect",
    "a repeated event counts twice in totals (litellm #34675)",
    "toy",
    'sum(attempt["output_tokens"] for attempt in attempts)',
    'sum(attempt["output_tokens"] for attempt in attempts + attempts[:1])',
)
_broken(
    "dated-by-the-whole-minute",
    "I12",
    "wait",
    "times rounded on the way in (litellm #8190 in kind)",
    "runs",
    '"at": self.disk.now',
    '"at": self.disk.now // 60 * 60',
)

# A0: an answer that the contract does not name.
_broken(
    "disabled-activates",
    "A0",
    "activate",
    "activation asks nobody (mlflow #9783)",
    "toy",
    "if not self.enabled(bundle):",
    "if bundle is None:",
)
_broken(
    "broken-activates",
    "A0",
    "activate",
    "activation does not look at the files (stemdeck #603)",
    "toy",
    "if not self.whole(bundle):",
    "if bundle is None:",
)
_broken(
    "retired-enabled",
    "A0",
    "switch",
    "retirement that can be undone by mistake (mlflow #2169 in kind)",
    "toy",
    'if self.retired(bundle) and word in ("enable", "disable"):',
    'if self.retired(bundle) and word == "disable":',
)
_broken(
    "nan-policy-accepted",
    "A0",
    "move_limit",
    "NaN passes a check written with < and > (VibeFileSync #175 in kind)",
    "toy",
    "all(0 <= share <= 1 for share in shares)",
    "not any(share < 0 or share > 1 for share in shares)",
)
_broken(
    "tampered-data-trained",
    "A0",
    "train",
    "bytes replaced in place are never read again (mlx-lm server in kind)",
    "toy",
    'if "D" + digest(self.disk.datasets[dataset]) != dataset:',
    "if dataset not in self.disk.datasets:",
)
_broken(
    "empty-export",
    "A0",
    "export",
    "zero records give an empty file (parameter-golf #2127 in kind)",
    "toy",
    "        if not rows:\n",
    "        if not self.disk.steps:\n",
)
_broken(
    "unknown-run-exported",
    "A0",
    "export",
    "an unknown run is nothing, not an error",
    "toy",
    'if wanted["run"] is not None and wanted["run"] not in self.disk.runs:',
    'if wanted["run"] == "":',
)
_broken(
    "refusal-half-kept",
    "A0",
    "move_limit",
    "the row is written before it is checked (axolotl #2633 in kind)",
    "toy",
    '            raise Refused("policy-out-of-range")',
    '            self.disk.acts.append(("policy-refused", policy["mode"]))\n            raise Refused("policy-out-of-range")',
)

# More of the kinds that one rule or one invariant alone can see.
_broken(
    "list-shows-the-retired",
    "I6",
    "switch",
    "search and lookup disagree (mlflow #9783)",
    "toy",
    'elif act[0] in ("retire", "delete"):',
    'elif act[0] == "delete":',
)
_broken(
    "list-shows-the-deleted",
    "I6",
    "switch",
    "an alias dangles after deletion (mlflow #24825)",
    "toy",
    'elif act[0] in ("retire", "delete"):',
    'elif act[0] == "retire":',
)
_broken(
    "verdict-kept",
    "I1",
    "mend",
    "model cached by path, bytes replaced in place are never read (mlx-lm server)",
    "runs",
    "files = self.disk.bundles.get(bundle)\n",
    "files = self.__dict__.setdefault(bundle, self.disk.bundles.get(bundle))\n",
)
_broken(
    "policy-lost-in-race",
    "I10",
    "race",
    "the writer with the older copy wins (agmsg #114)",
    "toy",
    'yield "begun"\n        shares',
    'acts = list(self.disk.acts)\n        yield "begun"\n        self.disk.acts[:] = acts\n        shares',
)
_broken(
    "enabled-for-nothing",
    "I3",
    "mend",
    "a switch that only goes one way (openclaw #64083 in kind)",
    "runs",
    'return not switches or switches[-1] == "enable"',
    "return not switches",
)
_broken(
    "history-says-local",
    "I1",
    "provoke",
    "the answer names the model one would have liked (litellm #28241)",
    "runs",
    'row |= {"served": provider, "outcome": "served", "text": text}',
    'row |= {"served": provider, "outcome": "served", "text": text} | ({"served": "local", "reason": None} if said[:1] == ("quality-below-threshold",) else {})',
)
