"""What is said when a system and its oracle disagree."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One broken promise.

    Attributes:
        claim: Code of the invariant, `I1` to `I14`, or `A0` for an answer that the contract does not name.
        says: What the model says.
        did: What the system did.
        because: Why the model says so.
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
    others = sorted({finding.claim for finding in findings} - {first.claim})
    return "\n".join(
        [
            f"{first.claim}: {claims[first.claim]}",
            f"  model says  {first.says}",
            f"  system did  {first.did}",
            f"  because     {first.because}",
            f"  after       {operation}",
            *([f"  also broken {', '.join(others)}"] if others else []),
        ]
    )
