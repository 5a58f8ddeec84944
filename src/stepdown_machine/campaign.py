"""Run a machine outside of pytest: once, with a seed, and say what came of it."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass

from hypothesis import Phase, settings

from stepdown_machine.findings import Disagreement
from stepdown_machine.reach import REACHED, Reach, reach
from stepdown_machine.restarts import run
from stepdown_machine.rules.turns import TurnMachine
from stepdown_machine.session import Session
from stepdown_machine.settings import profile


@dataclass(frozen=True, slots=True)
class CampaignOutcome:
    """What came of a campaign.

    Attributes:
        claims: Codes of the invariants that were broken at the failing point, the name of any other exception, or
            nothing after a green run.
        message: The failure's own words.
        output: What Hypothesis printed: the program.
        turns: Rules in the shortest failing program, with the one that begins it.
        session: The last failing session; its operations are the script.
        reach: What was seen.
    """

    claims: tuple[str, ...]
    message: str
    output: str
    turns: int
    session: Session | None
    reach: Reach


def campaign(
    machine: type[TurnMachine],
    start: int,
    *,
    profile_name: str = "ci",
    shrink: bool = False,
    examples: int | None = None,
    turns: int | None = None,
) -> CampaignOutcome:
    """Run a machine from a seed, without any saved examples.

    Args:
        machine: A fresh class: its reach is counted by name.
        start: The seed.
        profile_name: Profile that says how long.
        shrink: Whether a failure is made small.
        examples: Another number of examples than the profile's.
        turns: Another number of turns in each than the profile's.
    """
    REACHED.pop(machine.__name__, None)
    chosen = profile(profile_name)
    phases = (Phase.generate, Phase.shrink) if shrink else (Phase.generate,)
    limited = settings(
        chosen,
        database=None,
        phases=phases,
        max_examples=examples or chosen.max_examples,
        stateful_step_count=turns or chosen.stateful_step_count,
    )
    output = io.StringIO()
    try:
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            run(machine, limited, start)
    except BaseException as failure:
        if isinstance(failure, KeyboardInterrupt | SystemExit):
            raise
        return _failed(failure, machine, output.getvalue())
    return CampaignOutcome((), "", output.getvalue(), 0, None, reach(machine.__name__))


def _failed(failure: BaseException, machine: type[TurnMachine], output: str) -> CampaignOutcome:
    notes = getattr(failure, "__notes__", [])
    # What failed once and not again says so in a group of what it was.
    message = "\n".join(map(str, (failure, *getattr(failure, "exceptions", ()))))
    program = "\n".join(notes)
    if isinstance(failure, Disagreement):
        claims = tuple(sorted({finding.claim for finding in failure.findings}))
    else:
        claims = (type(failure).__name__,)
    story = f"{output}{message}\n{program}"
    return CampaignOutcome(claims, message, story, len(machine.shortest), machine.last, reach(machine.__name__))
