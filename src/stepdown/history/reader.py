"""The one reader. Each function asks one question of a connection and returns frozen values, in a stated order."""

from collections.abc import Iterable, Iterator
from dataclasses import fields
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, select

from stepdown.history import questions, rows, schema
from stepdown.history.ledger import TABLES

Row = TypeVar("Row")

CHUNK = 256
"""Rows that a stream keeps in memory."""


def all_of(connection: Connection, kind: type[Row], /, *where: ColumnElement[bool], **values: Any) -> list[Row]:
    """Return the rows of a kind that meet every condition and whose columns have these values, oldest first."""
    query = questions.oldest_first(TABLES[kind], tuple(values))
    return [kind(*row) for row in connection.execute(query.where(*where) if where else query, values)]


def newest(connection: Connection, kind: type[Row], /, **values: Any) -> Row | None:
    """Return the last row of a kind whose columns have these values, or None; a tuple means any of them."""
    several = tuple(name for name, value in values.items() if isinstance(value, tuple))
    row = connection.execute(questions.newest(TABLES[kind], tuple(values), several), values).first()
    return kind(*row) if row is not None else None


def count(connection: Connection, kind: type[Any]) -> int:
    """Return how many rows of a kind there are."""
    return connection.execute(questions.COUNTS[TABLES[kind]]).scalar_one()


def run(connection: Connection, run_id: str) -> rows.Run | None:
    """Return a run, or None."""
    return newest(connection, rows.Run, id=run_id)


def steps(connection: Connection, run_id: str) -> list[rows.Step]:
    """Return a run's steps by generation and position, in which order however many were taken side by side."""
    return sorted(all_of(connection, rows.Step, run=run_id), key=lambda step: (step.generation, step.position))


def attempts(connection: Connection, run_id: str) -> list[rows.Attempt]:
    """Return the attempts of a run's steps, oldest first."""
    mine = select(schema.step.c.id).where(schema.step.c.run == run_id)
    return all_of(connection, rows.Attempt, schema.attempt.c.step.in_(mine))


def spent(connection: Connection, run_id: str) -> tuple[int, float | None]:
    """Return what a run's frontier calls spent: tokens in and out, and US dollars, None where a price is not known."""
    tokens, cost, unknown = connection.execute(questions.SPENT, {"steps": f"{run_id}/%"}).one()
    return tokens or 0, None if unknown else cost or 0.0


def lessons_of(connection: Connection, run_id: str) -> list[rows.Lesson]:
    """Return what a run taught, oldest first."""
    mine = select(schema.step.c.id).where(schema.step.c.run == run_id)
    return all_of(connection, rows.Lesson, schema.knowledge.c.step.in_(mine))


def newest_evaluation(connection: Connection, bundle_id: str) -> rows.Evaluation | None:
    """Return a bundle's newest evaluation of its own, under whatever terms, or None; a comparison's is on other seeds."""
    row = connection.execute(questions.OWN_EVALUATION, {"bundle": bundle_id}).first()
    return rows.Evaluation(*row) if row is not None else None


def compared(connection: Connection, run_id: str) -> list[str]:
    """Return the bundles that were evaluated in a comparison, the challenger first."""
    return [evaluation.bundle for evaluation in all_of(connection, rows.Evaluation, run=run_id)]


def comparisons(connection: Connection, scenario: str, role: str) -> int:
    """Return how many of a slot's comparisons have spent of its error rate."""
    last = newest(connection, rows.Spending, scenario=scenario, role=role)
    return last.number if last is not None else 0


def verdicts(connection: Connection, bundle_id: str) -> list[rows.Verdict]:
    """Return every promotion verdict on a bundle, oldest first."""
    return all_of(connection, rows.Verdict, bundle=bundle_id)


def verdict(connection: Connection, bundle_id: str) -> rows.Verdict | None:
    """Return the newest promotion verdict on a bundle, or None."""
    return newest(connection, rows.Verdict, bundle=bundle_id)


def verdict_of(connection: Connection, run_id: str) -> rows.Verdict | None:
    """Return the verdict that a comparison was played for, or None."""
    return newest(connection, rows.Verdict, run=run_id)


def frontier_costs(connection: Connection, scenario: str, frontier: str, role: str) -> list[float]:
    """Return what the last steps of a role that a frontier served cost (US dollars), where every attempt's price is known."""
    values = {"scenario": scenario, "frontier": frontier, "role": role}
    return list(connection.execute(questions.FRONTIER_COSTS, values).scalars())


def attempt(connection: Connection, call: str) -> rows.Attempt:
    """Return the attempt of a call that history refers to."""
    (row,) = all_of(connection, rows.Attempt, call=call)
    return row


def frontier_reply(connection: Connection, step_id: str) -> str | None:
    """Return what the frontier said in a step, accepted or not; None when it said nothing."""
    attempt = newest(connection, rows.Attempt, step=step_id, target="frontier")
    return attempt.reply if attempt is not None else None


def served(connection: Connection, call: str) -> rows.Step | None:
    """Return the step that a call served, or None."""
    attempt = newest(connection, rows.Attempt, call=call)
    step = newest(connection, rows.Step, id=attempt.step) if attempt is not None else None
    return step if step is not None and step.served_call == call else None


def judgements(connection: Connection, call: str) -> list[rows.GivenScore]:
    """Return what was said later of the answer of a call, oldest first."""
    return all_of(connection, rows.GivenScore, call=call)


def judgement(connection: Connection, call: str) -> rows.GivenScore | None:
    """Return what was last said of the answer of a call, or None."""
    return newest(connection, rows.GivenScore, call=call)


def matches(connection: Connection, step_id: str) -> list[rows.PlayedMatch]:
    """Return a step's matches, in the order played."""
    return all_of(connection, rows.PlayedMatch, step=step_id)


def exportable(
    connection: Connection, scenario: str, run_id: str | None
) -> Iterator[tuple[rows.Step, rows.Generation | None]]:
    """Yield a scenario's steps, each with its generation's gate decision, by run and place, in constant memory."""
    width = len(fields(rows.Step))
    query = questions.exportable(of_one_run=bool(run_id))
    values = {"scenario": scenario, **({"run": run_id} if run_id else {})}
    for row in connection.execute(query, values, execution_options={"yield_per": CHUNK}):
        decided = row[width:]
        yield rows.Step(*row[:width]), rows.Generation(*decided) if decided[0] is not None else None


def dataset(connection: Connection, digest: str) -> rows.Dataset | None:
    """Return an export, or None."""
    return newest(connection, rows.Dataset, digest=digest)


def log(connection: Connection, scenario: str, role: str, digest: str) -> rows.Log | None:
    """Return the log of these bytes that was brought in for a role, or None."""
    return newest(connection, rows.Log, scenario=scenario, role=role, digest=digest)


def exchanges(connection: Connection, scenario: str, role: str) -> Iterator[rows.Exchange]:
    """Yield what logs say of a role, log by log and line by line, in constant memory."""
    values = {"scenario": scenario, "role": role}
    for row in connection.execute(questions.EXCHANGES, values, execution_options={"yield_per": CHUNK}):
        yield rows.Exchange(*row)


def generations(connection: Connection, run_id: str) -> list[rows.Generation]:
    """Return a run's gate decisions, oldest first."""
    return all_of(connection, rows.Generation, run=run_id)


def calls_after(connection: Connection, kind: type[rows.Announcement] | type[rows.Attempt], skipped: int) -> set[str]:
    """Return the calls of a kind's rows after so many that are skipped."""
    table = TABLES[kind]
    return set(connection.execute(select(table.c.call).order_by(table.c.seq).offset(skipped)).scalars())


def newest_knowledge(connection: Connection, scenario: str) -> rows.Lesson | None:
    """Return the knowledge of a scenario as it is now, or None before the first lesson."""
    row = connection.execute(questions.NEWEST_LESSON, {"scenario": scenario}).first()
    return rows.Lesson(*row) if row is not None else None


def best_run(connection: Connection, scenario: str) -> rows.Run | None:
    """Return the run that found a scenario's best champion, the first of several, or None before any champion."""
    generation = schema.generation.c
    mine = schema.run.c.scenario == scenario
    query = select(generation.run).join(schema.run, schema.run.c.id == generation.run)
    best_first = query.where(mine, generation.champion_score.is_not(None)).order_by(
        generation.champion_score.desc(), generation.seq
    )
    run_id = connection.execute(best_first.limit(1)).scalar()
    return run(connection, run_id) if run_id is not None else None


def knowledge(connection: Connection, scenario: str, version: int) -> rows.Lesson | None:
    """Return one version of the knowledge."""
    return newest(connection, rows.Lesson, scenario=scenario, version=version)


def policy(connection: Connection) -> rows.PolicyChange | None:
    """Return the policy as it is now, or None when it was never set."""
    return newest(connection, rows.PolicyChange)


def disabled_validators(connection: Connection, scenario: str, validators: Iterable[str]) -> set[str]:
    """Return those of a scenario's validators that are switched off now."""
    names = tuple(sorted(validators))
    if not names:
        return set()
    last = connection.execute(questions.last_switches(names), {"scenario": scenario})
    return {validator for validator, enabled in last if not enabled}


def bundle(connection: Connection, bundle_id: str) -> rows.Bundle | None:
    """Return a registration, or None."""
    return newest(connection, rows.Bundle, id=bundle_id)


def bundles(connection: Connection, *, beginning: str = "") -> list[rows.Bundle]:
    """Return the registrations whose id begins so, oldest first."""
    return all_of(connection, rows.Bundle, schema.bundle.c.id.startswith(beginning, autoescape=True))


def registered_content(connection: Connection, names: list[str]) -> set[str]:
    """Return those digests that a dataset, or a bundle that was not deleted, is registered under."""
    return set(connection.execute(questions.REGISTERED_CONTENT, {"names": names}).scalars())


def losses(connection: Connection, bundle_id: str) -> list[rows.Loss]:
    """Return the losses of a bundle's training, in the order of its steps."""
    return all_of(connection, rows.Loss, bundle=bundle_id)


def bundles_of_job(connection: Connection, job: str) -> list[rows.Bundle]:
    """Return the registrations of equal jobs, oldest first."""
    return all_of(connection, rows.Bundle, job=job)


def acts(connection: Connection, *, until: datetime | None = None, bundle: str | None = None) -> list[rows.Act]:
    """Return every act, oldest first; with `until`, those not later than it; with a bundle, those on it."""
    return all_of(
        connection, rows.Act, *([schema.act.c.at <= until] if until else []), **({"bundle": bundle} if bundle else {})
    )


def pointer(connection: Connection, scenario: str, role: str) -> int:
    """Return a number that grows with every activation in a slot; 0 before the first."""
    act = schema.act.c
    mine = select(act.seq).where(act.scenario == scenario, act.role == role, act.kind == "activate")
    return connection.execute(mine.order_by(act.seq.desc()).limit(1)).scalar() or 0


def slots(connection: Connection) -> list[tuple[str, str]]:
    """Return every scenario and role that a bundle was made for, sorted."""
    table = schema.bundle.c
    query = select(table.scenario, table.role).distinct().order_by(table.scenario, table.role)
    return [(scenario, role) for scenario, role in connection.execute(query)]


def asked(connection: Connection) -> set[tuple[str, str]]:
    """Return every run and bundle where the run asked the bundle, in a step or in a comparison."""
    step, comparison = schema.announcement.c, schema.evaluation.c
    in_steps = select(step.run, step.bundle).where(step.bundle.is_not(None))
    in_comparisons = select(comparison.run, comparison.bundle).where(comparison.run.is_not(None))
    return {(run_id, bundle_id) for run_id, bundle_id in connection.execute(in_steps.union(in_comparisons))}


def slot_bundle(connection: Connection, scenario: str, role: str) -> rows.Bundle | None:
    """Return the bundle that a slot holds: the last one activated, unless it was retired since."""
    row = connection.execute(questions.SLOT, {"scenario": scenario, "role": role}).first()
    return rows.Bundle(*row) if row is not None else None


def is_retired(connection: Connection, bundle_id: str) -> bool:
    """Tell whether a bundle never serves again."""
    return last_act(connection, bundle_id, *questions.ENDING) is not None


def last_act(connection: Connection, bundle_id: str, *kinds: str) -> rows.Act | None:
    """Return the last act of some kinds on a bundle."""
    return newest(connection, rows.Act, bundle=bundle_id, kind=kinds)


def evaluation(connection: Connection, bundle_id: str, terms_digest: str) -> rows.Evaluation | None:
    """Return the newest evaluation of a bundle under these very terms, or None."""
    return newest(connection, rows.Evaluation, bundle=bundle_id, terms_digest=terms_digest)


def last_local_attempt(connection: Connection, bundle_id: str) -> rows.Attempt | None:
    """Return the last local attempt that carries a bundle's breaker."""
    row = connection.execute(questions.LAST_BREAKER, {"bundle": bundle_id}).first()
    return rows.Attempt(*row) if row is not None else None
