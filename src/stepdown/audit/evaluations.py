"""Sum every evaluation again from its replies, play those again, and find them in the trace. Pure."""

from collections.abc import Iterator, Mapping, Sequence

from stepdown.audit import heard
from stepdown.audit.steps import grouped
from stepdown.audit.witnesses import Difference, Evidence, compare, knowledge_of
from stepdown.digest import digest
from stepdown.history import rows
from stepdown.providers.batches import call_of, seal
from stepdown.providers.trace import Line
from stepdown.scenarios import prompt, referee, roles
from stepdown.scenarios.prompt import Knowledge
from stepdown.scenarios.protocol import Scenario
from stepdown.scenarios.wording import wording
from stepdown.training.evaluation import summarize


def evaluations(evidence: Evidence) -> Iterator[Difference]:
    """Sum every evaluation again from its held-out replies, and play those again (I7)."""
    bundle_of = {bundle.id: bundle for bundle in evidence.bundles}
    replies_of = grouped(evidence.holdouts, "evaluation")
    sat, versions = heard.sittings(evidence), knowledge_of(evidence)
    for row in evidence.evaluations:
        scenario = evidence.scenarios(bundle_of[row.bundle].scenario)
        replies: Sequence[rows.Holdout] = replies_of[row.id]
        yield from compare("I7", row.id, row, {"terms_digest": digest(row.terms)}, "its terms")
        if [reply.seed for reply in replies] != row.terms.get("seeds"):
            yield Difference("I7", row.id, "its held-out seeds are not those of its terms")
        if row.terms.get("scenario_version") != scenario.version:
            continue
        summary = summarize([reply.score for reply in replies], [reply.legal for reply in replies])
        expected = {"mean": summary.mean, "lower": summary.lower, "valid": summary.valid, "seeds": len(replies)}
        yield from compare("I7", row.id, row, expected, "its held-out replies")
        role = roles.roles(scenario).get(bundle_of[row.bundle].role)
        if role is None or not role.judged:
            yield Difference("I7", row.id, f"{scenario.name} has no judged role {bundle_of[row.bundle].role}")
            continue
        if referee.reproducible(scenario):
            placed = dict(enumerate(replies))
            prompts = heard.prompts_of(scenario, role, row, placed, versions)
            for place, played in heard.again(scenario, role, placed, prompts, sat, row.judged).items():
                again = {"legal": played.legal, "score": played.score}
                by = "the scenario" if row.judged is None or not played.legal else "the judging call"
                yield from compare("I7", f"{row.id} seed {played.seed}", placed[place], again, by)


def witnessed(evidence: Evidence) -> Iterator[Difference]:
    """The replies of an evaluation, and the prompts that its knowledge gives, are those of its batches in the trace (I4).

    One that an earlier version recorded names no call, and has no second witness; after the first that has one, all have.
    """
    bundle_of, replies_of = {bundle.id: bundle for bundle in evidence.bundles}, grouped(evidence.holdouts, "evaluation")
    batches = grouped([line for line in evidence.trace if line.event == "batch"], "call")
    versions = knowledge_of(evidence)
    since = False
    for row in evidence.evaluations:
        bundle, replies = bundle_of[row.bundle], replies_of[row.id]
        if row.call is None:
            if since:
                yield Difference("I4", row.id, "it names no call, and an evaluation before it does")
            continue
        since = True
        named = call_of(row.bundle, row.terms_digest, row.knowledge, row.run)
        yield from compare("I4", row.id, row, {"call": named}, "what it was asked with")
        lines = [line for line in batches[row.call] if (line.bundle, line.role) == (row.bundle, bundle.role)]
        batch_lines = _batched([(reply.seed, reply.reply) for reply in replies], lines)
        if batch_lines is None:
            yield Difference("I4", row.id, "its held-out replies are not those that the trace has of its bundle")
            continue
        asked = _asked(evidence.scenarios(bundle.scenario), bundle.role, row, versions)
        if asked is not None and _batched(asked, batch_lines, prompts=True) is None:
            yield Difference(
                "I4", row.id, f"the prompts of knowledge {row.knowledge} are not those that its bundle was asked"
            )


def _batched(texts: Sequence[tuple[int, str]], lines: Sequence[Line], *, prompts: bool = False) -> list[Line] | None:
    """Return the lines that texts can be put together of, one batch after another; None where they cannot.

    A comparison that was resumed asked some batches twice.
    """
    line_of = {(line.size or 0, line.asked if prompts else line.answered): line for line in lines}
    sizes = sorted({size for size, _ in line_of}, reverse=True)
    batch_lines: list[Line] = []
    done = 0
    while done < len(texts):
        line = next(
            (line for size in sizes if size and (line := line_of.get((size, seal(texts[done : done + size]))))), None
        )
        if line is None:
            return None
        batch_lines.append(line)
        done += line.size or len(texts)
    return batch_lines


def _asked(
    scenario: Scenario, role: str, row: rows.Evaluation, versions: Mapping[tuple[str, int], Knowledge]
) -> list[tuple[int, str]] | None:
    """Return what an evaluation asked; None where prompts are put otherwise by now."""
    render = roles.roles(scenario)[role].prompt if role in roles.roles(scenario) else None
    if (row.terms.get("scenario_version"), row.terms.get("prompt_format")) != (scenario.version, prompt.FORMAT):
        return None
    if not wording(scenario, role).is_of(row.terms.get("prompts", "")):
        return None
    knowledge = versions.get((scenario.name, row.knowledge), Knowledge() if row.knowledge == 0 else None)
    if render is None or knowledge is None:
        return None
    return [(seed, render(knowledge, seed)) for seed in row.terms["seeds"]]


def knowledge(evidence: Evidence) -> Iterator[Difference]:
    """An evaluation names knowledge that there is; in a comparison, the one that the frontier was asked with (I10)."""
    scenario_of = {bundle.id: bundle.scenario for bundle in evidence.bundles}
    versions = {(row.scenario, row.version) for row in evidence.lessons}
    asked = {step.run: step.knowledge for step in evidence.steps}
    for row in evidence.evaluations:
        if row.knowledge != 0 and (scenario_of[row.bundle], row.knowledge) not in versions:
            yield Difference("I10", row.id, f"its prompts had knowledge {row.knowledge}, which history does not have")
        if row.run in asked and row.knowledge != asked[row.run]:
            yield Difference(
                "I10", row.id, f"its prompts had knowledge {row.knowledge}, its frontier's {asked[row.run]}"
            )
