"""What a bundle is examined with, it answers all at once: one call with one line in the trace, written by its provider's side.

A line for each reply would make the trace as long as all examinations; the digests of what was asked and said are enough to
notice any change of a reply, and who has the replies can count them again. History does not announce a batch: nobody is served
by one, and what a crash cuts off leaves a line that no evaluation names.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from stepdown.clock import Clock
from stepdown.digest import digest
from stepdown.providers import trace
from stepdown.providers.protocol import LocalProvider
from stepdown.providers.reply import word
from stepdown.scenarios.roles import Role


@dataclass(frozen=True, slots=True)
class Examiner:
    """Asks a bundle many prompts at once.

    Attributes:
        call: What the trace calls it; an examination may be of several batches.
        bundle: Who is asked.
        path: The trace file.
        clock: Of the workspace.
        durable: Whether each line waits for the disk.
    """

    call: str
    bundle: str
    path: Path
    clock: Clock
    durable: bool

    def ask(self, provider: LocalProvider, role: Role, prompts: Sequence[str], seeds: Sequence[int]) -> list[str]:
        """Return a reply to each prompt, and write down what was asked and said.

        Raises:
            LocalError: The bundle cannot answer; nothing follows from that, and nothing is written.
            WorkspaceError: The trace cannot be written.
        """
        began = self.clock.monotonic()
        replies = provider.answer(prompts, seeds, role.schema)
        line = trace.Line(
            event="batch",
            call=self.call,
            target="local",
            role=role.name,
            bundle=self.bundle,
            requested_provider=word(str(provider.name)),
            requested_model=word(str(provider.model)),
            at=self.clock.now(),
            duration=max(0.0, self.clock.monotonic() - began),
            size=len(replies),
            asked=seal(zip(seeds, prompts, strict=True)),
            answered=seal(zip(seeds, replies, strict=True)),
        )
        trace.write(self.path, line, durable=self.durable)
        return replies


def seal(texts: Iterable[tuple[int, str]]) -> str:
    """Return the digest of what was asked, or said, on each seed."""
    return digest([list(text) for text in texts])


def call_of(bundle: str, terms: str, knowledge: int, run: str | None) -> str:
    """Return what the trace calls an examination: a comparison's after its run, another after all that its replies hang on."""
    return f"{run}/{bundle}" if run is not None else f"held-out/{digest([bundle, terms, knowledge])}"
