"""What is said when a system and its oracle disagree."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One broken promise.

    Attributes:
        claim: Code of the invariant, `I1` to `I14`, or `A0` for an answer that the contract does not name.
        says: What was expected.
        did: What it was instead.
        because: Why that was expected.
    """

    claim: str
    says: str
    did: str
    because: str


class Disagreement(AssertionError):
    """A system broke a promise. The message names the invariant and both sides.

    Attributes:
        findings: Every broken promise at this point, the first one is the headline.
    """

    def __init__(self, findings: tuple[Finding, ...], claims: dict[str, str], operation: str) -> None:
        self.findings = findings
        super().__init__(_sentence(findings, claims, operation))


def _sentence(findings: tuple[Finding, ...], claims: dict[str, str], operation: str) -> str:
    first = findings[0]
    # One of each promise that is broken besides: the headline may be what follows from it.
    others = {finding.claim: finding for finding in reversed(findings) if finding.claim != first.claim}
    return "\n".join(
        [
            f"{first.claim}: {claims[first.claim]}",
            f"  expected    {first.says}",
            f"  but it was  {first.did}",
            f"  because     {first.because}",
            f"  after       {operation}",
            *(
                f"  also broken {each.claim}: expected {each.says}; but it was {each.did}; because {each.because}"
                for each in sorted(others.values(), key=lambda each: each.claim)
            ),
        ]
    )
