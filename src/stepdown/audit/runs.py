"""What a run was for, who asked in it and how it ended follow from what stands in it. Pure."""

import re
from collections.abc import Iterator, Sequence

from stepdown.audit.steps import grouped
from stepdown.audit.witnesses import Difference, Evidence
from stepdown.history import rows
from stepdown.routing.reasons import FrontierObjection
from stepdown.scenarios import judging, prompt
from stepdown.scenarios.judging import JUDGE
from stepdown.scenarios.wording import wording

PURPOSES = (rows.WORK, rows.COMPARISON, rows.LIVE, rows.EVALUATION)
ANEW = (rows.LIVE, rows.EVALUATION)
"""What goes on with nothing once it has ended, and is of no generations."""

HEAD = re.compile(r"(\S+) v(-?\d+) ")
"""How a prompt of a scenario begins that leaves its words to stepdown."""

FIRST_WORDS = "$scenario v$version "

INTERRUPTED = "Its process ended."


def runs(evidence: Evidence) -> Iterator[Difference]:
    """Purpose, session, scenario and version of a run, from its calls and from the rows that only one purpose leaves (I10)."""
    announced, decided = grouped(evidence.announcements, "run"), grouped(evidence.generations, "run")
    resumed = grouped(evidence.resumptions, "run")
    compared = {row.run for row in evidence.verdicts} | {row.run for row in evidence.evaluations}
    for number, run in enumerate(evidence.runs, start=1):
        if run.id != f"run-{number}":
            yield Difference("I10", run.id, f"it stands where run-{number} should")
        if run.purpose not in PURPOSES:
            yield Difference("I10", run.id, f"no run is for {run.purpose!r}")
        if run.purpose != rows.WORK and decided[run.id]:
            yield Difference("I10", run.id, f"it decided generations, and was for {run.purpose}")
        if run.purpose != rows.COMPARISON and run.id in compared:
            yield Difference("I10", run.id, f"a verdict or an evaluation follows from it, and it was for {run.purpose}")
        if run.purpose in ANEW and (run.generations, run.candidates, run.seed) != (1, 1, 0):
            yield Difference("I10", run.id, f"a run for {run.purpose} is of no generations")
        if run.purpose == rows.EVALUATION and (
            judging.of(evidence.scenarios(run.scenario)) is None
            or any(call.role != JUDGE for call in announced[run.id])
        ):
            yield Difference("I10", run.id, "it was for an evaluation, and asked others than a judging model")
        yield from _sessions(run, [row.session for row in resumed[run.id]], announced[run.id])
        yield from _heads(evidence, run, [call for call in announced[run.id] if call.role != JUDGE])


def _sessions(run: rows.Run, later: Sequence[str], calls: Sequence[rows.Announcement]) -> Iterator[Difference]:
    """Calls are announced by the session that began the run, and then by each that went on with it, in their order."""
    sessions, reached = [run.session, *later], 0
    for call in calls:
        if call.session not in sessions[reached:]:
            yield Difference("I10", call.call, f"announced by {call.session}, and {run.session} began its run")
        else:
            reached = sessions.index(call.session, reached)


def _heads(evidence: Evidence, run: rows.Run, calls: Sequence[rows.Announcement]) -> Iterator[Difference]:
    """The first words of a prompt name scenario and version, wherever the scenario now in force begins its prompts so."""
    scenario = evidence.scenarios(run.scenario)
    if getattr(scenario, "roles", None) is not None:
        return
    headed = {
        role: wording(scenario, role)
        for role in {call.role for call in calls} & prompt.FIRST.keys()
        if prompt.question(scenario, role).startswith(FIRST_WORDS)
    }
    for call in calls:
        if call.role in prompt.FIRST and not (
            call.role in headed and headed[call.role].is_of(call.facts.get("prompts", ""))
        ):
            continue  # Asked with another text, or with one that begins otherwise.
        head = HEAD.match(call.prompt)
        if head is None or (head[1], int(head[2])) != (run.scenario, run.scenario_version):
            yield Difference("I10", run.id, f"it is of {run.scenario} v{run.scenario_version}, and its prompts are not")
            return


def endings(evidence: Evidence) -> Iterator[Difference]:
    """How a run ended agrees with what is said of it, with its calls and with what followed from it (I10)."""
    run_of, stepped = {run.id: run for run in evidence.runs}, grouped(evidence.steps, "run")
    judged = {row.run for row in evidence.verdicts}
    yield from _gone_on(evidence)
    cut_off = {row.run for row in evidence.endings if row.outcome == "interrupted"}
    last = {row.run: number for number, row in enumerate(evidence.endings)}
    for number, row in enumerate(evidence.endings):
        where, steps, run = f"ending of {row.run}", stepped[row.run], run_of[row.run]
        fits = {"completed": row.error is None, "interrupted": row.error == INTERRUPTED, "failed": bool(row.error)}
        # A budget ends a run, and is then what some step of it says.
        refused = any(step.error == FrontierObjection.OVER_BUDGET for step in steps)
        fits["stopped"] = bool(row.error) and refused
        if not fits.get(row.outcome, False):
            yield Difference("I10", where, f"no run ends {row.outcome!r} with the words {row.error!r}")
        if row.outcome != "interrupted" and row.run not in cut_off and any(step.recovered for step in steps):
            yield Difference(
                "I10", where, f"it says {row.outcome}, and a call of it was closed after its process had ended"
            )
        if row.outcome != "completed" and last[row.run] == number and row.run in judged:
            yield Difference("I10", where, f"it says {row.outcome}, and a verdict follows from the run")
        if row.outcome == "completed" and run.purpose == rows.WORK and all(step.outcome != "served" for step in steps):
            yield Difference("I10", where, "it says completed, and nobody was served")


def _gone_on(evidence: Evidence) -> Iterator[Difference]:
    """A run goes on only after it had ended before it was done, and ends but once more each time."""
    resumed, ended = grouped(evidence.resumptions, "run"), grouped(evidence.endings, "run")
    for run in evidence.runs:
        endings, times = ended[run.id], len(resumed[run.id])
        if len(endings) > times + 1 or times > len(endings):
            yield Difference("I10", run.id, f"it ended {len(endings)} times, and went on {times} times")
        if run.purpose in ANEW and times:
            yield Difference("I10", run.id, f"a run for {run.purpose} goes on with nothing")
        # A comparison that was played and has no verdict yet may go on to it.
        if run.purpose != rows.COMPARISON and any(row.outcome == "completed" for row in endings[:times]):
            yield Difference("I10", run.id, "it went on, and was done")


def numbering(evidence: Evidence) -> Iterator[Difference]:
    """A database that leaves no number out has a row for each that it ever gave (I10)."""
    for table, (numbers, last) in evidence.numbers.items():
        if last is not None and numbers != list(range(1, last + 1)):
            lost = sorted(set(range(1, last + 1)) - set(numbers))
            yield Difference("I10", table, f"rows were taken out or added: {lost[:5] or 'none'} of {last} are missing")
    for number, row in enumerate(evidence.evaluations, start=1):
        if row.id != f"evaluation-{number}":
            yield Difference("I10", row.id, f"it stands where evaluation-{number} should")
