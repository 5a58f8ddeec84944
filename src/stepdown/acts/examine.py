"""Who asks a bundle many prompts at once, for an evaluation or a comparison: with a witness, like any other call."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection

from stepdown.acts.question import rendering
from stepdown.bundles.disk import Condition, Look
from stepdown.bundles.manifest import Manifest
from stepdown.history import ledger, reader, rows
from stepdown.providers.batches import Examiner, call_of
from stepdown.scenarios.prompt import Knowledge
from stepdown.scenarios.protocol import Scenario
from stepdown.scenarios.roles import Role, judged_role
from stepdown.training.evaluation import Terms, evaluation_of, held_out_seeds, judge_held_out
from stepdown.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Examined:
    """What a bundle answered on the held-out seeds; nothing is recorded of it yet.

    Attributes:
        bundle: Its id.
        role: Whose prompts these were.
        bound: The terms.
        knowledge: In the prompts.
        held_out: The replies, judged as far as the scenario can by itself.
        call: What the trace calls it.
    """

    bundle: str
    role: Role
    bound: Terms
    knowledge: Knowledge
    held_out: Sequence[rows.Holdout]
    call: str

    def evaluation(self, at: datetime, *, judged: str | None = None) -> rows.Evaluation:
        """Return what the replies come to; the row gets its id when it is recorded."""
        version = self.knowledge.version
        return evaluation_of(self.bundle, self.bound, version, self.held_out, at, call=self.call, judged=judged)


def examined(workspace: Workspace, scenario: Scenario, directory: Path, manifest: Manifest) -> Examined:
    """Ask a bundle's weights the serving prompt on every held-out seed, decoded as in serving, in one batch.

    An illegal reply scores 0, and a legal one has no score yet where a model judges.
    """
    provider = workspace.provider(directory, workspace.with_base(Look(Condition.WHOLE, manifest=manifest)))
    with workspace.reading() as connection:
        knowledge = workspace.knowledge(connection, scenario.name)
    seeds, role = held_out_seeds(scenario), judged_role(scenario, manifest.role)
    bound = workspace.terms(scenario, role.name)
    asking = examiner(workspace, manifest.id, bound, knowledge.version)
    replies = asking.ask(provider, role, [rendering(scenario, role, knowledge, seed) for seed in seeds], seeds)
    held_out = [judge_held_out(scenario, role, seed, reply) for seed, reply in zip(seeds, replies, strict=True)]
    return Examined(manifest.id, role, bound, knowledge, held_out, asking.call)


def record_evaluation(
    connection: Connection, evaluation: rows.Evaluation, held_out: Sequence[rows.Holdout]
) -> rows.Evaluation:
    """Append an evaluation and its replies under the next free id."""
    evaluation = replace(evaluation, id=f"evaluation-{reader.count(connection, rows.Evaluation) + 1}")
    ledger.append(connection, evaluation)
    ledger.append_all(connection, [replace(reply, evaluation=evaluation.id) for reply in held_out])
    return evaluation


def examiner(workspace: Workspace, bundle: str, bound: Terms, knowledge: int) -> Examiner:
    """Return who asks for an evaluation of its own.

    Args:
        workspace: Whose trace it is.
        bundle: Who is asked.
        bound: The terms of the evaluation.
        knowledge: Version of the knowledge in the prompts.
    """
    return _examiner(workspace, bundle, call_of(bundle, bound.digest, knowledge, None))


def comparing(workspace: Workspace, bundle: str, run: str) -> Examiner:
    """Return who asks for a comparison, block after block."""
    return _examiner(workspace, bundle, call_of(bundle, "", 0, run))


def trying(workspace: Workspace, name: str) -> Examiner:
    """Return who asks a bundle or a base for a trial: whether it answers at all, or what it answers as it came."""
    return _examiner(workspace, name, f"trial/{name}")


def _examiner(workspace: Workspace, bundle: str, call: str) -> Examiner:
    settings = workspace.settings
    return Examiner(call, bundle, workspace.trace, settings.clock, settings.durability == "full")
