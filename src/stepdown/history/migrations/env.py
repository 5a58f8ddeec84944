"""Alembic's entry: it runs on the connection that `migrate.upgrade` gives it."""

from alembic import context

from stepdown.history import schema

context.configure(
    connection=context.config.attributes["connection"], target_metadata=schema.run.metadata, transactional_ddl=False
)
context.run_migrations()
