"""Alembic's entry point: one transaction per migration, a short lock time-out so that nothing queues behind us."""

from alembic import context

with context.config.attributes["engine"].connect() as connection:
    connection.exec_driver_sql("SET lock_timeout = '5s'")
    connection.commit()
    context.configure(connection=connection, transaction_per_migration=True, version_table_schema="public")
    with context.begin_transaction():
        context.run_migrations()
