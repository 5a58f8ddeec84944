"""What the toy says that it is."""

from __future__ import annotations

from collections.abc import Sequence

from stepdown_machine.broken import harness, succession, toy
from stepdown_machine.broken.outside import OPERATOR
from stepdown_machine.broken.runs import STRANGE
from stepdown_machine.broken.walks import POINTS
from stepdown_machine.protocol import MISSING, MUTE, OUTAGES, PLANTS, UNPRICED, Description, Origin, Probe, Teaching
from stepdown_machine.values import Price


def bounds(differences: Sequence[float], rate: float) -> tuple[float, float]:
    """Return what the mean of differences is not below, and not above."""
    return succession.lower([*differences], rate), succession.upper([*differences], rate)


def describe(name: str) -> Description:
    """Return the description of the toy, or of a variant of it."""
    probes = tuple(Probe(text, harness.referee(text), harness.objectors(text)) for text in harness.PROBES)
    return Description(
        origin=Origin("stepdown_machine.broken", "system", (name,)),
        probes=probes,
        plans=("tiny-a", "tiny-b", "weak", "diverged"),
        tuned=toy.TUNED,
        bases=("own", "gone", "changed", "another"),
        texts=("own", "other"),
        points=POINTS,
        most={"breaker_threshold": 1000, "breaker_probes": 1000},
        holds=POINTS,
        falsifiable=("trace-weights", "trace-lost", "history-score", "history-reason"),
        shared=True,
        sure=(2.0, 2.0),
        foresees=True,
        splits="answer",
        bounds=bounds,
        compares=len(succession.COMPARED),
        operator=OPERATOR,
        prices=tuple(Price(since, 0.0, price, most) for since, price, most in harness.PRICES),
        plants=(*PLANTS, MUTE),
        outages=(*OUTAGES, UNPRICED, MISSING),
        decodings=("own", "longer"),
        questions=4,
        examined=(toy.EXAMINED,),
        strange=(STRANGE,),
        teaching=Teaching(str, ""),
    )
