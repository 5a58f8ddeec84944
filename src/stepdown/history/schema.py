"""The tables. Nothing is ever updated or deleted: triggers refuse it, so what a row says is what was written.

Every table counts its rows in `seq`, the order in which they were committed. Changing anything here needs a migration
beside it (`history/migrations`); a test compares the two. A column that was named before there was a word for what it holds
keeps its name, and `key` says the word.
"""

from sqlalchemy import JSON, Boolean, Column, Float, ForeignKey, Index, Integer, String, Text, text

from stepdown.history import columns, logs
from stepdown.history.columns import at, by, ref, table, word

metadata = columns.metadata
"""All tables."""

log, exchange = logs.log, logs.exchange

run = table(
    "run",
    word("id", unique=True),
    word("scenario"),
    Column("scenario_version", Integer, nullable=False),
    Column("seed", Integer, nullable=False),
    Column("generations", Integer, nullable=False),
    Column("candidates", Integer, nullable=False),
    word("frontier"),
    word("purpose"),
    word("session"),
    at(),
)

ending = table(
    "ending",
    ref("run", "run.id"),
    word("outcome"),
    Column("error", Text),
    at(),
    Index(None, "run"),
)

resumption = table("resumption", ref("run", "run.id"), word("session"), at(), Index(None, "run"))

announcement = table(
    "announcement",
    word("call", unique=True),
    word("step"),
    ref("run", "run.id"),
    Column("generation", Integer, nullable=False),
    Column("position", Integer, nullable=False),
    word("role"),
    Column("seed", Integer, nullable=False),
    Column("knowledge", Integer, nullable=False),
    Column("policy", Integer, nullable=False),
    Column("validators", JSON, nullable=False),
    Column("prompt", Text, nullable=False),
    Column("facts", JSON, nullable=False),
    Column("objections", JSON, nullable=False),
    word("target"),
    Column("shadow", Boolean, nullable=False),
    word("provider"),
    word("model"),
    word("bundle", nullable=True),
    word("session"),
    at(),
    Index(None, "step"),
    Index(None, "run"),
)

step = table(
    "step",
    word("id", unique=True),
    ref("run", "run.id"),
    Column("generation", Integer, nullable=False),
    Column("position", Integer, nullable=False),
    word("role"),
    Column("seed", Integer, nullable=False),
    Column("knowledge", Integer, nullable=False),
    Column("policy", Integer, nullable=False),
    Column("validators", JSON, nullable=False),
    Column("prompt", Text, nullable=False),
    Column("facts", JSON, nullable=False),
    Column("objections", JSON, nullable=False),
    word("requested"),
    word("reason", nullable=True),
    word("outcome"),
    word("error", nullable=True),
    word("served", nullable=True),
    word("served_call", nullable=True),
    Column("reply", Text),
    Column("strategy", Text, key="answer"),
    Column("score", Float),
    Column("recovered", Boolean, nullable=False),
    at(),
    Index(None, "run", "generation", "position"),
    Index(None, "role", "served", "seq"),
)

attempt = table(
    "attempt",
    Column("call", String(120), ForeignKey("announcement.call"), nullable=False, unique=True),
    ref("step", "step.id"),
    word("target"),
    Column("shadow", Boolean, nullable=False),
    word("requested_provider"),
    word("requested_model"),
    word("bundle", nullable=True),
    word("provider", nullable=True),
    word("model", nullable=True),
    word("digest", nullable=True),
    word("error_type", nullable=True),
    Column("error", Text),
    Column("text", Text, key="reply"),
    Column("refusals", JSON, nullable=False),
    Column("score", Float),
    Column("input_tokens", Integer),
    Column("output_tokens", Integer),
    Column("cost", Float),
    Column("latency", Float),
    Column("breaker", JSON(none_as_null=True)),
    Column("recovered", Boolean, nullable=False),
    at(),
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

match = table(
    "match",
    ref("step", "step.id"),
    Column("seed", Integer, nullable=False),
    Column("score", Float, nullable=False),
    Column("won", Boolean, nullable=False),
    Column("parts", JSON, nullable=False),
    Index(None, "step"),
)

generation = table(
    "generation",
    ref("run", "run.id"),
    Column("number", Integer, nullable=False),
    word("decision"),
    word("best", nullable=True),
    Column("score", Float),
    word("champion", nullable=True),
    Column("champion_score", Float),
    at(),
    Index(None, "run", "number", unique=True),
)

knowledge = table(
    "knowledge",
    word("scenario"),
    Column("version", Integer, nullable=False),
    Column("playbook", Text, nullable=False),
    Column("hints", Text, nullable=False),
    ref("step", "step.id"),
    at(),
    Index(None, "scenario", "version", unique=True),
    Index(None, "step"),
)

dataset = table(
    "dataset",
    word("digest", unique=True),
    word("scenario"),
    Column("filters", JSON, nullable=False),
    Column("records", Integer, nullable=False),
    at(),
)

bundle = table(
    "bundle",
    word("id", unique=True),
    word("scenario"),
    word("role"),
    word("job"),
    word("dataset"),
    word("weights"),
    at("trained_at"),
    word("session"),
    at(),
    Index(None, "job"),
    Index(None, "scenario", "role", "seq"),
)

evaluation = table(
    "evaluation",
    word("id", unique=True),
    ref("bundle", "bundle.id"),
    Column("terms", JSON, nullable=False),
    word("terms_digest"),
    Column("knowledge", Integer, nullable=False),
    ref("run", "run.id", nullable=True),
    Column("seeds", Integer, nullable=False),
    Column("mean", Float),
    Column("lower", Float),
    Column("valid", Float),
    word("call", nullable=True),
    word("judged", nullable=True),
    at(),
    Index(None, "bundle", "terms_digest", "seq"),
    Index(None, "run"),
)

holdout = table(
    "holdout",
    ref("evaluation", "evaluation.id"),
    Column("seed", Integer, nullable=False),
    Column("score", Float),
    Column("legal", Boolean, nullable=False),
    Column("reply", Text, nullable=False),
    Index(None, "evaluation"),
)

act = table(
    "act",
    word("kind"),
    word("scenario"),
    word("role"),
    ref("bundle", "bundle.id"),
    Column("forced", Boolean, nullable=False),
    *by(),
    Index(None, "scenario", "role", "kind", "seq"),
    Index(None, "bundle", "seq"),
)

policy = table(
    "policy", Column("number", Integer, nullable=False, unique=True), Column("settings", JSON, nullable=False), *by()
)

harness = table(
    "harness",
    word("scenario"),
    word("validator"),
    Column("enabled", Boolean, nullable=False),
    *by(),
    Index(None, "scenario", "validator", "seq"),
)

verdict = table(
    "verdict",
    ref("bundle", "bundle.id"),
    ref("run", "run.id"),
    word("terms_digest"),
    word("outcome"),
    Column("evidence", JSON, nullable=False),
    Column("policy", Integer, nullable=False),
    Column("validators", JSON, nullable=False),
    *by(),
    Index(None, "bundle", "seq"),
    Index(None, "run"),
)

judgement = table(
    "judgement",
    ref("call", "attempt.call"),
    Column("score", Float, nullable=False),
    *by(),
    Index(None, "call", "seq"),
)

spending = table(
    "spending",
    Column("run", String(120), ForeignKey("run.id"), nullable=False, unique=True),
    word("scenario"),
    word("role"),
    Column("number", Integer, nullable=False),
    Column("share", Float, nullable=False),
    Index(None, "scenario", "role", "number", unique=True),
)

loss = table(
    "loss",
    ref("bundle", "bundle.id"),
    Column("iteration", Integer, nullable=False),
    Column("loss", Float, nullable=False),
    Index(None, "bundle", "seq"),
)
