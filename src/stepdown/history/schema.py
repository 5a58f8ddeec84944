"""The tables. Nothing is ever updated or deleted: triggers refuse it, so what a row says is what was written.

Every table counts its rows in `seq`, the order in which they were committed. Changing anything here needs a migration
beside it (`history/migrations`); a test compares the two.
"""

from sqlalchemy import JSON, Boolean, Column, Float, ForeignKey, Index, Integer, String, Text, text

from stepdown.history import columns, logs
from stepdown.history.columns import at as _at
from stepdown.history.columns import by as _by
from stepdown.history.columns import ref as _ref
from stepdown.history.columns import table as _table
from stepdown.history.columns import word as _word

metadata = columns.metadata
"""All tables."""

log, exchange = logs.log, logs.exchange

run = _table(
    "run",
    _word("id", unique=True),
    _word("scenario"),
    Column("scenario_version", Integer, nullable=False),
    Column("seed", Integer, nullable=False),
    Column("generations", Integer, nullable=False),
    Column("candidates", Integer, nullable=False),
    _word("frontier"),
    _word("purpose"),
    _word("session"),
    _at(),
)

ending = _table(
    "ending",
    _ref("run", "run.id"),
    _word("outcome"),
    Column("error", Text),
    _at(),
    Index(None, "run"),
)

resumption = _table("resumption", _ref("run", "run.id"), _word("session"), _at(), Index(None, "run"))

announcement = _table(
    "announcement",
    _word("call", unique=True),
    _word("step"),
    _ref("run", "run.id"),
    Column("generation", Integer, nullable=False),
    Column("position", Integer, nullable=False),
    _word("role"),
    Column("seed", Integer, nullable=False),
    Column("knowledge", Integer, nullable=False),
    Column("policy", Integer, nullable=False),
    Column("validators", JSON, nullable=False),
    Column("prompt", Text, nullable=False),
    Column("facts", JSON, nullable=False),
    Column("objections", JSON, nullable=False),
    _word("target"),
    Column("shadow", Boolean, nullable=False),
    _word("provider"),
    _word("model"),
    _word("bundle", nullable=True),
    _word("session"),
    _at(),
    Index(None, "step"),
    Index(None, "run"),
)

step = _table(
    "step",
    _word("id", unique=True),
    _ref("run", "run.id"),
    Column("generation", Integer, nullable=False),
    Column("position", Integer, nullable=False),
    _word("role"),
    Column("seed", Integer, nullable=False),
    Column("knowledge", Integer, nullable=False),
    Column("policy", Integer, nullable=False),
    Column("validators", JSON, nullable=False),
    Column("prompt", Text, nullable=False),
    Column("facts", JSON, nullable=False),
    Column("objections", JSON, nullable=False),
    _word("requested"),
    _word("reason", nullable=True),
    _word("outcome"),
    _word("error", nullable=True),
    _word("served", nullable=True),
    _word("served_call", nullable=True),
    Column("reply", Text),
    Column("strategy", Text),
    Column("score", Float),
    Column("recovered", Boolean, nullable=False),
    _at(),
    Index(None, "run", "generation", "position"),
    Index(None, "role", "served", "seq"),
)

attempt = _table(
    "attempt",
    Column("call", String(120), ForeignKey("announcement.call"), nullable=False, unique=True),
    _ref("step", "step.id"),
    _word("target"),
    Column("shadow", Boolean, nullable=False),
    _word("requested_provider"),
    _word("requested_model"),
    _word("bundle", nullable=True),
    _word("provider", nullable=True),
    _word("model", nullable=True),
    _word("digest", nullable=True),
    _word("error_type", nullable=True),
    Column("error", Text),
    Column("text", Text),
    Column("refusals", JSON, nullable=False),
    Column("score", Float),
    Column("input_tokens", Integer),
    Column("output_tokens", Integer),
    Column("cost", Float),
    Column("latency", Float),
    Column("breaker", JSON(none_as_null=True)),
    Column("recovered", Boolean, nullable=False),
    _at(),
    Index(None, "step"),
    # Only rows that carry a breaker: however many shadows came since, the last checkpoint is the index's first entry.
    Index(
        "ix_attempt_breaker",
        "bundle",
        "seq",
        sqlite_where=text("breaker IS NOT NULL"),
        postgresql_where=text("breaker IS NOT NULL"),
    ),
)

match = _table(
    "match",
    _ref("step", "step.id"),
    Column("seed", Integer, nullable=False),
    Column("score", Float, nullable=False),
    Column("won", Boolean, nullable=False),
    Column("parts", JSON, nullable=False),
    Index(None, "step"),
)

generation = _table(
    "generation",
    _ref("run", "run.id"),
    Column("number", Integer, nullable=False),
    _word("decision"),
    _word("best", nullable=True),
    Column("score", Float),
    _word("champion", nullable=True),
    Column("champion_score", Float),
    _at(),
    Index(None, "run", "number", unique=True),
)

knowledge = _table(
    "knowledge",
    _word("scenario"),
    Column("version", Integer, nullable=False),
    Column("playbook", Text, nullable=False),
    Column("hints", Text, nullable=False),
    _ref("step", "step.id"),
    _at(),
    Index(None, "scenario", "version", unique=True),
    Index(None, "step"),
)

dataset = _table(
    "dataset",
    _word("digest", unique=True),
    _word("scenario"),
    Column("filters", JSON, nullable=False),
    Column("records", Integer, nullable=False),
    _at(),
)

bundle = _table(
    "bundle",
    _word("id", unique=True),
    _word("scenario"),
    _word("role"),
    _word("job"),
    _word("dataset"),
    _word("weights"),
    _at("trained_at"),
    _word("session"),
    _at(),
    Index(None, "job"),
    Index(None, "scenario", "role", "seq"),
)

evaluation = _table(
    "evaluation",
    _word("id", unique=True),
    _ref("bundle", "bundle.id"),
    Column("terms", JSON, nullable=False),
    _word("terms_digest"),
    Column("knowledge", Integer, nullable=False),
    _ref("run", "run.id", nullable=True),
    Column("seeds", Integer, nullable=False),
    Column("mean", Float),
    Column("lower", Float),
    Column("valid", Float),
    _word("call", nullable=True),
    _at(),
    Index(None, "bundle", "terms_digest", "seq"),
    Index(None, "run"),
)

holdout = _table(
    "holdout",
    _ref("evaluation", "evaluation.id"),
    Column("seed", Integer, nullable=False),
    Column("score", Float, nullable=False),
    Column("legal", Boolean, nullable=False),
    Column("reply", Text, nullable=False),
    Index(None, "evaluation"),
)

act = _table(
    "act",
    _word("kind"),
    _word("scenario"),
    _word("role"),
    _ref("bundle", "bundle.id"),
    Column("forced", Boolean, nullable=False),
    *_by(),
    Index(None, "scenario", "role", "kind", "seq"),
    Index(None, "bundle", "seq"),
)

policy = _table(
    "policy", Column("number", Integer, nullable=False, unique=True), Column("settings", JSON, nullable=False), *_by()
)

harness = _table(
    "harness",
    _word("scenario"),
    _word("validator"),
    Column("enabled", Boolean, nullable=False),
    *_by(),
    Index(None, "scenario", "validator", "seq"),
)

verdict = _table(
    "verdict",
    _ref("bundle", "bundle.id"),
    _ref("run", "run.id"),
    _word("terms_digest"),
    _word("outcome"),
    Column("evidence", JSON, nullable=False),
    Column("policy", Integer, nullable=False),
    Column("validators", JSON, nullable=False),
    *_by(),
    Index(None, "bundle", "seq"),
    Index(None, "run"),
)

judgement = _table(
    "judgement",
    _ref("call", "attempt.call"),
    Column("score", Float, nullable=False),
    *_by(),
    Index(None, "call", "seq"),
)

spending = _table(
    "spending",
    Column("run", String(120), ForeignKey("run.id"), nullable=False, unique=True),
    _word("scenario"),
    _word("role"),
    Column("number", Integer, nullable=False),
    Column("share", Float, nullable=False),
    Index(None, "scenario", "role", "number", unique=True),
)

loss = _table(
    "loss",
    _ref("bundle", "bundle.id"),
    Column("iteration", Integer, nullable=False),
    Column("loss", Float, nullable=False),
    Index(None, "bundle", "seq"),
)
