"""See `0004_erp.sql`."""

from worker.database.migrate import run_sql

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    run_sql("0004_erp")
