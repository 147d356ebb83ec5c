"""What a single transaction may take."""

from psycopg import Connection
from psycopg.rows import DictRow

from worker.database.queries import load


def limit(connection: Connection[DictRow], *, statement_seconds: float, lock_seconds: float) -> None:
    """For the rest of this transaction: end statements that take longer, or wait longer for a lock."""
    connection.execute(
        load("transaction")["limit"],
        {
            "statement_timeout": f"{round(statement_seconds * 1000)}ms",
            "lock_timeout": f"{round(lock_seconds * 1000)}ms",
        },
    )
