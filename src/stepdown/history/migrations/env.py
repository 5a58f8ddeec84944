"""Alembic's entry: it runs on the connection that `migrate.upgrade` gives it."""

from alembic import context

from stepdown.history.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, transactional_ddl=False)
context.run_migrations()
