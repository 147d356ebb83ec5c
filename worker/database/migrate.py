"""Brings a database to the newest schema: numbered, forward-only SQL files run by Alembic."""

from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.op import get_bind
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine
from sqlalchemy.engine import Engine, make_url
from sqlalchemy.pool import NullPool

from worker.database.pool import CONNECT_SECONDS, unreachable

FOLDER = Path(__file__).parent / "migrations"
MIGRATION_LOCK = 7_264_301
"""Advisory lock held while migrating, so that replicas that start together take turns."""


def upgrade(database_url: str) -> None:
    """Apply what is missing; does nothing on a database that is up to date.

    Raises:
        Unreachable: the database does not answer.
    """
    try:
        guard = psycopg.connect(database_url, autocommit=True, connect_timeout=CONNECT_SECONDS)
    except psycopg.OperationalError as error:
        raise unreachable(database_url, error) from error
    with guard:
        guard.execute("SELECT pg_advisory_lock(%s)", (MIGRATION_LOCK,))
        config = Config()
        config.set_main_option("script_location", str(FOLDER))
        config.attributes["engine"] = engine(database_url)
        command.upgrade(config, "head")


def current_revision(database_url: str) -> str | None:
    """The revision the database is at; None: never migrated."""
    with engine(database_url).connect() as connection:
        return MigrationContext.configure(connection, opts={"version_table_schema": "public"}).get_current_revision()


def newest_revision() -> str | None:
    """The revision this code expects."""
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    return ScriptDirectory.from_config(config).get_current_head()


def engine(database_url: str) -> Engine:
    """An engine for Alembic alone; the rest of the house speaks psycopg."""
    return create_engine(make_url(database_url).set(drivername="postgresql+psycopg"), poolclass=NullPool)


def run_sql(name: str) -> None:
    """Run `migrations/<name>.sql` inside the migration's transaction."""
    connection = get_bind().connection.driver_connection
    if connection is None:
        raise RuntimeError("a migration needs a database connection")
    connection.execute((FOLDER / f"{name}.sql").read_text())
