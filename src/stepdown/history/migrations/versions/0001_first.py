"""The first schema."""

import sqlalchemy as sa
from alembic import op

from stepdown.history.append_only import triggers

revision = "0001"
down_revision = None

# Instants are fixed-width ISO 8601 text.
UTC = sa.String(32)

TABLES = [
    "bundle",
    "dataset",
    "harness",
    "policy",
    "run",
    "act",
    "announcement",
    "ending",
    "evaluation",
    "generation",
    "step",
    "verdict",
    "attempt",
    "holdout",
    "knowledge",
    "match",
]


def upgrade() -> None:
    """Create every table, its indexes, and the triggers that keep it append-only."""
    op.create_table(
        "bundle",
        sa.Column("seq", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(length=120), nullable=False),
        sa.Column("scenario", sa.String(length=120), nullable=False),
        sa.Column("role", sa.String(length=120), nullable=False),
        sa.Column("job", sa.String(length=120), nullable=False),
        sa.Column("dataset", sa.String(length=120), nullable=False),
        sa.Column("weights", sa.String(length=120), nullable=False),
        sa.Column("trained_at", UTC, nullable=False),
        sa.Column("session", sa.String(length=120), nullable=False),
        sa.Column("at", UTC, nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_bundle")),
        sa.UniqueConstraint("id", name=op.f("uq_bundle_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_bundle_job"), "bundle", ["job"], unique=False)
    op.create_index(op.f("ix_bundle_scenario_role_seq"), "bundle", ["scenario", "role", "seq"], unique=False)
    op.create_table(
        "dataset",
        sa.Column("seq", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("digest", sa.String(length=120), nullable=False),
        sa.Column("scenario", sa.String(length=120), nullable=False),
        sa.Column("filters", sa.JSON(), nullable=False),
        sa.Column("records", sa.Integer(), nullable=False),
        sa.Column("at", UTC, nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_dataset")),
        sa.UniqueConstraint("digest", name=op.f("uq_dataset_digest")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "harness",
        sa.Column("seq", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("scenario", sa.String(length=120), nullable=False),
        sa.Column("validator", sa.String(length=120), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("by", sa.String(length=120), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("at", UTC, nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_harness")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_harness_scenario_validator_seq"), "harness", ["scenario", "validator", "seq"], unique=False
    )
    op.create_table(
        "policy",
        sa.Column("seq", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("by", sa.String(length=120), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("at", UTC, nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_policy")),
        sa.UniqueConstraint("number", name=op.f("uq_policy_number")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "run",
        sa.Column("seq", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(length=120), nullable=False),
        sa.Column("scenario", sa.String(length=120), nullable=False),
        sa.Column("scenario_version", sa.Integer(), nullable=False),
        sa.Column("seed", sa.Integer(), nullable=False),
        sa.Column("generations", sa.Integer(), nullable=False),
        sa.Column("candidates", sa.Integer(), nullable=False),
        sa.Column("frontier", sa.String(length=120), nullable=False),
        sa.Column("purpose", sa.String(length=120), nullable=False),
        sa.Column("session", sa.String(length=120), nullable=False),
        sa.Column("at", UTC, nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_run")),
        sa.UniqueConstraint("id", name=op.f("uq_run_id")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "act",
        sa.Column("seq", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(length=120), nullable=False),
        sa.Column("scenario", sa.String(length=120), nullable=False),
        sa.Column("role", sa.String(length=120), nullable=False),
        sa.Column("bundle", sa.String(length=120), nullable=False),
        sa.Column("forced", sa.Boolean(), nullable=False),
        sa.Column("by", sa.String(length=120), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("at", UTC, nullable=False),
        sa.ForeignKeyConstraint(["bundle"], ["bundle.id"], name=op.f("fk_act_bundle")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_act")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_act_bundle_seq"), "act", ["bundle", "seq"], unique=False)
    op.create_index(op.f("ix_act_scenario_role_kind_seq"), "act", ["scenario", "role", "kind", "seq"], unique=False)
    op.create_table(
        "announcement",
        sa.Column("seq", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("call", sa.String(length=120), nullable=False),
        sa.Column("step", sa.String(length=120), nullable=False),
        sa.Column("run", sa.String(length=120), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("role", sa.String(length=120), nullable=False),
        sa.Column("seed", sa.Integer(), nullable=False),
        sa.Column("knowledge", sa.Integer(), nullable=False),
        sa.Column("policy", sa.Integer(), nullable=False),
        sa.Column("validators", sa.JSON(), nullable=False),
        sa.Column("prompt", sa.Text(), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("objections", sa.JSON(), nullable=False),
        sa.Column("target", sa.String(length=120), nullable=False),
        sa.Column("shadow", sa.Boolean(), nullable=False),
        sa.Column("provider", sa.String(length=120), nullable=False),
        sa.Column("model", sa.String(length=120), nullable=False),
        sa.Column("bundle", sa.String(length=120), nullable=True),
        sa.Column("session", sa.String(length=120), nullable=False),
        sa.Column("at", UTC, nullable=False),
        sa.ForeignKeyConstraint(["run"], ["run.id"], name=op.f("fk_announcement_run")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_announcement")),
        sa.UniqueConstraint("call", name=op.f("uq_announcement_call")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_announcement_run"), "announcement", ["run"], unique=False)
    op.create_index(op.f("ix_announcement_step"), "announcement", ["step"], unique=False)
    op.create_table(
        "ending",
        sa.Column("seq", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("run", sa.String(length=120), nullable=False),
        sa.Column("outcome", sa.String(length=120), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("at", UTC, nullable=False),
        sa.ForeignKeyConstraint(["run"], ["run.id"], name=op.f("fk_ending_run")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_ending")),
        sa.UniqueConstraint("run", name=op.f("uq_ending_run")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "evaluation",
        sa.Column("seq", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(length=120), nullable=False),
        sa.Column("bundle", sa.String(length=120), nullable=False),
        sa.Column("terms", sa.JSON(), nullable=False),
        sa.Column("terms_digest", sa.String(length=120), nullable=False),
        sa.Column("knowledge", sa.Integer(), nullable=False),
        sa.Column("run", sa.String(length=120), nullable=True),
        sa.Column("seeds", sa.Integer(), nullable=False),
        sa.Column("mean", sa.Float(), nullable=True),
        sa.Column("lower", sa.Float(), nullable=True),
        sa.Column("valid", sa.Float(), nullable=True),
        sa.Column("at", UTC, nullable=False),
        sa.ForeignKeyConstraint(["bundle"], ["bundle.id"], name=op.f("fk_evaluation_bundle")),
        sa.ForeignKeyConstraint(["run"], ["run.id"], name=op.f("fk_evaluation_run")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_evaluation")),
        sa.UniqueConstraint("id", name=op.f("uq_evaluation_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_evaluation_bundle_terms_digest_seq"), "evaluation", ["bundle", "terms_digest", "seq"], unique=False
    )
    op.create_table(
        "generation",
        sa.Column("seq", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("run", sa.String(length=120), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("decision", sa.String(length=120), nullable=False),
        sa.Column("best", sa.String(length=120), nullable=True),
        sa.Column("score", sa.Float(), nullable=True),
        sa.Column("champion", sa.String(length=120), nullable=True),
        sa.Column("champion_score", sa.Float(), nullable=True),
        sa.Column("at", UTC, nullable=False),
        sa.ForeignKeyConstraint(["run"], ["run.id"], name=op.f("fk_generation_run")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_generation")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_generation_run_number"), "generation", ["run", "number"], unique=True)
    op.create_table(
        "step",
        sa.Column("seq", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(length=120), nullable=False),
        sa.Column("run", sa.String(length=120), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("role", sa.String(length=120), nullable=False),
        sa.Column("seed", sa.Integer(), nullable=False),
        sa.Column("knowledge", sa.Integer(), nullable=False),
        sa.Column("policy", sa.Integer(), nullable=False),
        sa.Column("validators", sa.JSON(), nullable=False),
        sa.Column("prompt", sa.Text(), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("objections", sa.JSON(), nullable=False),
        sa.Column("requested", sa.String(length=120), nullable=False),
        sa.Column("reason", sa.String(length=120), nullable=True),
        sa.Column("outcome", sa.String(length=120), nullable=False),
        sa.Column("error", sa.String(length=120), nullable=True),
        sa.Column("served", sa.String(length=120), nullable=True),
        sa.Column("served_call", sa.String(length=120), nullable=True),
        sa.Column("reply", sa.Text(), nullable=True),
        sa.Column("strategy", sa.Text(), nullable=True),
        sa.Column("score", sa.Float(), nullable=True),
        sa.Column("recovered", sa.Boolean(), nullable=False),
        sa.Column("at", UTC, nullable=False),
        sa.ForeignKeyConstraint(["run"], ["run.id"], name=op.f("fk_step_run")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_step")),
        sa.UniqueConstraint("id", name=op.f("uq_step_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_step_run_generation_position"), "step", ["run", "generation", "position"], unique=False)
    op.create_table(
        "verdict",
        sa.Column("seq", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("bundle", sa.String(length=120), nullable=False),
        sa.Column("run", sa.String(length=120), nullable=False),
        sa.Column("terms_digest", sa.String(length=120), nullable=False),
        sa.Column("outcome", sa.String(length=120), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.Column("policy", sa.Integer(), nullable=False),
        sa.Column("validators", sa.JSON(), nullable=False),
        sa.Column("by", sa.String(length=120), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("at", UTC, nullable=False),
        sa.ForeignKeyConstraint(["bundle"], ["bundle.id"], name=op.f("fk_verdict_bundle")),
        sa.ForeignKeyConstraint(["run"], ["run.id"], name=op.f("fk_verdict_run")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_verdict")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_verdict_bundle_seq"), "verdict", ["bundle", "seq"], unique=False)
    op.create_table(
        "attempt",
        sa.Column("seq", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("call", sa.String(length=120), nullable=False),
        sa.Column("step", sa.String(length=120), nullable=False),
        sa.Column("target", sa.String(length=120), nullable=False),
        sa.Column("shadow", sa.Boolean(), nullable=False),
        sa.Column("requested_provider", sa.String(length=120), nullable=False),
        sa.Column("requested_model", sa.String(length=120), nullable=False),
        sa.Column("bundle", sa.String(length=120), nullable=True),
        sa.Column("provider", sa.String(length=120), nullable=True),
        sa.Column("model", sa.String(length=120), nullable=True),
        sa.Column("digest", sa.String(length=120), nullable=True),
        sa.Column("error_type", sa.String(length=120), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("refusals", sa.JSON(), nullable=False),
        sa.Column("score", sa.Float(), nullable=True),
        sa.Column("input_tokens", sa.Integer(), nullable=True),
        sa.Column("output_tokens", sa.Integer(), nullable=True),
        sa.Column("cost", sa.Float(), nullable=True),
        sa.Column("latency", sa.Float(), nullable=True),
        sa.Column("breaker", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("recovered", sa.Boolean(), nullable=False),
        sa.Column("at", UTC, nullable=False),
        sa.ForeignKeyConstraint(["call"], ["announcement.call"], name=op.f("fk_attempt_call")),
        sa.ForeignKeyConstraint(["step"], ["step.id"], name=op.f("fk_attempt_step")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_attempt")),
        sa.UniqueConstraint("call", name=op.f("uq_attempt_call")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_attempt_breaker",
        "attempt",
        ["bundle", "seq"],
        unique=False,
        sqlite_where=sa.text("breaker IS NOT NULL"),
        postgresql_where=sa.text("breaker IS NOT NULL"),
    )
    op.create_index(op.f("ix_attempt_step"), "attempt", ["step"], unique=False)
    op.create_table(
        "holdout",
        sa.Column("seq", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("evaluation", sa.String(length=120), nullable=False),
        sa.Column("seed", sa.Integer(), nullable=False),
        sa.Column("score", sa.Float(), nullable=False),
        sa.Column("legal", sa.Boolean(), nullable=False),
        sa.Column("reply", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["evaluation"], ["evaluation.id"], name=op.f("fk_holdout_evaluation")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_holdout")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_holdout_evaluation"), "holdout", ["evaluation"], unique=False)
    op.create_table(
        "knowledge",
        sa.Column("seq", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("scenario", sa.String(length=120), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("playbook", sa.Text(), nullable=False),
        sa.Column("hints", sa.Text(), nullable=False),
        sa.Column("step", sa.String(length=120), nullable=False),
        sa.Column("at", UTC, nullable=False),
        sa.ForeignKeyConstraint(["step"], ["step.id"], name=op.f("fk_knowledge_step")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_knowledge")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_knowledge_scenario_version"), "knowledge", ["scenario", "version"], unique=True)
    op.create_table(
        "match",
        sa.Column("seq", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("step", sa.String(length=120), nullable=False),
        sa.Column("seed", sa.Integer(), nullable=False),
        sa.Column("score", sa.Float(), nullable=False),
        sa.Column("won", sa.Boolean(), nullable=False),
        sa.Column("parts", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["step"], ["step.id"], name=op.f("fk_match_step")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_match")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_match_step"), "match", ["step"], unique=False)

    for statement in triggers(op.get_bind().dialect.name, TABLES):
        op.execute(statement)
