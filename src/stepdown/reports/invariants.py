"""What the numbers of the invariants mean, said where they appear."""

from collections.abc import Iterable, Mapping

MEANINGS: Mapping[str, str] = {
    "I1": "local serves only when it is valid",
    "I2": "local is tried first when it is valid",
    "I3": "every fallback has its reason",
    "I4": "history equals the trace",
    "I5": "the trace names the weights that answered",
    "I6": "one active bundle per slot",
    "I7": "scores replay",
    "I8": "an export is a function of rows",
    "I9": "bundles are whole or invisible",
    "I10": "history explains the state",
    "I11": "a fallback changes no preference",
    "I12": "totals add up",
    "I13": "shadows only watch",
    "I14": "succession follows its evidence",
}
"""Every promise that is audited, by its number."""


def legend(claims: Iterable[str]) -> list[str]:
    """Return a line for each number that appears, in their order."""
    named = set(claims)
    return [f"{claim}: {meaning}." for claim, meaning in MEANINGS.items() if claim in named]


EVERY = "; ".join(f"{claim} {meaning}" for claim, meaning in MEANINGS.items()) + "."
"""All of them in a sentence."""
