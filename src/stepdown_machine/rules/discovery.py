"""Running and exporting."""

from __future__ import annotations

import math
from dataclasses import replace

from hypothesis import strategies as st

from stepdown_machine import operations as op
from stepdown_machine.names import UNKNOWN
from stepdown_machine.observed import Step
from stepdown_machine.rules.picking import pick
from stepdown_machine.rules.turns import TurnMachine, turn
from stepdown_machine.semantics import answered_steps, eligible, final_score

SEEDS = st.integers(0, 3)
HIGHEST = {"most": 1.0, "too much": math.nextafter(1.0, 2.0)}
LATE = {
    "right": (1.0, ""),
    "wrong": (0.0, ""),
    "half": (0.5, ""),
    "beyond": (1.5, ""),
    "nan": (math.nan, ""),
    "of nobody": (0.5, "last"),
    "of what was refused": (0.5, "refused"),
}
"""What is said later of an answer: its score, and whether it lies behind the last of a run, or is one that did not serve."""
ONE_OR_TWO = st.sampled_from((1, 2))


def _fell_back(step: Step) -> bool:
    """Tell whether a step was served by another call than its first."""
    return step.served == "frontier" and step.role == "competitor" and step.attempts[0].provider != "frontier"


class Discovery(TurnMachine):
    """Runs and what is exported from them."""

    @turn(op.Run, seed=SEEDS, generations=ONE_OR_TWO, candidates=ONE_OR_TWO)
    def run(self, seed: int, generations: int, candidates: int) -> None:
        """Run: discovery while no bundle is fit, routed when one is; or ask one question alone."""
        single = seed == 3 and generations == candidates and self.can(op.Ask)
        self.act(self.question(seed) if single else op.Run(seed, generations, candidates))

    @turn(
        op.Export,
        run=st.none() | pick("run"),
        scenario=st.sampled_from((None, None, None, "grid_ctf", "grid_ctf", "othello")),
        limit=st.sampled_from((None, "at", "below", "at", "above", "most", "too much")),
        kept_only=st.booleans(),
        include_local=st.booleans(),
        again=st.booleans(),
        late=st.sampled_from((None, None, None, *LATE)),
        imported=st.sampled_from((None, None, "two", "none", "one")),
    )
    def export(
        self,
        run: str | None,
        scenario: str | None,
        limit: str | None,
        kept_only: bool,
        include_local: bool,
        again: bool,
        late: str | None = None,
        imported: str | None = None,
    ) -> None:
        """Export what passes filters, and a second later again: the limit lies at or beside one of their scores, or highest.

        Something may be said of an answer first, or once more after that; and what others logged may be brought in.
        """
        self._judge(late, run)
        self._import(imported)
        wanted = op.Export(run, scenario, None, kept_only, include_local, imported is not None and self.can(op.Import))
        wanted = replace(wanted, min_score=self._score(limit, wanted))
        self.act(wanted)
        if again:
            self.act(op.Advance(1.0))
            self.act(wanted)
            if late is not None:
                self._judge("right", run)
                self.act(wanted)

    def _import(self, imported: str | None) -> None:
        """Bring in a log of two legal answers and some that are none, of one, or of none that is legal; at times twice."""
        probes = self.session.description.probes
        legal, illegal = ([probe.text for probe in probes if probe.legal is legal] for legal in (True, False))
        parts = {
            # One of them to several questions.
            "two": (*legal[:2], *illegal[:1], *illegal[-1:], *legal[1:2] * 3),
            "none": (*illegal[1:2],),
            "one": (*legal[2:3],),
        }
        if imported is not None and legal and illegal:
            # One question more is none of the scenario's.
            strange = [(seed, legal[0]) for seed in self.session.description.strange[:1] if imported == "two"]
            self.act(op.Import((*enumerate(parts[imported]), *strange)))

    def _judge(self, late: str | None, run: str | None) -> None:
        """Say how good one of a run's answers was, the newest run's without a name."""
        named = run or (self.session.names.of("run") or (UNKNOWN["run"],))[-1]
        score, of = LATE.get(late or "", (0.0, ""))
        if of == "refused":
            self._judge_refused(score)
        elif late is not None:
            given = len(answered_steps(self.session.seen, self.session.names.ids["run"].get(named, named)))
            self.act(op.Judge(named, given if of == "last" else given // 2, score))

    def _judge_refused(self, score: float) -> None:
        """Say how good the answer was that the last fallback came after."""
        fallback = next((one.step for one in reversed(self.session.routed) if _fell_back(one.step)), None)
        if fallback is not None:
            place = [step.step for step in answered_steps(self.session.seen, fallback.run)].index(fallback.step)
            self.act(op.Judge(self.session.names.name("run", fallback.run), place, score, refused=True))

    def _score(self, limit: str | None, wanted: op.Export) -> float | None:
        """Place a limit by the middle one of the scores that would be exported without it, or by the highest there can be."""
        if limit in HIGHEST:
            return HIGHEST[limit]
        rows = eligible(self.session.seen, wanted, self.session.description, self.session.model)
        scores = sorted(score for step in rows if (score := final_score(self.session.seen, step)) is not None)
        if limit is None or not scores:
            return None
        middle = scores[len(scores) // 2]
        return {"below": math.nextafter(middle, 0.0), "at": middle, "above": math.nextafter(middle, 1.0)}[limit]
