"""What others logged: brought in once, and exported as what it is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from stepdown_machine.broken import harness, runs

Row = runs.Row
digest = runs.digest


class Elsewhere:
    """One process with the system open, as far as it has to do with what happened elsewhere."""

    disk: Any

    def bring(self, lines: tuple[tuple[int, str], ...]) -> runs.Points:
        """Bring in a log once."""
        yield "begun"
        kept = [(number, seed, text) for number, (seed, text) in enumerate(lines, 1) if harness.referee(text)]
        if not kept:
            raise runs.Refused("log-empty")
        log = "L" + digest(repr(lines))
        self.disk.logs.setdefault(log, kept)
        yield "committed"
        return log

    def valued(self, seed: int, text: str) -> float | None:
        """Say what a logged answer is worth, if anybody can."""
        return None if seed == runs.STRANGE else harness.score(text, seed)

    def logged(self, wanted: Row) -> list[Row]:
        """Say what was logged elsewhere as training data: of no run, kept by no gate, and put in the words of now."""
        elsewhere = wanted["scenario"] not in (None, "grid_ctf")
        if not wanted["imported"] or wanted["kept_only"] or elsewhere:
            return []
        if wanted["run"]:
            return []
        lines = [(f"{log}:{number}", seed, text) for log, kept in self.disk.logs.items() for number, seed, text in kept]
        least, put = wanted["min_score"], self.disk.environment["text"]
        facts = [{"step": place, "prompt": f"grid_ctf {put} {seed}", "completion": text, "score": self.valued(seed, text)}
                 for place, seed, text in lines]  # fmt: skip
        return [
            {
                **each,
                "split": "valid" if digest(each["completion"]) < "4" else "train",
                "served": "imported",
            }
            for each in facts
            if least is None or (each["score"] is not None and each["score"] >= least)
        ]

    def answering(self, asked: str, answered: str, numbers: Iterable[int]) -> tuple[str | None, ...]:
        """Say who answered in those lines of a log, of which the first does not tell."""
        return tuple(None if number == 1 else answered or asked for number in numbers)

    def skipping(self, lines: int, kept: int) -> int:
        """Say how many lines of a log teach nothing."""
        return lines - kept
