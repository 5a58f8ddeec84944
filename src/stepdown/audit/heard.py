"""What a judging model said of held-out answers: an evaluation names the steps, and its scores follow from them. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from stepdown.audit.steps import grouped
from stepdown.audit.witnesses import Difference, Evidence, knowledge_of
from stepdown.history import rows
from stepdown.scenarios import judging, prompt, roles
from stepdown.scenarios.prompt import Knowledge
from stepdown.scenarios.protocol import Scenario
from stepdown.scenarios.roles import Role
from stepdown.scenarios.wording import wording
from stepdown.training import hearing
from stepdown.training.evaluation import judge_held_out

Sittings = Mapping[str, Sequence[rows.Step]]
"""The steps that judge, by run and generation, as an evaluation names them."""

Versions = Mapping[tuple[str, int], Knowledge]
"""Knowledge by scenario and number."""


def sittings(evidence: Evidence) -> Sittings:
    """Return the judging steps by where they stand."""
    places: dict[str, list[rows.Step]] = {}
    for step in evidence.steps:
        if step.role == judging.JUDGE:
            places.setdefault(hearing.where(step.run, step.generation), []).append(step)
    return places


def again(
    scenario: Scenario, role: Role, replies: Mapping[int, rows.Holdout], prompts: Mapping[int, str] | None, sat: Sittings,
    where: str | None,
) -> dict[int, rows.Holdout]:  # fmt: skip
    """Return held-out replies by place as they are judged again: by the scenario, or by what its judge said then.

    Args:
        scenario: Of the bundle.
        role: Whose replies.
        replies: By place.
        prompts: What the judge was to be asked, see `prompts_of`.
        sat: All judging steps.
        where: Of those that judged these.
    """
    judged = {place: judge_held_out(scenario, role, reply.seed, reply.reply) for place, reply in replies.items()}
    if judging.of(scenario) is None:
        return judged
    return hearing.heard(judged, prompts, _at(sat, where))


def _at(sat: Sittings, judged: str | None) -> list[rows.Step]:
    """Return the steps that stand where an evaluation says, those of its own run last."""
    return [step for place in reversed(hearing.places(judged)) for step in sat.get(place, ())]


def prompts_of(
    scenario: Scenario, role: Role, row: rows.Evaluation, replies: Mapping[int, rows.Holdout], versions: Versions
) -> Mapping[int, str] | None:
    """Return by place what the judge was to be asked; None where no model judges, or questions are put otherwise by now."""
    knowledge = versions.get((scenario.name, row.knowledge), Knowledge() if row.knowledge == 0 else None)
    same = row.terms.get("prompt_format") == prompt.FORMAT
    same = same and wording(scenario, role.name).is_of(row.terms.get("prompts", ""))
    if judging.of(scenario) is None or knowledge is None or not same:
        return None
    return hearing.asked(scenario, role, knowledge, replies)


def heard(evidence: Evidence) -> Iterator[Difference]:
    """An evaluation by a model names its judging steps: one for each legal reply, about its words, and enough said (I7)."""
    bundle_of, run_of = {row.id: row for row in evidence.bundles}, {run.id: run for run in evidence.runs}
    replies_of, sat, versions = grouped(evidence.holdouts, "evaluation"), sittings(evidence), knowledge_of(evidence)
    for row in evidence.evaluations:
        bundle = bundle_of[row.bundle]
        scenario = evidence.scenarios(bundle.scenario)
        if row.terms.get("scenario_version") != scenario.version:
            continue
        if (row.judged is None) is not (judging.of(scenario) is None):
            by = "a model judges" if row.judged is None else "no model judges"
            yield Difference("I7", row.id, f"it names {row.judged or 'no'} judging steps, and {by} there")
        role = roles.roles(scenario).get(bundle.role)
        if row.judged is None or role is None or not role.judged:
            continue
        if problem := _misplaced(row, scenario, run_of) or _borrowed(row, sat, run_of):
            yield Difference("I7", row.id, problem)
            continue
        replies: Mapping[int, rows.Holdout] = dict(enumerate(replies_of[row.id]))
        prompts = prompts_of(scenario, role, row, replies, versions)
        yield from _sat(row, replies, prompts, _at(sat, row.judged))
    yield from _concluded(evidence)


def _misplaced(row: rows.Evaluation, scenario: Scenario, run_of: Mapping[str, rows.Run]) -> str | None:
    """Say why the steps that an evaluation names cannot be those in which its replies were judged."""
    own = next(iter(hearing.places(row.judged)), "")
    run_id, _, generation = own.rpartition("/")
    run = run_of.get(run_id)
    if run is None:
        return f"it names judging steps of {run_id or 'no run'}, which history does not have"
    allowed = (hearing.CHALLENGER, hearing.CHAMPION) if row.run is not None else (1,)
    purpose = rows.EVALUATION if row.run is None else rows.COMPARISON
    fits = generation in map(str, allowed) and (run.purpose, run.scenario) == (purpose, scenario.name)
    if not fits or row.run not in (None, run_id):
        return f"no replies of its bundle were judged in {own}"
    if run.scenario_version != scenario.version:
        return f"its replies were judged in {own} as version {run.scenario_version} of {scenario.name} has it"
    judge = judging.of(scenario)
    if row.run is None and judge is not None and run.frontier != judge.word:
        return f"its replies were judged in {own} by {run.frontier}, who is not the judge of {scenario.name}"
    return None


def _borrowed(row: rows.Evaluation, sat: Sittings, run_of: Mapping[str, rows.Run]) -> str | None:
    """Say why the places behind its own cannot be such as an evaluation takes verdicts from."""
    own, *before = hearing.places(row.judged)
    mine = run_of[own.rpartition("/")[0]]
    for place in before:
        run_id, _, generation = place.rpartition("/")
        run = run_of.get(run_id)
        same = run is not None and (run.scenario, run.scenario_version, run.frontier, run.purpose, generation) == (
            mine.scenario, mine.scenario_version, mine.frontier, rows.EVALUATION, "1"
        )  # fmt: skip
        if not same or row.run is not None or not hearing.given(sat.get(place, ())):
            return f"it takes verdicts from {place}, where its judge gave none that it could use"
    return None


def _sat(
    row: rows.Evaluation,
    replies: Mapping[int, rows.Holdout],
    prompts: Mapping[int, str] | None,
    steps: Sequence[rows.Step],
) -> Iterator[Difference]:
    legal = {place for place, reply in replies.items() if reply.legal}
    places = {step.position for step in steps}
    for place in sorted(legal - places):
        yield Difference("I7", row.id, f"the judge was not asked about its reply to seed {replies[place].seed}")
    for step in steps:
        if step.position not in legal:
            yield Difference("I7", step.id, f"it judges no legal reply of {row.id}")
        elif prompts is not None and step.prompt != prompts.get(step.position):
            yield Difference("I7", step.id, f"it was asked about other words than {row.id} has")
    if not hearing.enough(replies.values()):
        yield Difference("I7", row.id, "the judge was silent on too many of its replies for an evaluation")


def _concluded(evidence: Evidence) -> Iterator[Difference]:
    """A run for an evaluation that completed left one, and no other did; what one came to no end with, one other counts."""
    completed = {row.run for row in evidence.endings if row.outcome == "completed"}
    named, taken = Counter[str](), Counter[str]()
    for row in evidence.evaluations:
        own, *before = [place.rpartition("/")[0] for place in hearing.places(row.judged)] or [""]
        named[own] += 1
        taken.update(before)
    for run, times in taken.items():
        if times > 1 or named[run]:
            yield Difference("I7", run, f"{times + named[run]} evaluations count what the judge said in it")
    for each in evidence.runs:
        if each.purpose == rows.EVALUATION and named[each.id] != (each.id in completed):
            ended = "completed" if each.id in completed else "did not complete"
            yield Difference("I7", each.id, f"it {ended}, and {named[each.id]} evaluations follow from it")
