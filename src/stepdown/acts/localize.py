"""From a dataset to a bundle that may be routed to: train, evaluate, publish, register."""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from stepdown import __version__
from stepdown.acts import switch
from stepdown.acts.datasets import ExportedDataset, opened
from stepdown.acts.examine import Examined, examined, record_evaluation
from stepdown.acts.hearing import conclude
from stepdown.acts.judging import check_judge
from stepdown.bases import disk as bases
from stepdown.bundles.disk import Condition, listing, publish, sync
from stepdown.bundles.kinds import KINDS
from stepdown.bundles.manifest import FORMAT, Manifest
from stepdown.digest import digest
from stepdown.errors import DatasetError, InvalidValue, TrainingFailed, WorkspaceError
from stepdown.history import ledger, reader, rows
from stepdown.scenarios import judging, prompt
from stepdown.scenarios.protocol import Scenario
from stepdown.scenarios.referee import own_case
from stepdown.scenarios.roles import judged_role, proposer
from stepdown.scenarios.wording import wording
from stepdown.training.evaluation import held_out_seeds
from stepdown.training.job import Job, Progress, Tuned, backend, check_schema, train, unwatched
from stepdown.training.plan import Plan
from stepdown.training.tuning import AnyPlan, Tuning, parse_plan
from stepdown.workspace import Workspace

TIME_LIMIT = 3600.0
"""Seconds a training child may take unless the caller says otherwise."""


@dataclass(frozen=True, slots=True)
class Trained:
    """A bundle and what is known of it.

    Attributes:
        bundle: Its registration.
        evaluation: Its newest evaluation.
        reused: An equal job's bundle was whole already, and nothing was trained.
    """

    bundle: rows.Bundle
    evaluation: rows.Evaluation
    reused: bool


def localize(
    workspace: Workspace,
    dataset_path: Path,
    *,
    plan: AnyPlan | None = None,
    role: str | None = None,
    time_limit: float = TIME_LIMIT,
    fresh: bool = False,
    resume: bool = False,
    watch: Callable[[Progress], None] = unwatched,
) -> Trained:
    """Train a bundle from a dataset, evaluate it on held-out seeds, publish it and register it. It is not activated.

    Args:
        workspace: Where it is registered.
        dataset_path: Directory of an export.
        plan: Net and schedule, or a base and how it is tuned; the default suits a small laptop, and how the scenario judges.
        role: Role it shall serve, which must be the dataset's.
        time_limit: Seconds the training child may take.
        fresh: Train again even if an equal job's bundle is whole, and demand equal weights.
        resume: Go on where an equal tuning of a base was killed; what comes of it is the same.
        watch: Called with each progress report.

    Raises:
        NotFound: There is no such dataset, or no such base.
        DatasetError: It is not the export it says it is, or was made for another prompt format.
        InvalidValue: The time limit is no number of seconds.
        TrainingFailed: The child failed, or `fresh` gave other weights.
        ContextOverflow: A prompt does not fit the plan's window, whole.
    """
    dataset, stored = _opened(dataset_path)
    scenario = workspace.scenario(stored["scenario"])
    job, tuned = _job(workspace, scenario, dataset, _role(workspace, scenario, stored, role), plan)
    earlier = _earlier(workspace, job)
    if earlier is not None and not fresh:
        return Trained(earlier, _measured(workspace, earlier), reused=True)
    part = workspace.root / "jobs" / f"{job.digest}.{workspace.session.begin()}.part"
    cache = None if fresh else workspace.settings.cache
    try:
        done = train(job, dataset.path, part, time_limit, tuned=tuned, resume=resume, cache=cache, watch=watch)
        workspace.reached("weights-written")
        manifest = _manifest(workspace, scenario, dataset, job, part, done)
        if earlier is not None:
            return _same_weights(workspace, earlier, manifest)
        curve = [rows.Loss(manifest.id, count, loss) for count, loss in done.get("curve", ())]
        return _register(workspace, scenario, manifest, part, curve, examined(workspace, scenario, part, manifest))
    except OSError as error:
        raise WorkspaceError(f"The bundle cannot be written: {error.strerror}. Nothing was kept of it.") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _opened(path: Path) -> tuple[ExportedDataset, Mapping[str, Any]]:
    dataset, stored = opened(path)
    if stored.get("prompt_format") != prompt.FORMAT or not isinstance(stored.get("scenario"), str):
        raise DatasetError(f"{dataset.path.name[:12]} has another prompt format; export it again.")
    return dataset, stored


def _job(
    workspace: Workspace, scenario: Scenario, dataset: ExportedDataset, role: str, plan: AnyPlan | None
) -> tuple[Job, Tuned | None]:
    """Return the job, and what a tuning needs besides."""
    held_out_seeds(scenario)  # A bundle that cannot be evaluated is not worth training.
    plan = plan or _plan(scenario)
    work = Job(dataset.content, scenario.name, role, plan, backend(plan))
    check_schema(plan, judged_role(scenario, role).schema)
    if not isinstance(plan, Tuning):
        return work, None
    base, directory = bases.find(workspace.root, plan.base)
    if problem := bases.problem(directory, base.digest):
        raise InvalidValue(f"The base {plan.base} cannot be tuned: {problem}; bring it again.", kind="base-mismatch")
    work = replace(work, base=base.digest)
    return work, Tuned(directory, workspace.root / "jobs" / f"{work.digest}.checkpoint")


def _plan(scenario: Scenario) -> AnyPlan:
    """Return the plan that suits a scenario: by the way it judges, and by what a task's own file says."""
    plan = Plan.for_cases() if own_case(scenario) else Plan()
    changes = getattr(scenario, "settings", {}).get("training") or {}
    if "base" in changes:
        return parse_plan(json.dumps(changes))
    return Plan.parse(json.dumps({**json.loads(plan.to_json()), **changes}))


def _role(workspace: Workspace, scenario: Scenario, stored: Mapping[str, Any], wanted: str | None) -> str:
    """Return the role that a dataset teaches.

    Raises:
        NotFound: The scenario does not have the role that is wanted.
        Refused: Nobody can say how good its answers are.
        Unavailable: A model is to say it, and cannot be had now.
        DatasetError: The dataset teaches another one, or was asked with another text than its prompt has now.
    """
    check_judge(workspace, scenario)
    taught = str(stored["filters"].get("role") or proposer(scenario).name)
    if wanted is not None and judged_role(scenario, wanted).name != taught:
        raise DatasetError(f"The dataset teaches the role {taught}, not {wanted}; export {wanted}'s answers first.")
    words = wording(scenario, judged_role(scenario, taught).name)
    if not words.is_of(stored.get("prompts", "")):
        raise DatasetError("The dataset was asked with another text than prompts have now; export it again.")
    return taught


def _manifest(
    workspace: Workspace, scenario: Scenario, dataset: ExportedDataset, job: Job, part: Path, done: Mapping[str, Any]
) -> Manifest:
    return Manifest(
        format=FORMAT,
        scenario=scenario.name,
        scenario_version=scenario.version,
        role=job.role,
        prompt_format=prompt.FORMAT,
        prompts=wording(scenario, job.role).digest,
        dataset=dataset.digest,
        plan=json.loads(job.plan.to_json()),
        job=job.digest,
        backend=job.backend,
        files=listing(part),
        losses={name: done[f"{name}_loss"] for name in ("train", "valid", "untuned") if f"{name}_loss" in done},
        trained_at=workspace.now(),
        stepdown=__version__,
        edition=_editions(workspace, job),
        kind=job.plan.kind,
        base=job.base if KINDS[job.plan.kind].on_base else "",
        curve=digest(list(map(list, done["curve"]))) if done.get("curve") else "",
    )


def _editions(workspace: Workspace, job: Job) -> int:
    with workspace.reading() as connection:
        return len(reader.bundles_of_job(connection, job.digest))


def _same_weights(workspace: Workspace, earlier: rows.Bundle, manifest: Manifest) -> Trained:
    if manifest.weights_digest != earlier.weights_digest:
        raise TrainingFailed(
            f"Training the job again gave other weights ({manifest.weights_digest[:12]}, not "
            f"{earlier.weights_digest[:12]}); its backend is not reproducible.",
            kind="not-reproducible",
        )
    return Trained(earlier, _measured(workspace, earlier), reused=True)


def _earlier(workspace: Workspace, job: Job) -> rows.Bundle | None:
    """Return the bundle of an equal job that is still whole, in service, and evaluated as things are now, or to be judged."""
    with workspace.reading() as connection:
        for bundle in reversed(reader.bundles_of_job(connection, job.digest)):
            look = workspace.look(bundle.id)
            if look.condition is not Condition.WHOLE or reader.is_retired(connection, bundle.id):
                continue
            scenario = workspace.scenario(bundle.scenario)
            if judging.of(scenario) is not None or _evaluation(workspace, connection, bundle) is not None:
                return bundle
    return None


def _evaluation(workspace: Workspace, connection: Connection, bundle: rows.Bundle) -> rows.Evaluation | None:
    terms = workspace.terms(workspace.scenario(bundle.scenario), bundle.role)
    return reader.evaluation(connection, bundle.id, terms.digest)


def _measured(workspace: Workspace, bundle: rows.Bundle) -> rows.Evaluation:
    """Return the evaluation that counts for a bundle; where the model that judges was silent then, it is asked again."""
    with workspace.reading() as connection:
        evaluation = _evaluation(workspace, connection, bundle)
    return evaluation or evaluate(workspace, bundle.id)


def _register(
    workspace: Workspace,
    scenario: Scenario,
    manifest: Manifest,
    part: Path,
    curve: Sequence[rows.Loss],
    answers: Examined,
) -> Trained:
    """Publish and register in one transaction: the rename happens inside it, so a bundle is whole or invisible.

    Where the scenario scores by itself, its evaluation is a part of that. Where a model judges, whose calls take their time and
    may fail, the bundle is there before it is measured.
    """
    scored = judging.of(scenario) is None
    for path in manifest.files:
        sync(part / path)  # Waiting for the disk with what may be large, before anybody has to wait for this writer.
    with workspace.writing() as connection:
        bundle = rows.Bundle(
            id=manifest.id,
            scenario=manifest.scenario,
            role=manifest.role,
            job=manifest.job,
            dataset=manifest.dataset,
            weights_digest=manifest.weights_digest,
            trained_at=manifest.trained_at,
            session=workspace.session.begin(),
            at=workspace.now(),
        )
        publish(part, manifest, workspace.root / "bundles")
        workspace.reached("bundle-renamed")
        if reader.bundle(connection, manifest.id) is None:
            ledger.append(connection, bundle)
            ledger.append_all(connection, curve)
        if scored:
            evaluation = record_evaluation(connection, answers.evaluation(workspace.now()), answers.held_out)
    workspace.reached("bundle-registered")
    if not scored:
        evaluation = conclude(workspace, scenario, answers)
    return Trained(bundle, evaluation, reused=False)


def evaluate(workspace: Workspace, bundle_id: str) -> rows.Evaluation:
    """Evaluate a registered bundle anew, as scenario, prompt format and decoding are now, and record it.

    Raises:
        NotFound: There is no such bundle.
        Refused: It is not whole.
        LocalError: It cannot be loaded.
        Unavailable: A model judges, and cannot be had now.
        ProviderError: A model judges, and was silent on too many answers.
    """
    with workspace.reading() as connection:
        bundle = switch.find(connection, bundle_id)
    manifest = switch.check_whole(workspace, bundle.id)
    scenario = workspace.scenario(bundle.scenario)
    check_judge(workspace, scenario)
    return conclude(workspace, scenario, examined(workspace, scenario, workspace.bundle_directory(bundle.id), manifest))
