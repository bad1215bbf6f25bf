"""How Alembic reaches the database: through the connection it is handed."""

from alembic import context

from models import Base
from terminal.paper import tables

target_metadata = [Base.metadata, tables.metadata]

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=target_metadata, compare_type=False,
                  render_as_batch=connection.dialect.name == "sqlite", transactional_ddl=True)
context.run_migrations()
