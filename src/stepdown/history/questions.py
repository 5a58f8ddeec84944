"""What the reader asks. Building a question takes longer than asking it, so these are built once; the rest it builds itself."""

from dataclasses import fields
from functools import cache
from typing import Any

from sqlalchemy import (
    BindParameter,
    CompoundSelect,
    Select,
    Table,
    and_,
    bindparam,
    func,
    or_,
    select,
    text,
    type_coerce,
    union_all,
)
from sqlalchemy.types import NullType

from stepdown.history import rows, schema
from stepdown.history.ledger import TABLES

PLAIN = {table: select(*(table.c[field.name] for field in fields(kind))) for kind, table in TABLES.items()}
OLDEST_FIRST = {table: query.order_by(table.c.seq) for table, query in PLAIN.items()}
# As they are stored, behind their numbers, and no type turns them into what it would like to see.
STORED = {
    table: select(table.c.seq, *(type_coerce(table.c[field.name], NullType()) for field in fields(kind))).order_by(
        table.c.seq
    )
    for kind, table in TABLES.items()
}
NEWEST = {table: query.order_by(table.c.seq.desc()).limit(1) for table, query in PLAIN.items()}
COUNTS = {table: select(func.count()).select_from(table) for table in PLAIN}


@cache
def oldest_first(table: Table, names: tuple[str, ...]) -> Select[Any]:
    """Ask for the rows whose columns have values of these names."""
    return OLDEST_FIRST[table].where(*(table.c[name] == bindparam(name) for name in names))


@cache
def newest(table: Table, names: tuple[str, ...], several: tuple[str, ...]) -> Select[Any]:
    """Ask for the last row whose columns have values of these names, or one of several values."""
    each = [table.c[name] == bindparam(name) for name in names if name not in several]
    return NEWEST[table].where(*each, *(table.c[name].in_(bindparam(name, expanding=True)) for name in several))


@cache
def exportable(*, of_one_run: bool) -> Select[Any]:
    """Ask for steps beside their generation's gate decision."""
    step, generation, runs = schema.step, schema.generation, schema.run
    both = ((rows.Step, step), (rows.Generation, generation))
    return (
        select(*(table.c[field.name] for kind, table in both for field in fields(kind)))
        .join(runs, runs.c.id == step.c.run)
        .outerjoin(generation, and_(generation.c.run == step.c.run, generation.c.number == step.c.generation))
        # A comparison's prompts are held-out ones: whoever learned them could not be examined any more.
        .where(runs.c.scenario == bindparam("scenario"), runs.c.purpose != rows.COMPARISON)
        .where(*([step.c.run == bindparam("run")] if of_one_run else []))
        # By their places, not by when each was done: steps that were taken side by side end in any order.
        .order_by(runs.c.seq, step.c.generation, step.c.position)
    )


EXCHANGES = (
    PLAIN[schema.exchange]
    .join(schema.log, schema.log.c.id == schema.exchange.c.log)
    .where(schema.log.c.scenario == bindparam("scenario"), schema.log.c.role == bindparam("role"))
    .order_by(schema.exchange.c.seq)
)
"""Ask for a role's exchanges, in the order in which they were brought in."""

_STEP = schema.step.c


@cache
def last_switches(validators: tuple[str, ...]) -> CompoundSelect[Any]:
    """Ask for the last switch of each of these validators: one look into the index for each, however many there were."""
    switch = schema.harness.c
    each = (
        select(switch.validator, switch.enabled)
        .where(switch.scenario == bindparam("scenario"), switch.validator == validator)
        .order_by(switch.seq.desc())
        .limit(1)
        .subquery()
        for validator in validators
    )
    return union_all(*(select(last.c.validator, last.c.enabled) for last in each))


NEWEST_LESSON = (
    PLAIN[schema.knowledge]
    .where(schema.knowledge.c.scenario == bindparam("scenario"))
    .order_by(schema.knowledge.c.version.desc())  # By the number, which is the index's order.
    .limit(1)
)

BASELINE = 1000
"""Steps that a baseline is measured on: the last ones, as prices are now, and the same work however many there were."""
_LAST_SERVED = (
    select(_STEP.id, _STEP.seq)
    .join(schema.run, schema.run.c.id == _STEP.run)
    .where(schema.run.c.scenario == bindparam("scenario"), schema.run.c.frontier == bindparam("frontier"))
    .where(_STEP.role == bindparam("role"), _STEP.served == "frontier")
    .order_by(_STEP.seq.desc())
    .limit(BASELINE)
    .subquery()
)
FRONTIER_COSTS = (
    select(func.sum(schema.attempt.c.cost))
    .join(_LAST_SERVED, schema.attempt.c.step == _LAST_SERVED.c.id)
    .where(~schema.attempt.c.shadow)
    .group_by(_LAST_SERVED.c.seq)
    .having(func.count() == func.count(schema.attempt.c.cost))
    .order_by(_LAST_SERVED.c.seq)
)

_ATTEMPT = schema.attempt.c
_TOKENS = func.coalesce(_ATTEMPT.input_tokens, 0) + func.coalesce(_ATTEMPT.output_tokens, 0)
SPENT = select(func.sum(_TOKENS), func.sum(_ATTEMPT.cost), func.count() - func.count(_ATTEMPT.cost)).where(
    _ATTEMPT.step.like(bindparam("steps")), _ATTEMPT.target == "frontier"
)

_ENDINGS = select(func.count()).where(schema.ending.c.run == schema.resumption.c.run).scalar_subquery()
# A run that goes on after it had ended ends once more.
_GOING_ON = select(schema.resumption.c.run).group_by(schema.resumption.c.run).having(func.count() >= _ENDINGS)
_UNDER_WAY = or_(schema.run.c.id.not_in(select(schema.ending.c.run)), schema.run.c.id.in_(_GOING_ON))
_FINISHED = select(schema.attempt.c.call).where(schema.attempt.c.call == schema.announcement.c.call).exists()
UNENDED = OLDEST_FIRST[schema.run].where(_UNDER_WAY)
# Only a run that has not ended can have one: the search stays as small as what is under way.
UNFINISHED = OLDEST_FIRST[schema.announcement].where(
    schema.announcement.c.run.in_(select(schema.run.c.id).where(_UNDER_WAY)), ~_FINISHED
)

UNDER_WAY = UNFINISHED.with_only_columns(schema.announcement.c.call, schema.announcement.c.session)

_NAMES: BindParameter[list[str]] = bindparam("names", expanding=True)
_GONE = select(schema.act.c.bundle).where(schema.act.c.kind == "delete")
_BUNDLES = select(schema.bundle.c.id).where(schema.bundle.c.id.in_(_NAMES), schema.bundle.c.id.not_in(_GONE))
REGISTERED_CONTENT = _BUNDLES.union(select(schema.dataset.c.digest).where(schema.dataset.c.digest.in_(_NAMES)))

ENDING = ("retire", "delete")
"""Acts after which a bundle never serves again."""
_ACT = schema.act.c
_ACTIVATED = (
    select(_ACT.bundle)
    .where(_ACT.scenario == bindparam("scenario"), _ACT.role == bindparam("role"), _ACT.kind == "activate")
    .order_by(_ACT.seq.desc())
    .limit(1)
    .scalar_subquery()
)
_ENDED = select(_ACT.seq).where(_ACT.bundle == schema.bundle.c.id, _ACT.kind.in_(ENDING)).exists()
SLOT = PLAIN[schema.bundle].where(schema.bundle.c.id == _ACTIVATED, ~_ENDED)
"""Ask for the bundle that a slot holds, in one question: each step asks it twice."""

OWN_EVALUATION = NEWEST[schema.evaluation].where(
    schema.evaluation.c.bundle == bindparam("bundle"), schema.evaluation.c.run.is_(None)
)
LAST_BREAKER = NEWEST[schema.attempt].where(
    schema.attempt.c.bundle == bindparam("bundle"), schema.attempt.c.breaker.is_not(None)
)

LAST_NUMBERS = text("SELECT name, seq FROM sqlite_sequence")
"""The last number that each table of a SQLite database ever gave to a row."""
