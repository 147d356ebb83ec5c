"""See `0002_ledger.sql`."""

from worker.database.migrate import run_sql

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    run_sql("0002_ledger")
