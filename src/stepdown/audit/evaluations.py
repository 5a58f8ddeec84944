"""Sum every evaluation again from its replies, and play those again. Pure."""

from collections.abc import Iterator, Sequence

from stepdown.audit.steps import grouped
from stepdown.audit.witnesses import Difference, Evidence, compare
from stepdown.digest import digest
from stepdown.history import rows
from stepdown.scenarios import referee, roles
from stepdown.training.evaluation import held_out, summarize


def evaluations(evidence: Evidence) -> Iterator[Difference]:
    """Sum every evaluation again from its held-out replies, and play those again (I7)."""
    bundle_of = {bundle.id: bundle for bundle in evidence.bundles}
    replies_of = grouped(evidence.holdouts, "evaluation")
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
        for reply in replies if referee.reproducible(scenario) else ():
            played = held_out(scenario, role, reply.seed, reply.reply)
            again = {"legal": played.legal, "score": played.score}
            yield from compare("I7", f"{row.id} seed {reply.seed}", reply, again, "the scenario")
