"""From a candidate to the slot's bundle, by evidence.

A comparison is played first (`comparison`), judged by `training.promotion`. Then both bundles' evaluations, the verdict and, if
it says so, the activation are one transaction. If the slot changed hands meanwhile, somebody else has decided, and nothing of
the verdict is recorded.
"""

from collections.abc import Callable

from sqlalchemy import Connection

from stepdown.acts import switch
from stepdown.acts.comparison import Comparison, Player, player
from stepdown.acts.examine import comparing, record_evaluation
from stepdown.acts.judging import check_judge, found
from stepdown.acts.localize import evaluate
from stepdown.acts.question import examples
from stepdown.acts.resume import begun_comparison, reopened
from stepdown.acts.run import fail, start
from stepdown.acts.switch import OPERATOR
from stepdown.bundles.disk import Condition
from stepdown.bundles.standing import PROMOTION
from stepdown.errors import InvalidValue, LocalError, Refused, StepdownError
from stepdown.history import ledger, reader, rows
from stepdown.routing.policy import Policy
from stepdown.scenarios.harness import coverage
from stepdown.scenarios.protocol import Scenario
from stepdown.scenarios.roles import judged_role
from stepdown.training import hearing
from stepdown.training.evaluation import evaluation_of
from stepdown.training.promotion import Grounds, PromotionOutcome, Trial, bounds
from stepdown.workspace import Workspace


def unwatched(_done: int, _budget: int) -> None:
    """Tell nobody how far a comparison is."""


def promote(
    workspace: Workspace,
    bundle_id: str,
    *,
    trial: Trial | None = None,
    frontier: str | None = None,
    by: str = OPERATOR,
    why: str = "",
    resume: str | None = None,
    watch: Callable[[int, int], None] = unwatched,
) -> rows.Verdict:
    """Compare a bundle with the frontier and its slot's bundle, record the verdict, and activate it if that says so.

    Args:
        workspace: Where it is registered.
        bundle_id: The bundle's id, or the beginning of it.
        trial: Margin, error rate and budget.
        frontier: Word for the frontier; by default the one that found the best champion.
        by: Who asks.
        why: The reason.
        resume: A comparison that had ended before its verdict, and goes on: nobody is asked again what was asked in it.
        watch: Called with the seeds compared and the budget.

    Raises:
        NotFound: There is no such bundle or frontier.
        InvalidValue: Nobody asks, or the scenario has too few seeds, or gives scores that cannot be compared.
        Refused: The bundle cannot serve, the policy keeps this role from the frontier, or the slot changed hands
            meanwhile (kind `stale`), or the comparison that is resumed was another one.
        ProviderError: The bundle cannot answer, or a model judges and was silent on too many answers.
        Unavailable: A model judges, and cannot be had now.
    """
    switch.check_name(by)
    with workspace.reading() as connection:
        bundle = switch.find(connection, bundle_id)
        hands = switch.hands(connection, bundle.scenario, bundle.role)
    comparison = _begin(workspace, bundle, trial or Trial(), frontier, resume)
    try:
        comparison.play(watch)
    except StepdownError as error:
        fail(comparison.run, reason := _reason(workspace, bundle, error))
        raise reason from error.__cause__
    comparison.run.end()
    workspace.reached("comparison-played")
    with workspace.writing() as connection:
        verdict = _judge(workspace, connection, comparison, bundle, by, why)
        ledger.append(connection, verdict)
        if verdict.outcome == PromotionOutcome.PROMOTE:
            _activate(workspace, connection, bundle, hands, switch.asked_for(by, why))
    workspace.reached("act-recorded")
    return verdict


def _reason(workspace: Workspace, bundle: rows.Bundle, error: StepdownError) -> StepdownError:
    """Return what to say of a comparison that broke off: that the bundle cannot answer, or that somebody removed it."""
    if not isinstance(error, LocalError) or workspace.look(bundle.id).condition is not Condition.ABSENT:
        return error
    return Refused(
        f"The bundle {bundle.id[:12]} was removed while it was compared, and nothing was decided; "
        "`stepdown bundles history` shows who did it.",
        kind="bundle-absent",
    )


def _begin(
    workspace: Workspace, bundle: rows.Bundle, trial: Trial, frontier: str | None, resumed: str | None
) -> Comparison:
    """Refuse what cannot be compared before anybody is asked, then start the run, or go on with it."""
    scenario = workspace.scenario(bundle.scenario)
    role = judged_role(scenario, bundle.role)
    with workspace.reading() as connection:
        switch.check_usable(workspace, connection, bundle.id)
        switch.check_fits(workspace, bundle)
        _, policy = workspace.policy(connection)
        active = reader.slot_bundle(connection, bundle.scenario, bundle.role)
        best = reader.best_run(connection, bundle.scenario)
        shown = examples(found(scenario, best, role, reader.steps(connection, best.id))) if best else ()
        knowledge = workspace.knowledge(connection, bundle.scenario)
        counted = reader.evaluation(connection, bundle.id, workspace.terms(scenario, bundle.role).digest)
        evaluated = counted is not None and abs(knowledge.version - counted.knowledge) <= policy.max_lessons
    _check_comparable(scenario, policy, bundle.role, trial)
    check_judge(workspace, scenario)
    seeds = min(trial.budget, len(scenario.comparison_seeds()))
    earlier = begun_comparison(workspace, resumed, bundle, seeds, trial) if resumed else None
    word = frontier or (best.frontier if best else "search")
    if earlier is None:
        workspace.settings.frontier(word, scenario)  # A word that names none is refused before anything is recorded.
    if not evaluated:
        # Routing counts the evaluation on the other held-out seeds; a promoted bundle without one would not serve.
        evaluate(workspace, bundle.id)
    challenger = player(workspace, bundle.id)
    if challenger is None:
        raise Refused(f"The bundle {bundle.id[:12]} was removed at this very moment.", kind="bundle-absent")
    rival = active if active is not None and active.id != bundle.id and not switch.misfit(workspace, active) else None
    champion = player(workspace, rival.id) if rival is not None else None
    if earlier is not None:
        run, standing = reopened(workspace, earlier.run, role), earlier.steps
        asked_with = earlier.knowledge or knowledge
        share = _spend(workspace, run.run.id, bundle, trial)
        again = Comparison(run, role, trial, share, asked_with, shown, challenger, champion)
        again.standing, again.judged = standing, earlier.judged
        return again
    run = start(workspace, scenario.name, generations=1, candidates=seeds, frontier=word, purpose=rows.COMPARISON)
    share = _spend(workspace, run.run.id, bundle, trial)
    return Comparison(run, role, trial, share, knowledge, shown, challenger, champion)


def _spend(workspace: Workspace, run: str, bundle: rows.Bundle, trial: Trial) -> float:
    """Record what this comparison may err before anybody is asked: one that is broken off has spent it all the same."""
    with workspace.writing() as connection:
        spent = reader.newest(connection, rows.Spending, run=run)
        if spent is not None:
            return spent.share  # It goes on, with what it had from the beginning.
        number = reader.comparisons(connection, bundle.scenario, bundle.role) + 1
        share = trial.share(number)
        ledger.append(connection, rows.Spending(run, bundle.scenario, bundle.role, number, share))
    workspace.reached("act-recorded")
    return share


def _check_comparable(scenario: Scenario, policy: Policy, role: str, trial: Trial) -> None:
    if not policy.allows_frontier(role):
        raise Refused(
            f"The policy keeps the {role}'s prompts from the frontier, so nothing can be compared with it; "
            "`stepdown bundles activate --force` does without.",
            kind="frontier-forbidden",
        )
    if len(scenario.comparison_seeds()) < trial.look:
        raise InvalidValue(f"{scenario.name} offers fewer than {trial.look} comparison seeds; give it more.")
    if trial.budget > (most := len(scenario.comparison_seeds())) and trial.budget > Trial().budget:
        raise InvalidValue(
            f"{scenario.name} offers {most} comparison seeds, not {trial.budget}; give a budget of at most {most}.",
            kind="budget-beyond-seeds",
        )


def _judge(
    workspace: Workspace, connection: Connection, comparison: Comparison, bundle: rows.Bundle, by: str, why: str
) -> rows.Verdict:
    """Record both evaluations, and return the verdict by policy and harness as they are at this very moment."""
    scenario, trial = comparison.run.scenario, comparison.trial
    number, policy = workspace.policy(connection)
    validators = workspace.validators(connection, scenario)
    challenger = _record(workspace, connection, comparison, comparison.challenger)
    champion = _record(workspace, connection, comparison, comparison.champion) if comparison.champion else None
    compared = comparison.to_frontier
    evidence = Grounds(
        trial=trial,
        seeds=len(compared),
        unanswered=len(comparison.seeds) - len(compared),
        to_frontier=bounds(compared, comparison.share),
        to_champion=bounds(comparison.to_champion, comparison.share),
        valid=challenger.valid or 0.0,
        min_valid=policy.min_valid,
        coverage=coverage(scenario, validators),
        min_coverage=policy.min_coverage,
        challenger=challenger.id,
        champion=champion.id if champion else None,
        share=comparison.share,
    )
    return rows.Verdict(
        bundle=bundle.id,
        run=comparison.run.run.id,
        terms_digest=workspace.terms(scenario, bundle.role).digest,
        outcome=evidence.outcome.value,
        evidence=evidence.as_json(),
        policy=number,
        validators=sorted(validators),
        by=by,
        why=why,
        at=workspace.now(),
    )


def _record(workspace: Workspace, connection: Connection, comparison: Comparison, who: Player) -> rows.Evaluation:
    run, at = comparison.run, workspace.now()
    call = comparing(workspace, who.bundle, run.run.id).call
    bound = workspace.terms(run.scenario, comparison.role.name, comparison.seeds)
    generation = hearing.CHALLENGER if who is comparison.challenger else hearing.CHAMPION
    judged = hearing.where(run.run.id, generation) if run.bench is not None else None
    row = evaluation_of(who.bundle, bound, comparison.knowledge.version, who.replies, at, run.run.id, call, judged)
    return record_evaluation(connection, row, who.replies)


def _activate(
    workspace: Workspace, connection: Connection, bundle: rows.Bundle, hands: tuple[int, str | None], why: str
) -> None:
    if switch.hands(connection, bundle.scenario, bundle.role) != hands:
        raise Refused(
            f"The slot of {bundle.id[:12]} changed hands while it was compared; promote it again.", kind="stale"
        )
    active = reader.slot_bundle(connection, bundle.scenario, bundle.role)
    if active is None or active.id != bundle.id:
        switch.point(workspace, connection, bundle, by=PROMOTION, why=why)
