"""Rows to training records, and which side of the split each falls on. Pure."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from stepdown.digest import digest, sha256
from stepdown.errors import InvalidValue
from stepdown.history import rows
from stepdown.scenarios.prompt import FORMAT, Knowledge
from stepdown.scenarios.protocol import Scenario
from stepdown.scenarios.referee import own_case

VALID_SHARE = 10
"""One in this many distinct answers goes to validation."""


@dataclass(frozen=True, slots=True)
class Filters:
    """Which steps become records.

    Attributes:
        scenario: Only this scenario.
        run: Only this run; None takes every run.
        min_score: Least mean score, 0..1, inclusive; None takes every score.
        kept_only: Only what a gate kept: the best of a generation that advanced.
        include_local: Also replies that a local model served. Off, no model is trained on itself by accident.
        matches: Also write each answer's matches, to `matches.jsonl`.
        role: Only this role; None takes the one whose answers a run of the scenario looks for.
        imported: Also what logs of other systems say; of no run, and never kept by a gate.
    """

    scenario: str
    run: str | None = None
    min_score: float | None = None
    kept_only: bool = False
    include_local: bool = False
    matches: bool = False
    role: str | None = None
    imported: bool = False

    def __post_init__(self) -> None:
        if self.min_score is not None and not 0 <= self.min_score <= 1:
            raise InvalidValue(
                f"min_score must be a number between 0 and 1, not {self.min_score!r}.", kind="filter-out-of-range"
            )

    def as_json(self) -> dict[str, Any]:
        """Return plain values; what came later and was not asked for is not named here either."""
        later = {"role": None, "imported": False}
        return {name: value for name, value in asdict(self).items() if name not in later or value != later[name]}

    def accept(self, step: rows.Step, generation: rows.Generation | None) -> bool:
        """Tell whether a step becomes a record: served, legal, and within every filter.

        Args:
            step: The step.
            generation: Its generation's gate decision; None when it was never decided.
        """
        if step.outcome != "served" or step.answer is None or step.score is None or step.recovered:
            return False
        if step.served == "local" and not self.include_local:
            return False
        if self.kept_only and not kept(step, generation):
            return False
        return self.min_score is None or step.score >= self.min_score

    def accept_exchange(self, exchange: rows.Exchange) -> bool:
        """Tell whether an exchange of a log becomes a record: one without a score only where none is asked for."""
        if not self.imported or self.run is not None or self.kept_only:
            return False
        return self.min_score is None or (exchange.score is not None and exchange.score >= self.min_score)


def kept(step: rows.Step, generation: rows.Generation | None) -> bool:
    """Tell whether the gate kept a step: it is the one that its generation advanced with."""
    return generation is not None and generation.decision == "advance" and generation.best == step.id


def record(
    step: rows.Step, generation: rows.Generation | None, knowledge: Knowledge, attempt: rows.Attempt, reply: str
) -> dict[str, Any]:
    """Return one record: prompt and completion for a trainer, and beside them where they come from.

    Args:
        step: A served step with a legal answer.
        generation: Its generation's gate decision.
        knowledge: The version that was in its prompt.
        attempt: The one that served it.
        reply: The answer as a reply.
    """
    return {
        "prompt": step.prompt,
        "completion": reply,
        "score": step.score,
        "decision": generation.decision if generation else None,
        "kept": kept(step, generation),
        "step": step.id,
        "seed": step.seed,
        "knowledge": {"version": knowledge.version, "playbook": knowledge.playbook, "hints": knowledge.hints},
        "served": {
            "target": attempt.target,
            "provider": attempt.provider,
            "model": attempt.model,
            "digest": attempt.weights_digest,
        },
    }


def imported(exchange: rows.Exchange, reply: str) -> dict[str, Any]:
    """Return the record of an exchange: what `record` says of a step, as far as a log can say it; its answer as a reply."""
    blank = Knowledge()
    return {
        "prompt": exchange.prompt,
        "completion": reply,
        "score": exchange.score,
        "decision": None,
        "kept": False,
        "provenance": "imported",
        "log": exchange.log,
        "line": exchange.line,
        "seed": exchange.seed,
        "knowledge": {"version": blank.version, "playbook": blank.playbook, "hints": blank.hints},
        "served": {"target": None, "provider": None, "model": exchange.model, "digest": None},
    }


def line(value: Mapping[str, Any]) -> bytes:
    """Return a record as a line of JSON, the same bytes for the same record; keys keep their order."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


@dataclass(frozen=True, slots=True)
class Split:
    """Which records validate. Decided by content, so that nothing that is to be told apart stands on both sides.

    In a game that content is the answer: a net shall find good strategies that it has not seen. Where an answer is judged on
    its own case it is the question: every label must be learned, and answered for questions that were not.

    A record's place depends on that content, but for two: of all that are exported, the lowest hash always validates and
    the highest always trains, so that neither side is empty once there are two.

    Attributes:
        lowest: Lowest hash of a content in the export.
        highest: Highest one.
    """

    lowest: str
    highest: str

    def validates(self, key: str) -> bool:
        """Tell whether the records of a content, by its hash, go to `valid.jsonl`."""
        if key == self.highest:
            return False
        return key == self.lowest or int(key[:8], 16) % VALID_SHARE == 0


def content(scenario: Scenario, row: rows.Step | rows.Exchange) -> str:
    """Return the hash that decides on which side a row falls: of its question where that is judged, else of its answer."""
    if own_case(scenario):
        return digest(dict(row.input) if isinstance(row, rows.Exchange) else scenario.observation(row.seed))
    return sha256((row.answer or "").encode())


def manifest(
    filters: Filters,
    counts: Mapping[str, int],
    digests: Mapping[str, str],
    runs: Mapping[str, int],
    logs: Mapping[str, int],
    prompts: str,
) -> dict[str, Any]:
    """Return what a dataset says of itself. It names no time: the same rows give the same bytes.

    Args:
        filters: What was asked for.
        counts: Records by file.
        digests: SHA-256 by file.
        runs: Records by run.
        logs: Records by log; where none was asked for, nothing is said of them.
        prompts: Digest of the text that the questions were made from; empty where the scenario does not say it.
    """
    return {
        "format": 1,
        "scenario": filters.scenario,
        "prompt_format": FORMAT,
        **({"prompts": prompts} if prompts else {}),
        "filters": filters.as_json(),
        "files": {name: {"records": counts[name], "sha256": digests[name]} for name in sorted(digests)},
        "runs": dict(sorted(runs.items())),
        **({"logs": dict(sorted(logs.items()))} if logs else {}),
    }
