"""What can be asked of some systems: a base below bundles, other texts, judgements that arrive late, one answer, a way on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SetBase:
    """Let something else lie where the base of tuned bundles is, behind the system's back.

    A bundle that was tuned from a base answers only with that one, and is as good as before once it is back.

    Attributes:
        base: One of `Description.bases`: `own` is what a fresh system has, `another` can be tuned as well, `gone` and `changed`
            cannot.
    """

    base: str


@dataclass(frozen=True, slots=True)
class Reword:
    """Ask with another text from now on, or put one back; only the competitor's changes, and nothing that was learned.

    A bundle is bound to the text that it was trained with, as its evaluation is: with another one it is `bundle-incompatible`,
    nothing was measured of it (`quality-inconclusive`), and it is promoted and led back to by nobody. It is as good as before
    once its text is back. Exports hold only steps that were asked with the text of now, and a dataset of another text is
    `dataset-malformed`.

    Attributes:
        text: One of `Description.texts`; a fresh system asks with the first, which is `own`.
    """

    text: str


@dataclass(frozen=True, slots=True)
class Redecode:
    """Decode what bundles say in another way from now on: evaluations of what was decoded otherwise do not count.

    Attributes:
        how: One of `Description.decodings`; a fresh system has the first, which is `own`.
    """

    how: str


@dataclass(frozen=True, slots=True)
class Judge:
    """Say later how good an answer was that somebody was given.

    It becomes a row of its own. The last one of an answer counts in exports, as any score does; what was served and decided
    stays what it was. Refusals: `unknown-call`, `score-out-of-range`.

    Attributes:
        run: In which it was given.
        position: Which of the run's served competitor steps, from 0.
        score: 0..1.
        refused: Not the answer that served in that step, but the call before it, whose answer nobody was given: that is an
            `unknown-call`.
    """

    run: str
    position: int
    score: float
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask one question, and more of them one after the other, outside of all generations. Answers `Responded`.

    Each is a step like any other, of a run that has no others: `Step.purpose` is `live`. No gate keeps it, and no coach learns
    from it; it is exported like a candidate of a run, unless its seed is one of `Description.examined`.
    """

    seed: int
    more: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Route:
    """Say who would be asked on a seed at this moment, without asking anybody. Answers `Routed`."""

    role: str
    seed: int


@dataclass(frozen=True, slots=True)
class Changes:
    """Tell how the policy was changed. Answers `Changed`."""


@dataclass(frozen=True, slots=True)
class Resume:
    """Go on with a run that was killed or stopped before it was done. Answers `Ran`, with the id that it has.

    What stands is kept, and the rest is done as it would have been: each candidate of each generation is asked once, and so is
    the coach; one whose call was cut off is not asked again. Refusals: `unknown-run`, `run-done`, `run-of-another-kind` (a
    comparison, or a question), `run-under-way` while somebody goes on with it, and `stale` where the scenario's version or
    the competitor's text is another by now.
    """

    run: str


@dataclass(frozen=True, slots=True)
class Import:
    """Bring in what another system logged, to learn from. Answers `Imported`. Refusal: `log-empty`, where nothing is legal.

    Nothing of it happened here: no step and no call comes of it. What was brought in before is not brought in again.

    Attributes:
        lines: Seed of a question, and the reply.
        model: Who answered: every line but the first says it, and some say beside it who was asked.
    """

    lines: tuple[tuple[int, str], ...]
    model: str = "another"


@dataclass(frozen=True, slots=True)
class Tamper:
    """Alter the dataset's files behind the system's back; training from it is `dataset-malformed`.

    Attributes:
        how: `append` to its records, or `add` a file that it does not list.
    """

    dataset: str
    how: str = "append"
