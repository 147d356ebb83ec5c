"""See `0001_shops.sql`."""

from worker.database.migrate import run_sql

revision = "0001"
down_revision = None


def upgrade() -> None:
    run_sql("0001_shops")
