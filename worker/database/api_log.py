"""The log of calls to the Admin API, for people who ask what was asked of Shopify, when, and at what price."""

from dataclasses import dataclass
from datetime import datetime

from psycopg import Connection
from psycopg.rows import DictRow

from worker.database.queries import load

SQL = load("api")


@dataclass(frozen=True, slots=True)
class LoggedCall:
    """One call as it is shown."""

    at: datetime
    shop: str
    operation: str
    job_id: int | None
    status: int | None
    """None: no answer came."""
    outcome: str
    requested_cost: float | None
    actual_cost: float | None
    available: float | None
    """Points left after the call; None: the answer did not say."""
    duration_seconds: float
    request_id: str
    deprecated: str
    trace_id: str | None
    """Of the request that the call served; None: none."""


def calls(
    connection: Connection[DictRow], *, shop: str | None = None, job_id: int | None = None, at_most: int = 100
) -> tuple[LoggedCall, ...]:
    """The newest calls first; None does not narrow."""
    rows = connection.execute(SQL["calls"], {"shop": shop, "job_id": job_id, "at_most": at_most}).fetchall()
    return tuple(LoggedCall(**row) for row in rows)


def usage_of_job(connection: Connection[DictRow], job_id: int) -> tuple[int, float]:
    """Requests and points that a job has used so far."""
    row = connection.execute(SQL["usage_of_job"], {"job_id": job_id}).fetchone()
    return (row["requests"], row["points"]) if row else (0, 0.0)


def forget_calls(connection: Connection[DictRow], *, older_than_days: int, at_most: int = 10_000) -> int:
    """Delete old rows, a limited number at a time; returns how many."""
    return connection.execute(SQL["forget_calls"], {"days": older_than_days, "at_most": at_most}).rowcount
